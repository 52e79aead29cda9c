"""A container's health check: ends with 0 when /healthz on this port says that the process is alive.

python -m infra.compose.alive PORT
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

_PATIENCE_SECONDS = 3.0


def main(port: str) -> int:
    """Exit code, with the reason on stderr, where the container engine keeps it."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=_PATIENCE_SECONDS):
            return 0
    except urllib.error.HTTPError as error:
        with error:
            sys.stderr.write(error.read().decode(errors="replace"))
    except OSError as error:
        sys.stderr.write(f"nothing answers on port {port}: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
