-- Inserts cost the processor less: on two cores ClickHouse's share was as large as the worker's.
--
-- Compact parts: a flush brings about 100,000 rows, more than the 10 MB from which a part gets two files a column. With
-- 45 columns, most of them empty, opening and closing files took longer than writing rows. Merges make wide parts later.
-- LZ4 instead of ZSTD(1) where nearly every row has a text of its own: event ids and hashes hardly compress, and the
-- attempt takes time. Delta stays: times rise along the key.
ALTER TABLE qunpulse_store.events MODIFY SETTING min_bytes_for_wide_part = 134217728;
ALTER TABLE qunpulse_store.events
    MODIFY COLUMN event_id String CODEC(LZ4),
    MODIFY COLUMN occurred_at DateTime64(3, 'UTC') CODEC(Delta(8), LZ4),
    MODIFY COLUMN community_id String CODEC(LZ4),
    MODIFY COLUMN member_id String CODEC(LZ4),
    MODIFY COLUMN char_count UInt32 CODEC(LZ4),
    MODIFY COLUMN reply_to String CODEC(LZ4),
    MODIFY COLUMN late UInt8 CODEC(LZ4),
    MODIFY COLUMN ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), LZ4),
    MODIFY COLUMN version UInt64 CODEC(LZ4);
ALTER TABLE qunpulse_store.state MODIFY SETTING min_bytes_for_wide_part = 134217728;
ALTER TABLE qunpulse_store.state
    MODIFY COLUMN key String CODEC(LZ4),
    MODIFY COLUMN payload String CODEC(LZ4);
ALTER TABLE qunpulse_store.activity_1m MODIFY SETTING min_bytes_for_wide_part = 134217728;
ALTER TABLE qunpulse_store.member_days MODIFY SETTING min_bytes_for_wide_part = 134217728;
ALTER TABLE qunpulse_store.members MODIFY SETTING min_bytes_for_wide_part = 134217728;
