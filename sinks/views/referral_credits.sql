CREATE OR REPLACE VIEW qunpulse.referral_credits
(
    campaign_id String COMMENT 'Campaign',
    referee_id String COMMENT 'Member who was brought',
    edge_id String COMMENT 'Edge the credit belongs to: origin/community/event',
    changed_at DateTime64(3, 'UTC') COMMENT 'Event time of the transition: of the edge for pending and rejected, the due time for matured, of leaving for reversed (UTC, milliseconds)',
    referrer_id String COMMENT 'Member who earns or would have earned the credit',
    state LowCardinality(String) COMMENT 'What the credit became: pending, matured, reversed or rejected',
    reason LowCardinality(String) COMMENT 'Why it was rejected: self_referral, duplicate_parent, cycle, already_member, staff_referrer or outside_campaign; left for reversed; else empty'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT campaign_id, referee_id, edge_id, changed_at, referrer_id, state, reason
FROM qunpulse_store.referral_credits FINAL
WHERE NOT withdrawn
COMMENT 'Ledger of referral credits as of the last checkpoint; a row per transition, each at most once an edge. What a late event undid is not shown. Times are UTC';
