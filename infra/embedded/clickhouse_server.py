"""The embedded ClickHouse as a process: `python -m infra.embedded.clickhouse_server --data DIR --port N`.

It prints `listening on 127.0.0.1:PORT` when it answers, and stops on SIGTERM or when its starter has gone (which it
knows by the end of its standard input). A password for the user `default` may be given in the environment variable
CLICKHOUSE_PASSWORD, one for the user `bi`, who only reads, in CLICKHOUSE_BI_PASSWORD; arguments would show them to
everybody who may list processes.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from infra.embedded import bi_login
from infra.embedded.clickhouse_engine import Engine
from infra.embedded.clickhouse_http import EmbeddedClickHouse, free_spool
from infra.embedded.parent_watch import call_when_parent_ends

log = logging.getLogger(__name__)

_LAST_STATEMENTS_SECONDS = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.embedded.clickhouse_server", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the engine's files")
    parser.add_argument("--port", type=int, default=8123, help="0 takes a free one")
    parser.add_argument("--or-free-port", action="store_true", help="take a free one when PORT is taken")
    parser.add_argument("--user", default="default")
    parser.add_argument("--keep-running", action="store_true", help="do not stop when the starter ends")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if not options.keep_running:
        call_when_parent_ends(stop.set)

    # Times without a zone are UTC, as in ClickHouse's own container image, wherever this machine stands.
    os.environ["TZ"] = "UTC"
    time.tzset()
    options.data.mkdir(parents=True, exist_ok=True)
    # Everything is named relative to the folder: the engine's address would end at a `?` or `%` in its name.
    os.chdir(options.data)
    spool = Path("spool")
    free_spool(spool)
    engine = Engine(Path("engine"))
    passwords = {
        options.user: os.environ.get("CLICKHOUSE_PASSWORD", ""),
        bi_login.USER: os.environ.get("CLICKHOUSE_BI_PASSWORD", ""),
    }
    try:
        server = EmbeddedClickHouse(options.port, engine, spool, passwords)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not options.or_free_port:
            raise
        server = EmbeddedClickHouse(0, engine, spool, passwords)
    threading.Thread(target=server.serve_forever, name="accept", daemon=True).start()
    sys.stdout.write(f"listening on 127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    stop.wait()
    server.shutdown()
    server.server_close()
    if not server.wait_idle(_LAST_STATEMENTS_SECONDS):
        log.warning("statements still ran after %s s; they are cut off", _LAST_STATEMENTS_SECONDS)
        logging.shutdown()
        os._exit(0)  # closing the engine would wait for them; what is not committed was never acknowledged
    engine.close()
    # Idle connections have threads of their own; the interpreter must not wait for them inside the engine.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
