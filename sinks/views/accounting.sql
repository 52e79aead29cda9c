CREATE OR REPLACE VIEW qunpulse.accounting
(
    topic LowCardinality(String) COMMENT 'Topic',
    partition UInt16 COMMENT 'Its Kafka partition',
    consumed UInt64 COMMENT 'Records taken from it: applied + duplicate + late + dead_lettered + misrouted; count',
    applied UInt64 COMMENT 'Events that changed the figures or the members; count',
    duplicate UInt64 COMMENT 'Events that had been applied before; count',
    late UInt64 COMMENT 'Events older than the allowed lateness, landed in events only; count',
    dead_lettered UInt64 COMMENT 'Records refused, see dead_letters; count',
    misrouted UInt64 COMMENT 'Records on the wrong partition, forwarded to the right one; count',
    next_offset Int64 COMMENT 'Offset of the next record to take; offsets',
    event_clock Nullable(DateTime64(3, 'UTC')) COMMENT 'Largest event time applied (UTC, milliseconds); NULL if none',
    checkpoint_at DateTime64(3, 'UTC') COMMENT 'When this was checkpointed (UTC, milliseconds)'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    topic, partition, consumed, applied, duplicate, late, dead_lettered, misrouted, next_offset,
    event_clock, checkpoint_at
FROM qunpulse_store.accounting FINAL
COMMENT 'Where every record went, since the beginning; a row per topic and Kafka partition as of its last checkpoint. Times are UTC';
