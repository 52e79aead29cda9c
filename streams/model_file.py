"""The file of a churn model on disk."""

from __future__ import annotations

from pathlib import Path

from streams.errors import ConfigError, InputError
from streams.operators.churn_model import ChurnModel, decode_model, encode_model, shipped_model


def load_model(path: Path | None) -> ChurnModel:
    """The model in a file; the shipped one without a file.

    Raises:
        ConfigError: the file cannot be read or holds no model.
    """
    if path is None:
        return shipped_model()
    try:
        return decode_model(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"churn model {path} cannot be read: {error.strerror}; `qunpulse model fit --out {path}` writes one"
        ) from None
    except ValueError as error:
        raise ConfigError(f"churn model {path}: {error}; fit it again with `qunpulse model fit --out {path}`") from None


def save_model(model: ChurnModel, path: Path) -> None:
    """Write a model's file; what stood there is replaced whole or not at all.

    Raises:
        InputError: it cannot be written there.
    """
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_bytes(encode_model(model))
        beside.replace(path)
    except OSError as error:
        raise InputError(f"model {path} cannot be written: {error.strerror}; name another with --out") from None
