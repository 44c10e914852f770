"""Timestamps and durations against Python's, within what Python can hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from legato.values.faults import Mistake
from legato.values.moments import (
    DAY,
    SECOND,
    Duration,
    Timestamp,
    duration,
    parts,
    read_duration,
    read_timestamp,
    timestamp,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
points = st.datetimes(timezones=st.just(UTC))


def nanoseconds(point: datetime) -> int:
    return (point - EPOCH) // timedelta(microseconds=1) * 1_000


@given(points, st.integers(-23 * 60 - 59, 23 * 60 + 59))
@example(datetime(1, 1, 1, tzinfo=UTC), 0)
@example(datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), 0)
@example(datetime(1900, 2, 28, 23, 59, tzinfo=UTC), 1)
@example(datetime(2000, 2, 29, tzinfo=UTC), -1)
def test_the_calendar(point: datetime, minutes: int) -> None:
    moment = Timestamp(nanoseconds(point))
    written = str(moment)
    assert datetime.fromisoformat(written) == point
    assert read_timestamp(written) == moment
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    try:
        local = point.astimezone(timezone(timedelta(minutes=minutes)))
    except OverflowError:
        return
    assert read_timestamp(local.isoformat()) == moment
    assert parts(moment, zone) == {
        "getFullYear": local.year, "getMonth": local.month - 1, "getDate": local.day, "getDayOfMonth": local.day - 1,
        "getDayOfWeek": local.isoweekday() % 7, "getDayOfYear": local.timetuple().tm_yday - 1, "getHours": local.hour,
        "getMinutes": local.minute, "getSeconds": local.second, "getMilliseconds": local.microsecond // 1_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.5Z", -0.5),
        ("0001-01-01T00:00:00Z", -62135596800),
    ],
)
def test_timestamps(text: str, seconds: float) -> None:
    assert read_timestamp(text).nanoseconds == int(seconds * SECOND)


@pytest.mark.parametrize(
    "text",
    ["", "2024-01-01", "2024-01-01T00:00:00", "2024-01-01 00:00:00Z", "2024-1-01T00:00:00Z", "2024-01-01T00:00Z",
     "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2024-04-31T00:00:00Z", "2024-13-01T00:00:00Z",
     "2024-00-01T00:00:00Z", "2024-01-00T00:00:00Z", "0000-01-01T00:00:00Z", "2024-01-01T24:00:00Z",
     "2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z", "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00+01:60",
     "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.1234567890Z", "2024-01-01T00:00:00Z\n",
     "٢024-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"],
)  # fmt: skip
def test_what_is_no_timestamp(text: str) -> None:
    with pytest.raises(Mistake):
        read_timestamp(text)


@pytest.mark.parametrize(
    ("text", "amount", "written"),
    [
        ("0", 0, "0s"),
        ("-0", 0, "0s"),
        ("5s", 5 * SECOND, "5s"),
        ("+5s", 5 * SECOND, "5s"),
        ("1h30m", 5_400 * SECOND, "5400s"),
        ("-1.5s", -3 * SECOND // 2, "-1.5s"),
        (".5m", 30 * SECOND, "30s"),
        ("1.h", 3_600 * SECOND, "3600s"),
        ("100ms", SECOND // 10, "0.1s"),
        ("1us2ns", 1_002, "0.000001002s"),
        ("1µs", 1_000, "0.000001s"),
        ("0.1ns", 0, "0s"),
        ("1m1m", 120 * SECOND, "120s"),
        ("87660000h", 315_576_000_000 * SECOND, "315576000000s"),
    ],
)
def test_durations(text: str, amount: int, written: str) -> None:
    assert read_duration(text) == Duration(amount)
    assert str(Duration(amount)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "5",
        "s",
        ".s",
        "5x",
        "5 s",
        "1h 2m",
        "1e3s",
        "--5s",
        "5s5",
        "\u0665s",
        "87660001h",
        "1s" * 60,
        "9" * 30 + "s",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(Mistake):
        read_duration(text)


@given(st.integers(-(10**20), 10**20))
def test_any_duration_reads_back(amount: int) -> None:
    assert read_duration(str(Duration(amount))) == Duration(amount)


def test_the_ends_of_time() -> None:
    first, last = read_timestamp("0001-01-01T00:00:00Z"), read_timestamp("9999-12-31T23:59:59.999999999Z")
    assert timestamp(first.nanoseconds) == first
    assert timestamp(last.nanoseconds) == last
    for beyond in (first.nanoseconds - 1, last.nanoseconds + 1):
        with pytest.raises(Mistake, match="outside of the years 1 to 9999"):
            timestamp(beyond)
    longest = 315_576_000_000 * SECOND
    assert duration(-longest) == Duration(-longest)
    with pytest.raises(Mistake, match="more than 10,000 years"):
        duration(longest + 1)
    assert parts(first, "-23:59")["getFullYear"] == 0
    assert parts(Timestamp(DAY * SECOND), "Z")["getDate"] == 2
