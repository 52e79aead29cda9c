"""Channels of the rules file opened: their secrets read, their receivers made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sinks.notify import Receiver, masks_something
from streams.delivery.secrets import Mask, is_reference, resolve
from streams.errors import ConfigError
from streams.rules_delivery import ChannelRules


def open_channels(
    channels: Mapping[str, ChannelRules], folder: Path, environment: Mapping[str, str], mask: Mask
) -> dict[str, Receiver]:
    """A receiver for each channel; relative secret files count from `folder`. Nothing is sent or connected yet.

    Raises ConfigError that names the channel: a secret is missing, or stands in the rules file itself, or Apprise does
    not understand the address.
    """
    return {name: open_channel(name, rules, folder, environment, mask) for name, rules in channels.items()}


def open_channel(name: str, rules: ChannelRules, folder: Path, environment: Mapping[str, str], mask: Mask) -> Receiver:
    """As `open_channels`, for one."""
    if not is_reference(rules.url) and masks_something(rules.url):
        raise ConfigError(
            f"channel {name}: its url holds a secret; keep secrets out of the rules file: write ${{VARIABLE}} in their "
            "place and set the variable, or name a file with ${file:PATH}"
        )
    resolved = resolve(name, rules.url, environment, folder)
    mask.hide(resolved.secrets)
    try:
        return Receiver(resolved.url, rules.timeout_seconds, mask)
    except ConfigError as error:
        raise ConfigError(f"channel {name}: {error}") from None
