"""Timestamps and durations: integers of nanoseconds, written as RFC 3339 and as seconds. There is no clock in here.

Years 1 to 9999. A time zone is a fixed offset: names of places would need a database.
"""

from __future__ import annotations

import re

import msgspec

from legato.values.faults import Mistake

SECOND = 1_000_000_000
DAY = 86_400
_UNITS = {"h": 3600 * SECOND, "m": 60 * SECOND, "s": SECOND, "ms": 1_000_000, "us": 1_000, "µs": 1_000, "ns": 1}
_MAX_DURATION = 315_576_000_000 * SECOND  # 10,000 years, as in CEL
_FIRST, _LAST = -62_135_596_800 * SECOND, 253_402_300_800 * SECOND  # 0001-01-01, and behind 9999-12-31
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_AMOUNT = re.compile(r"(\d{1,20})(?:\.(\d{0,20}))?(ns|us|µs|ms|h|m|s)|\.(\d{1,20})(ns|us|µs|ms|h|m|s)", re.ASCII)
_ZONE = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)


class Timestamp(msgspec.Struct, frozen=True, order=True):
    """A point in time, in nanoseconds since 1970-01-01T00:00:00Z."""

    nanoseconds: int

    def __str__(self) -> str:
        seconds, fraction = divmod(self.nanoseconds, SECOND)
        days, seconds = divmod(seconds, DAY)
        year, month, day = _civil(days)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return f"{year:04}-{month:02}-{day:02}T{clock}{_fraction(fraction)}Z"


class Duration(msgspec.Struct, frozen=True, order=True):
    """A length of time, in nanoseconds."""

    nanoseconds: int

    def __str__(self) -> str:
        seconds, fraction = divmod(abs(self.nanoseconds), SECOND)
        return f"{'-' if self.nanoseconds < 0 else ''}{seconds}{_fraction(fraction)}s"


def timestamp(nanoseconds: int) -> Timestamp:
    """A timestamp. Raises Mistake outside of the years 1 to 9999."""
    if not _FIRST <= nanoseconds < _LAST:
        raise Mistake("a timestamp outside of the years 1 to 9999")
    return Timestamp(nanoseconds)


def duration(nanoseconds: int) -> Duration:
    """A duration. Raises Mistake beyond 10,000 years."""
    if not -_MAX_DURATION <= nanoseconds <= _MAX_DURATION:
        raise Mistake("a duration of more than 10,000 years")
    return Duration(nanoseconds)


def read_timestamp(text: str) -> Timestamp:
    """The timestamp that RFC 3339 text names. Raises Mistake for any other text."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise Mistake("the text is no timestamp; write it as 2024-12-31T23:59:59Z")
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    if not (
        year and 1 <= month <= 12 and 1 <= day <= _days_in(year, month) and hour < 24 and minute < 60 and second < 60
    ):
        raise Mistake("the text is no date and time that exists")
    zone = 0
    if match[8]:
        zone = _zone(match[8], match[9], match[10])
    seconds = _days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - zone
    return timestamp(seconds * SECOND + int((match[7] or "").ljust(9, "0")))


def read_duration(text: str) -> Duration:
    """The duration that text such as `1h30m` or `-1.5s` names; finer than a nanosecond is cut off. Raises Mistake."""
    sign = -1 if text[:1] == "-" else 1
    at = 1 if text[:1] in ("-", "+") else 0
    total = 0
    if len(text) > 100:
        raise Mistake("the text is no duration; write it as 1h30m or 2.5s")
    if text[at:] == "0":
        return Duration(0)
    if at == len(text):
        raise Mistake("the text is no duration; write it as 1h30m or 2.5s")
    while at < len(text):
        match = _AMOUNT.match(text, at)
        if match is None or abs(total) > _MAX_DURATION:
            raise Mistake("the text is no duration; write it as 1h30m or 2.5s")
        fraction = match[2] or match[4] or ""
        unit = _UNITS[match[3] or match[5]]
        total += int(match[1] or 0) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
        at = match.end()
    return duration(sign * total)


def parts(moment: Timestamp, zone: str) -> dict[str, int]:
    """The calendar's parts of a timestamp at an offset (`UTC` or `+02:00`), by CEL's accessors. Raises Mistake."""
    offset = 0
    if zone not in ("", "UTC", "Z"):
        match = _ZONE.fullmatch(zone)
        if match is None:
            raise Mistake("the text is no offset; write a time zone as +02:00 or UTC")
        offset = _zone(match[1], match[2], match[3])
    seconds, fraction = divmod(moment.nanoseconds + offset * SECOND, SECOND)
    days, seconds = divmod(seconds, DAY)
    year, month, day = _civil(days)
    return {
        "getFullYear": year,
        "getMonth": month - 1,
        "getDate": day,
        "getDayOfMonth": day - 1,
        "getDayOfWeek": (days + 4) % 7,
        "getDayOfYear": days - _days(year, 1, 1),
        "getHours": seconds // 3600,
        "getMinutes": seconds // 60 % 60,
        "getSeconds": seconds % 60,
        "getMilliseconds": fraction // 1_000_000,
    }


def length(amount: Duration) -> dict[str, int]:
    """A duration in whole units by CEL's accessors, cut towards zero; milliseconds are those within the second."""
    sign = -1 if amount.nanoseconds < 0 else 1
    seconds, fraction = divmod(abs(amount.nanoseconds), SECOND)
    return {
        "getHours": sign * (seconds // 3600),
        "getMinutes": sign * (seconds // 60),
        "getSeconds": sign * seconds,
        "getMilliseconds": sign * (fraction // 1_000_000),
    }


def _zone(sign: str, hours: str, minutes: str) -> int:
    if int(hours) > 23 or int(minutes) > 59:
        raise Mistake("the text is no offset; write a time zone as +02:00 or UTC")
    return (-1 if sign == "-" else 1) * (int(hours) * 3600 + int(minutes) * 60)


def _fraction(nanoseconds: int) -> str:
    return f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""


def _days_in(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a date. Years begin in March, so that the leap day is their last."""
    year -= month <= 2
    shifted = (month + 9) % 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * shifted + 2) // 5 + day - 1 - 719_468


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since 1970-01-01."""
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    shifted = (5 * day + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return era * 400 + year + (month <= 2), month, day - (153 * shifted + 2) // 5 + 1
