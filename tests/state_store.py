"""What the table ``state`` does with the rows of flushes: of each key the newest counts, deleted ones are gone."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from streams.operators.base import StateRows


class StateStore:
    """State rows in memory, by operator and key."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[bytes, bytes]] = {}

    def write(self, flushed: Iterable[StateRows]) -> None:
        """Take the rows of one flush; a key must not stand in it twice, for both would have the same version."""
        written: set[tuple[str, bytes]] = set()
        for part in flushed:
            mine = self._rows.setdefault(part.operator, {})
            assert len(part.keys) == len(part.payloads)
            for key, payload in zip(part.keys.to_pylist(), part.payloads.to_pylist(), strict=True):
                assert (part.operator, key) not in written, f"{part.operator}: {key!r} stands twice in one flush"
                written.add((part.operator, key))
                if part.deleted:
                    mine.pop(key, None)
                else:
                    mine[key] = payload

    def rows(self, operator: str) -> tuple[pa.Array, pa.Array] | None:
        """Keys and payloads of an operator in no order that means anything, None when it has none."""
        mine = sorted(self._rows.get(operator, {}).items(), key=lambda row: row[0][::-1])
        if not mine:
            return None
        return pa.array([key for key, _ in mine], pa.large_binary()), pa.array(
            [payload for _, payload in mine], pa.large_binary()
        )

    def every(self) -> dict[str, tuple[pa.Array, pa.Array]]:
        """All rows by operator."""
        return {name: rows for name in self._rows if (rows := self.rows(name)) is not None}

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))
