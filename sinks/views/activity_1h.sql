CREATE OR REPLACE VIEW qunpulse.activity_1h
(
    community_id String COMMENT 'Community',
    window_start DateTime('UTC') COMMENT 'Start of the hour (UTC); the window is [start, start + 1 hour)',
    messages UInt32 COMMENT 'Messages of speaking kinds by members (staff and bots not counted), in this hour; count',
    speakers UInt32 COMMENT 'Distinct members with a message, in this hour; count',
    interactions UInt32 COMMENT 'Interactions (reactions, votes, check-ins, clicks, …) by members (staff and bots not counted), in this hour; count',
    active_members UInt32 COMMENT 'Distinct members with a message, an interaction or a paid order, in this hour; count',
    staff_messages UInt32 COMMENT 'Messages and interactions of staff and bots, which count nowhere else, in this hour; count',
    joins UInt32 COMMENT 'Times a member joined (lines of roster snapshots not counted), in this hour; count',
    leaves UInt32 COMMENT 'Times a member left, was removed or was gone for an unknown reason, in this hour; count',
    orders UInt32 COMMENT 'Paid orders, whoever placed them, in this hour; count',
    refunds UInt32 COMMENT 'Refunded orders, in this hour; count',
    buyers UInt32 COMMENT 'Distinct members with a paid order, in this hour; count',
    promotions UInt32 COMMENT 'Messages and interactions of members that are promotions, in this hour; count',
    links UInt32 COMMENT 'Messages of kind link by members, in this hour; count',
    check_ins UInt32 COMMENT 'Interactions of kind check_in by members, in this hour; count',
    replies UInt32 COMMENT 'Messages of members that reply to a message or a member, in this hour; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, window_start, messages, speakers, interactions, active_members, staff_messages, joins,
    leaves, orders, refunds, buyers, promotions, links, check_ins, replies
FROM qunpulse_store.activity_1h FINAL
COMMENT 'Activity of each hour by event time, exact whatever arrived when inside the allowed lateness; a row per community and hour that has any figure. Times are UTC';
