CREATE OR REPLACE VIEW qunpulse.lifecycle_stages
(
    community_id String COMMENT 'Community',
    stage LowCardinality(String) COMMENT 'Stage, see lifecycle',
    buyer_stage LowCardinality(String) COMMENT 'Buyer stage, see lifecycle',
    as_of Date COMMENT 'Last local day of the community with a figure: the day on which members are looked at',
    members UInt64 COMMENT 'Members in both stages; count',
    share Float64 COMMENT 'members ÷ all members of lifecycle in the community; share',
    high_value UInt64 COMMENT 'Of these, members of tier high_value; count',
    core UInt64 COMMENT 'Of these, members of tier core; count'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT
    community_id, stage, buyer_stage, max(l.as_of) AS as_of, count() AS members,
    members / sum(members) OVER (PARTITION BY community_id) AS share, countIf(l.value_tier = 'high_value') AS high_value,
    countIf(l.tier = 'core') AS core
FROM qunpulse.lifecycle AS l
GROUP BY community_id, stage, buyer_stage
COMMENT 'How many members stand where; a row per community, stage and buyer stage with any. Times are UTC; dates are the community''s own';
