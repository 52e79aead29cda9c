-- The tiers are those of the alerts: the same rules, the same figures, as they stood at the end of each day on which
-- something of them could change. Silence changes no tier (stages of view lifecycle tell it), so other days have no row.
CREATE OR REPLACE VIEW qunpulse.member_tier_days
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member (staff and bots by their latest role left out)',
    local_date Date COMMENT 'Local day with a message, a roster event, a paid order or a referral of the member',
    role LowCardinality(String) COMMENT 'Role in the latest message or join event until the end of that day; member if none',
    active_days_30 UInt64 COMMENT 'Local days with a message, an interaction or a paid order among the 30 that end with the last such day until then; days',
    orders UInt64 COMMENT 'Paid orders until then (paid events, as in members); count',
    paid_minor Int64 COMMENT 'Paid until then, whatever the currency; minor units',
    referrals UInt64 COMMENT 'Referral events as referrer until then; count',
    offer_actions_30 UInt64 COMMENT 'Coupons claimed or used, live shows viewed and clicks in the 30 local days that end with the last active one until then; count',
    tier LowCardinality(String) COMMENT 'By behaviour, the highest that fits: core, key_opinion, active, ordinary (rules file, section tiers)',
    value_tier LowCardinality(String) COMMENT 'By spending and intent: high_value, high_intent, low_intent (rules file, section tiers)'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    (SELECT mapFromArrays(groupArray(toString(name)), groupArray(value)) FROM qunpulse_store.definitions FINAL) AS rule,
    did AS
    (
        SELECT
            e.community_id AS community_id, e.member_id AS member_id, toDate(e.occurred_at + o.offset_seconds) AS local_date,
            countIf(e.acts) > 0 AS active, countIf(e.buys) AS orders, sumIf(e.amount_minor, e.buys) AS paid_minor,
            countIf(e.event_type = 'referral') AS referrals, countIf(e.looks) AS offer_actions,
            argMaxIf(e.told_role, (e.occurred_at, e.rank), e.told_role != '') AS told_role
        FROM
        (
            SELECT
                community_id, member_id, occurred_at, event_type, amount_minor,
                multiIf(event_type = 'message', toString(sender_role), event_type = 'join', toString(role), '') AS told_role,
                indexOf(['member', 'expert', 'owner', 'admin', 'staff', 'bot'], told_role) AS rank,
                event_type = 'order' AND status = 'paid' AS buys,
                event_type = 'message' AND sender_role NOT IN ('staff', 'bot') OR buys AS acts,
                event_type = 'message' AND acts AND kind IN ('coupon_claim', 'coupon_use', 'live_view', 'click') AS looks
            FROM qunpulse_store.events FINAL
            WHERE late = 0 AND member_id != '' AND (event_type != 'order' OR status = 'paid')
        ) AS e
        ASOF INNER JOIN qunpulse.community_offsets AS o ON o.community_id = e.community_id AND e.occurred_at >= o.starts_at
        GROUP BY community_id, member_id, local_date
    ),
    counted AS
    (
        SELECT
            community_id, member_id, local_date, active, sum(orders) OVER past AS orders, sum(paid_minor) OVER past AS paid_minor,
            sum(referrals) OVER past AS referrals, sum(active) OVER month AS active_days, sum(offer_actions) OVER month AS offers,
            argMax(told_role, if(told_role = '', toDate(0), local_date)) OVER past AS known_role,
            argMax(told_role, if(told_role = '', toDate(0), local_date)) OVER every AS last_role
        FROM did
        WINDOW
            past AS (PARTITION BY community_id, member_id ORDER BY local_date ROWS UNBOUNDED PRECEDING),
            month AS (PARTITION BY community_id, member_id ORDER BY toUInt32(local_date) RANGE BETWEEN 29 PRECEDING AND CURRENT ROW),
            every AS (PARTITION BY community_id, member_id)
    ),
    standing AS
    (
        SELECT
            community_id, member_id, local_date, if(known_role = '', 'member', known_role) AS role, orders, paid_minor, referrals,
            -- a day without activity has the figures of the last one with it
            argMax(active_days, if(active, local_date, toDate(0))) OVER past AS recent_days,
            argMax(offers, if(active, local_date, toDate(0))) OVER past AS recent_offers,
            max(active) OVER past AS ever_active
        FROM counted
        WHERE last_role NOT IN ('staff', 'bot')
        WINDOW past AS (PARTITION BY community_id, member_id ORDER BY local_date ROWS UNBOUNDED PRECEDING)
    )
SELECT
    community_id, member_id, local_date, role, if(ever_active, recent_days, 0) AS active_days_30, orders, paid_minor, referrals,
    if(ever_active, recent_offers, 0) AS offer_actions_30,
    multiIf(
        active_days_30 >= rule['tier_core_active_days_30'] AND orders >= rule['tier_core_orders'], 'core',
        rule[concat('tier_key_opinion_role_', role)] = 1 OR active_days_30 >= rule['tier_key_opinion_active_days_30']
            OR referrals >= rule['tier_key_opinion_referrals'], 'key_opinion',
        active_days_30 >= rule['tier_active_days_30'], 'active', 'ordinary') AS tier,
    multiIf(
        orders >= rule['tier_high_value_orders'] OR paid_minor >= rule['tier_high_value_paid_minor'], 'high_value',
        orders > 0 OR offer_actions_30 >= rule['tier_high_intent_actions'], 'high_intent', 'low_intent') AS value_tier
FROM standing
COMMENT 'Tiers of members at the end of each local day on which something about them could change; a row per community, member and such day. Times are UTC; dates are the community''s own';
