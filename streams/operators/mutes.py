"""What is silenced: a member, a kind of alert, or a whole community, until a time, with a reason."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa

from schemas.alerts import AlertKind, CommandRecord, mute_id
from streams.operators.base import StateRows, binary


class Mute(msgspec.Struct, array_like=True, frozen=True):
    """One mute as it was last said; ``lifted`` when it was taken back. Empty member or kind: all."""

    community_id: str
    member_id: str
    kind: str
    until_ms: int
    reason: str
    issued_by: str
    issued_ms: int
    lifted: bool


class Mutes:
    """All mutes of a partition, by id."""

    name = "alert_mutes"

    def __init__(self) -> None:
        self._mutes: dict[str, Mute] = {}
        self._dirty: set[str] = set()
        self._landing: set[str] = set()

    def __len__(self) -> int:
        return len(self._mutes)

    def apply(self, command: CommandRecord) -> None:
        """Take a mute or unmute; an older one than what is known, a repeat for instance, changes nothing."""
        lifted = command.action == "unmute"
        key = mute_id(command.community_id, command.member_id, command.kind)
        known = self._mutes.get(key)
        if known is not None and command.issued_at <= known.issued_ms:
            return
        if lifted and known is None:
            return
        until_ms = command.until if command.until is not None else command.issued_at
        self._mutes[key] = Mute(
            command.community_id,
            command.member_id or "",
            command.kind or "",
            until_ms,
            command.reason or (known.reason if lifted and known is not None else ""),
            command.issued_by,
            command.issued_at,
            lifted,
        )
        self._dirty.add(key)
        self._landing.add(key)

    def covers(self, kind: AlertKind, community_id: str, member_id: str, at_ms: int) -> bool:
        """Whether an alert of this kind about this subject is silenced at a time."""
        if not self._mutes:
            return False
        subjects = {(member, some) for member in (member_id or None, None) for some in (kind, None)}
        found = (self._mutes.get(mute_id(community_id, member, some)) for member, some in subjects)
        return any(one is not None and not one.lifted and one.issued_ms <= at_ms < one.until_ms for one in found)

    def forget(self, community_id: str, member_id: str) -> None:
        """Lift what names a member that is to be forgotten; its rows in the store go with the rest of the member's."""
        for key, one in list(self._mutes.items()):
            if one.community_id == community_id and one.member_id == member_id:
                self._mutes[key] = msgspec.structs.replace(one, lifted=True, reason="")
                self._dirty.add(key)
                self._landing.add(key)

    def dirty_count(self) -> int:
        """State rows that the next flush will write."""
        return len(self._dirty)

    def dirty(self) -> list[StateRows]:
        """State rows of the changed ones."""
        if not self._dirty:
            return []
        keys, self._dirty = sorted(self._dirty), set()
        rows = [msgspec.msgpack.encode(self._mutes[key]) for key in keys]
        return [StateRows(self.name, binary([key.encode() for key in keys]), binary(rows))]

    def restore(self, keys: pa.Array, payloads: pa.Array) -> None:
        """Take rows back."""
        for key, payload in zip(keys.to_pylist(), payloads.to_pylist(), strict=True):
            self._mutes[key.decode()] = msgspec.msgpack.decode(payload, type=Mute)

    def table(self) -> pa.Table | None:
        """Rows for ``alert_mutes`` that changed since the last call."""
        keys, self._landing = sorted(self._landing), set()
        if not keys:
            return None
        found = [self._mutes[key] for key in keys]

        def column(of: Any, kind: pa.DataType) -> pa.Array:
            return pa.array([of(one) for one in found], kind)

        time = pa.timestamp("ms", "UTC")
        return pa.table(
            {
                "mute_id": pa.array(keys, pa.string()),
                "community_id": column(lambda one: one.community_id, pa.string()),
                "member_id": column(lambda one: one.member_id, pa.string()),
                "kind": column(lambda one: one.kind, pa.string()),
                "until": column(lambda one: one.until_ms, time),
                "reason": column(lambda one: one.reason, pa.string()),
                "issued_by": column(lambda one: one.issued_by, pa.string()),
                "issued_at": column(lambda one: one.issued_ms, time),
                "lifted": column(lambda one: int(one.lifted), pa.uint8()),
            }
        )
