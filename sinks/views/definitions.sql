CREATE OR REPLACE VIEW qunpulse.definitions
(
    name LowCardinality(String) COMMENT 'Which part of a definition: activation_days, allowed_lateness_seconds, or a number of the sections tiers, lifecycle and points of the rules file (tier_…, lifecycle_…, points_…)',
    value Int64 COMMENT 'What it is: the rules file''s word, else the default; in the unit of its name (days, points, count, minor units; a role that makes a key opinion is a 1). activation_days: local days after joining in which a first message or order makes a member activated'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT name, argMax(value, given) AS value
FROM
(
    SELECT 'activation_days' AS name, toInt64(7) AS value, 0 AS given
    UNION ALL
    SELECT name, value, 1 FROM qunpulse_store.definitions FINAL
)
GROUP BY name
COMMENT 'Parts of definitions that the rules file sets (sections definitions, tiers, lifecycle, points), and the allowed lateness; a row each. Times are UTC';
