CREATE OR REPLACE VIEW qunpulse.effort_participants
(
    community_id String COMMENT 'Community',
    effort_id String COMMENT 'Campaign or event, see efforts',
    kind LowCardinality(String) COMMENT 'campaign, or the kind of the event',
    member_id String COMMENT 'Member (staff and bots left out)',
    first_at DateTime64(3, 'UTC') COMMENT 'First part in it (UTC, milliseconds)',
    took_part UInt8 COMMENT '1 with a message, an interaction, a paid order or a referral in it, 0 for somebody who only joined by it or during it',
    is_new UInt8 COMMENT '1 when the member joined the community by it (campaign) or during it (event), else 0',
    retained_30d Nullable(UInt8) COMMENT 'New members: 1 when still on the roster 30 days after joining, 0 when not; NULL for others and while the 30 days (720 hours) are not over in the community'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    p.community_id AS community_id, p.effort_id AS effort_id, p.kind AS kind, p.member_id AS member_id,
    p.first_at AS first_at, p.took_part AS took_part, p.joined_at IS NOT NULL AS is_new,
    if(is_new AND p.later <= l.last_at, arrayExists(s -> s.1 <= p.later AND ifNull(s.2 > p.later, 1), r.stays), NULL)
        AS retained_30d
FROM (SELECT *, assumeNotNull(joined_at) + INTERVAL 720 HOUR AS later FROM qunpulse.effort_parts) AS p
LEFT JOIN
(
    SELECT community_id, member_id, groupArray((starts_at, ends_at)) AS stays
    FROM qunpulse.memberships
    GROUP BY community_id, member_id
) AS r ON r.community_id = p.community_id AND r.member_id = p.member_id
INNER JOIN
(
    SELECT community_id, max(occurred_at) AS last_at
    FROM qunpulse_store.events
    WHERE late = 0
    GROUP BY community_id
) AS l ON l.community_id = p.community_id
COMMENT 'Who took part in which campaign or event, or joined by it: a row per community, effort and member. Times are UTC';
