#!/bin/sh
# A systemd of its own for the tests: namespaces, a root that forgets what is written to it, and nothing enabled in it.
#
#   boot.sh FOLDER CGROUP     FOLDER/binds has lines "SOURCE TARGET": what is seen, read-only, at another place.
#                             CGROUP is a fresh cgroup (v2); systemd takes it for the root of all.
#
# Killing the process that this becomes kills all that runs inside; nothing else is left but FOLDER and CGROUP.
set -eu

folder=$1 cgroup=$2 root=$1/root

if [ "${3:-}" != inside ]; then
    echo $$ > "$cgroup/cgroup.procs" # before the cgroup namespace, which begins where we are
    exec unshare --mount --propagation private --pid --fork --kill-child=KILL --uts --ipc --net --cgroup \
        sh "$0" "$folder" "$cgroup" inside
fi

# The root: this machine's, under a layer in memory.
mkdir -p "$folder/memory" "$root"
mount -t tmpfs -o mode=0755 memory "$folder/memory"
mkdir "$folder/memory/upper" "$folder/memory/work"
mount -t overlay -o "lowerdir=/,upperdir=$folder/memory/upper,workdir=$folder/memory/work" root "$root"

# What a kernel offers. Its settings are not ours to change.
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
for place in run tmp var/tmp root home; do mount -t tmpfs -o mode=0755,nosuid,nodev "$place" "$root/$place"; done
chmod 1777 "$root/tmp" "$root/var/tmp"

# Devices: those that no program can do harm with.
mount -t tmpfs -o mode=0755,nosuid dev "$root/dev"
for device in null zero full random urandom tty; do
    : > "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev shm "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
: > "$root/dev/console"
mount --bind /dev/null "$root/dev/console"

# Units: the targets and the journal, without what this machine has enabled, generated or configured.
units=$folder/memory/units
mkdir "$units" "$folder/memory/empty"
cp -a "$root"/usr/lib/systemd/system/*.target "$root"/usr/lib/systemd/system/systemd-journald*.* "$units"
mount --bind "$units" "$root/usr/lib/systemd/system"
mount --bind "$folder/memory/empty" "$root/usr/lib/systemd/system-generators"
for place in etc/systemd usr/local/lib/systemd; do
    mkdir -p "$root/$place"
    mount -t tmpfs -o mode=0755 units "$root/$place"
done
mkdir "$root/etc/systemd/system"
printf '[Unit]\nRequires=basic.target systemd-journald.service\nAfter=basic.target systemd-journald.service\n' \
    > "$root/etc/systemd/system/default.target"
printf '[Journal]\nStorage=volatile\nAudit=no\nReadKMsg=no\nRateLimitIntervalSec=0\n' \
    > "$root/etc/systemd/journald.conf"

while read -r source target; do
    if [ -d "$source" ]; then mkdir -p "$root$target"; else mkdir -p "$root${target%/*}" && : > "$root$target"; fi
    mount --bind "$source" "$root$target"
    mount -o remount,bind,ro "$root$target"
done < "$folder/binds"

cd "$root"
mkdir -p mnt
pivot_root . mnt
umount -l /mnt
mount --make-rshared / # systemd's own namespaces for credentials and state folders rely on it
hostname systemd-lab
# $container: hands off the clock, the kernel's modules and its log, and whatever else belongs to the machine outside.
exec setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio,-sys_boot,-syslog,-audit_control,-audit_read \
    env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=journal
