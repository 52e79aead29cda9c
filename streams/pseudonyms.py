"""Pseudonyms for people: a keyed hash of their id, the same wherever they appear.

HMAC and not a plain hash, because ids are guessable (running numbers, phone numbers): without the key nobody can try
them out. The key is all that ties pseudonyms to people: with another key every member becomes a new one, and deleting
it makes what was stored anonymous.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from streams.errors import ConfigError

MIN_KEY_BYTES: Final = 16
DIGEST_BYTES: Final = 16  # 32 hex digits: short enough to read, and no two people meet in 128 bits


class Pseudonyms:
    """Replaces ids by 32 hex digits; remembers up to `capacity` of them (about 200 bytes each)."""

    def __init__(self, key: bytes, capacity: int = 500_000) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ConfigError(
                f"the pseudonym key has {len(key)} bytes, at least {MIN_KEY_BYTES} are needed: set "
                "QUNPULSE_PSEUDONYM_KEY to a long random text, for example the output of `openssl rand -hex 32`, "
                "and keep it safe: with another key all members become new ones"
            )
        self._keyed = hmac.new(key, digestmod=hashlib.sha256)
        self._known = _Known(self)
        self._capacity = capacity

    def of(self, id_: str) -> str:
        """The pseudonym of one id."""
        mac = self._keyed.copy()  # the key is worked in once, not for every id
        mac.update(id_.encode())
        return mac.digest()[:DIGEST_BYTES].hex()

    def column(self, ids: list[str | None]) -> list[str | None]:
        """The pseudonyms of a column of ids; None stays None."""
        if len(self._known) > self._capacity:
            # All at once rather than one by one: the active members are back within a batch, and nothing has to be
            # kept about who was seen when.
            self._known.clear()
        return list(map(self._known.__getitem__, ids))


class _Known(dict[str | None, str | None]):
    def __init__(self, pseudonyms: Pseudonyms) -> None:
        super().__init__()
        self._pseudonyms = pseudonyms

    def __missing__(self, id_: str | None) -> str | None:
        pseudonym = None if id_ is None else self._pseudonyms.of(id_)
        self[id_] = pseudonym
        return pseudonym
