CREATE OR REPLACE VIEW qunpulse.repurchase_window
(
    community_id String COMMENT 'Community',
    window LowCardinality(String) COMMENT '30d, 90d, 180d, 365d: so many local days, the latest day with figures included; all: since the beginning',
    first_date Date COMMENT 'First local day of the window',
    last_date Date COMMENT 'Last local day of the window: the latest day with figures',
    buyers UInt64 COMMENT 'Members (no staff, no bots) with a paid order in the window; count',
    repeat_buyers UInt64 COMMENT 'Those with two paid orders or more in the window, refunded or not; count',
    repurchase_rate Nullable(Float64) COMMENT 'repeat_buyers / buyers; share from 0 to 1; NULL without buyers'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH [('30d', 30), ('90d', 90), ('180d', 180), ('365d', 365), ('all', 100000)] AS windows
SELECT
    community_id, figure.1.1 AS window, last_date - least(figure.1.2 - 1, last_date - opening_date) AS first_date, last_date,
    figure.2 AS buyers, figure.3 AS repeat_buyers, repeat_buyers / nullIf(buyers, 0) AS repurchase_rate
FROM
(
    SELECT
        community_id, last_date, opening_date,
        sumForEach(arrayMap(width -> arrayExists(ago -> ago < width.2, days_ago), windows)) AS bought,
        sumForEach(arrayMap(width -> arrayCount(ago -> ago < width.2, days_ago) > 1, windows)) AS bought_again
    FROM
    (
        SELECT
            community_id, member_id, latest.last_date AS last_date, latest.opening_date AS opening_date,
            groupArray(last_date - local_date) AS days_ago
        FROM
        (
            SELECT community_id, max(local_date) AS last_date, min(local_date) AS opening_date
            FROM qunpulse_store.community_days FINAL
            GROUP BY community_id
        ) AS latest
        INNER JOIN qunpulse.orders USING (community_id)
        WHERE NOT employed
        GROUP BY community_id, member_id, last_date, opening_date
    )
    GROUP BY community_id, last_date, opening_date
)
ARRAY JOIN arrayZip(windows, bought, bought_again) AS figure
COMMENT 'Repurchase rate of the buyers of a window; a row per community with an order and window. Times are UTC; dates are the community''s own';
