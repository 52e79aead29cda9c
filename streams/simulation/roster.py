"""Joins, leaves, referrals and roster snapshots as the platform tells them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from streams.simulation.happenings import Happenings
from streams.simulation.lives import ENDS, NOBODY, VIAS, Lives
from streams.simulation.moments import moments, written
from streams.simulation.plan import Plan
from streams.simulation.world import account_name

_SNAPSHOT_EVERY_HOURS: Final = 60 * 24
_REFERRED: Final = 0.6  # share of invitations that run through a campaign
_REFERRED_TWICE: Final = 0.02
_HESITATION_HOURS: Final = 10.0  # mean time from an invitation to the joining it leads to
_IN_VAIN: Final = 0.5  # invitations that nobody follows, for each that somebody does
_NEVER_CAME: Final = 10_000_000  # accounts from this number on are invited and never seen
_NEW_WORD: Final = 0.01  # a way of coming that nobody has told the vocabulary about
_SOURCES: Final = {"qr_code": "qr-{}", "ad": "ad-{}", "link": "link-{}"}


def add_roster(happenings: Happenings, lives: Lives, plan: Plan) -> None:
    """Everything that changes or lists who is in the community."""
    chance = plan.chance(4, happenings.community.number)
    _add_changes(happenings, lives, plan, chance)
    _add_referrals(happenings, lives, chance)
    if happenings.community.platform.roster_versions and plan.snapshots:
        _add_snapshots(happenings, lives)


def _add_changes(happenings: Happenings, lives: Lives, plan: Plan, chance: np.random.Generator) -> None:
    community = happenings.community
    hours = float(community.clock.hours)
    ended = np.flatnonzero(np.isin(lives.end, [ENDS.index(end) for end in ("left", "removed", "unnoticed")]))
    joined = np.flatnonzero(lives.announced)
    rows = np.concatenate((joined, ended))
    at_ms = np.concatenate((moments(community, lives.joined)[joined], moments(community, lives.until(hours))[ended]))
    leaves = np.repeat([False, True], [len(joined), len(ended)])
    order = np.lexsort((leaves, at_ms))
    texts = written(community, at_ms[order])
    # A change that was not noticed raises the version all the same: the chain breaks there until the next snapshot.
    versioned = community.platform.roster_versions and plan.snapshots
    new_word, number = chance.random(len(order)), chance.integers(1, 6, len(order))
    for place, (i, text) in enumerate(zip(order.tolist(), texts, strict=True)):
        row = int(rows[i])
        version: dict[str, Any] = {}
        if versioned:
            version = {"roster_version_before": f"v{1000 + place}", "roster_version_after": f"v{1001 + place}"}
        member: dict[str, Any] = {"member_id": lives.member_ids[row]}
        if leaves[i]:
            end = ENDS[lives.end[row]]
            if end != "unnoticed":
                happenings.add("join", "j", int(at_ms[i]), text, **member, action=end, **version)
            continue
        via = VIAS[lives.via[row]]
        inviter = int(lives.inviter[row])
        told = via if via != "unknown" else None
        if new_word[place] < _NEW_WORD and inviter == NOBODY:
            told = "group_card"
        happenings.add(
            "join",
            "j",
            int(at_ms[i]),
            text,
            **member,
            action="joined",
            role=lives.roles[row] if lives.roles[row] != "member" else None,
            via=told,
            inviter_id=lives.member_ids[inviter] if inviter != NOBODY else None,
            source=_SOURCES[via].format(number[place]) if via in _SOURCES else None,
            **version,
        )


def _add_referrals(happenings: Happenings, lives: Lives, chance: np.random.Generator) -> None:
    community = happenings.community
    campaign = f"bring-a-friend-{community.number}"
    invited = np.flatnonzero((lives.inviter != NOBODY) & lives.announced)
    counted = invited[chance.random(len(invited)) < _REFERRED]
    hesitated = lives.joined[counted] - chance.exponential(_HESITATION_HOURS, len(counted))
    sent = np.maximum(hesitated, lives.joined[lives.inviter[counted]])  # nobody invites before being there
    edges = [(float(at), int(lives.inviter[row]), lives.member_ids[row]) for at, row in zip(sent, counted, strict=True)]
    for row in counted[chance.random(len(counted)) < _REFERRED_TWICE].tolist():
        at = float(lives.joined[row]) + 1.0  # somebody else claims the same friend an hour later
        other = int(chance.integers(0, row))
        if lives.until(float(community.clock.hours))[other] > at:
            edges.append((at, other, lives.member_ids[row]))
    for at, inviter, _ in edges[: len(counted)]:
        if chance.random() < _IN_VAIN:
            stranger = _NEVER_CAME + community.number * 100_000 + len(edges)
            edges.append((at, inviter, account_name(community.platform, stranger)))
    at_ms = moments(community, np.array([at for at, _, _ in edges]))
    for (_, referrer, referee), ms, text in zip(edges, at_ms.tolist(), written(community, at_ms), strict=True):
        happenings.add(
            "referral",
            "r",
            ms,
            text,
            campaign_id=campaign,
            referrer_id=lives.member_ids[referrer],
            referee_id=referee,
            via="invite",
        )


def _add_snapshots(happenings: Happenings, lives: Lives) -> None:
    community = happenings.community
    hours = float(community.clock.hours)
    silent = lives.end == ENDS.index("silent")
    joined_texts = written(community, moments(community, lives.joined))
    times = np.arange(community.opened + _SNAPSHOT_EVERY_HOURS / 2, hours, _SNAPSHOT_EVERY_HOURS)
    for number, own in enumerate(times):
        there = np.flatnonzero((lives.joined <= own) & ((lives.ended > own) | silent)).tolist()
        at_ms = moments(community, np.array([own]))
        text = written(community, at_ms)[0]
        for row in there:
            happenings.add(
                "join",
                "p",
                int(at_ms[0]),
                text,
                member_id=lives.member_ids[row],
                action="present",
                role=lives.roles[row] if lives.roles[row] != "member" else None,
                snapshot_id=f"{happenings.plan.run}roster-{number}",
                snapshot_size=len(there),
                joined_at=joined_texts[row],
            )
