CREATE OR REPLACE VIEW qunpulse.rfm_segments
(
    community_id String COMMENT 'Community',
    currency LowCardinality(String) COMMENT 'Currency of the amounts (ISO 4217)',
    segment LowCardinality(String) COMMENT 'Segment of view rfm',
    buyers UInt64 COMMENT 'Buyers in the segment; count',
    buyers_share Float64 COMMENT 'Part of all buyers in this currency; share from 0 to 1',
    monetary_minor Int64 COMMENT 'What they paid less refunds; minor units of the currency (cents)',
    monetary_share Nullable(Float64) COMMENT 'Part of what all buyers in this currency paid less refunds; ratio (below 0 or above 1 where refunds exceed payments); NULL when that is 0',
    median_recency_days Float64 COMMENT 'Median of the days since the latest order; days',
    mean_frequency Float64 COMMENT 'Mean number of orders per buyer; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, currency, segment, count() AS buyers, buyers / sum(buyers) OVER everybody AS buyers_share,
    sum(money) AS monetary_minor, monetary_minor / nullIf(sum(monetary_minor) OVER everybody, 0) AS monetary_share,
    quantileExactInclusive(0.5)(recency_days) AS median_recency_days, avg(frequency) AS mean_frequency
FROM (SELECT community_id, currency, segment, monetary_minor AS money, recency_days, frequency FROM qunpulse.rfm)
GROUP BY community_id, currency, segment
WINDOW everybody AS (PARTITION BY community_id, currency)
COMMENT 'Segments of buyers by recency, frequency and monetary value; a row per community, currency and segment that anybody is in. Times are UTC; dates are the community''s own';
