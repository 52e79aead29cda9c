CREATE OR REPLACE VIEW qunpulse.alert_mutes
(
    mute_id String COMMENT 'Id of what is muted',
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member; empty for all',
    kind LowCardinality(String) COMMENT 'Kind of alert; empty for all',
    until DateTime64(3, 'UTC') COMMENT 'When the mute ends (UTC, milliseconds)',
    reason String COMMENT 'Why, in the operator''s words',
    issued_by String COMMENT 'Who muted it',
    issued_at DateTime64(3, 'UTC') COMMENT 'When it was muted (UTC, milliseconds)',
    lifted UInt8 COMMENT '1 when it was unmuted before its end, else 0'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    mute_id, community_id, member_id, kind, until, reason, issued_by, issued_at, lifted
FROM qunpulse_store.alert_mutes FINAL
COMMENT 'What operators silenced; a row per community, member and kind, the latest mute of each. Times are UTC';
