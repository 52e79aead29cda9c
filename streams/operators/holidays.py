"""Days that do not count: on holidays people are away, and their silence says nothing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from streams.operators.base import Ints


class Holidays:
    """Maps days (since 1970-01-01) to a count of days that leaves holidays out, and back."""

    def __init__(self, days: Iterable[int] = ()) -> None:
        self._days = np.array(sorted(set(days)), np.int64)
        # The counted number of each holiday is that of the day before it.
        self._counted = self._days - np.arange(1, len(self._days) + 1)

    def counted(self, day: Ints) -> Ints:
        """The number of each day in a calendar without holidays; a holiday has that of the day before it."""
        if len(self._days) == 0:
            return day
        return day - np.searchsorted(self._days, day, "right")

    def day_of(self, counted: Ints) -> Ints:
        """The first day with at least this counted number: the day itself, never a holiday."""
        if len(self._days) == 0:
            return counted
        # Each holiday whose counted number is below the wanted one pushes it a day further.
        return counted + np.searchsorted(self._counted, counted, "left")
