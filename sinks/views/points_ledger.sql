-- Everything here is a function of events and rules: asked twice, it says the same, and nothing is booked twice. Points go
-- out oldest first, so two running sums make the balance (E: all points earned so far, S: all taken out by redemption and
-- reversal so far). A day's points expire with what is left of E as of that day, E(day), when it comes: whatever went out
-- by then beyond E(day) came from later days. All that expired by a time t is therefore the largest E(day) - S before the
-- expiry, over all expiries until t, or 0: the same as keeping each day's points in a queue.
CREATE OR REPLACE VIEW qunpulse.points_ledger
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member',
    entry_id String COMMENT 'Entry, unique in its community and member and the same whenever it is asked for',
    local_date Date COMMENT 'Local day of the entry',
    at Nullable(DateTime64(3, 'UTC')) COMMENT 'What it stands on happened at (UTC, milliseconds; for messages of a day the last one); NULL for expiry, which comes before all else of its day',
    kind LowCardinality(String) COMMENT 'check_in, streak_bonus, message, invitation, order: earned; redemption: a reward claimed (coupon_claim); reversal: order refunded or invitation reversed; expiry',
    about String COMMENT 'Order, referee of the invitation, or reward; empty for others',
    points Int64 COMMENT 'Points earned (above 0) or taken out (below 0), by section points of the rules file with its daily caps; points',
    balance Int64 COMMENT 'Points after it, below 0 when more was taken out than there was (it is paid off by later points); points',
    expires_on Nullable(Date) COMMENT 'Local day on which what is left of these points expires; NULL for what was taken out'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    (SELECT mapFromArrays(groupArray(toString(name)), groupArray(value)) FROM qunpulse_store.definitions FINAL) AS rule,
    -- A credit's points under the daily cap, and what a reversal takes back; a withdrawn transition never was.
    invitations AS
    (
        SELECT
            community_id, member_id, entry.1 AS at, entry.2 AS kind, referee_id AS about, edge_id AS key, entry.3 AS points_booked
        FROM
        (
            SELECT
                *, toInt64(row_number() OVER (PARTITION BY community_id, member_id, local_date ORDER BY matured_at, edge_id)) AS nth,
                least(rule['points_invitation_cap'], nth * rule['points_invitation'])
                    - least(rule['points_invitation_cap'], (nth - 1) * rule['points_invitation']) AS points
            FROM
            (
                SELECT
                    c.community_id AS community_id, c.member_id AS member_id, c.referee_id AS referee_id, c.edge_id AS edge_id,
                    c.matured_at AS matured_at, c.reversed_at AS reversed_at, toDate(c.matured_at + o.offset_seconds) AS local_date
                FROM
                (
                    SELECT
                        community_id, referrer_id AS member_id, referee_id, edge_id, minIf(changed_at, state = 'matured') AS matured_at,
                        maxIf(changed_at, state = 'reversed') AS reversed_at
                    FROM qunpulse_store.referral_credits FINAL
                    WHERE NOT withdrawn
                    GROUP BY community_id, member_id, referee_id, edge_id
                    HAVING countIf(state = 'matured') > 0
                ) AS c
                ASOF INNER JOIN qunpulse.community_offsets AS o ON o.community_id = c.community_id AND c.matured_at >= o.starts_at
            )
        )
        ARRAY JOIN if(reversed_at = toDateTime64(0, 3, 'UTC'), [(matured_at, 'invitation', points)],
            [(matured_at, 'invitation', points), (reversed_at, 'reversal', -points)]) AS entry
    ),
    -- An order's points under the daily cap. What is left of them is their share of what is left of its amount, in whole points.
    orders AS
    (
        SELECT
            community_id, member_id, entry.1 AS at, entry.2 AS kind, order_id AS about, concat(order_id, entry.4) AS key,
            entry.3 AS points_booked
        FROM
        (
            SELECT
                o.community_id AS community_id, o.member_id AS member_id, o.order_id AS order_id, o.ordered_at AS ordered_at,
                o.amount_minor AS amount_minor, f.refunds AS refunds,
                toInt64(intDiv(o.amount_minor, greatest(1, rule['points_order_unit_minor']))) AS worth,
                sum(worth) OVER (PARTITION BY community_id, member_id, o.local_date ORDER BY ordered_at, order_id
                    ROWS UNBOUNDED PRECEDING) AS full,
                least(rule['points_order_cap'], full) - least(rule['points_order_cap'], full - worth) AS points
            FROM (SELECT * FROM qunpulse.orders WHERE NOT employed) AS o
            LEFT JOIN
            (
                SELECT community_id, order_id, arraySort(groupArray((refunded_at, event_id, refunded_minor))) AS refunds
                FROM qunpulse.refunds
                GROUP BY community_id, order_id
            ) AS f ON f.community_id = o.community_id AND f.order_id = o.order_id
        )
        ARRAY JOIN arrayConcat([(ordered_at, 'order', points, '')], arrayMap((f, taken) ->
            (f.1, 'reversal',
                intDiv(points * greatest(0, amount_minor - taken), greatest(1, amount_minor))
                    - intDiv(points * greatest(0, amount_minor - taken + f.3), greatest(1, amount_minor)),
                concat('/', f.2)),
            refunds, arrayCumSum(arrayMap(f -> f.3, refunds)))) AS entry
    ),
    check_ins AS
    (
        SELECT
            community_id, member_id, first_at AS at, entry.1 AS kind, toString(local_date) AS key, entry.2 AS points_booked
        FROM qunpulse.check_in_days
        ARRAY JOIN if(streak_days % greatest(1, rule['points_streak_days']) = 0,
            [('check_in', rule['points_check_in']), ('streak_bonus', rule['points_streak_bonus'])],
            [('check_in', rule['points_check_in'])]) AS entry
    ),
    -- messages by local day, which begins with a quarter of an hour everywhere; other copies of an event fall into the same
    -- minute
    messages AS
    (
        SELECT
            e.community_id AS community_id, e.member_id AS member_id, max(e.last_at) AS at,
            toString(toDate(e.last_at + o.offset_seconds)) AS key,
            least(rule['points_message_cap'], toInt64(sum(e.minutes)) * rule['points_message']) AS points_booked
        FROM
        (
            SELECT
                community_id, member_id, max(occurred_at) AS last_at, uniqExact(toStartOfMinute(occurred_at)) AS minutes
            FROM qunpulse_store.events
            WHERE event_type = 'message' AND sender_role NOT IN ('staff', 'bot') AND late = 0 AND kind IN
                ('text', 'image', 'video', 'audio', 'file', 'link', 'sticker', 'mini_program', 'share', 'poll', 'other')
            GROUP BY community_id, member_id, toStartOfFifteenMinutes(occurred_at)
        ) AS e
        ASOF INNER JOIN qunpulse.community_offsets AS o ON o.community_id = e.community_id AND e.last_at >= o.starts_at
        GROUP BY community_id, member_id, key
    ),
    booked AS
    (
        SELECT
            b.community_id AS community_id, b.member_id AS member_id, b.at AS at, b.kind AS kind, b.about AS about,
            concat(b.kind, ':', b.key) AS entry_id, b.points_booked AS points, toDate(b.at + o.offset_seconds) AS local_date
        FROM
        (
            SELECT community_id, member_id, at, kind, '' AS about, key, points_booked FROM check_ins
            UNION ALL
            SELECT community_id, member_id, at, 'message', '', key, points_booked FROM messages
            UNION ALL
            SELECT community_id, member_id, at, kind, about, key, points_booked FROM invitations
            UNION ALL
            SELECT community_id, member_id, at, kind, about, key, points_booked FROM orders
            UNION ALL
            SELECT r.community_id, r.member_id, r.at, 'redemption', r.object_id, r.event_id, -toInt64(w.points)
            FROM
            (
                SELECT community_id, member_id, object_id, event_id, min(occurred_at) AS at
                FROM qunpulse_store.events
                WHERE event_type = 'message' AND kind = 'coupon_claim' AND sender_role NOT IN ('staff', 'bot') AND late = 0
                GROUP BY community_id, member_id, object_id, event_id
            ) AS r
            INNER JOIN (SELECT * FROM qunpulse_store.point_rewards FINAL) AS w ON w.object_id = r.object_id
        ) AS b
        ASOF INNER JOIN qunpulse.community_offsets AS o ON o.community_id = b.community_id AND b.at >= o.starts_at
        WHERE b.points_booked != 0
    ),
    -- with an expiry (phase 0) for each day on which something was earned
    entries AS
    (
        SELECT
            b.community_id AS community_id, b.member_id AS member_id, b.earned_by_then AS earned_by_then,
            arrayJoin(if(b.points > 0 AND b.nth = b.earlier + 1 AND b.local_date + toUInt16(rule['points_expiry_days']) <= c.as_of,
                [0, 1], [1])) AS phase,
            if(phase, b.local_date, b.local_date + toUInt16(rule['points_expiry_days'])) AS local_date, if(phase, b.at, NULL) AS at,
            if(phase, b.kind, 'expiry') AS kind, if(phase, b.about, '') AS about,
            if(phase, b.entry_id, concat('expiry:', toString(local_date))) AS entry_id, if(phase, b.points, 0) AS points
        FROM
        (
            -- one sort: which one of a day's entries brings its expiry does not matter
            SELECT
                *, sum(greatest(0, points)) OVER (days RANGE UNBOUNDED PRECEDING) AS earned_by_then,
                countIf(points > 0) OVER (days ROWS UNBOUNDED PRECEDING) AS nth,
                countIf(points > 0) OVER (days RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
            FROM booked
            WINDOW days AS (PARTITION BY community_id, member_id ORDER BY local_date)
        ) AS b
        INNER JOIN
        (
            SELECT community_id, max(local_date) AS as_of
            FROM qunpulse_store.community_days FINAL
            GROUP BY community_id
        ) AS c ON c.community_id = b.community_id
    ),
    summed AS
    (
        SELECT *, sum(greatest(0, points)) OVER past AS earned, sum(greatest(0, -points)) OVER past AS spent
        FROM entries
        WINDOW past AS
        (
            PARTITION BY community_id, member_id ORDER BY local_date, phase, at, entry_id ROWS UNBOUNDED PRECEDING
        )
    ),
    expired AS
    (
        SELECT
            *, greatest(0, max(if(phase = 0, earned_by_then - spent, 0)) OVER past) AS gone,
            greatest(0, max(if(phase = 0, earned_by_then - spent, 0)) OVER before) AS gone_before
        FROM summed
        WINDOW
            past AS (PARTITION BY community_id, member_id ORDER BY local_date, phase, at, entry_id ROWS UNBOUNDED PRECEDING),
            before AS
            (
                PARTITION BY community_id, member_id ORDER BY local_date, phase, at, entry_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            )
    )
SELECT
    community_id, member_id, entry_id, local_date, at, kind, about,
    if(e.phase = 0, toInt64(gone_before - gone), toInt64(e.points)) AS points, toInt64(earned - spent - gone) AS balance,
    if(e.points > 0, local_date + toUInt16(rule['points_expiry_days']), NULL) AS expires_on
FROM expired AS e
WHERE points != 0
COMMENT 'Every point that members earned, redeemed or lost, with the balance after it; a row per community, member and entry. Times are UTC; dates are the community''s own';
