-- Stays of members in their communities, from the roster events in their order. The time a member was first seen stands
-- in for a joining that nobody told: founders, members of a group that was connected later.
CREATE OR REPLACE VIEW qunpulse.memberships
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member',
    role LowCardinality(String) COMMENT 'Role in the latest message or join event: member, expert, owner, admin, staff or bot',
    starts_at DateTime64(3, 'UTC') COMMENT 'When the stay began (UTC, milliseconds)',
    started_by LowCardinality(String) COMMENT 'joined; present: first told by a roster snapshot; observed: first seen otherwise, the joining is not known',
    ends_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ended (UTC, milliseconds); NULL while it lasts',
    ended_by LowCardinality(String) COMMENT 'left, removed or gone (reason unknown); missing: not in a complete roster snapshot, left some time before; empty while it lasts',
    quit UInt8 COMMENT '1 when the stay ended by the member''s own will or for an unknown reason (left, gone), else 0'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    histories AS
    (
        SELECT
            community_id, member_id, max(known_role) AS role, max(left_unseen_at) AS missing_at,
            arraySort(groupArray((at, place, word))) AS told,
            -- who joined was not there before, whatever was seen; a snapshot says nothing about before
            if(length(told) > 1 AND told[2].3 = 'joined', arrayPopFront(told), told) AS acts,
            arrayMap(act -> toUInt8(act.3 IN ('observed', 'present', 'joined')), acts) AS is_on,
            arrayFilter((act, now, n) -> n = 1 OR now != is_on[n - 1], acts, is_on, arrayEnumerate(acts)) AS turns
        FROM
        (
            SELECT
                community_id, member_id, occurred_at AS at,
                toUInt8(indexOf(['present', 'joined', 'left', 'removed', 'gone'], toString(action))) AS place,
                toString(action) AS word, '' AS known_role, CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS left_unseen_at
            FROM qunpulse_store.events FINAL
            WHERE event_type = 'join' AND late = 0
            UNION ALL
            SELECT
                community_id, member_id, first_seen_at, 0, 'observed', toString(role),
                if(status = 'left', left_at, NULL)
            FROM qunpulse_store.members FINAL
        )
        GROUP BY community_id, member_id
    ),
    stays AS
    (
        SELECT
            community_id, member_id, role, missing_at, length(turns) AS all_turns, place,
            turns[place] AS opening, if(place < all_turns, turns[place + 1], (missing_at, 0, '')) AS closing
        FROM histories
        ARRAY JOIN arrayEnumerate(turns) AS place
        WHERE turns[place].3 IN ('observed', 'present', 'joined')
    )
SELECT
    community_id, member_id, role, opening.1 AS starts_at, opening.3 AS started_by,
    closing.1 AS ends_at,
    multiIf(closing.3 != '', closing.3, ends_at IS NOT NULL, 'missing', '') AS ended_by,
    ended_by IN ('left', 'gone') AS quit
FROM stays
WHERE ends_at IS NULL OR starts_at < ends_at
COMMENT 'When each member was in each community: a row per stay, staff included. Who comes back has several; posts after leaving begin none. Times are UTC';
