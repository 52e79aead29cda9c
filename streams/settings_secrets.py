"""Settings that are secrets: given as they are or in a file, and never those of the example."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

ENV_PREFIX: Final = "QUNPULSE_"

SECRETS: Final = ("kafka_password", "clickhouse_password", "pseudonym_key", "metrics_token")
"""Each can be given as it is, or as the name of the file that holds it in `<name>_file`."""

EXAMPLE_SECRET: Final = "change-me"  # noqa: S105 - the very word that is refused
"""What the secrets of `.env.example` begin with: whoever copies the file and forgets one must not run with it."""


def with_secrets_of_files(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of settings with each secret whose file is named. Raises ValueError, which never quotes a secret."""
    completed = dict(values)
    for name in SECRETS:
        path = values.get(f"{name}_file")
        if not path:
            continue
        if plain(values.get(name)):
            raise ValueError(f"both {variable_of(name)} and {variable_of(name)}_FILE are set; keep one of them")
        completed[name] = secret_in(f"{name}_file", Path(path))
    return completed


def refuse_examples(secrets: Mapping[str, object]) -> None:
    """Raise ValueError that names the variable when one of them is still the example's."""
    for name, secret in secrets.items():
        if plain(secret).lower().startswith(EXAMPLE_SECRET):
            raise ValueError(
                f"{variable_of(name)} is still the example's ({EXAMPLE_SECRET}…), which everybody can read; "
                "put a secret of your own there, for example of `openssl rand -hex 24`"
            )


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"{ENV_PREFIX}{name.upper()}"


def plain(secret: object) -> str:
    """The secret itself; empty when there is none."""
    return secret.get_secret_value() if isinstance(secret, SecretStr) else str(secret or "")


def secret_in(what: str, path: Path) -> str:
    """The secret that a file holds. Raises ValueError that names the file, as `what`."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"{what} {path} cannot be read: {said}") from None
    if not secret:
        raise ValueError(f"{what} {path} is empty")
    return secret
