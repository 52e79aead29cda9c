CREATE OR REPLACE VIEW qunpulse.referral_revenue
(
    campaign_id String COMMENT 'Campaign',
    member_id String COMMENT 'Member of the campaign''s forest',
    currency LowCardinality(String) COMMENT 'Currency (ISO 4217) of the amounts',
    own_orders UInt64 COMMENT 'Paid orders of the member itself in the community it was brought to; count',
    own_paid_minor Int64 COMMENT 'What these paid; minor units of the currency',
    own_refunded_minor Int64 COMMENT 'What was refunded to it; minor units of the currency',
    subtree_orders UInt64 COMMENT 'Paid orders of all members below it, itself left out; count',
    subtree_paid_minor Int64 COMMENT 'What these paid; minor units of the currency',
    subtree_refunded_minor Int64 COMMENT 'What was refunded to them; minor units of the currency',
    own_revenue_minor Int64 COMMENT 'Paid minus refunded of the member itself; minor units of the currency',
    subtree_revenue_minor Int64 COMMENT 'Paid minus refunded of all members below it; minor units of the currency'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    campaign_id, member_id, currency, own_orders, own_paid_minor, own_refunded_minor,
    subtree_orders, subtree_paid_minor, subtree_refunded_minor,
    own_paid_minor - own_refunded_minor AS own_revenue_minor,
    subtree_paid_minor - subtree_refunded_minor AS subtree_revenue_minor
FROM qunpulse_store.referral_revenue FINAL
WHERE own_orders > 0 OR own_paid_minor > 0 OR own_refunded_minor > 0
    OR subtree_orders > 0 OR subtree_paid_minor > 0 OR subtree_refunded_minor > 0
COMMENT 'Money of referral forests as of the last checkpoint; a row per campaign, member and currency with any. A member counts with its orders in the community of its linked edge, unless it was a member there already. Times are UTC';
