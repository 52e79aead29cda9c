-- Alerts and verdicts are two tables, and either may lack a kind. Their union is grouped instead of joined.
CREATE OR REPLACE VIEW qunpulse.alert_quality
(
    kind LowCardinality(String) COMMENT 'What the alerts are about',
    alerts UInt64 COMMENT 'Episodes opened, those that expired unseen and those of replays not among them; count',
    judged UInt64 COMMENT 'Alerts with a verdict; the latest verdict on an alert is the one that counts; count',
    useful UInt64 COMMENT 'Alerts judged useful; count',
    noise UInt64 COMMENT 'Alerts judged noise; count',
    useful_share Nullable(Float64) COMMENT 'useful / judged, from 0 to 1 (a ratio of counts); NULL while none is judged'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    kind, sum(is_alert) AS alerts, sum(is_useful + is_noise) AS judged, sum(is_useful) AS useful, sum(is_noise) AS noise,
    if(judged = 0, NULL, useful / judged) AS useful_share
FROM
(
    SELECT kind, toUInt8(state != 'expired' AND replay = 0) AS is_alert, toUInt8(0) AS is_useful, toUInt8(0) AS is_noise
    FROM qunpulse_store.alerts FINAL
    UNION ALL
    SELECT kind, toUInt8(0), toUInt8(last_verdict = 'useful'), toUInt8(last_verdict = 'noise')
    FROM
    (
        SELECT kind, alert_id, argMax(verdict, (issued_at, issued_by)) AS last_verdict
        FROM qunpulse_store.alert_verdicts FINAL
        GROUP BY kind, alert_id
    )
)
GROUP BY kind
COMMENT 'How good alerts are by what operators said of them; a row per kind. Times are UTC';
