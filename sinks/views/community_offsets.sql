CREATE OR REPLACE VIEW qunpulse.community_offsets
(
    community_id String COMMENT 'Community',
    timezone LowCardinality(String) COMMENT 'Its time zone (IANA name)',
    starts_at DateTime('UTC') COMMENT 'First instant at which the offset holds (UTC); it holds until the next row of the community',
    offset_seconds Int32 COMMENT 'Local wall clock minus UTC: add it to an instant to get local time; seconds'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT c.community_id AS community_id, c.timezone AS timezone, z.starts_at AS starts_at, z.offset_seconds AS offset_seconds
FROM
(
    -- as in communities, but of two columns: many views stand on this one, and each is planned with all below it
    SELECT community_id, multiIf(max(fixed) != '', max(fixed), max(by_rules) != '', max(by_rules), 'UTC') AS timezone
    FROM
    (
        SELECT community_id, toString(timezone) AS fixed, '' AS by_rules FROM qunpulse_store.communities FINAL
        UNION ALL
        SELECT community_id, '', toString(timezone) FROM qunpulse_store.community_rules FINAL
    )
    GROUP BY community_id
) AS c
INNER JOIN (SELECT timezone, starts_at, offset_seconds FROM qunpulse_store.timezone_offsets FINAL) AS z
    ON z.timezone = c.timezone
COMMENT 'Wall clock of each community: its UTC offsets from 2000 to 2037, for ASOF JOIN with instants; a row per community and change of clocks. Times are UTC';
