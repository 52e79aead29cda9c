CREATE OR REPLACE VIEW qunpulse.activity_1d
(
    community_id String COMMENT 'Community',
    window_start DateTime('UTC') COMMENT 'Instant (UTC) at which the local day of the community begins; the window is that calendar day of its own time zone (23 to 25 hours)',
    messages UInt32 COMMENT 'Messages of speaking kinds by members (staff and bots not counted), on this local day; count',
    speakers UInt32 COMMENT 'Distinct members with a message, on this local day; count',
    interactions UInt32 COMMENT 'Interactions (reactions, votes, check-ins, clicks, …) by members (staff and bots not counted), on this local day; count',
    active_members UInt32 COMMENT 'Distinct members with a message, an interaction or a paid order, on this local day; count',
    staff_messages UInt32 COMMENT 'Messages and interactions of staff and bots, which count nowhere else, on this local day; count',
    joins UInt32 COMMENT 'Times a member joined (lines of roster snapshots not counted), on this local day; count',
    leaves UInt32 COMMENT 'Times a member left, was removed or was gone for an unknown reason, on this local day; count',
    orders UInt32 COMMENT 'Paid orders, whoever placed them, on this local day; count',
    refunds UInt32 COMMENT 'Refunded orders, on this local day; count',
    buyers UInt32 COMMENT 'Distinct members with a paid order, on this local day; count',
    promotions UInt32 COMMENT 'Messages and interactions of members that are promotions, on this local day; count',
    links UInt32 COMMENT 'Messages of kind link by members, on this local day; count',
    check_ins UInt32 COMMENT 'Interactions of kind check_in by members, on this local day; count',
    replies UInt32 COMMENT 'Messages of members that reply to a message or a member, on this local day; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, window_start, messages, speakers, interactions, active_members, staff_messages, joins,
    leaves, orders, refunds, buyers, promotions, links, check_ins, replies
FROM qunpulse_store.activity_1d FINAL
COMMENT 'Activity of each local day of a community; a row per community and day that has any figure. Days are of the time zone in view communities. Times are UTC';
