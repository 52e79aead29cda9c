CREATE OR REPLACE VIEW qunpulse.refunds
(
    community_id String COMMENT 'Community',
    event_id String COMMENT 'Event that told of the refund; an order may be refunded in several parts',
    order_id String COMMENT 'Order that is refunded (original_order_id where the refund has an id of its own)',
    member_id String COMMENT 'Who was refunded',
    refunded_at DateTime64(3, 'UTC') COMMENT 'When it was refunded (UTC, milliseconds)',
    local_date Date COMMENT 'Local day of that (calendar date in the community''s time zone)',
    day DateTime('UTC') COMMENT 'Instant (UTC) at which that local day begins',
    currency LowCardinality(String) COMMENT 'Currency of the amount (ISO 4217)',
    refunded_minor Int64 COMMENT 'Refunded amount; minor units of the currency (cents)'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    refund.community_id AS community_id, refund.event_id AS event_id,
    if(refund.original_order_id != '', refund.original_order_id, refund.order_id) AS order_id, refund.member_id AS member_id,
    refund.occurred_at AS refunded_at, calendar.local_date AS local_date, calendar.day AS day,
    refund.currency AS currency, refund.amount_minor AS refunded_minor
FROM
(
    SELECT community_id, event_id, order_id, original_order_id, member_id, occurred_at, currency, amount_minor
    FROM qunpulse_store.events FINAL
    WHERE event_type = 'order' AND late = 0 AND status = 'refunded'
) AS refund
INNER JOIN
(
    SELECT community_id, local_date, day, ends_at, arrayJoin([toDate(day), toDate(day) + 1]) AS utc_date
    FROM qunpulse.local_days
) AS calendar ON calendar.community_id = refund.community_id AND calendar.utc_date = toDate(refund.occurred_at)
WHERE refund.occurred_at >= calendar.day AND ifNull(refund.occurred_at < calendar.ends_at, 1)
COMMENT 'Refunds, whole or in part; a row per community and refund event. Times are UTC; dates are the community''s own';
