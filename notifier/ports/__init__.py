"""What the services need from the world. A port belongs to its consumer; its docstrings are its specification.

Times are aware datetimes in UTC unless a name says monotonic; durations are seconds.
"""

from notifier.ports.catalog import Catalog, Counts, DeliveryPage, Oldest, Page, Space, Upkeep, WatchPage
from notifier.ports.meter import AttemptMeter, PollMeter
from notifier.ports.store import (
    Alter,
    Announce,
    BodyStore,
    Cancelled,
    Declared,
    DeliveryStore,
    EndpointStore,
    Expired,
    History,
    Known,
    Registered,
    StoreFault,
    StoreUnavailableError,
    Subject,
    TaskStore,
    TooManyListsError,
    Waiting,
    WatchStore,
)
from notifier.ports.world import Alarms, Chance, Clock, Crew, Guard, GuardBusyError, Provider, Sender, Timetable

__all__ = [
    "Alarms",
    "Alter",
    "Announce",
    "AttemptMeter",
    "BodyStore",
    "Cancelled",
    "Catalog",
    "Chance",
    "Clock",
    "Counts",
    "Crew",
    "Declared",
    "DeliveryPage",
    "DeliveryStore",
    "EndpointStore",
    "Expired",
    "Guard",
    "GuardBusyError",
    "History",
    "Known",
    "Oldest",
    "Page",
    "PollMeter",
    "Provider",
    "Registered",
    "Sender",
    "Space",
    "StoreFault",
    "StoreUnavailableError",
    "Subject",
    "TaskStore",
    "Timetable",
    "TooManyListsError",
    "Upkeep",
    "Waiting",
    "WatchPage",
    "WatchStore",
]
