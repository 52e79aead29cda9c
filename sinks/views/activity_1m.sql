CREATE OR REPLACE VIEW qunpulse.activity_1m
(
    community_id String COMMENT 'Community',
    window_start DateTime('UTC') COMMENT 'Start of the minute (UTC); the window is [start, start + 1 minute)',
    messages UInt32 COMMENT 'Messages of speaking kinds by members (staff and bots not counted), in this minute; count',
    speakers UInt32 COMMENT 'Distinct members with a message, in this minute; count',
    interactions UInt32 COMMENT 'Interactions (reactions, votes, check-ins, clicks, …) by members (staff and bots not counted), in this minute; count',
    active_members UInt32 COMMENT 'Distinct members with a message, an interaction or a paid order, in this minute; count',
    staff_messages UInt32 COMMENT 'Messages and interactions of staff and bots, which count nowhere else, in this minute; count',
    joins UInt32 COMMENT 'Times a member joined (lines of roster snapshots not counted), in this minute; count',
    leaves UInt32 COMMENT 'Times a member left, was removed or was gone for an unknown reason, in this minute; count',
    orders UInt32 COMMENT 'Paid orders, whoever placed them, in this minute; count',
    refunds UInt32 COMMENT 'Refunded orders, in this minute; count',
    buyers UInt32 COMMENT 'Distinct members with a paid order, in this minute; count',
    promotions UInt32 COMMENT 'Messages and interactions of members that are promotions, in this minute; count',
    links UInt32 COMMENT 'Messages of kind link by members, in this minute; count',
    check_ins UInt32 COMMENT 'Interactions of kind check_in by members, in this minute; count',
    replies UInt32 COMMENT 'Messages of members that reply to a message or a member, in this minute; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, window_start, messages, speakers, interactions, active_members, staff_messages, joins,
    leaves, orders, refunds, buyers, promotions, links, check_ins, replies
FROM qunpulse_store.activity_1m FINAL
COMMENT 'Activity of each minute by event time, exact whatever arrived when inside the allowed lateness; a row per community and minute that has any figure. Times are UTC';
