CREATE OR REPLACE VIEW qunpulse.check_in_days
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member',
    local_date Date COMMENT 'Local day with a check-in (kind check_in, staff and bots not counted)',
    streak_days UInt64 COMMENT 'Consecutive local days with a check-in that end with this one; days',
    first_at DateTime64(3, 'UTC') COMMENT 'First check-in of that day (UTC, milliseconds)'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    days AS
    (
        -- Copies of an event are equal, and only whether at all is asked for: no FINAL.
        SELECT e.community_id AS community_id, e.member_id AS member_id, c.local_date AS local_date, min(e.occurred_at) AS first_at
        FROM
        (
            SELECT community_id, member_id, occurred_at
            FROM qunpulse_store.events
            WHERE event_type = 'message' AND kind = 'check_in' AND sender_role NOT IN ('staff', 'bot') AND late = 0
        ) AS e
        INNER JOIN
        (
            SELECT community_id, local_date, day, ends_at, arrayJoin([toDate(day), toDate(day) + 1]) AS utc_date
            FROM qunpulse.local_days
        ) AS c ON c.community_id = e.community_id AND c.utc_date = toDate(e.occurred_at)
        WHERE e.occurred_at >= c.day AND ifNull(e.occurred_at < c.ends_at, 1)
        GROUP BY community_id, member_id, local_date
    )
SELECT
    community_id, member_id, local_date,
    row_number() OVER (PARTITION BY community_id, member_id, run ORDER BY local_date) AS streak_days, first_at
FROM
(
    -- a day minus its rank among the member's days is the same along a run of consecutive days
    SELECT *, toInt64(local_date) - row_number() OVER (PARTITION BY community_id, member_id ORDER BY local_date) AS run
    FROM days
)
COMMENT 'Days on which members checked in, and how long their streaks were by then; a row per community, member and such day. Times are UTC; dates are the community''s own';
