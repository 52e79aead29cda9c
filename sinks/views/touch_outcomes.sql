-- Of each member only the first touch of a kind counts: what comes of later ones depends on it, and the interval of an
-- effect holds for independent members.
CREATE OR REPLACE VIEW qunpulse.touch_outcomes
(
    community_id String COMMENT 'Community',
    kind LowCardinality(String) COMMENT 'Kind of touch, see touches',
    member_id String COMMENT 'Member, with its first touch of the kind that was not of a replay',
    decided_at DateTime64(3, 'UTC') COMMENT 'When it was decided (UTC, milliseconds)',
    held_out UInt8 COMMENT '1 when the member was left alone, else 0',
    answered Nullable(UInt8) COMMENT '1 when the member did what was hoped for in time, else 0; NULL while the time is not over in the community. thanks: another paid order in 30 days of 24 hours; repurchase: one in 14; welcome: a message, interaction or paid order in 7; win_back: one in 14; streak: a check-in in 1'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    first_touches AS
    (
        SELECT
            community_id, kind, member_id, min(f.decided_at) AS decided_at, argMin(f.held_out, (f.decided_at, f.touch_id)) AS held_out,
            decided_at + toIntervalHour(24 * transform(toString(kind), ['thanks', 'repurchase', 'welcome', 'win_back', 'streak'],
                [30, 14, 7, 14, 1], 0)) AS until
        FROM (SELECT * FROM qunpulse_store.touches FINAL WHERE NOT replay) AS f
        GROUP BY community_id, kind, member_id
    ),
    -- Copies of an event are equal, and only whether at all is asked for: no FINAL.
    acts AS
    (
        SELECT
            community_id, member_id, occurred_at, event_type = 'order' AS buys, kind = 'check_in' AS checks_in
        FROM qunpulse_store.events
        WHERE late = 0 AND (event_type = 'order' AND status = 'paid'
            OR event_type = 'message' AND sender_role NOT IN ('staff', 'bot'))
    ),
    -- a row per member on the right, with few columns: acts are many, and each takes along what it is joined with
    answers AS
    (
        SELECT a.community_id AS community_id, touch.1 AS kind, a.member_id AS member_id
        FROM acts AS a
        INNER JOIN
        (
            SELECT community_id, member_id, groupArray((toString(kind), decided_at, until)) AS touches
            FROM first_touches
            GROUP BY community_id, member_id
        ) AS t ON t.community_id = a.community_id AND t.member_id = a.member_id
        ARRAY JOIN arrayFilter
        (
            touch -> a.occurred_at > touch.2 AND a.occurred_at <= touch.3
                AND multiIf(touch.1 IN ('thanks', 'repurchase'), a.buys, touch.1 = 'streak', a.checks_in, 1),
            t.touches
        ) AS touch
    )
SELECT
    o.community_id AS community_id, o.kind AS kind, o.member_id AS member_id, o.decided_at AS decided_at, o.held_out AS held_out,
    if(o.until <= l.last_at, o.answered, NULL) AS answered
FROM
(
    SELECT
        community_id, kind, member_id, max(b.decided_at) AS decided_at, max(b.held_out) AS held_out, max(b.until) AS until,
        max(b.answers) AS answered
    FROM
    (
        SELECT community_id, toString(kind) AS kind, member_id, decided_at, held_out, until, 0 AS answers
        FROM first_touches
        UNION ALL
        SELECT community_id, kind, member_id, toDateTime64(0, 3, 'UTC'), 0, toDateTime64(0, 3, 'UTC'), 1
        FROM answers
    ) AS b
    GROUP BY community_id, kind, member_id
) AS o
INNER JOIN
(
    SELECT community_id, max(occurred_at) AS last_at
    FROM qunpulse_store.events
    WHERE late = 0
    GROUP BY community_id
) AS l ON l.community_id = o.community_id
COMMENT 'What members did after their first touch of a kind, or did without it when held out; a row per community, kind and member. Times are UTC';
