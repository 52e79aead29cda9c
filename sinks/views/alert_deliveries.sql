CREATE OR REPLACE VIEW qunpulse.alert_deliveries
(
    alert_id String COMMENT 'Alert',
    state LowCardinality(String) COMMENT 'State of the alert that is told: opened, acknowledged, resolved or expired',
    channel LowCardinality(String) COMMENT 'Channel it is told on, by its name in the rules file',
    kind LowCardinality(String) COMMENT 'What the alert is about',
    community_id String COMMENT 'Community',
    member_id String COMMENT 'Member; empty for an alert about a community',
    assignee LowCardinality(String) COMMENT 'Who should act; empty if nobody is named',
    outcome LowCardinality(String) COMMENT 'waiting: not tried yet (quiet hours, digest, rate limit); failed: tried, not acknowledged, will be tried again; sent: the receiver acknowledged it',
    form LowCardinality(String) COMMENT 'single: a message of its own; digest: a line among others of its community',
    planned_at DateTime64(3, 'UTC') COMMENT 'When the delivery agent decided to tell it (UTC, milliseconds)',
    due_at DateTime64(3, 'UTC') COMMENT 'When it is, or was, to be tried next (UTC, milliseconds)',
    attempts UInt32 COMMENT 'Tries so far; count',
    attempted_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Last try (UTC, milliseconds); NULL if none',
    delivered_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the receiver acknowledged it (UTC, milliseconds); NULL before',
    error String COMMENT 'Why the last try failed; empty if it did not',
    message_id String COMMENT 'Message it was last part of; those of one digest share it'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    alert_id, state, channel, kind, community_id, member_id, assignee, outcome, form, planned_at, due_at, attempts,
    attempted_at, delivered_at, error, message_id
FROM qunpulse_store.alert_deliveries FINAL
COMMENT 'What was told to whom; a row per alert, state and channel that a route leads to. Times are UTC';
