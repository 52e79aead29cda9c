CREATE OR REPLACE VIEW qunpulse.tier_changes
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member (staff and bots left out)',
    local_date Date COMMENT 'Local day at whose end the member stood in another tier than before',
    tier_before LowCardinality(String) COMMENT 'Tier by behaviour before: ordinary, active, key_opinion or core; everybody begins as ordinary',
    tier LowCardinality(String) COMMENT 'Tier by behaviour from then on',
    value_tier_before LowCardinality(String) COMMENT 'Tier by value before: low_intent, high_intent or high_value; everybody begins as low_intent',
    value_tier LowCardinality(String) COMMENT 'Tier by value from then on',
    active_days_30 UInt64 COMMENT 'What it stands on, see member_tier_days; days',
    orders UInt64 COMMENT 'Paid orders until then; count',
    paid_minor Int64 COMMENT 'Paid until then, whatever the currency; minor units',
    referrals UInt64 COMMENT 'Referral events as referrer until then; count',
    offer_actions_30 UInt64 COMMENT 'Coupons, live shows and clicks, see member_tier_days; count',
    role LowCardinality(String) COMMENT 'Role at the end of that day'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, member_id, local_date, if(is_first, 'ordinary', tier_then) AS tier_before, tier,
    if(is_first, 'low_intent', value_tier_then) AS value_tier_before, value_tier, active_days_30, orders, paid_minor, referrals,
    offer_actions_30, role
FROM
(
    SELECT
        *, toString(lagInFrame(toString(tier)) OVER steps) AS tier_then,
        toString(lagInFrame(toString(value_tier)) OVER steps) AS value_tier_then, row_number() OVER steps = 1 AS is_first
    FROM qunpulse.member_tier_days
    WINDOW steps AS (PARTITION BY community_id, member_id ORDER BY local_date ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
WHERE tier_before != tier OR value_tier_before != value_tier
COMMENT 'History of tiers: who rose or fell when, by the rules in force now; a row per community, member and day with a change. Times are UTC; dates are the community''s own';
