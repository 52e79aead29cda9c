"""How subjects stand to the target of their campaign, as rows of the table `milestones` and as records for Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from schemas import milestones
from schemas.topics import MILESTONES
from streams.operators.outbox import OutboxRecord
from streams.operators.target_course import Course, Target

_NOTHING_YET = Course(0, None, None)

Subject = tuple[str, str, str]
"""Campaign, kind (`member` or `group`), member or group buy."""


@dataclass(slots=True)
class Standing:
    """What was last landed and sent of a subject."""

    opened_ms: int
    course: Course = _NOTHING_YET
    revision: int = 0
    """Of the last record sent; 0 before the first."""
    shown: tuple[int, Course] | None = None
    """Opening and course that were landed last."""


def milestone_record(subject: Subject, target: Target, standing: Standing) -> OutboxRecord:
    """The record that says how a subject stands now, under its revision."""
    campaign, kind, name = subject
    milestone = milestones.Milestone(
        milestone_id=milestones.milestone_id(*subject),
        revision=standing.revision,
        campaign_id=campaign,
        subject_kind=kind,  # type: ignore[arg-type]
        subject_id=name,
        target=target.words,
        state="reached" if standing.course.stands else "taken_back",
        count=standing.course.total,
        opened_at=standing.opened_ms,
        reached_at=standing.course.reached_ms,
        taken_back_at=standing.course.taken_back_ms,
        deadline_at=target.deadline_ms(standing.opened_ms),
    )
    value = milestones.encode(milestone)
    return OutboxRecord(MILESTONES, campaign, milestone.milestone_id, milestone.revision, value)


def milestone_rows(subjects: Sequence[tuple[Subject, Target, Standing]]) -> pa.Table:
    """Rows of subjects, without their version."""
    time = pa.timestamp("ms", "UTC")
    return pa.table(
        {
            "campaign_id": pa.array([subject[0] for subject, _, _ in subjects], pa.string()),
            "subject_kind": pa.array([subject[1] for subject, _, _ in subjects], pa.string()),
            "subject_id": pa.array([subject[2] for subject, _, _ in subjects], pa.string()),
            "target": pa.array([target.words for _, target, _ in subjects], pa.string()),
            "opened_at": pa.array([one.opened_ms for _, _, one in subjects], time),
            "reached_at": pa.array([one.course.reached_ms for _, _, one in subjects], time),
            "revoked_at": pa.array([one.course.taken_back_ms for _, _, one in subjects], time),
            "deadline_at": pa.array([target.deadline_ms(one.opened_ms) for _, target, one in subjects], time),
            "count": pa.array([one.course.total for _, _, one in subjects], pa.uint32()),
        }
    )
