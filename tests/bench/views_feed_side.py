"""What else a worker lands of the made-up year: referral forests, accounts, touches and alerts."""

from __future__ import annotations

from sinks.schema import STORE


def forests(events: str) -> list[str]:
    """Edges of all referrals, credits that matured after a week for two of three, and nodes one level deep."""
    edges = f"SELECT * FROM {events} WHERE event_type = 'referral'"
    steps = "[('pending', 0), ('matured', 7), ('reversed', 40)]"
    return [
        f"""INSERT INTO {STORE}.referral_edges (campaign_id, edge_id, event_id, referrer_id, referee_id, community_id,
                occurred_at, origin, state, version)
            SELECT campaign_id, concat('referral/', community_id, '/', event_id), event_id, referrer_id, referee_id,
                community_id, occurred_at, 'referral', 'linked', 2 FROM ({edges})""",
        f"""INSERT INTO {STORE}.referral_credits (campaign_id, referee_id, edge_id, state, changed_at, referrer_id,
                community_id, version)
            SELECT campaign_id, referee_id, concat('referral/', community_id, '/', event_id), step.1,
                occurred_at + toIntervalDay(step.2), referrer_id, community_id, 2
            FROM ({edges})
            ARRAY JOIN arraySlice({steps}, 1, [1, 2, 2, 2, 3][cityHash64(event_id) % 5 + 1]) AS step""",
        f"""INSERT INTO {STORE}.referral_nodes (campaign_id, member_id, parent_id, root_id, depth, direct, descendants,
                credit_state, matured_direct, version)
            SELECT campaign_id, side.1, any(side.2), any(if(side.2 = '', side.1, side.2)), max(side.2 != ''),
                countIf(side.2 = '') AS brought, brought, if(max(side.2 != ''), 'matured', ''), brought, 2
            FROM ({edges}) ARRAY JOIN [(referrer_id, ''), (referee_id, referrer_id)] AS side
            GROUP BY campaign_id, side.1""",
        f"""INSERT INTO {STORE}.accounting (topic, partition, consumed, applied, event_clock, checkpoint_at, version)
            SELECT 'community.messages.v1', 0, count(), count(), max(occurred_at), max(occurred_at), 2 FROM {events}""",
    ]


def told(events: str) -> list[str]:
    """A welcome for everybody, thanks after every fourth order, a fifth held out; an alert on every fifth member."""
    at = "occurred_at, occurred_at, occurred_at"
    return [
        f"""INSERT INTO {STORE}.touches
                (community_id, kind, touch_id, member_id, occasion_at, due_at, decided_at, held_out, version)
            SELECT community_id, if(event_type = 'join', 'welcome', 'thanks'), event_id, member_id, {at},
                cityHash64(member_id) % 5 = 0, 2
            FROM {events} WHERE action = 'joined' OR status = 'paid' AND cityHash64(event_id) % 4 = 0""",
        f"""INSERT INTO {STORE}.alerts (alert_id, revision, kind, community_id, member_id, platform, state, severity,
                opened_at, updated_at, resolved_at, reason, version)
            SELECT concat('silent/', community_id, '/', member_id), 2, 'silent', community_id, member_id, 'wecom',
                'expired', 'low', first_seen_at, first_seen_at, first_seen_at, '比平时安静', 2
            FROM {STORE}.members WHERE cityHash64(member_id) % 5 = 0""",
    ]
