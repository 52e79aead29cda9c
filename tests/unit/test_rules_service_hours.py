"""Service hours as people write them."""

import pytest

from streams.service_hours import ServiceSpan, parse_service_hours


def test_days_and_hours() -> None:
    assert parse_service_hours("sat 10:00-18:00, Mon-Tue 9:00-24:00") == (
        ServiceSpan(0, 540, 1440),
        ServiceSpan(1, 540, 1440),
        ServiceSpan(5, 600, 1080),
    )


def test_without_days_it_is_every_day() -> None:
    assert [span.weekday for span in parse_service_hours("00:00-24:00")] == [0, 1, 2, 3, 4, 5, 6]


def test_a_week_may_wrap() -> None:
    assert [span.weekday for span in parse_service_hours("sat-mon 08:00-09:00")] == [0, 5, 6]


@pytest.mark.parametrize(
    "text", ["", "mon", "moo 08:00-09:00", "08:00-08:00", "22:00-02:00", "08:60-09:00", "24:01-24:02", "9-17"]
)
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_service_hours(text)
