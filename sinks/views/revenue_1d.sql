CREATE OR REPLACE VIEW qunpulse.revenue_1d
(
    community_id String COMMENT 'Community',
    window_start DateTime('UTC') COMMENT 'Instant (UTC) at which the local day of the community begins',
    currency LowCardinality(String) COMMENT 'Currency of the amounts (ISO 4217)',
    orders UInt32 COMMENT 'Paid orders in this currency; count',
    refunds UInt32 COMMENT 'Refunded orders in this currency; count',
    gmv_minor Int64 COMMENT 'Sum of paid amounts, refunds not taken off; minor units of the currency (cents)',
    refunded_minor Int64 COMMENT 'Sum of refunded amounts; minor units of the currency (cents)',
    buyers UInt32 COMMENT 'Distinct members with a paid order in this currency; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, window_start, currency, orders, refunds, gmv_minor, refunded_minor, buyers
FROM qunpulse_store.revenue_1d FINAL
COMMENT 'Money of each local day by currency; a row per community, local day and currency with an order or refund. Times are UTC';
