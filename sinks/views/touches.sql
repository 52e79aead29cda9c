CREATE OR REPLACE VIEW qunpulse.touches
(
    community_id String COMMENT 'Community',
    touch_id String COMMENT 'Touch, one per occasion: kind/community/member/occasion_at in milliseconds since 1970 UTC',
    kind LowCardinality(String) COMMENT 'thanks (after an order), repurchase (at the member''s own cycle), welcome (first week, silent so far), win_back (long silence), streak (of check-ins, about to break)',
    member_id String COMMENT 'To whom',
    occasion_at DateTime64(3, 'UTC') COMMENT 'What it stands on: the order, the joining, the last activity; of a streak the beginning of the last local day with a check-in (UTC, milliseconds)',
    due_at DateTime64(3, 'UTC') COMMENT 'When it fell due (UTC, milliseconds)',
    decided_at DateTime64(3, 'UTC') COMMENT 'Time of the community when it was decided (UTC, milliseconds)',
    held_out UInt8 COMMENT '1 when the member is left alone, so that the effect can be told (rules file, section touches); 0 when it was sent',
    replay UInt8 COMMENT '1 when history was replayed: decided as it would have been, sent to nobody; else 0'
)
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS
SELECT community_id, touch_id, kind, member_id, occasion_at, due_at, decided_at, held_out, replay
FROM qunpulse_store.touches FINAL
COMMENT 'What to say to whom next, as sent on community.touches.v1, and who was held out; a row per touch. Times are UTC';
