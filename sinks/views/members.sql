-- The tier is worked out here, from the member's own row and the rules in force: a landed one would be as old as the
-- member's last event when the rules change. Without rules landed nobody is more than ordinary.
CREATE OR REPLACE VIEW qunpulse.members
(
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member',
    status LowCardinality(String) COMMENT 'active: on the roster; left: left, removed or gone; observed: seen, but not known to be on the roster',
    role LowCardinality(String) COMMENT 'Role in the latest message or join event: member, expert, owner, admin, staff or bot',
    first_seen_at DateTime64(3, 'UTC') COMMENT 'First event of any kind (UTC, milliseconds)',
    last_seen_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Last message, interaction or paid order (UTC, milliseconds); NULL if none',
    joined_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest time of joining (UTC, milliseconds); NULL if never seen to join',
    left_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest time of leaving, for whatever reason (UTC, milliseconds); NULL if never',
    messages UInt32 COMMENT 'Messages of speaking kinds ever (not counted while staff or bot); count',
    interactions UInt32 COMMENT 'Interactions ever (not counted while staff or bot); count',
    orders UInt32 COMMENT 'Paid orders ever; count',
    referrals UInt32 COMMENT 'Referral events as referrer; count',
    active_days_30 UInt8 COMMENT 'Local days with a message, interaction or paid order among the 30 that end with the member''s last such day; days',
    typical_gap_days Nullable(Float32) COMMENT 'Median gap between consecutive active local days among the last 32 of them; days; NULL with fewer than two',
    tier LowCardinality(String) COMMENT 'By behaviour, the highest that fits: core, key_opinion, active, ordinary (rules file, section tiers; as in lifecycle, which also has the tier by value); ordinary for staff and bots'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    (SELECT mapFromArrays(groupArray(toString(name)), groupArray(value)) FROM qunpulse_store.definitions FINAL) AS rule
SELECT
    community_id, member_id, status, role, first_seen_at, last_seen_at, joined_at, left_at, messages,
    interactions, orders, referrals, active_days_30, typical_gap_days,
    multiIf(
        empty(rule) OR role IN ('staff', 'bot'), 'ordinary',
        active_days_30 >= rule['tier_core_active_days_30'] AND orders >= rule['tier_core_orders'], 'core',
        rule[concat('tier_key_opinion_role_', role)] = 1 OR active_days_30 >= rule['tier_key_opinion_active_days_30']
            OR referrals >= rule['tier_key_opinion_referrals'], 'key_opinion',
        active_days_30 >= rule['tier_active_days_30'], 'active', 'ordinary') AS tier
FROM qunpulse_store.members FINAL
COMMENT 'Members of each community as of the last checkpoint; a row per community and member. Every figure is relative to the member''s own activity, none to when it is read. Times are UTC';
