CREATE OR REPLACE VIEW qunpulse.order_hours
(
    community_id String COMMENT 'Community',
    category String COMMENT 'Category of the item bought; empty for orders without items or items without a category',
    hour UInt8 COMMENT 'Hour of the day by the community''s own clock: 0 to 23',
    days UInt64 COMMENT 'Days from the community''s first to its last day with a figure; count',
    orders UInt64 COMMENT 'Paid orders with such an item in this hour, each order_id once; count',
    buyers UInt64 COMMENT 'Distinct members who placed them; count',
    quantity UInt64 COMMENT 'Pieces of the category in them; count',
    orders_per_day Float64 COMMENT 'orders ÷ days; count per day',
    orders_low Float64 COMMENT 'Lower end of the 95 % interval of orders_per_day (Poisson, Byar''s approximation: Breslow & Day 1987, p. 69); count per day',
    orders_high Float64 COMMENT 'Upper end of the 95 % interval of orders_per_day (as the lower); count per day',
    share_of_category Float64 COMMENT 'orders ÷ those of the category at any hour; share'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    paid AS
    (
        SELECT
            e.community_id AS community_id, e.told.1 AS member_id, e.order_id AS order_id,
            toHour(e.first_told_at + o.offset_seconds) AS hour, e.told.2 AS items
        FROM
        (
            -- an order told twice counts once, as first told
            SELECT
                community_id, order_id, min(occurred_at) AS first_told_at,
                argMin((member_id, items), (occurred_at, event_id)) AS told
            FROM qunpulse_store.events
            WHERE event_type = 'order' AND status = 'paid' AND late = 0
            GROUP BY community_id, order_id
        ) AS e
        ASOF INNER JOIN qunpulse.community_offsets AS o
            ON o.community_id = e.community_id AND e.first_told_at >= o.starts_at
    ),
    bought AS
    (
        SELECT
            community_id, category, hour, uniqExact(order_id) AS orders, uniqExact(member_id) AS buyers,
            sum(pieces) AS quantity
        FROM
        (
            SELECT
                community_id, hour, order_id, member_id,
                arrayJoin(if(empty(items), [('', toUInt32(0))], arrayMap(i -> (i.category, i.quantity), items))) AS line,
                line.1 AS category, line.2 AS pieces
            FROM paid
        )
        GROUP BY community_id, category, hour
    ),
    lived AS
    (
        SELECT community_id, count() AS days
        FROM qunpulse_store.community_days FINAL
        GROUP BY community_id
    )
SELECT
    b.community_id AS community_id, b.category AS category, b.hour AS hour, l.days AS days, b.orders AS orders,
    b.buyers AS buyers, b.quantity AS quantity, orders / days AS orders_per_day,
    orders * pow(1 - 1 / (9. * orders) - 1.95996 / (3 * sqrt(orders)), 3) / days AS orders_low,
    (orders + 1) * pow(1 - 1 / (9. * (orders + 1)) + 1.95996 / (3 * sqrt(orders + 1)), 3) / days AS orders_high,
    orders / sum(b.orders) OVER (PARTITION BY b.community_id, b.category) AS share_of_category
FROM bought AS b
INNER JOIN lived AS l ON l.community_id = b.community_id
COMMENT 'When what is bought: paid orders by category and hour of the community''s own day; a row per community, category and hour with orders. Times are UTC, hours local';
