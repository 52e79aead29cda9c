"""What is judged once a day: `activity_drop`, `zombie`, `over_promotion`, `stalled_growth`.

Each is a condition that goes on and off at different thresholds; what is between them leaves it as it was. An episode
opens when its condition goes on and is over when it goes off. While `activity_drop` is on, the community is quiet as a
whole, and alerts on the silence of its members are held back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec.msgpack import decode, encode

from schemas.alerts import AlertKind, AlertState, EvidenceValue
from streams.operators.alert_context import DAY_MS, AlertContext
from streams.operators.alert_words import drop_reason, growth_reason, promotion_reason, time_text, zombie_reason
from streams.operators.arrivals import Moments
from streams.operators.base import Ints, Mask, StateRows, binary, grown
from streams.operators.check_kernel import CHECK
from streams.operators.feed_watch import FeedWatch
from streams.operators.quiet_spans import Quiet, QuietSpans
from streams.rules_health import (
    ActivityDropRules,
    HealthRules,
    KindsRules,
    OverPromotionRules,
    StalledGrowthRules,
    ZombieRules,
)

KINDS: tuple[AlertKind, ...] = ("activity_drop", "zombie", "over_promotion", "stalled_growth")

Floats = npt.NDArray[np.float64]
Check = Mapping[str, Floats]
"""Communities at the ends of panes, a column for each name in `check_kernel.CHECK`."""

Row = Mapping[str, float]
"""One of them."""

Verdict = tuple[Mask, Mask]
"""Where a condition holds enough to go on, and where it is so far gone that it goes off."""


class CommunityChecks:
    """Judges checks in the order of time."""

    names = ("check_levels",)

    def __init__(self, context: AlertContext, feeds: FeedWatch) -> None:
        self._context = context
        self._feeds = feeds
        self.quiet = QuietSpans()
        self._on = np.zeros((0, len(KINDS)), np.bool_)
        self._dirty: set[int] = set()

    def judge(self, checks: npt.NDArray[np.float64], moments: Moments) -> None:
        """Take checks in; those of a community in the order of time."""
        self._on = grown(self._on, len(self._context.partition.directory.community_names), False)
        if len(checks) == 0:
            return
        community, pane = checks[:, 0].astype(np.int64), checks[:, 1].astype(np.int64)
        at_ms = np.empty(len(checks), np.int64)
        for mine, profile in self._context.by_profile(community):
            hour = profile.rules.check_hour
            at_ms[mine] = self._context.hours_into(community[mine], pane[mine] + 1, hour)
        looked_ms = moments.first_at_or_after(at_ms)
        stale = looked_ms - at_ms > self._context.partition.lateness_ms
        columns = dict(zip(CHECK, np.ascontiguousarray(checks.T), strict=True))
        on, off = (np.zeros((len(checks), len(KINDS)), np.bool_) for _ in range(2))
        for mine, profile in self._context.by_profile(community):
            of_mine = {name: column[mine] for name, column in columns.items()}
            for place, kind in enumerate(KINDS):
                rules: HealthRules = getattr(profile.rules, kind)
                goes_on, goes_off = _JUDGES[kind](of_mine, rules)
                on[mine, place] = goes_on & rules.enabled
                off[mine, place] = goes_off | (not rules.enabled)
        self._described(community, at_ms, columns, on, off)
        matters = np.zeros(len(self._on), np.bool_)
        matters[community[on.any(axis=1)]] = True
        matters |= self._on.any(axis=1)
        # None while history is being loaded.
        for row in np.flatnonzero(matters[community] & (columns["loading"] == 0)).tolist():
            was = self._on[community[row]]
            if ((on[row] & ~was) | (off[row] & was)).any():
                self._judge(row, int(community[row]), columns, on[row], off[row], int(at_ms[row]), bool(stale[row]))

    def _described(self, community: Ints, at_ms: Ints, columns: Check, on: Mask, off: Mask) -> None:
        """Closed communities raise nothing; full and short-lived ones need not grow."""
        names = self._context.partition.directory.community_names
        described = self._context.rules.communities
        growth = KINDS.index("stalled_growth")
        for number in set(community.tolist()) if described else ():
            one = described.get(names[number])
            if one is None:
                continue
            mine = community == number
            opened_ms, closed_ms = one.opened_ms(), one.closed_ms()
            if closed_ms is not None:
                closed = mine & (at_ms >= closed_ms)
                on[closed], off[closed] = False, True
            rules = self._context.rules_of(number).stalled_growth
            small = columns["members"] < rules.full_share * (one.capacity or np.inf)
            if opened_ms is not None and closed_ms is not None:
                small &= closed_ms - opened_ms >= rules.min_lifetime_days * DAY_MS
            on[mine & ~small, growth], off[mine & ~small, growth] = False, True

    def unwatched(self) -> Mask:
        """Communities with no condition on: they need no check while nothing happens in them."""
        unwatched: Mask = ~np.any(self._on, axis=1)
        return unwatched

    def _judge(self, row: int, community: int, columns: Check, on: Mask, off: Mask, at_ms: int, stale: bool) -> None:
        if self._feeds.says_nothing(community, at_ms):
            return
        rules = self._context.rules_of(community)
        found = {name: float(column[row]) for name, column in columns.items()}
        self._dirty.add(community)
        for place, kind in enumerate(KINDS):
            if self._on[community, place] and off[place]:
                self._on[community, place] = False
                usual = kind == "activity_drop" and _is_usual(found, rules.activity_drop)
                state: AlertState = "expired" if usual else "resolved"
                self._context.episodes.close(kind, community, at_ms, state, reached_ms=at_ms)
                if kind == "activity_drop":
                    self.quiet.end(community, at_ms)
            elif on[place] and not self._on[community, place]:
                self._on[community, place] = True
                if kind == "activity_drop":
                    self.quiet.begin(community, at_ms, at_ms)
                self._open(kind, community, found, rules, at_ms, stale)

    def _open(self, kind: AlertKind, community: int, found: Row, rules: KindsRules, at_ms: int, stale: bool) -> None:
        reason, evidence = _WORDS[kind](found)
        worth = found["members"] * self._context.rules.tiers.active_day_worth_minor
        self._context.episodes.open(
            self._context.health_opening(
                kind,
                community,
                place=self._context.place(community, at_ms),
                fact=at_ms - DAY_MS,
                opened_ms=at_ms,
                stale=stale,
                rules=getattr(rules, kind),
                reason=reason,
                evidence={**evidence, "members": int(found["members"]), "checked_at": time_text(at_ms)},
                worth=worth,
            )
        )

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty)

    def dirty(self) -> list[StateRows]:
        """State rows since the last call."""
        if not self._dirty:
            return []
        numbers, self._dirty = sorted(self._dirty), set()
        payloads = [encode((n, self._on[n].tolist(), self.quiet.packed(n))) for n in numbers]
        return [StateRows("check_levels", binary([n.to_bytes(4, "big") for n in numbers]), binary(payloads))]

    def restore(self, payloads: pa.Array) -> None:
        """Take rows back."""
        self._on = grown(self._on, len(self._context.partition.directory.community_names), False)
        for payload in payloads.to_pylist():
            number, on, spans = decode(payload, type=tuple[int, list[bool], list[Quiet]])
            self._on[number] = on
            self.quiet.restore(number, spans)


def _activity_drop(found: Check, rules: ActivityDropRules) -> Verdict:
    on = np.zeros(len(found["members"]), np.bool_)
    off = ~on
    for span, share in (("day", rules.day_share), ("week", rules.week_share)):
        active, expected = found[f"active_{span}"], found[f"expected_{span}"]
        enough = expected >= rules.min_expected_events
        on |= enough & (active <= share * expected) & (active < found[f"lowest_{span}"])
        # What is usual sinks with the drop; where nothing is expected any more it is no drop but how things are.
        off &= ~enough | (active >= rules.recovered_share * expected)
    return on & (found["history_days"] > rules.min_history_days), off


def _is_usual(found: Row, rules: ActivityDropRules) -> bool:
    """Whether so little is expected by now that a drop is no news any more."""
    return max(found["expected_day"], found["expected_week"]) < rules.min_expected_events


def _zombie(found: Check, rules: ZombieRules) -> Verdict:
    promotions = found["promotions_30"] / np.maximum(found["spoken_30"], 1)
    unanswered = found["unanswered_30"] / np.maximum(found["questions_30"], 1)
    bad = (found["spoken_30"] >= rules.min_messages) & (promotions >= rules.min_promotion_share)
    bad |= (found["questions_30"] >= rules.min_questions) & (unanswered >= rules.min_unanswered_share)
    speakers = found["speakers_30"] / np.maximum(found["members"], 1)
    big = (found["members"] >= rules.min_members) & (found["history_days"] > 30)
    on = big & bad & (speakers <= rules.max_speaker_share)
    return on, ~bad | (speakers > rules.max_speaker_share * rules.recovered_factor)


def _over_promotion(found: Check, rules: OverPromotionRules) -> Verdict:
    promotions, quits = found["promotions_7"], found["quits_after_7"]
    least = np.maximum(rules.min_quits_after, rules.min_quit_share * found["members"])
    mostly = quits >= rules.min_quits_after_share * found["quits_7"]
    on = (promotions >= rules.max_promotions_7d) & (quits >= least) & mostly
    few = promotions < rules.recovered_factor * rules.max_promotions_7d
    return on, few | (quits < rules.recovered_factor * least)


def _stalled_growth(found: Check, rules: StalledGrowthRules) -> Verdict:
    joins, before = found["joins_28"], found["joins_before"]
    on = (before >= rules.min_joins_before) & (joins <= rules.max_share * before) & (found["history_days"] > 56)
    return on, (joins > 0) & (joins >= rules.recovered_share * before)


def _words_of_drop(found: Row) -> tuple[str, dict[str, EvidenceValue]]:
    names = ("active_day", "expected_day", "lowest_day", "active_week", "expected_week", "lowest_week")
    figures = {name: round(found[name], 1) for name in names}
    return drop_reason(*(figures[names[at]] for at in (0, 1, 3, 4))), dict(figures)


def _words_of_zombie(found: Row) -> tuple[str, dict[str, EvidenceValue]]:
    speakers, members = int(found["speakers_30"]), int(found["members"])
    promotions = found["promotions_30"] / found["spoken_30"] if found["spoken_30"] else None
    unanswered = found["unanswered_30"] / found["questions_30"] if found["questions_30"] else None
    return zombie_reason(speakers, members, promotions, unanswered), {
        "speaker_share": round(speakers / max(members, 1), 4),
        "promotion_share": None if promotions is None else round(promotions, 4),
        "unanswered_share": None if unanswered is None else round(unanswered, 4),
        "speakers_30": speakers,
        "messages_30": int(found["spoken_30"]),
    }


def _words_of_promotion(found: Row) -> tuple[str, dict[str, EvidenceValue]]:
    figures = {name: int(found[name]) for name in ("promotions_7", "quits_after_7", "quits_7")}
    members = int(found["members"])
    return promotion_reason(figures["promotions_7"], figures["quits_after_7"], figures["quits_7"], members), {
        "promotions_7_days": figures["promotions_7"],
        "left_within_24_hours_of_one": figures["quits_after_7"],
        "left_in_7_days": figures["quits_7"],
    }


def _words_of_growth(found: Row) -> tuple[str, dict[str, EvidenceValue]]:
    joins, before = int(found["joins_28"]), int(found["joins_before"])
    return growth_reason(joins, before), {"joined_in_28_days": joins, "joined_in_28_days_before": before}


_JUDGES: dict[AlertKind, Any] = {
    "activity_drop": _activity_drop,
    "zombie": _zombie,
    "over_promotion": _over_promotion,
    "stalled_growth": _stalled_growth,
}
_WORDS: dict[AlertKind, Any] = {
    "activity_drop": _words_of_drop,
    "zombie": _words_of_zombie,
    "over_promotion": _words_of_promotion,
    "stalled_growth": _words_of_growth,
}
