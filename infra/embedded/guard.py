"""Runs a program that cannot watch its starter itself (the JVM), and ends it when the starter has gone.

    python -I -S guard.py PROGRAM ARGUMENT…

The guard ends the program with SIGTERM, and with SIGKILL when that takes longer than 15 s, as soon as its own standard
input ends, its parent changes or it gets SIGTERM. Should the guard itself be killed, Linux kills the program.
It is a script of its own that needs only the standard library, so that it starts in 30 ms and stays small.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1
_PATIENCE_SECONDS = 15
_POLL_SECONDS = 1.0


def _die_with_guard() -> None:
    # Tied to the thread that forks: the guard forks from its only one, which lives as long as the guard.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run `command` until it or the starter ends; return its exit code."""
    starter = os.getppid()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    told_to_stop = False

    def stop(*_: object) -> None:
        nonlocal told_to_stop
        told_to_stop = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake the loop below
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_guard)  # noqa: PLW1509
    while program.poll() is None and not told_to_stop and os.getppid() == starter:
        ready, _, _ = select.select([0, wake_read], [], [], _POLL_SECONDS)
        if wake_read in ready:
            os.read(wake_read, 4096)
        if 0 in ready and not os.read(0, 4096):
            break
    if program.poll() is None:
        program.terminate()
        try:
            program.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            program.kill()
    with contextlib.suppress(KeyboardInterrupt):
        return program.wait()
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
