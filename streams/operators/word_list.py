"""Numbers for words of which there are few beside what they are said of."""

from __future__ import annotations

from collections.abc import Sequence


class WordList:
    """Gives every word a number, dense and in the order of first sight."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._codes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.words)

    def code(self, word: str) -> int:
        """The number of a word, a new one if it has none."""
        code = self._codes.get(word)
        if code is None:
            code = self._codes[word] = len(self.words)
            self.words.append(word)
        return code

    def codes(self, words: Sequence[str]) -> list[int]:
        """The numbers of words."""
        if words and words.count(words[0]) == len(words):  # as all communities and campaigns of a batch often are
            return [self.code(words[0])] * len(words)
        if None in (found := list(map(self._codes.get, words))):
            return [self.code(word) for word in words]
        return found  # type: ignore[return-value]
