"""Times: the column parser equals the scalar one, and both equal `datetime` where it can read the text."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.times import NOT_A_TIME, parse_time, parse_times

UNHURRIED = settings(deadline=None)  # a busy machine is no fault of the code

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@st.composite
def rfc3339(draw: st.DrawFn) -> str:
    when = draw(st.datetimes(datetime(1990, 1, 1), datetime(2110, 1, 1)))  # noqa: DTZ001  # the offset is text below
    text = when.strftime("%Y-%m-%d") + draw(st.sampled_from("Tt")) + when.strftime("%H:%M:%S")
    if draw(st.booleans()):
        text += "." + draw(st.text("0123456789", min_size=1, max_size=9))
    if draw(st.booleans()):
        return text + draw(st.sampled_from("Zz"))
    return text + draw(st.sampled_from("+-")) + f"{draw(st.integers(0, 23)):02}:{draw(st.integers(0, 59)):02}"


@st.composite
def almost_rfc3339(draw: st.DrawFn) -> str:
    text = draw(rfc3339())
    at = draw(st.integers(0, len(text) - 1))
    piece = draw(st.sampled_from(["", "0", "9", "6", "-", ":", ".", " ", "Z", "T", "+", "٣", "\n", "/", "é", "00"]))
    return text[:at] + piece + text[at + draw(st.integers(0, 1)) :]


def scalar(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError:
        return NOT_A_TIME


def by_datetime(text: str) -> int:
    """The same by the standard library, which reads at most six digits of a fraction."""
    cut = re.sub(r"\.(\d{1,9})", lambda m: "." + m[1].ljust(3, "0")[:3], text)
    since = datetime.fromisoformat(cut.upper()) - _EPOCH
    return since // timedelta(milliseconds=1)


@UNHURRIED
@given(rfc3339())
def test_scalar_parser_equals_datetime(text: str) -> None:
    assert parse_time(text) == by_datetime(text)


@UNHURRIED
@given(st.lists(rfc3339() | almost_rfc3339() | st.text(max_size=40), max_size=30))
@example(["2024-05-01T09:30:00Z", "2024-05-01T09:30:00\n", "2024-05-01T09:30:0\nZZ"])
@example(["2024-05-01T09:30:00Z"] * 3)
@example(["2024-05-01T09:30:00.1Z", "2024-05-01T09:30:00+00", "2024-05-01T09:30:0\n-01:00"])
def test_columns_equal_the_scalar_parser(texts: list[str]) -> None:
    assert parse_times(texts).tolist() == [scalar(text) for text in texts]


@UNHURRIED
@given(st.lists(almost_rfc3339(), min_size=1, max_size=30).map(lambda texts: [t.ljust(24, "0")[:24] for t in texts]))
def test_columns_of_one_length_equal_the_scalar_parser(texts: list[str]) -> None:
    assert parse_times(texts).tolist() == [scalar(text) for text in texts]


@UNHURRIED
@given(almost_rfc3339())
def test_what_is_accepted_equals_datetime(text: str) -> None:
    parsed = scalar(text)
    if parsed != NOT_A_TIME and ":60" not in text:
        assert parsed == by_datetime(text)


def test_every_day_of_four_centuries_is_right() -> None:
    days = np.arange(np.datetime64("1900-01-01"), np.datetime64("2301-01-01"))
    texts = [f"{day}T00:00:00Z" for day in days.astype(str).tolist()]
    assert (parse_times(texts) == days.astype("datetime64[ms]").astype(np.int64)).all()


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("2024-05-01T09:30:00.1239+08:00", "2024-05-01T01:30:00.123Z"),
        ("2024-05-01T09:30:00.999999999Z", "2024-05-01T09:30:00.999Z"),
        ("2024-05-01t09:30:00z", "2024-05-01T09:30:00Z"),
        ("2024-05-01T09:30:00-00:00", "2024-05-01T09:30:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"),
        ("2017-01-01T07:59:60.5+08:00", "2016-12-31T23:59:59.999Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T08:00:00+08:00"),
    ],
)
def test_forms_that_mean_the_same(text: str, same_as: str) -> None:
    assert parse_time(text) == parse_time(same_as) == parse_times([text])[0]


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01T24:00:00Z", "2024-05-01T09:60:00Z", "2024-05-01T09:30:60Z", "2016-12-30T23:59:60Z",
        "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "2024-00-10T00:00:00Z", "2024-13-10T00:00:00Z",
        "2024-05-00T00:00:00Z", "2024-05-01T09:30:00", "2024-05-01T09:30Z", "2024-05-01 09:30:00Z",
        "2024-05-01T09:30:00.Z", "2024-05-01T09:30:00.1234567890Z", "2024-05-01T09:30:00,5Z",
        "2024-05-01T09:30:00+24:00", "2024-05-01T09:30:00+08:60", "2024-05-01T09:30:00+0800",
        "0000-05-01T09:30:00Z", "+024-05-01T09:30:00Z", "２０２４-05-01T09:30:00Z", "", "Z", "9999-12-31T23:59:60Z",
    ],
)  # fmt: skip
def test_forms_that_are_no_times(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)
    assert parse_times([text])[0] == NOT_A_TIME
