"""Orders: buyers after a BG/NBD process (Fader, Hardie & Lee 2005, "Counting Your Customers the Easy Way").

A buyer with rate λ ~ Gamma(r, α) a week buys at exponential gaps and after every repeat purchase stops for good with
probability p ~ Beta(a, b). Weeks are those of the community's own clock.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from streams.simulation.happenings import Happenings
from streams.simulation.lives import Lives
from streams.simulation.moments import moments, written
from streams.simulation.plan import Plan

R: Final = 0.55
ALPHA_WEEKS: Final = 4.0
A: Final = 0.8
B: Final = 2.5
HOURS_PER_WEEK: Final = 168.0
_BUYERS: Final = 0.55
_FIRST_AFTER_HOURS: Final = 60.0  # mean time from joining to the first purchase
_MAX_ORDERS: Final = 500  # of one buyer: bounds a run away of the gamma's tail

_REFUNDED: Final = 0.07
_REFUND_AFTER_HOURS: Final = 90.0
_OWN_REFUND_ID: Final = 0.5
_PARTLY: Final = 0.3
_CANCELLED: Final = 0.05
_CATEGORIES: Final = ("食品", "日用", "coffee", "books", "toys", "clothing")


def add_purchases(happenings: Happenings, lives: Lives, plan: Plan) -> list[dict[str, Any]]:
    """The community's orders, if it has a shop; returns the truth about its buyers."""
    community = happenings.community
    if not community.has_shop:
        return []
    chance = plan.chance(5, community.number)
    hours = float(community.clock.hours)
    until = lives.until(hours)
    truth: list[dict[str, Any]] = []
    bought: list[tuple[float, int]] = []
    for row in range(len(lives)):
        if lives.roles[row] in ("staff", "bot") or chance.random() >= _BUYERS:
            continue
        rate = chance.gamma(R, 1 / ALPHA_WEEKS)
        dropout = chance.beta(A, B)
        times, stopped = _purchase_times(float(lives.joined[row]), float(until[row]), rate, dropout, chance)
        if not times:
            continue
        bought += [(at, row) for at in times]
        truth.append(
            {
                "truth": "buyer",
                "community_id": community.community_id,
                "member_id": lives.member_ids[row],
                "purchases": len(times),
                "rate_per_week": round(float(rate), 6),
                "dropout_probability": round(float(dropout), 6),
                "dropped_out_at": _text(happenings, times[-1]) if stopped else None,
            }
        )
    _add_orders(happenings, lives, sorted(bought), chance)
    return truth


def _purchase_times(
    joined: float, until: float, rate_per_week: float, dropout: float, chance: np.random.Generator
) -> tuple[list[float], bool]:
    """Own hours of the purchases, and whether the buyer dropped out (rather than left or was cut off)."""
    at = joined + chance.exponential(_FIRST_AFTER_HOURS)
    times: list[float] = []
    while at < until and len(times) < _MAX_ORDERS:
        times.append(at)
        if len(times) > 1 and chance.random() < dropout:
            return times, True
        at += chance.exponential(HOURS_PER_WEEK / max(rate_per_week, 1e-9))
    return times, False


def _add_orders(
    happenings: Happenings, lives: Lives, bought: list[tuple[float, int]], chance: np.random.Generator
) -> None:
    community = happenings.community
    until = lives.until(float(community.clock.hours))
    entries: list[tuple[float, dict[str, Any]]] = []
    for number, (at, row) in enumerate(bought):
        order_id = f"{happenings.plan.run}O{community.number}-{number}"
        common = {"member_id": lives.member_ids[row], "currency": community.currency}
        paid = _basket(chance)
        order = {"order_id": order_id, "status": "paid", **paid}
        if chance.random() < 0.15:
            order["campaign_id"] = f"group-buys-{community.number}"
            order["group_buy_id"] = f"group-buy-{int(at // HOURS_PER_WEEK)}"
        if chance.random() < 0.3:
            order["staff_id"] = lives.member_ids[1]
        entries.append((at, common | order))
        if chance.random() < _REFUNDED:
            back = at + chance.exponential(_REFUND_AFTER_HOURS)
            if back < until[row]:
                share = chance.uniform(0.1, 0.9) if chance.random() < _PARTLY else 1.0
                refund = {"order_id": order_id, "status": "refunded", "amount_minor": int(paid["amount_minor"] * share)}
                if chance.random() < _OWN_REFUND_ID:
                    refund |= {"order_id": f"{order_id}R", "original_order_id": order_id}
                entries.append((back, common | refund))
        if chance.random() < _CANCELLED:
            cancelled = {"order_id": f"{order_id}C", "status": "cancelled", "amount_minor": paid["amount_minor"]}
            entries.append((at, common | cancelled))  # tried once, cancelled, bought at last
    at_ms = moments(community, np.array([at for at, _ in entries]))
    for (_, fields), ms, text in zip(entries, at_ms.tolist(), written(community, at_ms), strict=True):
        happenings.add("order", "o", ms, text, **fields)


def _basket(chance: np.random.Generator) -> dict[str, Any]:
    """What was bought, and for how much: the lines less the discount."""
    items = []
    for _ in range(1 + int(chance.geometric(0.55))):
        quantity = int(chance.geometric(0.6))
        article = int(chance.zipf(1.6)) % 400
        price = 500 + article * 37 % 9_500
        items.append(
            {
                "sku": f"SKU-{article:03}",
                "category": _CATEGORIES[article % len(_CATEGORIES)],
                "quantity": quantity,
                "amount_minor": quantity * price,
            }
        )
    total = sum(int(item["amount_minor"]) for item in items)
    if chance.random() >= 0.12:
        return {"amount_minor": total, "items": items}
    discount = total // 10
    return {
        "amount_minor": total - discount,
        "discount_minor": discount,
        "coupon_codes": [f"SAVE{int(chance.integers(10, 30))}"],
        "items": items,
    }


def _text(happenings: Happenings, own: float) -> str:
    community = happenings.community
    return written(community, moments(community, np.array([own])))[0]
