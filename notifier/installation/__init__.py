"""Notifier as a systemd service on this machine: what `notifier install` and `notifier uninstall` do.

    look ──Machine──▶ plan / removal (pure) ──steps──▶ apply, one by one – or only told, with --dry-run
                          └── unit: the shipped units as they are installed, and whether somebody edited one
                          └── layout: where everything is and whose it is; starter: the first configuration
                      guide (pure): what is left to do, in commands to copy; program: what the service is going to run

What exists is never changed, but for unit files that nobody edited; what differs from what it should be is named.
"""
