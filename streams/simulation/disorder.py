"""What goes wrong on the way: records that come twice, late, or broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.simulation.plan import Plan


@dataclass(frozen=True)
class Arrivals:
    """Lines in the order of their arrival."""

    lines: list[bytes]
    event: NDArray[np.int64]  # which event a line tells; events are numbered by time
    repeats: NDArray[np.bool_]  # not the first line of its event
    broken: dict[int, str]  # by line, what is wrong with it; such a line tells no event


def arrive(lines: list[bytes], at_ms: NDArray[np.int64], plan: Plan) -> Arrivals:
    """Events ordered by time as they arrive; nothing is displaced by more than the plan's maximum."""
    chance = plan.chance(7)
    count = len(lines)
    displaced = chance.random(count) < plan.out_of_order
    delay = np.where(displaced, chance.random(count), 0.0) * plan.max_displacement_seconds * 1000
    again = np.flatnonzero(chance.random(count) < plan.duplicates)
    delay_again = delay[again] + chance.random(len(again)) * (plan.max_displacement_seconds * 1000 - delay[again])
    spoilt = chance.choice(count, round(count * plan.broken))
    source = np.concatenate((np.arange(count), again, spoilt))
    arrival = at_ms[source] + np.concatenate((delay, delay_again, np.zeros(len(spoilt)))).astype(np.int64)
    order = np.argsort(arrival, kind="stable")

    # The copy of a displaced event never overtakes it, and a stable sort keeps the event first.
    is_broken = (np.arange(len(source)) >= count + len(again))[order]
    repeats = ((np.arange(len(source)) >= count) & (np.arange(len(source)) < count + len(again)))[order]
    event = source[order]
    result = [lines[i] for i in event.tolist()]
    broken: dict[int, str] = {}
    names = list(BREAKS)
    for place in np.flatnonzero(is_broken).tolist():
        name = names[int(chance.integers(0, len(names)))]
        result[place] = BREAKS[name](json.loads(result[place]), chance)
        broken[place] = name
    return Arrivals(result, np.where(is_broken, -1, event), repeats, broken)


def _bytes(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def _truncated(event: dict[str, Any], chance: np.random.Generator) -> bytes:
    raw = _bytes(event)
    return raw[: int(chance.integers(2, len(raw) - 1))]


def _without_a_field(event: dict[str, Any], chance: np.random.Generator) -> bytes:
    del event[("event_id", "occurred_at", "community_id")[int(chance.integers(0, 3))]]
    return _bytes(event)


def _wrong_type(event: dict[str, Any], chance: np.random.Generator) -> bytes:
    return _bytes(event | {("schema_version", "event_id")[int(chance.integers(0, 2))]: ["1"]})


def _no_time(event: dict[str, Any], chance: np.random.Generator) -> bytes:
    text = ("yesterday", "2024-02-30T10:00:00Z", "2024-05-01 10:00:00")[int(chance.integers(0, 3))]
    return _bytes(event | {"occurred_at": text})


def _far_future(event: dict[str, Any], chance: np.random.Generator) -> bytes:
    return _bytes(event | {"occurred_at": "2199-01-01T00:00:00Z"})


def _too_old(event: dict[str, Any], chance: np.random.Generator) -> bytes:
    return _bytes(event | {"occurred_at": "1999-12-31T23:59:59Z"})


def _not_a_number(event: dict[str, Any], chance: np.random.Generator) -> bytes:
    return _bytes(event | {"value": float("nan")})


def _unknown_version(event: dict[str, Any], chance: np.random.Generator) -> bytes:
    return _bytes(event | {"schema_version": 2})


def _no_object(event: dict[str, Any], chance: np.random.Generator) -> bytes:
    return _bytes(event)[1:]


def _random_bytes(event: dict[str, Any], chance: np.random.Generator) -> bytes:
    return b"\xff" + chance.bytes(40).replace(b"\n", b"\xfe")


BREAKS: Final[dict[str, Callable[[dict[str, Any], np.random.Generator], bytes]]] = {
    "truncated": _truncated,
    "field missing": _without_a_field,
    "wrong type": _wrong_type,
    "no time": _no_time,
    "far future": _far_future,
    "too old": _too_old,
    "not a number": _not_a_number,
    "unknown version": _unknown_version,
    "no object": _no_object,
    "random bytes": _random_bytes,
}
"""Ways in which a record can be broken, by name. Each is refused, whatever the event was."""
