"""What every worker loads before it does anything: imported once by the process that forks them (`tests.forked`)."""

import gc

import streams.app
import streams.cli.main
from streams.warm_up import warm_up

warm_up()
gc.freeze()  # the collector must not touch pages that the workers share

__all__ = ["streams"]
