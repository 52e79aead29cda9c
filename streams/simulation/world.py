"""Communities: where they are, how they live, what they and their members are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from streams.simulation.plan import Plan
from streams.simulation.rhythms import OwnClock, Weekend, own_clock


@dataclass(frozen=True)
class Platform:
    """What a platform tells, and how."""

    name: str
    time_step_ms: int  # how precise its times are
    utc_times: bool  # writes Z instead of the local offset
    roster_versions: bool  # numbers its roster's versions and sends snapshots
    chinese_ids: bool
    knows_questions: bool


PLATFORMS: Final = (
    Platform("wecom", 1, utc_times=False, roster_versions=True, chinese_ids=False, knows_questions=True),
    Platform("wechat", 1000, utc_times=False, roster_versions=False, chinese_ids=True, knows_questions=True),
    Platform("telegram", 1000, utc_times=False, roster_versions=False, chinese_ids=False, knows_questions=False),
    Platform("discord", 1, utc_times=True, roster_versions=False, chinese_ids=False, knows_questions=False),
)

# Name, platform, timezone, weekend, kind of community. Taken in turn, numbered from the second round on.
_CHARACTERS: Final[tuple[tuple[str, int, str, Weekend, str], ...]] = (
    ("上海读书会", 0, "Asia/Shanghai", "busy", "interest"),
    ("门店福利一群", 0, "Asia/Shanghai", "busy", "shop"),
    ("跑步打卡群", 1, "Asia/Shanghai", "busy", "interest"),
    ("宝妈育儿交流", 1, "Asia/Shanghai", "quiet", "shop"),
    ("DevOps Berlin", 2, "Europe/Berlin", "quiet", "work"),
    ("Indie Game Jam", 3, "America/New_York", "busy", "interest"),
    ("咖啡爱好者☕", 0, "Asia/Shanghai", "busy", "shop"),
    ("Kaffee & Kuchen", 2, "Europe/Berlin", "busy", "shop"),
    ("考研互助", 1, "Asia/Shanghai", "quiet", "interest"),
    ("Open Data London", 3, "Europe/London", "quiet", "work"),
    ("数码好物团购", 0, "Asia/Shanghai", "busy", "shop"),
    ("Corrida São Paulo", 2, "America/Sao_Paulo", "busy", "interest"),
    ("Chai Startups", 2, "Asia/Kolkata", "quiet", "work"),
    ("广州美食探店", 0, "Asia/Shanghai", "busy", "shop"),
    ("Singapore Parents 新加坡家长", 0, "Asia/Singapore", "busy", "shop"),
    ("Retro Computing", 3, "America/New_York", "busy", "interest"),
    ("瑜伽早课", 1, "Asia/Shanghai", "quiet", "shop"),
    ("Sydney Surf", 3, "Australia/Sydney", "busy", "interest"),
    ("摄影采风", 0, "Asia/Shanghai", "busy", "interest"),
    ("理财入门", 1, "Asia/Shanghai", "quiet", "work"),
)
_SURNAMES: Final = "李王张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN: Final = "明芳娜敏静丽强磊军洋勇艳杰娟涛超霞平刚桂英华玉兰红雪梅云鹏飞"
_CURRENCY: Final = {
    "Asia/Shanghai": "CNY", "Asia/Singapore": "SGD", "Europe/Berlin": "EUR", "Europe/London": "GBP",
    "America/New_York": "USD", "America/Sao_Paulo": "BRL", "Asia/Kolkata": "INR", "Australia/Sydney": "AUD",
}  # fmt: skip


@dataclass(frozen=True)
class Community:
    """One simulated community."""

    number: int
    community_id: str
    name: str
    platform: Platform
    timezone: str
    kind: str
    clock: OwnClock
    opened: float  # own hours
    members: int  # how many ever live in it, founders included
    has_shop: bool
    currency: str


def make_communities(plan: Plan, members: int) -> list[Community]:
    """The plan's communities, `members` lives shared out among them: a few large ones, many small ones."""
    chance = plan.chance(1)
    sizes = chance.lognormal(0.0, 0.8, plan.communities)
    sizes = np.maximum(4, np.round(sizes / sizes.sum() * members)).astype(int)
    opened = chance.beta(1.0, 4.0, plan.communities) * 0.6
    opened[chance.random(plan.communities) < 0.4] = 0.0
    communities = []
    for number in range(plan.communities):
        name, platform, timezone, weekend, kind = _CHARACTERS[number % len(_CHARACTERS)]
        round_number = number // len(_CHARACTERS)
        shown = name if round_number == 0 else f"{name} {round_number + 1}"
        clock = own_clock(plan.start_ms, plan.days, timezone, weekend, plan.chance(2, number))
        communities.append(
            Community(
                number=number,
                community_id=f"{PLATFORMS[platform].name}:{shown}",
                name=shown,
                platform=PLATFORMS[platform],
                timezone=timezone,
                kind=kind,
                clock=clock,
                opened=float(opened[number]) * clock.hours,
                members=int(sizes[number]),
                has_shop=kind == "shop",
                currency=_CURRENCY[timezone],
            )
        )
    return communities


def account_name(platform: Platform, number: int) -> str:
    """Id of the platform's account with this number."""
    if platform.chinese_ids:
        return f"{_SURNAMES[number % 20]}{_GIVEN[number // 20 % 30]}{_GIVEN[number // 7 % 30]}_{number}"
    return f"{platform.name[:2]}{number * 2_654_435_761 % 2**32:08x}"  # looks random, never repeats


def rules_document(communities: list[Community]) -> dict[str, Any]:
    """The rules file that goes with the feed."""
    assignees = ("staff-小陈", "staff-anna", "staff-小林")
    return {
        "communities": {
            community.community_id: {
                "name": community.name,
                "type": community.kind,
                "assignee": assignees[community.number % len(assignees)],
                "timezone": community.timezone,
                "capacity": 500,
            }
            | ({"store": f"store-{community.number % 5 + 1}"} if community.has_shop else {})
            for community in communities
        },
        "platforms": {"wecom": {"name": "企业微信", "timezone": "Asia/Shanghai"}},
        "campaigns": {
            f"bring-a-friend-{community.number}": {
                "name": f"{community.name}: 老带新",
                "target": {"kind": "accepted_invitations", "count": 2, "within_days": 14},
            }
            for community in communities
        }
        | {
            f"group-buys-{community.number}": {
                "name": f"{community.name}: 拼团",
                "target": {"kind": "group_buy_orders", "count": 3, "within_days": 5},
            }
            for community in communities
            if community.has_shop
        },
    }
