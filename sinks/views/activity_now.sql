-- Four rows a community: no condition needs to be pushed anywhere.
CREATE OR REPLACE VIEW qunpulse.activity_now
(
    community_id String COMMENT 'Community',
    window LowCardinality(String) COMMENT 'Length of the window: 1h, 24h, 7d or 30d',
    as_of DateTime('UTC') COMMENT 'End of the window (UTC, excluded): the end of the minute (1h, 24h) or hour (7d, 30d) that holds the community''s now',
    messages UInt32 COMMENT 'Messages of speaking kinds by members (staff and bots not counted), in [as_of - window, as_of); count',
    speakers UInt32 COMMENT 'Distinct members with a message, in [as_of - window, as_of); count',
    interactions UInt32 COMMENT 'Interactions (reactions, votes, check-ins, clicks, …) by members (staff and bots not counted), in [as_of - window, as_of); count',
    active_members UInt32 COMMENT 'Distinct members with a message, an interaction or a paid order, in [as_of - window, as_of); count',
    staff_messages UInt32 COMMENT 'Messages and interactions of staff and bots, which count nowhere else, in [as_of - window, as_of); count',
    joins UInt32 COMMENT 'Times a member joined (lines of roster snapshots not counted), in [as_of - window, as_of); count',
    leaves UInt32 COMMENT 'Times a member left, was removed or was gone for an unknown reason, in [as_of - window, as_of); count',
    orders UInt32 COMMENT 'Paid orders, whoever placed them, in [as_of - window, as_of); count',
    refunds UInt32 COMMENT 'Refunded orders, in [as_of - window, as_of); count',
    buyers UInt32 COMMENT 'Distinct members with a paid order, in [as_of - window, as_of); count',
    promotions UInt32 COMMENT 'Messages and interactions of members that are promotions, in [as_of - window, as_of); count',
    links UInt32 COMMENT 'Messages of kind link by members, in [as_of - window, as_of); count',
    check_ins UInt32 COMMENT 'Interactions of kind check_in by members, in [as_of - window, as_of); count',
    replies UInt32 COMMENT 'Messages of members that reply to a message or a member, in [as_of - window, as_of); count',
    members UInt32 COMMENT 'Roster size: members who joined or were observed and have not left; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, window, as_of, messages, speakers, interactions, active_members, staff_messages, joins,
    leaves, orders, refunds, buyers, promotions, links, check_ins, replies, members
FROM qunpulse_store.activity_now FINAL
COMMENT 'Activity of the last hour, day, week and month of each community, exact as of as_of; four rows per community. Times are UTC';
