CREATE OR REPLACE VIEW qunpulse.member_days
(
    community_id String COMMENT 'Community',
    day DateTime('UTC') COMMENT 'Instant (UTC) at which the local day of the community begins',
    member_id String COMMENT 'Member',
    messages UInt32 COMMENT 'Messages of speaking kinds (not counted while staff or bot); count',
    interactions UInt32 COMMENT 'Interactions (not counted while staff or bot); count',
    orders UInt32 COMMENT 'Paid orders; count',
    refunds UInt32 COMMENT 'Refunded orders; count',
    first_at DateTime64(3, 'UTC') COMMENT 'First of these on that day (UTC, milliseconds)',
    last_at DateTime64(3, 'UTC') COMMENT 'Last of these on that day (UTC, milliseconds)'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, day, member_id, messages, interactions, orders, refunds, first_at, last_at
FROM qunpulse_store.member_days FINAL
COMMENT 'What each member did on each local day; a row per community, local day and member with a message, interaction, order or refund. Times are UTC';
