"""What touches change: against a recomputation, by hand, and with an effect that was put in or not."""

from __future__ import annotations

import datetime as dt
import math
import random

import numpy as np
import pandas as pd
import pytest

from tests.views.examples import example, join, message, order
from tests.views.landed import Landed
from tests.views.simulated import FALSE_FINDINGS, SEEDS, milliseconds, put

DAY_MS = 86_400_000
DAYS = {"thanks": 30, "repurchase": 14, "welcome": 7, "win_back": 14, "streak": 1}
KEYS = ["community_id", "kind"]


def put_touches(landed: Landed, rows: pd.DataFrame) -> None:
    """Land touches: community_id, kind, member_id, at_ms, held_out, replay."""
    at = rows["at_ms"].to_numpy()
    put(
        landed.clickhouse,
        "touches",
        {
            **{name: rows[name].tolist() for name in ("community_id", "kind", "member_id")},
            "touch_id": [
                f"{kind}/{who}/{when}" for kind, who, when in zip(rows["kind"], rows["member_id"], at, strict=True)
            ],
            **{name: milliseconds(at) for name in ("occasion_at", "due_at", "decided_at")},
            **{name: rows[name].to_numpy().astype("uint8") for name in ("held_out", "replay")},
        },
    )


WELCOME = example(
    "例:触达",
    [
        *[join("2024-05-01", name) for name in ("甲", "乙", "丙", "丁", "戊")],
        message("2024-05-04", "甲"),
        order("2024-05-09 11:59", "丙", "触1", 100),
        message("2024-05-09 12:01", "丁"),  # a minute late
        message("2024-05-11", "乙", sender_role="staff"),
    ],
)


@pytest.fixture(scope="module")
def touched(landed: Landed) -> pd.DataFrame:
    """Touches of every kind at any time, of members of the whole feed, some twice."""
    chance = random.Random(11)
    frame = landed.raw.frame[~landed.raw.frame["community_id"].isin([WELCOME, SECOND])]
    some = frame.sample(4000, random_state=11)
    rows = [
        (e.community_id, chance.choice(list(DAYS)), e.member_id, e.time_ms + chance.randint(-DAY_MS, DAY_MS))
        for e in some.itertuples()
    ]
    table = pd.DataFrame(rows, columns=["community_id", "kind", "member_id", "at_ms"])
    table["held_out"] = [chance.random() < 0.4 for _ in rows]
    table["replay"] = [chance.random() < 0.1 for _ in rows]
    second = int(dt.datetime(2024, 5, 2, 12, tzinfo=dt.UTC).timestamp() * 1000)
    small = [(WELCOME, "welcome", name, second, name in "丙丁", False) for name in "甲乙丙丁"]
    small.append((WELCOME, "welcome", "戊", second + 3 * DAY_MS, False, False))  # its time is not over
    put_touches(landed, pd.concat([table, pd.DataFrame(small, columns=table.columns)]))
    return table


def test_outcomes(landed: Landed, touched: pd.DataFrame) -> None:
    first = touched[~touched["replay"]].sort_values("at_ms").drop_duplicates(["community_id", "kind", "member_id"])
    events = landed.raw.frame
    last = events.groupby("community_id")["time_ms"].max()
    acts = events[events["speaks"] | events["interacts"] | events["paid"]]
    by_member = dict(list(acts.groupby(["community_id", "member_id"])))
    rows = []
    for touch in first.itertuples():
        until = touch.at_ms + DAYS[touch.kind] * DAY_MS
        mine = by_member.get((touch.community_id, touch.member_id), acts[:0])
        mine = mine[(mine["time_ms"] > touch.at_ms) & (mine["time_ms"] <= until)]
        if touch.kind in ("thanks", "repurchase"):
            mine = mine[mine["paid"]]
        elif touch.kind == "streak":
            mine = mine[mine["kind"] == "check_in"]
        answered = int(len(mine) > 0) if until <= last[touch.community_id] else None
        rows.append((touch.community_id, touch.kind, touch.member_id, int(touch.held_out), answered))
    expected = pd.DataFrame(rows, columns=[*KEYS, "member_id", "held_out", "answered"])
    assert expected["answered"].value_counts().min() > 100
    found = landed.view("touch_outcomes")
    found = found[found["community_id"] != WELCOME]
    both = found.merge(expected, on=[*KEYS, "member_id"], suffixes=("", "_expected"), how="outer", indicator=True)
    assert (both["_merge"] == "both").all()
    for name in ("held_out", "answered"):
        same = (both[name] == both[f"{name}_expected"]) | (both[name].isna() & both[f"{name}_expected"].isna())
        assert same.all(), both[~same].head()
    judged = expected[expected["answered"].notna()]
    counts = judged.groupby([*KEYS, "held_out"])["answered"].agg(["size", "sum"]).unstack(fill_value=0)
    effects = landed.view("touch_effect").set_index(KEYS)
    assert len(effects) == len(counts) + 1
    for key, row in counts.iterrows():
        n, m, x, y = (int(row[name, held]) for name in ("size", "sum") for held in (0, 1))
        effect = effects.loc[key]
        assert (effect["touched"], effect["held_out"], effect["touched_answered"], effect["held_out_answered"]) == (
            n,
            m,
            x,
            y,
        )
        if n and m:
            (p_low, p_high), (q_low, q_high) = wilson(x, n), wilson(y, m)
            p, q = x / n, y / m
            assert effect["effect"] == pytest.approx(p - q)
            assert effect["effect_low"] == pytest.approx(p - q - math.hypot(p - p_low, q_high - q), abs=1e-6)
            assert effect["effect_high"] == pytest.approx(p - q + math.hypot(p_high - p, q - q_low), abs=1e-6)
        else:
            assert pd.isna(effect["effect"])
    total = landed.view("touch_effect_total").set_index("kind")
    assert total["touched"].sum() == effects["touched"].sum()


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval, by solving its quadratic: (p - h/n)^2 = z^2 p (1 - p) / n."""
    z2 = 1.959964**2
    roots = np.roots([1 + z2 / n, -(2 * hits / n + z2 / n), (hits / n) ** 2])
    low, high = sorted(roots.real)
    return max(0.0, low), min(1.0, high)


def test_four_newcomers_by_hand(landed: Landed, touched: pd.DataFrame) -> None:
    """Of 甲 and 乙, who were welcomed, 甲 spoke in time; of 丙 and 丁, who were not, 丙 bought; 戊 is not judged."""
    figures = "touched, touched_answered, held_out, held_out_answered, effect"
    assert landed.rows("touch_effect", WELCOME, figures) == [(2, 1, 2, 1, 0.0)]
    assert len(touched) > 0


SECOND = example("例:触达二群", [join("2024-05-01", "己"), message("2024-05-03", "己"), message("2024-05-11", "庚")])


def test_four_newcomers_and_one_more_by_hand(landed: Landed, touched: pd.DataFrame) -> None:
    outcomes = landed.rows("touch_outcomes", WELCOME, "member_id, held_out, answered")
    assert outcomes == [("丁", 1, 0), ("丙", 1, 1), ("乙", 0, 0), ("戊", 0, None), ("甲", 0, 1)]
    second = int(dt.datetime(2024, 5, 2, 12, tzinfo=dt.UTC).timestamp() * 1000)
    put_touches(landed, pd.DataFrame([(SECOND, "welcome", "己", second, False, False)], columns=touched.columns))
    landed.clickhouse.command(f"DELETE FROM qunpulse_store.touches WHERE community_id NOT IN ('{WELCOME}', '{SECOND}')")
    counts = "kind, touched, touched_answered, held_out, held_out_answered, round(effect, 6)"
    total = landed.clickhouse.rows(f"SELECT {counts} FROM qunpulse.touch_effect_total")
    assert total == [("welcome", 3, 2, 2, 1, round(2 / 3 - 1 / 2, 6))]


START_MS = int(dt.datetime(2024, 3, 1, tzinfo=dt.UTC).timestamp() * 1000)
PEOPLE = 300


def simulate(landed: Landed, name: str, effect: float) -> None:
    """Communities of 300 newcomers, a third held out; a fifth of them speak anyway, `effect` more when welcomed."""
    chance = np.random.default_rng(7)
    seeds = np.arange(SEEDS).repeat(PEOPLE)
    homes = np.array([f"{name}{seed}" for seed in seeds])
    members = np.array([f"m{person}" for person in np.tile(np.arange(PEOPLE), SEEDS)])
    held = chance.random(len(homes)) < 1 / 3
    speaks = chance.random(len(homes)) < np.where(held, 0.2, 0.2 + effect)
    touches = pd.DataFrame(
        {
            "community_id": homes,
            "kind": "welcome",
            "member_id": members,
            "at_ms": START_MS,
            "held_out": held,
            "replay": False,
        }
    )
    put_touches(landed, touches)
    last = pd.DataFrame(
        {"home": [f"{name}{seed}" for seed in range(SEEDS)], "who": "last", "at": START_MS + 9 * DAY_MS}
    )
    said = pd.DataFrame({"home": homes[speaks], "who": members[speaks], "at": START_MS + DAY_MS})
    rows = pd.concat([said, last], ignore_index=True)
    put(
        landed.clickhouse,
        "events",
        {
            "community_id": rows["home"].tolist(),
            "event_id": [str(number) for number in range(len(rows))],
            "event_type": ["message"] * len(rows),
            "kind": ["text"] * len(rows),
            "sender_role": ["member"] * len(rows),
            "member_id": rows["who"].tolist(),
            "occurred_at": milliseconds(rows["at"].to_numpy()),
        },
    )


def findings(landed: Landed, name: str, truth: float) -> tuple[int, int]:
    """How many communities have an effect whose interval leaves out 0, and one that holds the truth."""
    [row] = landed.clickhouse.rows(
        "SELECT countIf(effect_low > 0 OR effect_high < 0), "
        "countIf(effect_low <= {t:Float64} AND effect_high >= {t:Float64}), count() "
        "FROM qunpulse.touch_effect WHERE startsWith(community_id, {name:String})",
        {"name": name, "t": truth},
    )
    assert row[2] == SEEDS
    return row[0], row[1]


def test_touches_that_change_nothing_have_no_effect(landed: Landed) -> None:
    simulate(landed, "sim-nothing:", 0.0)
    found, held = findings(landed, "sim-nothing:", 0.0)
    assert found <= FALSE_FINDINGS
    assert held >= SEEDS - FALSE_FINDINGS


def test_touches_that_work_are_found_and_the_interval_holds_the_truth(landed: Landed) -> None:
    simulate(landed, "sim-works:", 0.2)
    found, held = findings(landed, "sim-works:", 0.2)
    assert found >= 0.85 * SEEDS
    assert held >= SEEDS - FALSE_FINDINGS
