"""When a member's silence becomes worth an alert: beyond its own rhythm, judged against members like it.

Two questions, whichever is answered first:

* *Chance*: having been silent for t days, will it stay away for another 30? Estimated from the member's own gaps and
  the curve of members like it, which counts like `strength` gaps more (a Dirichlet prior around it, as in Susarla &
  Van Ryzin 1976, JASA 71): with few gaps the community speaks, with many the member. Own gaps longer than t keep the
  chance low until t has passed them: who comes weekly is not missed after eight days.
* *Rhythm*: has it never been silent for nearly so long? `surprise_factor` times its longest kept gap plus
  `surprise_days`: 7 days for who comes daily, 13 for who comes every third day. Few alerts come from here; they are
  about those with a habit.

After `latest_days` nothing is opened any more: it would be too late to act, and no news.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streams.operators.base import Ints
from streams.operators.churn_model import Curves

HORIZON_DAYS = 30
"""How long "stays away" means."""

NO_THRESHOLD = 255
"""Days of a member whose silence never opens an alert."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SilenceLimits:
    """The thresholds of one community; meanings and reasons stand in `streams.rules_churn`."""

    min_active_days: int = 4
    min_silent_days: int = 3
    stay_away_chance: float = 0.55
    latest_days: int = 18
    strength: float = 8.0
    surprise_factor: float = 3.0
    surprise_days: int = 4


def longer_than(gaps: npt.NDArray[np.uint8], kept: Ints, days: int) -> Ints:
    """How many of each member's kept gaps are longer than 0, 1, … ``days`` days; shape (members, days + 1)."""
    members, width = gaps.shape
    length = np.minimum(gaps.astype(np.int64), days + 1)
    inside = np.arange(width) < kept[:, None]
    place = np.arange(members)[:, None] * (days + 2) + length
    counts = np.bincount(place[inside], minlength=members * (days + 2)).reshape(members, days + 2)
    beyond: Ints = kept[:, None] - np.cumsum(counts, axis=1)[:, : days + 1]
    return beyond


def stay_away_chances(
    gaps: npt.NDArray[np.uint8], kept: Ints, kind: Ints, curves: Curves, strength: float, days: int
) -> Floats:
    """Chance that a member silent for 0, 1, … ``days`` days stays away HORIZON_DAYS more; shape (members, days + 1).

    ``gaps`` are each member's latest ones in any order, of which the first ``kept`` count.
    """
    own = longer_than(gaps, kept, days + HORIZON_DAYS)
    alike = strength * curves[kind, : days + HORIZON_DAYS + 1]
    both = own + alike
    chance: Floats = both[:, HORIZON_DAYS:] / both[:, : days + 1]
    return chance


def threshold_days(
    gaps: npt.NDArray[np.uint8], kept: Ints, active_days: Ints, kind: Ints, curves: Curves, limits: SilenceLimits
) -> npt.NDArray[np.uint8]:
    """Full silent days after which each member's silence is worth an alert, NO_THRESHOLD where it never is."""
    chance = stay_away_chances(gaps, kept, kind, curves, limits.strength, limits.latest_days)
    enough = chance >= limits.stay_away_chance
    enough[:, : limits.min_silent_days] = False
    by_chance = np.where(enough.any(axis=1), enough.argmax(axis=1), NO_THRESHOLD)
    longest = np.where(np.arange(gaps.shape[1]) < kept[:, None], gaps, 0).max(axis=1).astype(np.float64)
    by_rhythm = np.ceil(limits.surprise_factor * longest) + limits.surprise_days
    days = np.maximum(np.minimum(by_chance, by_rhythm), limits.min_silent_days)
    silent = (active_days >= limits.min_active_days) & (days <= limits.latest_days)
    return np.where(silent, days, NO_THRESHOLD).astype(np.uint8)
