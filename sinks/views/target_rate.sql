CREATE OR REPLACE VIEW qunpulse.target_rate
(
    campaign_id String COMMENT 'Campaign with a target in the rules file',
    subject_kind LowCardinality(String) COMMENT 'Who may reach it: member (an inviter) or group (a group buy)',
    target String COMMENT 'What is asked for, in the words of the rules file',
    opened UInt64 COMMENT 'Members or groups for whom it opened: by their first invitation, or the first paid order of the group; members who referred as staff or bot are not counted; count',
    reached UInt64 COMMENT 'Of these, those who reached it and from whom it was not taken back; count',
    taken_back UInt64 COMMENT 'Of these, those who had reached it and lost it again before their deadline (by a leave, a refund or a cancelled order); count',
    running UInt64 COMMENT 'Of these, not reached at present and with time left at as_of; count; includes those taken back that may reach it again',
    reached_share Nullable(Float64) COMMENT 'reached / opened; a ratio of counts; NULL without opened',
    reached_share_of_ended Nullable(Float64) COMMENT 'reached / those who have reached it or have no time left (opened - running); a ratio of counts; NULL while all are running',
    median_hours_to_reach Nullable(Float64) COMMENT 'Median time from opening to reaching, of those who reached it; hours; NULL without reached',
    as_of Nullable(DateTime64(3, 'UTC')) COMMENT 'Largest event time applied in any community: decides who has time left (UTC, milliseconds)'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    (SELECT max(event_clock) FROM qunpulse_store.accounting FINAL) AS clock,
    subjects AS
    (
        SELECT
            campaign_id, subject_kind, target, opened_at, reached_at,
            reached_at IS NOT NULL AND revoked_at IS NULL AS holds, revoked_at IS NOT NULL AS lost,
            NOT holds AND ifNull(deadline_at > clock, 1) AS has_time
        FROM qunpulse_store.milestones FINAL
        -- staff are few: a set of them instead of a join with all members
        WHERE subject_kind != 'member' OR (campaign_id, subject_id) NOT IN
            (SELECT campaign_id, member_id FROM qunpulse_store.referral_nodes FINAL WHERE staff = 1)
    ),
    counted AS
    (
        SELECT
            campaign_id, subject_kind, target, count() AS opened, countIf(holds) AS reached, countIf(lost) AS taken_back,
            countIf(has_time) AS running,
            quantileExactInclusiveOrNull(0.5)(if(holds, dateDiff('millisecond', opened_at, reached_at), NULL)) AS took_ms
        FROM subjects
        GROUP BY campaign_id, subject_kind, target
    )
SELECT
    campaign_id, subject_kind, toString(target) AS target, opened, reached, taken_back, running,
    reached / nullIf(opened, 0) AS reached_share, reached / nullIf(opened - running, 0) AS reached_share_of_ended,
    took_ms / 3600000 AS median_hours_to_reach, clock AS as_of
FROM counted
COMMENT 'How many of those for whom a campaign''s target opened reach it, and in what time; a row per campaign and target. Times are UTC';
