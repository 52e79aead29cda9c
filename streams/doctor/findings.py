"""What the doctor finds: one line a thing looked at, in order or with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "wrong", "skipped"]


@dataclass(frozen=True)
class Finding:
    """`check` is a stable name; `says` what was found; `advice` what to do, empty when there is nothing to do."""

    check: str
    state: State
    says: str
    advice: str = ""


def ok(check: str, says: str) -> Finding:
    """All is as it must be."""
    return Finding(check, "ok", says)


def warning(check: str, says: str, advice: str) -> Finding:
    """It works, but somebody should look."""
    return Finding(check, "warning", says, advice)


def wrong(check: str, says: str, advice: str) -> Finding:
    """It does not work, or will not for long."""
    return Finding(check, "wrong", says, advice)


def skipped(check: str, why: str) -> Finding:
    """It could not be looked at; the reason is a finding of its own."""
    return Finding(check, "skipped", why)
