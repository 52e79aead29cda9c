"""Three hand-made communities with invitations, targets and group buys; and the targets of the simulated campaigns."""

from __future__ import annotations

from tests.oracle.targets import Asked
from tests.views.examples import Event, example, join, message, order, referral, rule

CAMPAIGN, TOGETHER = "例:三人成团", "例:拼团"


def spring() -> list[Event]:
    """王芳 brings three and one of them brings another; the target is 2 accepted invitations within 3 days."""
    return [
        join("2024-03-01 08:00", "王芳"),
        join("2024-03-01 08:00", "小陈", role="staff"),
        referral("2024-03-01 12:00", "王芳", "赵敏", CAMPAIGN),
        join("2024-03-01 14:00", "赵敏"),
        message("2024-03-01 15:00", "赵敏"),
        order("2024-03-02 15:00", "赵敏", "三-1", 5_000, currency="CNY"),
        referral("2024-03-02 12:00", "王芳", "钱进", CAMPAIGN),
        join("2024-03-02 16:00", "钱进"),
        message("2024-03-03 16:00", "钱进"),
        order("2024-03-05 16:00", "钱进", "三-2", 900, currency="CNY"),
        order("2024-03-06 16:00", "钱进", "三-2", 400, "refunded", currency="CNY"),
        join("2024-03-11 16:00", "钱进", "left"),
        referral("2024-03-03 12:00", "王芳", "孙丽", CAMPAIGN),  # never comes
        referral("2024-03-10 12:00", "赵敏", "周周", CAMPAIGN),
        join("2024-03-10 18:00", "周周"),
        referral("2024-03-10 12:00", "小陈", "吴用", CAMPAIGN),
        join("2024-03-10 12:00", "吴用"),
    ]


def groups(*, told_here: bool) -> list[Event]:
    """Two group buys of 3 orders within 2 days; the last order of the second is told in another community."""
    orders = [
        ("2024-04-01 10:00", "甲", "paid", True),
        ("2024-04-01 11:00", "甲", "paid", True),
        ("2024-04-01 12:00", "甲", "paid", True),
        ("2024-04-02 12:00", "甲", "refunded", True),  # a day before the deadline: taken back
        ("2024-04-01 10:00", "乙", "paid", True),
        ("2024-04-01 11:00", "乙", "paid", True),
        ("2024-04-01 16:00", "乙", "paid", False),
        ("2024-04-03 10:00", "乙", "refunded", False),  # at the deadline: too late to take it back
    ]
    found = []
    for number, (at, group, status, here) in enumerate(orders):
        order_id = f"团-{group}-{number - (status == 'refunded')}"
        of_group = {"campaign_id": TOGETHER, "group_buy_id": group} if status == "paid" else {}
        if here == told_here:
            found.append(order(at, f"买家{number}", order_id, 500, status, currency="CNY", **of_group))
    return found


GROUP = example("例:三人成团群", spring(), "Asia/Shanghai")
example("例:拼团一群", groups(told_here=True))
example("例:拼团二群", groups(told_here=False))
TARGETS = {
    CAMPAIGN: Asked("accepted_invitations", 2, 3),
    TOGETHER: Asked("group_buy_orders", 3, 2),
    "bring-a-friend-0": Asked("accepted_invitations", 2, 30),
    "bring-a-friend-1": Asked("accepted_invitations", 1, 2),
    "bring-a-friend-4": Asked("accepted_invitations", 3, None),
    "group-buys-1": Asked("group_buy_orders", 2, 7),
    "group-buys-3": Asked("group_buy_orders", 3, 5),
}
for name, asked in TARGETS.items():
    rule("campaigns", name, target={"kind": asked.kind, "count": asked.count, "within_days": asked.within_days})


def at(local: str) -> str:
    """A time in Shanghai, 2024."""
    return f"2024-{local}+08:00"


def reading_club() -> list[Event]:
    """Two weeks of invitations and a month of what became of them; 2024-01-08 is a Monday."""
    return [
        join(at("01-08T09:00:00"), "王芳"),
        join(at("01-08T09:00:00"), "小陈", role="staff"),
        join(at("01-08T10:00:00"), "李强"),
        referral(at("01-09T12:00:00"), "王芳", "赵敏"),
        referral(at("01-09T12:05:00"), "王芳", "钱进"),  # never comes
        referral(at("01-09T13:00:00"), "李强", "赵敏"),  # the second to invite her
        referral(at("01-09T14:00:00"), "小陈", "孙丽"),
        referral(at("01-09T15:00:00"), "李强", "李强"),  # no invitation at all
        join(at("01-10T08:00:00"), "赵敏", source="qr-7"),
        message(at("01-10T08:10:00"), "赵敏"),
        join(at("01-12T10:00:00"), "王芳", "left"),
        referral(at("01-14T23:59:59"), "赵敏", "周周"),  # the last second of the first week
        join(at("01-14T23:50:00"), "周周", source="qr-7"),  # the connector told the join first
        referral(at("01-15T00:00:00"), "李强", "吴用"),  # the first second of the second week; never comes
        join(at("01-15T11:00:00"), "孙丽", inviter_id="小陈"),
        message(at("01-17T21:00:00"), "赵敏"),  # day 7
        join(at("01-18T09:00:00"), "周周", "left"),
        order(at("01-20T10:00:00"), "赵敏", "单-甲", 5_000, currency="CNY"),
        order(at("01-25T10:00:00"), "赵敏", "单-甲", 2_000, "refunded", currency="CNY"),
        message(at("01-23T10:00:00"), "孙丽"),  # day 8: too late for day 7
        message(at("02-02T10:00:00"), "赵敏"),  # day 23: too early for day 30
        order(at("02-10T00:00:00"), "赵敏", "单-乙", 9_900, currency="CNY"),  # the first second behind day 30
        message(at("02-14T23:59:59"), "孙丽"),  # day 30, its last second
    ]


CLUB = example("例:读书会裂变", reading_club(), "Asia/Shanghai")
