"""The first configuration of a service, and the credentials that it is given."""

from notifier.installation.layout import API_KEY, CREDENTIALS, WEBHOOK_SECRET

CONFIG = f"""\
# Notifier's configuration. config.example.yaml of its source names every setting with its default.
# After a change:  sudo systemctl reload notifier      (a file with a mistake changes nothing, and says what is wrong)
#
# No secret is in this file. Each is a file of its own in /etc/notifier/credentials, which only root can read; systemd
# hands them to the service, as /etc/systemd/system/notifier.service.d/credentials.conf says. After a change of one:
# sudo systemctl restart notifier

store:
  url: sqlite:////var/lib/notifier/notifier.db

intake:
  listen: 127.0.0.1:8470      # everybody on this machine may register watches; beyond it, tokens are needed

providers:
  videos:
    api_key_file: ${{CREDENTIALS_DIRECTORY}}/{API_KEY}

webhooks:
  secret_file: ${{CREDENTIALS_DIRECTORY}}/{WEBHOOK_SECRET}

# watches:                    # declared here, or registered with `notifier watch add` and through the intake
#   - task_id: vid_8f2c
#     callback_url: https://app.example.com/hooks/video
"""

_LOADED = "\n".join(f"LoadCredential={name}:/etc/notifier/credentials/{name}" for name in CREDENTIALS)
DROP_IN = f"""\
# The secrets that systemd hands to the service as files in $CREDENTIALS_DIRECTORY (systemd.exec(5)). For one more:
# write it to a file in /etc/notifier/credentials, name it here, and read it in the configuration with x_file.
[Service]
{_LOADED}
"""


def is_loaded(name: str, drop_in: str) -> bool:
    """Whether this drop-in, perhaps an edited one, has systemd load the credential; it must exist then."""
    lines = (line.strip() for line in drop_in.splitlines())
    return any(line.startswith(f"LoadCredential={name}:") for line in lines)
