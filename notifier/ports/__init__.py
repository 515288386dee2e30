"""What the services need from the world. A port belongs to its consumer; its docstrings are its specification.

Times are aware datetimes in UTC unless a name says monotonic; durations are seconds.
"""

from notifier.ports.archive import (
    Archive,
    ArchiveUnavailableError,
    FileGoneError,
    Saved,
    SaveOrder,
    Unsaved,
    UnsavedReason,
)
from notifier.ports.catalog import Catalog, Counts, DeliveryPage, Oldest, Page, Space, Upkeep, WatchPage
from notifier.ports.meter import AttemptMeter, PollMeter
from notifier.ports.store import (
    Alter,
    Announce,
    Cancelled,
    Declared,
    DeliveryStore,
    EndpointStore,
    Expired,
    Known,
    Registered,
    StoreFault,
    StoreUnavailableError,
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
    "Archive",
    "ArchiveUnavailableError",
    "AttemptMeter",
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
    "FileGoneError",
    "Guard",
    "GuardBusyError",
    "Known",
    "Oldest",
    "Page",
    "PollMeter",
    "Provider",
    "Registered",
    "SaveOrder",
    "Saved",
    "Sender",
    "Space",
    "StoreFault",
    "StoreUnavailableError",
    "TaskStore",
    "Timetable",
    "TooManyListsError",
    "Unsaved",
    "UnsavedReason",
    "Upkeep",
    "Waiting",
    "WatchPage",
    "WatchStore",
]
