"""The one place for outgoing HTTP: one deadline round everything, a size cap, and the address guard at dial time.

Requests are ready-made `httpx.Request` objects, handed to a transport over aiohttp's connections, because httpx's own
pool slows down with their number. Nothing is followed, inflated, retried or remembered: no redirects, no compression,
no cookies, no proxies from the environment. What goes wrong on the other side comes back as data (`Fault`). Downloads
of files (`Downloads`) are the one exception: they follow redirects, and read bodies of any length.
"""

from notifier.adapters.http.client import CHECK_SECONDS, Http
from notifier.adapters.http.download import NOWHERE, Downloads, Flow, FlowError, Home, origin
from notifier.adapters.http.fault import Fault, FaultKind
from notifier.adapters.http.query import with_query
from notifier.adapters.http.reply import Reply
from notifier.adapters.http.tls import trust

__all__ = [
    "CHECK_SECONDS",
    "NOWHERE",
    "Downloads",
    "Fault",
    "FaultKind",
    "Flow",
    "FlowError",
    "Home",
    "Http",
    "Reply",
    "origin",
    "trust",
    "with_query",
]
