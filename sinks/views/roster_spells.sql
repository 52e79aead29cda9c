-- When each member was on the roster: in by joining, by a roster line, or by being seen (observed); out by leaving, or by
-- missing in a complete snapshot. What decides is the latest of these at any time, as in members.status.
--
-- Points in time are gathered per member as arrays, so that the hundreds of messages of somebody who never left cost one
-- sort of numbers. Events are read without FINAL, four times faster: whoever was applied once stays applied, and a copy
-- of an event is the same point in time. At the same millisecond a message comes first, then present, joined, left, removed, gone.
CREATE OR REPLACE VIEW qunpulse.roster_spells
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member',
    employed UInt8 COMMENT '1 for staff and bots (latest role, and never counted as a member before), else 0',
    since DateTime64(3, 'UTC') COMMENT 'From when the member was on the roster: joined, listed in a snapshot, or first seen (UTC, milliseconds)',
    until Nullable(DateTime64(3, 'UTC')) COMMENT 'When the member left, was removed, was gone, or missed in a complete snapshot (UTC, milliseconds); NULL when still on the roster',
    since_date Date COMMENT 'Local day of since (calendar date in the community''s time zone; its first day with figures if since lies before it)',
    until_date Nullable(Date) COMMENT 'Local day of until; NULL when still on the roster'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    toDateTime64(0, 3, 'UTC') AS never,
    -- complete snapshots: from their first line to their last
    snapshots AS
    (
        SELECT community_id, groupArray((first_line, last_line)) AS listings
        FROM
        (
            SELECT community_id, min(occurred_at) AS first_line, max(occurred_at) AS last_line
            FROM qunpulse_store.events
            WHERE event_type = 'join' AND late = 0 AND action = 'present' AND snapshot_id != ''
            GROUP BY community_id, snapshot_id
            HAVING uniqExact(event_id) >= max(snapshot_size)
        )
        GROUP BY community_id
    ),
    heard AS
    (
        SELECT
            community_id, member_id,
            groupArrayIf((at, rank, comes), event_type = 'join') AS changes,
            groupArrayIf(at, event_type = 'message') AS messages_at,
            minIf(at, event_type = 'message') AS first_message,
            minIf(at, event_type IN ('order', 'referral')) AS first_other,
            max(employed) AS employed
        FROM
        (
            SELECT
                community_id, member_id, event_type, occurred_at AS at, action IN ('present', 'joined') AS comes,
                indexOf(['present', 'joined', 'left', 'removed', 'gone'], action) AS rank, 0 AS employed
            FROM qunpulse_store.events
            WHERE late = 0
            UNION ALL
            SELECT
                community_id, member_id, '', never, 0,
                0, role IN ('staff', 'bot') AND messages + interactions = 0
            FROM qunpulse_store.members FINAL
        )
        GROUP BY community_id, member_id
    ),
    -- (time, rank, 1 = in, 0 = out) in order; messages matter only to those who were out at some time
    points AS
    (
        SELECT
            community_id, member_id, employed,
            arrayFilter
            (
                listing -> NOT arrayExists(at -> at BETWEEN listing.1 AND listing.2, arrayConcat(messages_at, changes.1)),
                listings
            ) AS missed,
            notEmpty(missed) OR arrayExists(comes -> NOT comes, changes.3) AS was_out,
            -- an order or a referral puts only those on the roster of whom nothing had been heard
            first_other > never AND NOT arrayExists
            (
                at -> at <= first_other,
                if(first_message > never, arrayPushBack(changes.1, first_message), changes.1)
            ) AS seen_first,
            arraySort
            (
                arrayConcat
                (
                    changes,
                    arrayMap
                    (
                        at -> (at, toUInt64(0), toUInt8(1)),
                        arrayConcat
                        (
                            if(was_out, messages_at, if(first_message > never, [first_message], [])),
                            if(seen_first, [first_other], [])
                        )
                    ),
                    arrayMap(listing -> (listing.1, toUInt64(6), toUInt8(0)), missed)
                )
            ) AS all_points,
            arrayFilter
            (
                (point, before) -> point.3 != before,
                all_points, arraySlice(arrayPushFront(all_points.3, toUInt8(0)), 1, length(all_points))
            ) AS turns
        FROM heard
        LEFT JOIN snapshots USING (community_id)
    ),
    spells AS
    (
        SELECT
            community_id, member_id, employed, spell.1 AS since, spell.2 AS until  -- never: still on the roster
        FROM points
        ARRAY JOIN arrayZip
        (
            arrayFilter(turn -> turn.3 = 1, turns).1 AS ins,
            arrayResize(arrayFilter(turn -> turn.3 = 0, turns).1, length(ins), never)
        ) AS spell
    ),
    -- each boundary, to be given the last day that began before it
    boundaries AS
    (
        SELECT
            community_id, at, place, spell,
            max(local_date) OVER (PARTITION BY community_id ORDER BY at, place ROWS UNBOUNDED PRECEDING) AS reached,
            minIf(local_date, place = 0) OVER (PARTITION BY community_id) AS first_date
        FROM
        (
            SELECT community_id, toDateTime64(day, 3, 'UTC') AS at, 0 AS place, local_date, ('', 0, never) AS spell
            FROM qunpulse_store.community_days FINAL
            UNION ALL
            SELECT community_id, end.1, end.2, toDate(0), (member_id, employed, since)
            FROM spells
            ARRAY JOIN arrayFilter(end -> end.1 > never, [(since, 1), (until, 2)]) AS end
        )
    )
SELECT
    community_id, spell.1 AS member_id, toUInt8(spell.2) AS employed, spell.3 AS since,
    if(max(place) = 2, maxIf(at, place = 2), NULL) AS until,
    greatest(minIf(reached, place = 1), any(first_date)) AS since_date,
    if(max(place) = 2, greatest(maxIf(reached, place = 2), any(first_date)), NULL) AS until_date
FROM boundaries
WHERE place > 0
GROUP BY community_id, spell
COMMENT 'Stays of members on the roster; a row per community, member and stay (somebody who came back has several). Times are UTC; dates are the community''s own';
