"""Simulated communities: a feed that looks like a real one, and the truth behind it that no event tells.

A world is made once (communities, their rhythms, the lives of their members), then everything that happens is drawn
from it in columns. Time inside a community runs on its *own clock*, which moves fast when people are awake and slowly
at night; lives, gaps and purchases are drawn on that clock and mapped to wall time, so that all of them share the
community's days and weeks. The same plan gives the same bytes, for one version of qunpulse and numpy.

    plan.py       what to simulate
    rhythms.py    a community's own clock
    world.py      communities and the names in them
    lives.py      who joins when, invited by whom, writes how much, stays how long
    roster.py     joins, leaves, referrals, snapshots as events
    purchases.py  orders of buyers after a BG/NBD process
    chatter.py    messages and interactions
    disorder.py   duplicates, late arrival, broken records
    feed.py       all of it in one file, the truth and the rules beside it
    live.py       the same, happening now
"""

from streams.simulation.feed import SimulatedFeed, simulate, write_feed
from streams.simulation.live import live_events
from streams.simulation.plan import Plan

__all__ = ["Plan", "SimulatedFeed", "live_events", "simulate", "write_feed"]
