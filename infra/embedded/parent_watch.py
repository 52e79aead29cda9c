"""Ends a process when the one that started it has gone, however it went.

The starter keeps the writing end of the child's standard input open and never writes: the kernel closes it when the
starter ends, by SIGKILL too, and the child reads the end of the file. (Linux's "signal me when my parent dies" is tied
to the *thread* that started the child, and would end the broker when a start-up thread has done its work.)
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

_POLL_SECONDS = 1.0


def call_when_parent_ends(callback: Callable[[], None]) -> None:
    """Call `callback` once, from a thread of its own, when standard input ends or the parent process changes."""
    parent = os.getppid()
    ended = threading.Event()

    def watch_input() -> None:
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        ended.set()

    def watch_parent() -> None:
        # A copy of the pipe that another child of the starter inherited would keep standard input open.
        while not ended.wait(_POLL_SECONDS):
            if os.getppid() != parent:
                ended.set()
        callback()

    for watch in (watch_input, watch_parent):
        threading.Thread(target=watch, name=watch.__name__, daemon=True).start()
