CREATE OR REPLACE VIEW qunpulse.alerts
(
    alert_id String COMMENT 'Id of the episode: its kind and a hash of subject and event fact; a replay arrives at the same one',
    kind LowCardinality(String) COMMENT 'What it is about: silent, lapsed_buyer, left, activity_drop, exodus, zombie, over_promotion, stalled_growth, unanswered, rule_violation, resync_needed or feed_silent',
    community_id String COMMENT 'Community; empty where a whole feed is meant',
    member_id String COMMENT 'Member; empty for an alert about a community or feed',
    assignee LowCardinality(String) COMMENT 'Who should act: the staff_id of the member''s orders, else the community''s assignee; empty if nobody is named',
    state LowCardinality(String) COMMENT 'opened; acknowledged: somebody looks after it; resolved: it is over; expired: it had fallen due long before it was first looked at, and nobody was told',
    severity LowCardinality(String) COMMENT 'low, medium, high or critical; from the member''s tier or the rule',
    opened_at DateTime64(3, 'UTC') COMMENT 'When the rule''s condition was met (UTC, milliseconds)',
    updated_at DateTime64(3, 'UTC') COMMENT 'When it took the state it is in (UTC, milliseconds)',
    resolved_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was resolved or expired (UTC, milliseconds); NULL before',
    reason String COMMENT 'Why it was raised, in one sentence',
    evidence String COMMENT 'The figures it rests on, as a JSON object; names end in their unit',
    suggested_action String COMMENT 'What to do about it, in one sentence',
    value_at_risk Float64 COMMENT 'What may be lost; the larger one is told first; minor units of money where the member bought, else 0',
    platform LowCardinality(String) COMMENT 'Platform; empty if unknown',
    feed LowCardinality(String) COMMENT 'Feed (connector) it stands on; empty if unknown',
    urgency LowCardinality(String) COMMENT 'now: may be told at once; digest: only as a line of a digest; nobody: told to nobody',
    replay UInt8 COMMENT '1 when it comes from a replay of history, else 0'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    alert_id, kind, community_id, member_id, assignee, state, severity, opened_at, updated_at, resolved_at, reason,
    evidence, suggested_action, value_at_risk, platform, feed, urgency, replay
FROM qunpulse_store.alerts FINAL
COMMENT 'Alert episodes as they stand; a row per alert_id. Times are UTC';
