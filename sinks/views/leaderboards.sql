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
    -- copies of an event are equal and count once in every score, so no FINAL
    told AS
    (
        SELECT
            community_id, event_id, event_type, occurred_at, member_id, sender_role, role, kind, reply_to, reply_to_member_id,
            action, inviter_id, referee_id, order_id, original_order_id, status, amount_minor, currency
        FROM qunpulse_store.events
        WHERE late = 0
    ),
    scored AS
    (
        SELECT community_id, occurred_at, 'most_active' AS board, '' AS currency, member_id,
            intDiv(toUInt64(toUnixTimestamp64Milli(occurred_at)), 60000) AS what, toInt64(1) AS amount
        FROM told
        WHERE event_type = 'message' AND sender_role NOT IN ('staff', 'bot') AND kind IN
            ('text', 'image', 'video', 'audio', 'file', 'link', 'sticker', 'mini_program', 'share', 'poll', 'other')
        UNION ALL
        SELECT r.community_id, r.occurred_at, 'most_replied_to', '', if(r.reply_to_member_id != '', r.reply_to_member_id, p.author) AS about,
            sipHash64(r.member_id), 1
        FROM
        (
            SELECT community_id, occurred_at, member_id, reply_to, reply_to_member_id
            FROM told
            WHERE event_type = 'message' AND sender_role NOT IN ('staff', 'bot') AND (reply_to != '' OR reply_to_member_id != '')
                AND kind IN ('text', 'image', 'video', 'audio', 'file', 'link', 'sticker', 'mini_program', 'share', 'poll', 'other')
        ) AS r
        LEFT JOIN
        (
            SELECT community_id, event_id, any(member_id) AS author
            FROM told
            WHERE event_type = 'message'
            GROUP BY community_id, event_id
        ) AS p ON p.community_id = r.community_id AND p.event_id = r.reply_to
        WHERE about != '' AND about != r.member_id
        UNION ALL
        SELECT community_id, invited_at, 'best_inviters', '', inviter, sipHash64(invited), 1
        FROM
        (
            SELECT
                community_id, if(event_type = 'join', member_id, referee_id) AS invited, min(occurred_at) AS invited_at,
                argMin(if(event_type = 'join', inviter_id, member_id), (occurred_at, event_id)) AS inviter
            FROM told
            WHERE event_type = 'referral' AND referee_id != member_id
                OR event_type = 'join' AND action = 'joined' AND inviter_id NOT IN ('', member_id)
            GROUP BY community_id, invited
        )
        UNION ALL
        SELECT community_id, min(occurred_at), 'best_buyers', argMin(toString(currency), (occurred_at, event_id)),
            argMin(member_id, (occurred_at, event_id)), 0, argMin(amount_minor, (occurred_at, event_id))
        FROM told
        WHERE event_type = 'order' AND status = 'paid'
        GROUP BY community_id, order_id
        UNION ALL
        SELECT
            community_id, min(occurred_at), 'best_buyers', any(toString(currency)), any(member_id), 0, -any(amount_minor)
        FROM told
        WHERE event_type = 'order' AND status = 'refunded'
        GROUP BY community_id, event_id
    ),
    dated AS
    (
        SELECT
            s.community_id AS community_id, s.board AS board, s.currency AS currency, s.member_id AS member_id, s.what AS what,
            s.amount AS amount, c.local_date AS local_date
        FROM scored AS s
        INNER JOIN
        (
            SELECT community_id, local_date, day, ends_at, arrayJoin([toDate(day), toDate(day) + 1]) AS utc_date
            FROM qunpulse.local_days
        ) AS c ON c.community_id = s.community_id AND c.utc_date = toDate(s.occurred_at)
        WHERE s.occurred_at >= c.day AND ifNull(s.occurred_at < c.ends_at, 1)
        UNION ALL
        SELECT community_id, 'longest_streak', '', member_id, 0, toInt64(streak_days), local_date
        FROM qunpulse.check_in_days
    ),
    -- A thing counts once a period: a second message of a minute, a second reply by the same person. Persons are told apart
    -- by 64 bits of a hash: two of a thousand who reply to one member are taken for one with a chance below 10^-13.
    scores AS
    (
        SELECT
            community_id, board, currency, member_id,
            arrayJoin([('day', local_date), ('week', toMonday(local_date)), ('month', toStartOfMonth(local_date))]) AS span,
            span.1 AS period, span.2 AS period_start,
            multiIf(period = 'day', period_start + 1, period = 'week', period_start + 7, addMonths(period_start, 1)) AS next_start,
            multiIf(board = 'longest_streak', max(amount), board = 'best_buyers', sum(amount), toInt64(uniqExact(what))) AS points
        FROM dated
        GROUP BY community_id, board, currency, member_id, span
        HAVING points > 0
    ),
    -- since when somebody is known as staff, and when periods end: by the wall clock of the community
    employed AS
    (
        SELECT e.community_id AS community_id, e.member_id AS member_id, min(toDate(e.since + o.offset_seconds)) AS since_date
        FROM
        (
            SELECT community_id, member_id, min(occurred_at) AS since
            FROM told
            WHERE event_type = 'message' AND sender_role IN ('staff', 'bot') OR event_type = 'join' AND role IN ('staff', 'bot')
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
            FROM told
            GROUP BY community_id
        ) AS k
        ASOF INNER JOIN qunpulse.community_offsets AS o ON o.community_id = k.community_id AND k.clock >= o.starts_at
    )
SELECT
    s.community_id AS community_id, s.period AS period, s.period_start AS period_start, s.board AS board, s.currency AS currency,
    rank() OVER (PARTITION BY community_id, period, period_start, board, currency ORDER BY s.points DESC) AS rank,
    s.member_id AS member_id, s.points AS score, toDateTime64(s.next_start, 3, 'UTC') <= k.local_clock AS is_final
FROM scores AS s
INNER JOIN clocks AS k ON k.community_id = s.community_id
LEFT JOIN employed AS e ON e.community_id = s.community_id AND e.member_id = s.member_id
WHERE e.member_id = '' OR e.since_date >= s.next_start
QUALIFY rank <= 10
COMMENT 'The ten best of each day, week and month on five boards; a row per community, period, board and ranked member. Times are UTC; dates are the community''s own';
