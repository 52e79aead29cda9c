"""Secrets of channels: read from the environment or a file when a channel is opened, and kept out of every text.

url: wecombot://${OPS_ROBOT_KEY}                  # a part of it from the environment
url: mailtos://alerts:${file:/run/secrets/smtp}@smtp.example.com?to=ops@example.com
url: ${OPS_URL}                                   # all of it
url: file:/run/secrets/ops_url                    # all of it
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

from streams.errors import ConfigError
from streams.settings_secrets import EXAMPLE_SECRET, secret_in

MASK: Final = "****"

_REFERENCE = re.compile(r"\$\{(?P<file>file:)?(?P<name>[^}]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARTS = re.compile(r"[/?&=:@,]+")
_MIN_PART = 6  # shorter pieces of an address are words like "to" or "https", which need not be hidden


@dataclass(frozen=True)
class Resolved:
    """An address with its secrets filled in, and what must not be shown of it. Its repr shows neither."""

    url: str
    secrets: frozenset[str]

    def __repr__(self) -> str:
        return f"Resolved({MASK})"


def resolve(channel: str, template: str, environment: Mapping[str, str], folder: Path) -> Resolved:
    """The address behind a template; relative files count from `folder`.

    Raises ConfigError that names the channel and the variable or file, never a value.
    """
    if template.startswith("file:"):
        whole = _read(channel, template.removeprefix("file:"), folder)
        return Resolved(whole, _parts_of(whole))
    found: set[str] = set()

    def value_of(match: re.Match[str]) -> str:
        name = match["name"].strip()
        value = _read(channel, name, folder) if match["file"] else _variable(channel, name, environment)
        if match.group() == template:
            found.update(_parts_of(value))
            return value
        found.update(_spellings(value))
        return quote(value, safe="")  # a password with a slash must not end the host

    url = _REFERENCE.sub(value_of, template)
    return Resolved(url, frozenset(found))


def is_reference(template: str) -> bool:
    """Whether a template takes anything from outside the rules file."""
    return template.startswith("file:") or _REFERENCE.search(template) is not None


class Mask:
    """Replaces every secret it was told of by `****`."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def hide(self, secrets: Iterable[str]) -> None:
        """Hide these too from now on."""
        self._secrets.update(secret for secret in secrets if secret)
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text


def _variable(channel: str, name: str, environment: Mapping[str, str]) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ConfigError(
            f"channel {channel}: ${{{name}}} names no environment variable; write ${{NAME}}, or ${{file:PATH}}"
        )
    value = environment.get(name, "")
    if not value:
        raise ConfigError(
            f"channel {channel}: the environment variable {name} is not set; its url in the rules needs it"
        )
    _refuse_example(channel, f"the environment variable {name}", value)
    return value


def _read(channel: str, name: str, folder: Path) -> str:
    path = folder / Path(name.strip()).expanduser()
    try:
        value = secret_in("the secret file", path)
    except ValueError as error:
        raise ConfigError(f"channel {channel}: {error}") from None
    _refuse_example(channel, f"the secret file {path}", value)
    return value


def _refuse_example(channel: str, where: str, value: str) -> None:
    if value.lower().startswith(EXAMPLE_SECRET):
        raise ConfigError(f"channel {channel}: {where} still holds the example ({EXAMPLE_SECRET}…); put yours there")


def _spellings(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}


def _parts_of(url: str) -> frozenset[str]:
    """The whole address and each longer piece of it: a receiver's error may quote any, in whatever spelling."""
    pieces = {piece for piece in _PARTS.split(url) if len(piece) >= _MIN_PART}
    pieces |= {unquote(piece) for piece in pieces}
    password = _password(url)
    pieces |= {password, unquote(password)} - {""}
    return frozenset(spelling for piece in {url, *pieces} for spelling in _spellings(piece))


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
