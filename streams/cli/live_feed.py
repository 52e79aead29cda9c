"""The live simulated feed of `qunpulse up`, in a thread of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from streams.settings import Settings


class LiveFeed:
    """Sends simulated events of now, `rate` a second, while the context lasts."""

    def __init__(self, settings: Settings, rate: float) -> None:
        self._settings = settings
        self._rate = rate

    def __enter__(self) -> Self:
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        raise NotImplementedError
