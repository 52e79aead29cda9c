-- Where each member stands in the AARRR funnel. Times of a member are gathered as arrays of numbers and asked afterwards,
-- since what counts depends on when the member joined. Events are read without FINAL: a copy of an event is the same time.
-- A step is limited by local days, so each joining day carries the instants at which the days after it begin.
CREATE OR REPLACE VIEW qunpulse.funnel_members
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member; staff and bots have no row',
    join_week Date COMMENT 'Monday of the local week in which the member joined for the first time',
    source String COMMENT 'Where from: source of that join (channel or QR code), else its via (invite, qr_code, link, search, ad, offline, import, unknown)',
    acquired_at DateTime64(3, 'UTC') COMMENT 'Acquired: joined for the first time (UTC, milliseconds)',
    activated_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Activated: first message of a speaking kind or paid order, at the latest on the last local day that view definitions allows (7 days after joining; UTC, milliseconds); NULL if none',
    retained_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Retained: first message, interaction or paid order on local days 8 to 30 after joining (UTC, milliseconds); NULL if none',
    bought_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Bought: first paid order after joining (UTC, milliseconds); NULL if none',
    referred_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Referred: first referral as referrer, or first join of somebody who names the member as inviter, after joining (UTC, milliseconds); NULL if none',
    strict_retained_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Strict sequence: retained_at of somebody activated (UTC, milliseconds); NULL if a step before is missing',
    strict_bought_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Strict sequence: first paid order at strict_retained_at or later (UTC, milliseconds); NULL if a step before is missing',
    strict_referred_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Strict sequence: first referral at strict_bought_at or later (UTC, milliseconds); NULL if a step before is missing'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    toDateTime64('2299-01-01', 3, 'UTC') AS never,
    toDateTime('2106-01-01', 'UTC') AS no_such_day,
    did AS
    (
        SELECT
            community_id, member_id,
            groupArrayIf(at, speaks OR pays) AS starts, groupArrayIf(at, speaks OR interacts OR pays) AS acts,
            groupArrayIf(at, pays) AS orders, groupArrayIf(at, refers) AS referrals
        FROM
        (
            SELECT
                community_id, member_id, occurred_at AS at,
                event_type = 'message' AND sender_role NOT IN ('staff', 'bot') AS talks,
                kind IN
                (
                    'reaction', 'vote', 'check_in', 'red_packet', 'survey', 'lottery', 'card', 'coupon_claim',
                    'coupon_use', 'attend', 'live_view', 'click'
                ) AS of_interaction,
                talks AND NOT of_interaction AS speaks, talks AND of_interaction AS interacts,
                event_type = 'order' AND status = 'paid' AS pays, event_type = 'referral' AND referee_id != member_id AS refers
            FROM qunpulse_store.events
            WHERE late = 0
            UNION ALL
            SELECT community_id, inviter_id, occurred_at, 0, 0, 0, 0, 0, 1
            FROM qunpulse_store.events
            WHERE late = 0 AND event_type = 'join' AND action = 'joined' AND inviter_id NOT IN ('', member_id)
        )
        GROUP BY community_id, member_id
    ),
    -- starts of the days after a day; a date that the time zone skipped is passed over
    days_after AS
    (
        SELECT
            community_id, local_date,
            groupArray((local_date, day)) OVER (in_order RANGE BETWEEN 2 FOLLOWING AND 10 FOLLOWING) AS soon,
            groupArray((local_date, day)) OVER (in_order RANGE BETWEEN 31 FOLLOWING AND 33 FOLLOWING) AS later
        FROM qunpulse.local_days
        WINDOW in_order AS (PARTITION BY community_id ORDER BY toInt32(local_date))
    )
SELECT
    community_id, member_id, join_week, source, joined_at AS acquired_at,
    nullIf(start_at, never) AS activated_at, nullIf(act_at, never) AS retained_at,
    nullIf(arrayMin(arrayPushBack(arrayFilter(at -> at >= joined_at, orders), never)), never) AS bought_at,
    nullIf(arrayMin(arrayPushBack(arrayFilter(at -> at >= joined_at, referrals), never)), never) AS referred_at,
    nullIf(strict_act_at, never) AS strict_retained_at, nullIf(strict_order_at, never) AS strict_bought_at,
    nullIf(arrayMin(arrayPushBack(arrayFilter(at -> at >= strict_order_at, referrals), never)), never) AS strict_referred_at
FROM
(
    SELECT
        community_id, member_id, join_week, source, joined_at, orders, referrals,
        (arrayFirst(later_day -> later_day.1 > join_date + last_day, soon) AS after_activation).2 AS activated_before,
        (arrayFirst(later_day -> later_day.1 >= join_date + 8, soon) AS eighth).2 AS day_8,
        arrayMin
        (
            arrayPushBack
            (
                arrayFilter
                (
                    at -> at >= joined_at AND at < if(activated_before = toDateTime(0, 'UTC'), no_such_day, activated_before),
                    starts
                ),
                never
            )
        ) AS start_at,
        arrayMin
        (
            arrayPushBack
            (
                arrayFilter
                (
                    at -> at >= if(day_8 = toDateTime(0, 'UTC'), no_such_day, day_8)
                        AND at < if(empty(later), no_such_day, later[1].2),
                    acts
                ),
                never
            )
        ) AS act_at,
        if(start_at < never, act_at, never) AS strict_act_at,
        arrayMin(arrayPushBack(arrayFilter(at -> at >= strict_act_at, orders), never)) AS strict_order_at
    FROM qunpulse.first_joins
    INNER JOIN days_after ON days_after.community_id = first_joins.community_id AND days_after.local_date = first_joins.join_date
    LEFT JOIN did USING (community_id, member_id)
    CROSS JOIN (SELECT any(value) AS last_day FROM qunpulse.definitions WHERE name = 'activation_days') AS activation
)
COMMENT 'When each member took the steps of the funnel acquired, activated, retained, bought, referred; a row per community and member with a joined event. Times are UTC; dates are the community''s own';
