"""Where else on a platform members are: asked of ClickHouse, since no partition sees all communities of a platform."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.alerts import AlertRecord
from sinks.clickhouse import ClickHouse
from sinks.schema import EVENTS, MEMBERS

_ELSEWHERE = f"""
    SELECT member_id, community_id, place
    FROM
    (
        SELECT member_id, community_id FROM {MEMBERS} FINAL
        WHERE member_id IN {{members:Array(String)}} AND status != 'left'
    ) AS there
    INNER JOIN
    (
        -- copies of an event name the same platform: no FINAL
        SELECT community_id, min(platform) AS place FROM {EVENTS}
        WHERE platform IN {{platforms:Array(String)}} AND community_id IN
        (
            SELECT community_id FROM {MEMBERS} WHERE member_id IN {{members:Array(String)}}
        )
        GROUP BY community_id
    ) AS placed USING (community_id)
"""


def still_elsewhere(clickhouse: ClickHouse, alerts: Sequence[AlertRecord]) -> set[str]:
    """Ids of those alerts whose member is still in another community of the alert's platform. Raises SinkError."""
    rows = clickhouse.rows(
        _ELSEWHERE,
        {
            "members": sorted({one.member_id for one in alerts}),
            "platforms": sorted({one.platform for one in alerts if one.platform}),
        },
    )
    homes: dict[tuple[str, str], set[str]] = {}
    for member_id, community_id, platform in rows:
        homes.setdefault((platform, member_id), set()).add(community_id)
    return {one.alert_id for one in alerts if homes.get((one.platform, one.member_id), set()) - {one.community_id}}
