CREATE OR REPLACE VIEW qunpulse.efforts
(
    community_id String COMMENT 'Community',
    effort_id String COMMENT 'Campaign id as events carry it, or name of an event of the rules file',
    kind LowCardinality(String) COMMENT 'campaign: whatever carries the campaign id belongs to it; else an event of the rules file, with its kind: what falls into its span belongs to it',
    name String COMMENT 'Name by the rules file; the id if it has none',
    starts_at DateTime64(3, 'UTC') COMMENT 'Beginning in this community (UTC, milliseconds): of an event by the rules file, of a campaign its first event',
    ends_at DateTime64(3, 'UTC') COMMENT 'End in this community (UTC, milliseconds, excluded): of an event by the rules file, of a campaign 1 ms after its last event',
    attribution_days UInt16 COMMENT 'For so many days after a participant''s first part in it their orders count as its own (rules file; 30 if it says nothing); days'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
-- Copies of an event are equal, and only the first and last time are asked for: no FINAL.
WITH
    carried AS
    (
        SELECT
            community_id, campaign_id, min(occurred_at) AS starts_at, max(occurred_at) + INTERVAL 1 MILLISECOND AS ends_at
        FROM qunpulse_store.events
        WHERE campaign_id != '' AND late = 0
        GROUP BY community_id, campaign_id
    )
SELECT
    c.community_id AS community_id, c.campaign_id AS effort_id, 'campaign' AS kind,
    if(r.name = '', c.campaign_id, r.name) AS name, c.starts_at AS starts_at, c.ends_at AS ends_at,
    if(r.campaign_id = '', 30, r.attribution_days) AS attribution_days
FROM carried AS c
LEFT JOIN (SELECT * FROM qunpulse_store.campaign_rules FINAL) AS r ON r.campaign_id = c.campaign_id
UNION ALL
SELECT
    community_id, span_id, kind, name, toDateTime64(starts_at, 3, 'UTC'), toDateTime64(ends_at, 3, 'UTC'), attribution_days
FROM qunpulse_store.event_spans FINAL
COMMENT 'Campaigns and events: a row per community and campaign that some event there names, and per community and event that the rules file says took place there. Times are UTC';
