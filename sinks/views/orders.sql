-- Connectors repeat themselves: an order is told again under another event id, or by a second group. Here an order is its
-- first paid event in the community; copies of an event are no further events, so FINAL is not needed.
-- Local days are found by an equality (the UTC date, one of the two that a local day touches) and then narrowed to the
-- day: an ASOF join would read the calendar of all communities.
CREATE OR REPLACE VIEW qunpulse.orders
(
    community_id String COMMENT 'Community',
    order_id String COMMENT 'Order, once per community; several communities may have been told of the same order (see revenue_total_daily)',
    member_id String COMMENT 'Buyer',
    employed UInt8 COMMENT '1 when the buyer is staff or a bot (latest role, and never counted as a member before), else 0',
    platform LowCardinality(String) COMMENT 'Platform',
    ordered_at DateTime64(3, 'UTC') COMMENT 'When it was first told as paid (UTC, milliseconds)',
    local_date Date COMMENT 'Local day of that (calendar date in the community''s time zone)',
    day DateTime('UTC') COMMENT 'Instant (UTC) at which that local day begins',
    order_number UInt64 COMMENT 'Which of the buyer''s orders in this community it is; number from 1',
    currency LowCardinality(String) COMMENT 'Currency of the amounts (ISO 4217)',
    amount_minor Int64 COMMENT 'Paid amount; minor units of the currency (cents)',
    refunded_minor Int64 COMMENT 'Refunds that name this order, whenever they came; minor units of the currency (cents)',
    discount_minor Nullable(Int64) COMMENT 'Discount; minor units of the currency (cents); NULL if not given',
    coupon_codes Array(String) COMMENT 'Coupons used, each once',
    campaign_id String COMMENT 'Campaign, else empty',
    group_buy_id String COMMENT 'Group buy, else empty',
    staff_id String COMMENT 'Who served, else empty',
    items Array(Tuple(sku String, category String, quantity UInt32, amount_minor Int64)) COMMENT 'Lines: sku, category, quantity (pieces), amount (minor units of the currency)'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    paid AS
    (
        SELECT *
        FROM qunpulse_store.events
        WHERE event_type = 'order' AND late = 0 AND status = 'paid'
        ORDER BY occurred_at, event_id
        LIMIT 1 BY community_id, order_id
    ),
    refunded AS
    (
        SELECT community_id, order_id, currency, sum(refunded_minor) AS refunded_minor
        FROM qunpulse.refunds
        GROUP BY community_id, order_id, currency
    )
SELECT
    paid.community_id AS community_id, paid.order_id AS order_id, paid.member_id AS member_id,
    member.role IN ('staff', 'bot') AND member.messages + member.interactions = 0 AS employed,
    paid.platform AS platform, paid.occurred_at AS ordered_at, calendar.local_date AS local_date, calendar.day AS day,
    row_number() OVER (PARTITION BY community_id, member_id ORDER BY ordered_at, order_id) AS order_number,
    paid.currency AS currency, paid.amount_minor AS amount_minor, refunded.refunded_minor AS refunded_minor,
    paid.discount_minor AS discount_minor, arrayDistinct(paid.coupon_codes) AS coupon_codes,
    paid.campaign_id AS campaign_id, paid.group_buy_id AS group_buy_id, paid.staff_id AS staff_id, paid.items AS items
FROM paid
INNER JOIN
(
    SELECT community_id, local_date, day, ends_at, arrayJoin([toDate(day), toDate(day) + 1]) AS utc_date
    FROM qunpulse.local_days
) AS calendar ON calendar.community_id = paid.community_id AND calendar.utc_date = toDate(paid.occurred_at)
LEFT JOIN refunded
    ON refunded.community_id = paid.community_id AND refunded.order_id = paid.order_id AND refunded.currency = paid.currency
LEFT JOIN
(
    SELECT community_id, member_id, role, messages, interactions FROM qunpulse_store.members FINAL
) AS member ON member.community_id = paid.community_id AND member.member_id = paid.member_id
WHERE paid.occurred_at >= calendar.day AND ifNull(paid.occurred_at < calendar.ends_at, 1)
COMMENT 'Paid orders; a row per community and order, whether refunded later or not (cancelled orders have none). Times are UTC; dates are the community''s own';
