-- A message waits 24 hours before it can be called unanswered, so shares are of those that are old enough: asked at least
-- 24 hours before the latest message of the community.
CREATE OR REPLACE VIEW qunpulse.response_times_monthly
(
    community_id String COMMENT 'Community',
    month Date COMMENT 'First day of the calendar month in the community''s time zone',
    responder LowCardinality(String) COMMENT 'Who responds: staff, or peers (other members)',
    method LowCardinality(String) COMMENT 'reply_to: answers are told; next_message: estimated from the next message of somebody else, since the community''s events never say what is answered',
    messages UInt64 COMMENT 'Messages of speaking kinds by members (no staff, no bots) in this local calendar month; count',
    answered UInt64 COMMENT 'Those with a response, however late; count',
    median_seconds Nullable(Float64) COMMENT 'Median time to the first response of the answered; seconds; NULL when none was',
    p90_seconds Nullable(Float64) COMMENT 'Nine of ten of these times are no longer (90th percentile); seconds; NULL when none was answered',
    median_service_seconds Nullable(Float64) COMMENT 'Median of the same within service hours of the rules file (all of the time without any); seconds; NULL when none was answered',
    p90_service_seconds Nullable(Float64) COMMENT '90th percentile of the same within service hours; seconds; NULL when none was answered',
    old_enough UInt64 COMMENT 'Messages asked at least 24 hours before the latest one of the community; count',
    unanswered_after_24h UInt64 COMMENT 'Those of them without a response within 24 hours (by the clock, not by service hours); count',
    unanswered_share Nullable(Float64) COMMENT 'unanswered_after_24h / old_enough; share from 0 to 1; NULL when no message is old enough'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, month, response.1 AS responder, method, count() AS messages, count(response.2) AS answered,
    quantileExactInclusiveOrNull(0.5)(response.2) AS median_seconds,
    quantileExactInclusiveOrNull(0.9)(response.2) AS p90_seconds,
    quantileExactInclusiveOrNull(0.5)(response.3) AS median_service_seconds,
    quantileExactInclusiveOrNull(0.9)(response.3) AS p90_service_seconds,
    countIf(is_old) AS old_enough, countIf(is_old AND NOT ifNull(response.2 <= 86400, 0)) AS unanswered_after_24h,
    unanswered_after_24h / nullIf(old_enough, 0) AS unanswered_share
FROM
(
    SELECT
        community_id, toStartOfMonth(local_date) AS month, method, asked_at <= latest_at - toIntervalHour(24) AS is_old,
        [('staff', staff_seconds, staff_service_seconds), ('peers', peer_seconds, peer_service_seconds)] AS responses
    FROM qunpulse.first_responses
    INNER JOIN
    (
        SELECT community_id, max(occurred_at) AS latest_at
        FROM qunpulse_store.events
        WHERE event_type = 'message' AND late = 0
        GROUP BY community_id
    ) AS latest USING (community_id)
)
ARRAY JOIN responses AS response
GROUP BY community_id, month, responder, method
COMMENT 'How long members'' messages wait for a first response; a row per community, local calendar month with a message, and kind of responder. Times are UTC; dates are the community''s own';
