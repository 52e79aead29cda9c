CREATE OR REPLACE VIEW qunpulse.referral_nodes
(
    campaign_id String COMMENT 'Campaign; organic:<community> for invitations that name none',
    member_id String COMMENT 'Member of the campaign''s forest: referrer or referee of an edge that is no self-referral',
    parent_id String COMMENT 'Who brought the member: the referrer of its linked edge; empty for a root',
    root_id String COMMENT 'Top of the member''s tree; the member itself for a root',
    depth UInt32 COMMENT 'Linked edges up to the root, 0 for a root; count',
    direct UInt32 COMMENT 'Members it brought itself (linked edges); count',
    descendants UInt32 COMMENT 'Members below it at any depth; count',
    credit_state LowCardinality(String) COMMENT 'Credit of the edge from its parent: pending, matured, reversed or rejected; empty for a root',
    matured_direct UInt32 COMMENT 'Members it brought itself whose credit is matured and not reversed; count',
    matured_descendants UInt32 COMMENT 'Members below it whose credit is matured and not reversed; count',
    reversed_direct UInt32 COMMENT 'Members it brought itself whose credit is reversed; count',
    reversed_descendants UInt32 COMMENT 'Members below it whose credit is reversed; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    campaign_id, member_id, parent_id, root_id, depth, direct, descendants, credit_state,
    matured_direct, matured_descendants, reversed_direct, reversed_descendants
FROM qunpulse_store.referral_nodes FINAL
COMMENT 'Referral forests as of the last checkpoint; a row per campaign and member. The forest is the one that all edges taken by time give, whatever order they arrived in. Times are UTC';
