"""This module is when a task runs by itself: a schedule as cron has it, and how often that is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .errors import SettingError
from .values import dataclass

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 6))
_PART = re.compile(r"(?:\*|(?P<first>\d{1,2})(?:-(?P<last>\d{1,2}))?)(?:/(?P<step>\d{1,2}))?", re.ASCII)
_ZONE = re.compile(r"(?!(posix|right)/|(Local|localtime|posixrules)$)[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
"""A zone as Kubernetes knows it: what a machine has besides is not in what Kubernetes brings."""

_DAYS = [
    (day.day, day.month, day.isoweekday() % 7)
    for number in range(8 * 366)
    for day in [date(2023, 1, 1) + timedelta(days=number)]
]
"""Long enough for two of every day that there is, the 29th of February too."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When a task runs by itself. Kubernetes starts its Job, and no second one while that runs.

    Args:
        cron: Minute, hour, day of the month, month and day of the week (0 is Sunday), such as ``"30 2 * * *"``:
            numbers, ranges, lists and steps, which every cron has.
        time_zone: The zone of these hours, such as ``Europe/Berlin``. Where it has summer time, an hour of a night
            comes twice or not at all.
        starting_deadline_seconds: Seconds that a run may be late, as after an outage of the control plane. A run that
            would be later is left out.
        keep_succeeded: How many finished Jobs are kept for their logs.
        keep_failed: How many failed ones.
    """

    cron: str
    time_zone: str = "Etc/UTC"
    starting_deadline_seconds: int = 3600
    keep_succeeded: int = 1
    keep_failed: int = 3

    def __post_init__(self) -> None:
        """Refuse a schedule that Kubernetes would refuse, and one that never comes."""
        for index in range(len(_FIELDS)):
            self._numbers(index)
        if not any(self._days()):
            raise SettingError("Schedule.cron", self.cron, "There is no such day. Give one that comes every year.")
        if not _ZONE.fullmatch(self.time_zone) or not _is_known(self.time_zone):
            raise SettingError("Schedule.time_zone", self.time_zone, "Give one such as 'Europe/Berlin' or 'Etc/UTC'.")
        # The controller looks every ten seconds: with less, it may find none in time.
        if self.starting_deadline_seconds < 10:
            raise SettingError("Schedule.starting_deadline_seconds", self.starting_deadline_seconds, "Give 10 or more.")
        if min(self.keep_succeeded, self.keep_failed) < 0:
            raise SettingError("Schedule", (self.keep_succeeded, self.keep_failed), "Keep 0 Jobs or more.")

    @cached_property
    def longest_gap(self) -> int:
        """The most seconds between two runs, but for summer time."""
        minutes = [60 * hour + minute for hour in sorted(self._numbers(1)) for minute in sorted(self._numbers(0))]
        days = [number for number, runs in enumerate(self._days()) if runs]
        starts = [1440 * day + minute for day in days for minute in minutes]
        return 60 * max(after - before for before, after in pairwise(starts))

    def _days(self) -> Iterator[bool]:
        """Whether it runs on each day. Where both kinds of days are named, either is enough: so cron has it."""
        days, months, weekdays = (self._numbers(index) for index in (2, 3, 4))
        either = not any(self.cron.split()[index].startswith("*") for index in (2, 4))
        for day, month, weekday in _DAYS:
            named, of_the_week = day in days, weekday in weekdays
            yield month in months and (named or of_the_week if either else named and of_the_week)

    def _numbers(self, index: int) -> set[int]:
        """The numbers that a field means."""
        fields = self.cron.split()
        if len(fields) != len(_FIELDS):
            raise SettingError("Schedule.cron", self.cron, "Give five fields, such as '30 2 * * *'.")
        what, least, most = _FIELDS[index]
        found: set[int] = set()
        for part in fields[index].split(","):
            match = _PART.fullmatch(part)
            first = int(match["first"] or least) if match else most + 1
            open_end = match and (match["first"] is None or match["step"])
            last = int(match["last"] or (most if open_end else first)) if match else 0
            step = int(match["step"] or 1) if match else 1
            if not least <= first <= last <= most or not step:
                raise SettingError(
                    f"Schedule.cron {what}", part, f"Give {least} to {most}, as '{least}', '{least}-{most}' or '*/2'."
                )
            found |= set(range(first, last + 1, step))
        return found


def _is_known(time_zone: str) -> bool:
    """Whether there is such a zone, as far as this machine knows zones at all."""
    if time_zone == "Etc/UTC":
        return True
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        try:
            ZoneInfo("Etc/UTC")
        except (ZoneInfoNotFoundError, OSError):
            return True
        return False
    return True
