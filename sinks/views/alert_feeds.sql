CREATE OR REPLACE VIEW qunpulse.alert_feeds
(
    feed LowCardinality(String) COMMENT 'Feed (connector) of events; empty for events that name neither feed nor platform, which are not watched',
    platform LowCardinality(String) COMMENT 'Platform of the community in which it was heard first; empty if unknown',
    communities UInt64 COMMENT 'Communities whose latest message came from it, a count',
    last_heard_at DateTime64(3, 'UTC') COMMENT 'When it was last heard (UTC), to the minute or so',
    longest_gap_seconds UInt32 COMMENT 'Longest gap of an hour or more in the 28 days up to then, in seconds; 0 if there was none',
    silent_since Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when it has been silent beyond its habit (UTC); NULL while it is not',
    asks_questions UInt8 COMMENT '1 if a message of it ever had is_question; with 0 the rules about unanswered questions are off for it',
    says_replies UInt8 COMMENT '1 if a message of it ever said what it replies to; with 0 answers are estimated'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    feed, place AS platform, watched AS communities, heard AS last_heard_at, gap AS longest_gap_seconds,
    since AS silent_since, asks AS asks_questions, replies AS says_replies
FROM
(
    SELECT
        feed,
        any(platform) AS place,
        sum(communities) AS watched,
        max(last_heard_at) AS heard,
        max(longest_gap_seconds) AS gap,
        min(silent_since) AS since,
        max(asks_questions) AS asks,
        max(says_replies) AS replies
    FROM qunpulse_store.alert_feeds FINAL
    GROUP BY feed
)
COMMENT 'Feeds as alerts see them; a row per feed. Times are UTC';
