"""Providers: whatever can be described is asked by the same code; what differs is how they are told who asks."""

from notifier.adapters.providers.credentials import (
    Command,
    Credentials,
    Fixed,
    Sent,
    SignedToken,
    Unready,
    basic,
    bearer,
)
from notifier.adapters.providers.described import DescribedApi, Exchange, Poll, Request

__all__ = [
    "Command",
    "Credentials",
    "DescribedApi",
    "Exchange",
    "Fixed",
    "Poll",
    "Request",
    "Sent",
    "SignedToken",
    "Unready",
    "basic",
    "bearer",
]
