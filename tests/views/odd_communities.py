"""Communities with little or odd to say, for what must hold for every view."""

from __future__ import annotations

from collections.abc import Iterator

from tests.views.examples import Event, example, join, message, order, referral

CLOCKS, ONE_BUYER = "odd:change-of-clocks", "odd:one-buyer"


def everything(date: str) -> Iterator[Event]:
    """All kinds of events at midnight, before and after the change of clocks, and at the last second of a local day."""
    for hour in ("00:00", "00:59:59", "01:00", "21:59:59", "22:00", "22:59:59"):
        at, name = f"2024-{date} {hour}", f"{date}-{hour}"
        yield join(at, f"新{name}", via="qr_code", source="门店", inviter_id="群主")
        yield message(at, "群主", event_id=f"问{name}", is_question=True)
        yield message(at, f"新{name}", reply_to=f"问{name}", kind="link")
        yield message(at, "客服", sender_role="staff", is_promotion=True, labels=["新品"], campaign_id="换时")
        yield message(at, f"新{name}", kind="coupon_claim", object_id="夏令")
        yield message(at, "群主", kind="check_in")
        yield order(at, f"新{name}", f"换{name}", 100, currency="HUF", coupon_codes=["夏令"], campaign_id="换时")
        yield order(at, f"新{name}", f"换{name}", 40, "refunded", currency="HUF")
        yield referral(at, "群主", f"新{name}", "换时")
        yield join(at, f"新{name}", "left")


ODD = [
    example("odd:one-member", [join("2024-05-01", "独"), message("2024-05-01 13:00", "独")], "Asia/Shanghai"),
    example(ONE_BUYER, [order("2024-05-01", "独", "odd-1", 0, items=[])], "Asia/Shanghai"),
    example("odd:only-staff", [message("2024-05-01", "员工", sender_role="staff")]),
    example("odd:only-bots", [message("2024-05-01", "bot", sender_role="bot", kind="coupon_claim")]),
    example("odd:only-refunds", [order("2024-05-01", "m", "odd-2", 500, "refunded")]),
    example("odd:only-cancelled", [order("2024-05-01", "m", "odd-3", 500, "cancelled")]),
    example("odd:only-leaves", [join("2024-05-01", "m", "left")]),
    example("odd:only-silent", [join("2024-05-01", "m"), join("2024-05-02", "n")]),
    example(
        CLOCKS,  # a day of 23 hours and one of 25
        [message(f"2024-{day} {hour}", "m") for day in ("03-31", "10-27") for hour in ("00:30", "01:30", "21:30")],
        "Europe/Berlin",
    ),
    example("odd:everything-as-clocks-change", list(everything("03-31")) + list(everything("10-27")), "Europe/Berlin"),
]
