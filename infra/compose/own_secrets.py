"""The first service of docker-compose.yml: ends with an error unless every secret is there and somebody's own.

    python -m infra.compose.own_secrets NAME …     names of environment variables

ClickHouse and Grafana would take `change-me-…` as readily as anything else. All other services wait for this one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

EXAMPLE_PREFIX = "change-me"


def complaints(names: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """What is wrong with each of these secrets, never with its value; empty when all are somebody's own."""
    found = []
    for name in names:
        value = environment.get(name, "").strip()
        if not value:
            found.append(f"{name} is empty; set it in .env")
        elif value.lower().startswith(EXAMPLE_PREFIX):
            found.append(f"{name} is still that of .env.example; put one of your own into .env")
    return found


def main(names: Sequence[str]) -> int:
    """Exit code: 0 when all secrets are somebody's own."""
    found = complaints(names, os.environ)
    for complaint in found:
        sys.stderr.write(f"error: {complaint} (`openssl rand -hex 24` makes a password)\n")
    return 1 if found or not names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
