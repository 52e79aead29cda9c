"""A worker that is killed right behind given steps of its flushes, one life after the other.

`python -m tests.recovery.dying_worker [--own-programs] STEP…`, settled by the environment; it runs the echo program, or
those of every worker. Each life is a fork of this process, so that
a test does not pay the start of Python again and again; each joins a group of its own, since the group of a killed
member waits out its session first, and owns nothing by Kafka's offsets anyway. The last life lives on.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import get_args

import streams.app
from streams.engine.flush import Flush, Step
from streams.operators.program import ProgramsOf
from streams.rules import RulesFile
from streams.settings import Settings
from tests.echo_program import EchoProgram

FLUSHES = 2
"""The flush in which it dies: not the first one, so that there is a checkpoint to fall back to."""


def killed_behind(step: str) -> Callable[[Step], None]:
    """What ends this process behind a step of its second or a later flush, all partitions together."""
    begun = 0

    def reached(now: Step) -> None:
        nonlocal begun
        begun += now == "begun"
        if now == step and begun >= FLUSHES:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


def programs_of(_: RulesFile) -> ProgramsOf:
    """The echo program alone."""
    return lambda context: [EchoProgram(context)]


def live(number: int, step: str | None, own_programs: bool) -> None:
    """One life."""
    settings = Settings()
    settings = settings.model_copy(
        update={"group_id": f"{settings.group_id}-{number}", "worker_id": f"life-{number}", "metrics_port": 0}
    )
    if step is None:  # nothing is left to be interrupted: large batches end the test sooner
        large = {"batch_max_records": 5_000, "buffer_max_records": 5_000, "flush_max_events": 5_000}
        settings = settings.model_copy(update=large)
    else:
        vars(streams.app)["Flush"] = partial(Flush, reached=killed_behind(step))
    streams.app.run_worker(settings, None if own_programs else programs_of)


def main(steps: list[str]) -> None:
    """Die behind each step in turn, then live on."""
    own_programs = "--own-programs" in steps
    steps = [step for step in steps if step != "--own-programs"]
    unknown = set(steps) - set(get_args(Step))
    if unknown:
        raise SystemExit(f"unknown steps: {unknown}")
    for number, step in enumerate(steps):
        child = os.fork()
        if child == 0:
            live(number, step, own_programs)
            os._exit(3)  # it was told to stop before it died
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            raise SystemExit(f"life {number} did not die behind {step}: status {status}")
        logging.basicConfig(level=logging.INFO)
        logging.warning("killed behind %s", step)
    live(len(steps), None, own_programs)


if __name__ == "__main__":
    main(sys.argv[1:])
