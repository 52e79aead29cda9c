"""One word for each member or community, of its latest or first event that had one; also as it was at a place."""

from __future__ import annotations

import pyarrow as pa

from streams.operators.base import StateRows, binary


class NotedWords:
    """Words by number. During a batch it is known with which events they changed.

    Args:
        name: of its rows in the state.
        first: whether the first word that is noted stays, instead of giving way to the next.
    """

    def __init__(self, name: str, first: bool = False) -> None:
        self.name = name
        self._first = first
        self._words: dict[int, str] = {}
        self._moves: dict[int, list[tuple[int, str]]] = {}
        """Of what changed in the batch in hand: with the event at which place, and what it was before."""
        self._dirty: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return number in self._words

    def note(self, number: int, word: str, place: int) -> None:
        """An event of the batch in hand, later than all that were noted, says so."""
        before = self._words.get(number, "")
        if word != before and not (before and self._first):
            self._moves.setdefault(number, []).append((place, before))
            self._words[number] = word
            self._dirty.add(number)

    def of(self, number: int, place: int) -> str:
        """The word at a place of the batch; empty where there was none."""
        for at, before in self._moves.get(number, ()):
            if at > place:
                return before
        return self._words.get(number, "")

    def now(self, number: int) -> str:
        """The word as things stand; empty where there is none."""
        return self._words.get(number, "")

    def having(self, word: str) -> list[int]:
        """The numbers that have a word as things stand."""
        return [number for number, mine in self._words.items() if mine == word]

    def end(self) -> None:
        """The batch is over."""
        self._moves = {}

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty)

    def dirty(self) -> list[StateRows]:
        """State rows since the last call."""
        if not self._dirty:
            return []
        numbers, self._dirty = sorted(self._dirty), set()
        keys = binary([number.to_bytes(4, "big") for number in numbers])
        return [StateRows(self.name, keys, binary([self._words[number].encode() for number in numbers]))]

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        for key, word in zip(keys.to_pylist(), payloads.to_pylist(), strict=True):
            self._words[int.from_bytes(key, "big")] = word.decode()
