-- Scores by mid-rank: with b members below and e equal (oneself included), score = ceil(5 * (b + e / 2) / n). Equal values
-- get equal scores, and one buyer alone is in the middle (3). Segments are the widespread map of recency and frequency
-- scores (as in Putler's and many CRM tools'; all 25 pairs have a name); the monetary score stands beside it.
CREATE OR REPLACE VIEW qunpulse.rfm
(
    community_id String COMMENT 'Community',
    currency LowCardinality(String) COMMENT 'Currency (ISO 4217); members are scored among those who paid in the same one',
    member_id String COMMENT 'Buyer (no staff, no bots)',
    last_order_at DateTime64(3, 'UTC') COMMENT 'Latest paid order (UTC, milliseconds)',
    recency_days UInt32 COMMENT 'Local days from the latest order to the latest day with figures; days',
    frequency UInt64 COMMENT 'Paid orders, refunded or not; count',
    monetary_minor Int64 COMMENT 'Sum of paid amounts less refunds that name these orders; minor units of the currency (cents)',
    recency_score UInt8 COMMENT 'From 1 (longest ago) to 5 (latest); score',
    frequency_score UInt8 COMMENT 'From 1 (fewest orders) to 5 (most); score',
    monetary_score UInt8 COMMENT 'From 1 (least) to 5 (most money); score',
    segment LowCardinality(String) COMMENT 'champions, loyal customers, potential loyalists, new customers, promising, need attention, about to sleep, at risk, cannot lose them, hibernating; by recency and frequency score'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    buyers AS
    (
        SELECT
            community_id, currency, member_id, max(ordered_at) AS last_order_at, max(local_date) AS last_order_date,
            count() AS frequency, sum(amount_minor - refunded_minor) AS monetary_minor
        FROM qunpulse.orders
        WHERE NOT employed
        GROUP BY community_id, currency, member_id
    ),
    ranked AS
    (
        SELECT
            *, count() OVER everybody AS n,
            rank() OVER by_recency - 1 AS older, count() OVER (PARTITION BY community_id, currency, last_order_date) AS as_old,
            rank() OVER by_frequency - 1 AS rarer, count() OVER (PARTITION BY community_id, currency, frequency) AS as_rare,
            rank() OVER by_money - 1 AS poorer, count() OVER (PARTITION BY community_id, currency, monetary_minor) AS as_poor
        FROM buyers
        WINDOW
            everybody AS (PARTITION BY community_id, currency),
            by_recency AS (PARTITION BY community_id, currency ORDER BY last_order_date),
            by_frequency AS (PARTITION BY community_id, currency ORDER BY frequency),
            by_money AS (PARTITION BY community_id, currency ORDER BY monetary_minor)
    )
SELECT
    community_id, currency, member_id, last_order_at, latest_date - last_order_date AS recency_days, frequency, monetary_minor,
    -- in whole numbers: ceil(5 * (2b + e) / 2n)
    toUInt8(intDiv(5 * (2 * older + as_old) + 2 * n - 1, 2 * n)) AS recency_score,
    toUInt8(intDiv(5 * (2 * rarer + as_rare) + 2 * n - 1, 2 * n)) AS frequency_score,
    toUInt8(intDiv(5 * (2 * poorer + as_poor) + 2 * n - 1, 2 * n)) AS monetary_score,
    multiIf
    (
        recency_score <= 2 AND frequency_score <= 2, 'hibernating',
        recency_score <= 2 AND frequency_score <= 4, 'at risk',
        recency_score <= 2, 'cannot lose them',
        recency_score = 3 AND frequency_score <= 2, 'about to sleep',
        recency_score = 3 AND frequency_score = 3, 'need attention',
        recency_score <= 4 AND frequency_score >= 4, 'loyal customers',
        recency_score = 4 AND frequency_score = 1, 'promising',
        recency_score = 5 AND frequency_score = 1, 'new customers',
        frequency_score <= 3, 'potential loyalists',
        'champions'
    ) AS segment
FROM ranked
INNER JOIN
(
    SELECT community_id, max(local_date) AS latest_date
    FROM qunpulse_store.community_days FINAL
    GROUP BY community_id
) AS latest USING (community_id)
COMMENT 'Recency, frequency and monetary value of buyers with scores and segments; a row per community, currency and buyer. Times are UTC; dates are the community''s own';
