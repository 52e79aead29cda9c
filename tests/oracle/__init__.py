"""The batch oracle: every landed figure, recomputed from the raw events straight from its definition.

It is written apart from the product on purpose: nothing here imports `streams`, `sinks` or `schemas`, nothing is
incremental, and where a slow and plain way exists it is taken. What the worker lands has to equal it, row by row.

    events = read_events(["messages.ndjson.gz", "joins.ndjson.gz"])      # merged by occurred_at
    oracle = Oracle(events, timezones={"telegram:qa_load": "Europe/Moscow"})
    assert compare("activity_1d", landed, oracle.table("activity_1d")) == []
"""

from tests.oracle.batch import FIGURES, TABLES, Oracle
from tests.oracle.comparing import KEYS, compare
from tests.oracle.reading import TOPIC_OF, milliseconds, read_events

__all__ = ["FIGURES", "KEYS", "TABLES", "TOPIC_OF", "Oracle", "compare", "milliseconds", "read_events"]
