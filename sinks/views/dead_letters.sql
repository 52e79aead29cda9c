CREATE OR REPLACE VIEW qunpulse.dead_letters
(
    topic LowCardinality(String) COMMENT 'Topic the record came from',
    partition UInt16 COMMENT 'Its Kafka partition',
    offset Int64 COMMENT 'Its offset there',
    error LowCardinality(String) COMMENT 'Why it was refused: a code from a closed list',
    detail String COMMENT 'The reason in words: which field, what was expected, what was found',
    received_at DateTime64(3, 'UTC') COMMENT 'When it was received (UTC, milliseconds)'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    topic, partition, offset, error, detail, received_at
FROM qunpulse_store.dead_letters FINAL
COMMENT 'Records that were refused; a row per record. The original bytes are shown by qunpulse deadletters show. Times are UTC';
