CREATE OR REPLACE VIEW qunpulse.growth_sources
(
    community_id String COMMENT 'Community',
    week Date COMMENT 'Monday of the week by the community''s own calendar (local date, not UTC)',
    source String COMMENT 'Where members come from: channel or QR state code of the joining, else its way in (via), unknown where no joining was told',
    joins UInt64 COMMENT 'Joinings of this source in the week; count',
    leaves UInt64 COMMENT 'Leavings (left, removed, gone) in the week of members whose latest joining before was of this source; count',
    quits UInt64 COMMENT 'Of the leavings, those not by removal; count',
    growth Int64 COMMENT 'joins - leaves; members'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
WITH
    moves AS
    (
        SELECT
            e.community_id AS community_id, toMonday(toDate(e.occurred_at + o.offset_seconds)) AS week, e.action AS action,
            e.came_by AS came_by
        FROM
        (
            SELECT
                community_id, occurred_at, action,
                -- of the rows of a member so far, the latest joining; a leaving at the same time comes after it
                argMaxIf(if(source != '', source, toString(via)), occurred_at, action = 'joined') OVER
                (
                    PARTITION BY community_id, member_id ORDER BY occurred_at, action != 'joined'
                    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
                ) AS came_by
            FROM qunpulse_store.events FINAL
            WHERE event_type = 'join' AND late = 0 AND action IN ('joined', 'left', 'removed', 'gone')
        ) AS e
        ASOF INNER JOIN qunpulse.community_offsets AS o
            ON o.community_id = e.community_id AND e.occurred_at >= o.starts_at
    )
SELECT
    community_id, week, if(came_by = '', 'unknown', came_by) AS source, countIf(action = 'joined') AS joins,
    countIf(action != 'joined') AS leaves, countIf(action IN ('left', 'gone')) AS quits, toInt64(joins) - leaves AS growth
FROM moves
GROUP BY community_id, week, source
COMMENT 'How each community grows, by where members come from; a row per community, local week and source with joins or leaves. Times are UTC, weeks local';
