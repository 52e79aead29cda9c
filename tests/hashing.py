"""Hashes of event ids, given the names of their communities."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from streams.engine.dedup import EventHasher, Hashes


def hashes(topic_number: int, names: Sequence[str], event_ids: Sequence[str]) -> Hashes:
    """One hash for each pair of community name and event id."""
    known = list(dict.fromkeys(names))
    community = np.array([known.index(name) for name in names], np.int64)
    return EventHasher().hashes(topic_number, known, community, pa.array(event_ids, pa.string()))
