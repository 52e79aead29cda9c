-- A month's ranks can change no more once the community's event clock is behind its end by the allowed lateness: what
-- happened in it and comes later still is late and changes no figure. So a ranking needs no table that somebody would
-- have to write exactly once: the same rows come out of the events whenever it is asked. For that every score stands on
-- what happened within its period only; who is staff is judged by what was known at its end.
CREATE OR REPLACE VIEW qunpulse.leaderboards
(
    community_id String COMMENT 'Community',
    period LowCardinality(String) COMMENT 'day, week (from Monday) or month, by the community''s own calendar',
    period_start Date COMMENT 'First local day of the period',
    board LowCardinality(String) COMMENT 'most_active, most_replied_to, longest_streak, best_inviters or best_buyers',
    currency LowCardinality(String) COMMENT 'Currency of best_buyers (ISO 4217), a board each; empty elsewhere',
    rank UInt64 COMMENT 'Rank, from 1 to 10; equals share a rank and the ranks behind them are left out',
    member_id String COMMENT 'Member (who acted or was told as staff or bot until the end of the period is left out)',
    score Int64 COMMENT 'most_active: minutes with a message of a speaking kind (at most one a minute counts), count; most_replied_to: distinct others who replied, count; longest_streak: longest run of daily check-ins until a day of the period, days; best_inviters: newcomers whose first invitation (join by inviter, or referral) was this member''s, count; best_buyers: paid (each order_id once) less refunded in the period, minor units of the currency',
    is_final UInt8 COMMENT '1 when the period and the allowed lateness are over by the community''s event clock, so that nothing can change it any more; else 0'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    (SELECT mapFromArrays(groupArray(toString(name)), groupArray(value)) FROM qunpulse_store.definitions FINAL) AS rule,
    -- copies of an event are equal and count once in every score: no FINAL anywhere
    replies AS
    (
        SELECT community_id, occurred_at, member_id, reply_to, reply_to_member_id
        FROM qunpulse_store.events
        WHERE event_type = 'message' AND late = 0 AND sender_role NOT IN ('staff', 'bot') AND (reply_to != '' OR reply_to_member_id != '')
            AND kind IN ('text', 'image', 'video', 'audio', 'file', 'link', 'sticker', 'mini_program', 'share', 'poll', 'other')
    ),
    -- who replied to whom; persons are told apart by 64 bits of a hash: two of a thousand who reply to one member are taken
    -- for one with a chance below 10^-13
    answered AS
    (
        SELECT community_id, occurred_at, reply_to_member_id AS member_id, sipHash64(r.member_id) AS who
        FROM replies AS r
        WHERE reply_to_member_id NOT IN ('', r.member_id)
        UNION ALL
        -- the few replies on the right: they are what the join keeps in memory
        SELECT p.community_id, r.occurred_at, p.member_id, sipHash64(r.member_id)
        FROM (SELECT community_id, event_id, member_id FROM qunpulse_store.events WHERE event_type = 'message' AND late = 0) AS p
        INNER JOIN (SELECT * FROM replies WHERE reply_to_member_id = '') AS r
            ON r.community_id = p.community_id AND r.reply_to = p.event_id
        WHERE p.member_id NOT IN ('', r.member_id)
    ),
    -- what adds up; boards are numbers until the end: 1 most_active, 2 most_replied_to, 3 longest_streak, 4 best_inviters,
    -- 5 best_buyers
    scored AS
    (
        SELECT
            community_id, max(occurred_at) AS scored_at, 1 AS board, '' AS currency, member_id,
            toInt64(uniqExact(toStartOfMinute(occurred_at))) AS amount
        FROM qunpulse_store.events
        WHERE event_type = 'message' AND late = 0 AND sender_role NOT IN ('staff', 'bot') AND kind IN
            ('text', 'image', 'video', 'audio', 'file', 'link', 'sticker', 'mini_program', 'share', 'poll', 'other')
        GROUP BY community_id, member_id, toStartOfFifteenMinutes(occurred_at)  -- days begin with a quarter of an hour everywhere
        UNION ALL
        SELECT community_id, invited_at, 4, '', inviter, 1
        FROM
        (
            SELECT
                community_id, if(event_type = 'join', member_id, referee_id) AS invited, min(occurred_at) AS invited_at,
                argMin(if(event_type = 'join', inviter_id, member_id), (occurred_at, event_id)) AS inviter
            FROM qunpulse_store.events
            WHERE late = 0 AND (event_type = 'referral' AND referee_id != member_id
                OR event_type = 'join' AND action = 'joined' AND inviter_id NOT IN ('', member_id))
            GROUP BY community_id, invited
        )
        UNION ALL
        SELECT community_id, min(occurred_at), 5, argMin(toString(currency), (occurred_at, event_id)),
            argMin(member_id, (occurred_at, event_id)), argMin(amount_minor, (occurred_at, event_id))
        FROM qunpulse_store.events
        WHERE event_type = 'order' AND late = 0 AND status = 'paid'
        GROUP BY community_id, order_id
        UNION ALL
        SELECT
            community_id, min(occurred_at), 5, any(toString(currency)), any(member_id), -any(amount_minor)
        FROM qunpulse_store.events
        WHERE event_type = 'order' AND late = 0 AND status = 'refunded'
        GROUP BY community_id, event_id
    ),
    days AS
    (
        SELECT
            s.community_id AS community_id, s.board AS board, s.currency AS currency, s.member_id AS member_id,
            toDate(s.scored_at + o.offset_seconds) AS local_date, sum(s.amount) AS amount
        FROM scored AS s
        ASOF INNER JOIN qunpulse.community_offsets AS o ON o.community_id = s.community_id AND s.scored_at >= o.starts_at
        GROUP BY community_id, board, currency, member_id, local_date
        UNION ALL
        SELECT community_id, 3, '', member_id, local_date, toInt64(streak_days)
        FROM qunpulse.check_in_days
    ),
    answered_days AS
    (
        SELECT DISTINCT
            a.community_id AS community_id, a.member_id AS member_id, a.who AS who,
            toDate(a.occurred_at + o.offset_seconds) AS local_date
        FROM answered AS a
        ASOF INNER JOIN qunpulse.community_offsets AS o ON o.community_id = a.community_id AND a.occurred_at >= o.starts_at
    ),
    scores AS
    (
        SELECT
            community_id, board, currency, member_id, span.1 AS unit, span.2 AS period_start,
            if(board = 3, max(amount), sum(amount)) AS points
        FROM days
        ARRAY JOIN [(1, local_date), (2, toMonday(local_date)), (3, toStartOfMonth(local_date))] AS span
        GROUP BY community_id, board, currency, member_id, unit, period_start
        HAVING points > 0
        UNION ALL
        SELECT community_id, 2, '', member_id, span.1 AS unit, span.2 AS period_start, toInt64(uniqExact(who))
        FROM answered_days
        ARRAY JOIN [(1, local_date), (2, toMonday(local_date)), (3, toStartOfMonth(local_date))] AS span
        GROUP BY community_id, member_id, unit, period_start
    ),
    -- since when somebody is known as staff, and when periods end: by the wall clock of the community
    employed AS
    (
        SELECT e.community_id AS community_id, e.member_id AS member_id, min(toDate(e.since + o.offset_seconds)) AS since_date
        FROM
        (
            SELECT community_id, member_id, min(occurred_at) AS since
            FROM qunpulse_store.events
            WHERE late = 0
                AND (event_type = 'message' AND sender_role IN ('staff', 'bot') OR event_type = 'join' AND role IN ('staff', 'bot'))
            GROUP BY community_id, member_id
        ) AS e
        ASOF INNER JOIN qunpulse.community_offsets AS o ON o.community_id = e.community_id AND e.since >= o.starts_at
        GROUP BY community_id, member_id
    ),
    clocks AS
    (
        SELECT k.community_id AS community_id, k.clock + o.offset_seconds AS local_clock
        FROM
        (
            SELECT community_id, max(occurred_at) - toIntervalSecond(rule['allowed_lateness_seconds']) AS clock
            FROM qunpulse_store.events
            WHERE late = 0
            GROUP BY community_id
        ) AS k
        ASOF INNER JOIN qunpulse.community_offsets AS o ON o.community_id = k.community_id AND k.clock >= o.starts_at
    )
SELECT
    b.community_id AS community_id, ['day', 'week', 'month'][unit] AS period, period_start,
    ['most_active', 'most_replied_to', 'longest_streak', 'best_inviters', 'best_buyers'][board] AS board, currency,
    rank, best.2 AS member_id, best.1 AS score, toDateTime64(next_start, 3, 'UTC') <= k.local_clock AS is_final
FROM
(
    SELECT
        s.community_id AS community_id, unit, period_start, board, currency,
        multiIf(unit = 1, period_start + 1, unit = 2, period_start + 7, addMonths(period_start, 1)) AS next_start,
        arrayPartialReverseSort(10, groupArray(s.points)) AS best_points, best_points[least(10, length(best_points))] AS tenth,
        arrayReverseSort(arrayFilter(r -> r.1 >= tenth, groupArray((s.points, s.member_id)))) AS leaders
    FROM scores AS s
    LEFT JOIN employed AS e ON e.community_id = s.community_id AND e.member_id = s.member_id
    WHERE e.member_id = '' OR e.since_date >= next_start
    GROUP BY community_id, unit, period_start, board, currency
) AS b
INNER JOIN clocks AS k ON k.community_id = b.community_id
ARRAY JOIN leaders AS best, arrayMap((n, nth_equal) -> n - nth_equal + 1, arrayEnumerate(leaders), arrayEnumerateUniq(leaders.1)) AS rank
COMMENT 'The ten best of each day, week and month on five boards; a row per community, period, board and ranked member. Times are UTC; dates are the community''s own';
