"""A real ClickHouse and receivers that misbehave: everything arrives, nothing twice, whatever breaks."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from schemas.alerts import AlertRecord
from sinks.alert_deliveries import Delivery, DeliveryLedger
from sinks.clickhouse import ClickHouse
from sinks.notify import Receiver
from sinks.retry import Backoff
from sinks.schema import ALERT_DELIVERIES, EVENTS, MEMBERS
from sinks.whereabouts import still_elsewhere
from streams.delivery.desk import Desk
from streams.delivery.names import Names
from streams.delivery.plan import HOUR_MS, Arrived
from streams.metrics import DeliveryMetrics
from streams.rules_delivery import NamesRules
from streams.rules_model import Rules
from tests.alerts import alert
from tests.receivers import Got, HttpReceiver, MailReceiver, Reply, http_receiver, mail_receiver

QUICK = Backoff(first_seconds=0.02, longest_seconds=0.1)
NOW = int(datetime(2024, 5, 8, 12, 5, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)


class Clock:
    """A clock that a test may set; otherwise it goes on from there, since backoff has to pass."""

    def __init__(self, now_ms: int = NOW) -> None:
        self.set(now_ms)

    def set(self, now_ms: int) -> None:
        self._base, self._from = now_ms, time.monotonic()

    def now_ms(self) -> int:
        return self._base + int((time.monotonic() - self._from) * 1000)


@pytest.fixture(scope="module")
def web() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def _afresh(store: ClickHouse, web: HttpReceiver) -> None:
    store.command(f"TRUNCATE TABLE {ALERT_DELIVERIES}")
    web.got.clear()
    web.script = lambda _: Reply()


class Office:
    """Opens desks on the same ledger, as one process after another would."""

    def __init__(self, store: ClickHouse, web: HttpReceiver) -> None:
        self.store, self.web, self.clock = store, web, Clock()
        self.urls: dict[str, str] = {"ops": web.url("ops")}
        self.channel: dict[str, Any] = {}
        self.timeout_seconds = 5.0
        self.names = NamesRules()
        self.folder = Path()
        self.metrics = DeliveryMetrics()

    @contextmanager
    def desk(self, ledger: DeliveryLedger | None = None, **options: Any) -> Iterator[Desk]:
        rules = Rules.model_validate(
            {
                "alerts": {
                    "channels": {name: {"url": url} | self.channel for name, url in self.urls.items()},
                    "routes": [{"channels": list(self.urls)}],
                    "new_per_assignee_and_day": 10_000,
                }
            }
        )
        receivers = {name: Receiver(url, self.timeout_seconds) for name, url in self.urls.items()}
        desk = Desk(
            rules, receivers, ledger or DeliveryLedger(self.store), Names(self.names, self.folder, self.store),
            clock=self.clock, metrics=self.metrics, stop=threading.Event(), backoff=QUICK, **options,
        )  # fmt: skip
        desk.open()
        try:
            yield desk
        finally:
            desk.close()

    def arrived(self, *alerts: AlertRecord) -> list[Arrived]:
        return [Arrived(one, self.clock.now_ms()) for one in alerts]

    def wait(self, outcome: str, count: int) -> None:
        """Wait until so many deliveries have an outcome in the view."""
        deadline = time.monotonic() + 15
        while (found := self.outcomes()[outcome]) != count:
            assert time.monotonic() < deadline, (outcome, found, self.web.got)
            time.sleep(0.02)

    def outcomes(self) -> Counter[str]:
        rows = self.store.rows("SELECT outcome, count() FROM qunpulse.alert_deliveries GROUP BY outcome")
        return Counter(dict(rows))


@pytest.fixture
def office(store: ClickHouse, web: HttpReceiver) -> Office:
    return Office(store, web)


def some(count: int, **fields: Any) -> list[AlertRecord]:
    """Alerts of as many communities, so that each is a message of its own."""
    return [alert(fact=n, community_id=f"wecom:群{n}", member_id=f"m{n}", **fields) for n in range(count)]


def ids(got: Sequence[Got]) -> Counter[str]:
    """How often the receiver saw each alert."""
    return Counter(word for one in got for word in one.text.split() if word.startswith("silent-"))


def all_of(alerts: Sequence[AlertRecord]) -> Counter[str]:
    return Counter({one.alert_id: 1 for one in alerts})


def test_each_alert_arrives_once_on_each_channel_and_stands_in_the_view(office: Office) -> None:
    office.urls["mail-like"] = office.web.url("second")
    told = some(4)
    with office.desk() as desk:
        desk.take(office.arrived(*told))
        desk.take(office.arrived(*told))  # as after a restart of the reader
        office.wait("sent", 8)
        desk.report()
    assert ids([one for one in office.web.taken if "/ops" in one.path]) == all_of(told)
    assert ids(office.web.taken) == all_of(told) + all_of(told)
    left = office.store.rows(f"SELECT DISTINCT alert FROM {ALERT_DELIVERIES} FINAL")
    assert left == [("",)]  # of what was told only ids stay


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(500),
        Reply(429, {"Retry-After": "0.05"}),
        Reply(400),
        Reply(silent_seconds=2.5),
    ],
    ids=["fails", "rate-limits", "refuses", "times-out"],
)
def test_a_receiver_in_trouble_gets_everything_in_the_end_and_nothing_twice(office: Office, trouble: Reply) -> None:
    office.timeout_seconds = 1.0  # enough for a busy machine to take the request in before it is given up
    seen: Counter[str] = Counter()

    def first_try_fails(got: Got) -> Reply:
        seen[got.key] += 1
        return trouble if seen[got.key] == 1 else Reply()

    office.web.script = first_try_fails
    told = some(3)
    with office.desk() as desk:
        desk.take(office.arrived(*told))
        office.wait("sent", 3)
    assert ids(office.web.taken) == all_of(told)
    assert len(office.web.wait(lambda got: len(got) >= 6)) == 6
    tries = office.store.rows("SELECT attempts, error FROM qunpulse.alert_deliveries")
    assert tries == [(2, "")] * 3


def test_what_fails_is_visible_and_survives_a_restart(office: Office) -> None:
    office.web.script = lambda _: Reply(503)
    told = some(2)
    with office.desk() as desk:
        desk.take(office.arrived(*told))
        office.wait("failed", 1)
        desk.report()
        assert office.metrics.owed("ops", "failed")._value.get() >= 1
    rows = office.store.rows("SELECT error, attempts > 0 FROM qunpulse.alert_deliveries WHERE outcome = 'failed'")
    assert rows[0] == ("HTTP 503 Service Unavailable", 1)
    office.web.script = lambda _: Reply()
    with office.desk():  # reads what is owed from the ledger; nobody hands it in again
        office.wait("sent", 2)
    assert ids(office.web.taken) == all_of(told)


def test_mail_and_web_do_not_hold_each_other_up(office: Office) -> None:
    with mail_receiver() as mail:
        office.urls = {"broken": office.web.url("broken"), "mail": mail.url()}
        office.web.script = lambda _: Reply(500)
        told = some(3)
        with office.desk() as desk:
            desk.take(office.arrived(*told))
            office.wait("sent", 3)
        _check_mails(mail, told)
    assert office.outcomes()["sent"] == 3


def _check_mails(mail: MailReceiver, told: Sequence[AlertRecord]) -> None:
    bodies = []
    for one in mail.got:
        body = one.get_body(("plain",))
        assert body is not None
        bodies.append(body.get_content())
    assert sorted(id_ for id_ in all_of(told) for body in bodies if id_ in body) == sorted(all_of(told))
    assert any("群0" in one["Subject"] for one in mail.got)


class Crash(Exception):
    """The process ends here."""


class CrashingLedger(DeliveryLedger):
    """Ends the process at one write, before or after ClickHouse has it."""

    def __init__(self, clickhouse: ClickHouse, when: Callable[[Sequence[Delivery]], bool], *, after: bool) -> None:
        super().__init__(clickhouse)
        self._when, self._after, self.crashed = when, after, threading.Event()

    def write(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """As the real one, but for the crash."""
        if self.crashed.is_set():
            raise Crash
        if self._when(deliveries):
            self.crashed.set()
            if self._after:
                super().write(deliveries)
            raise Crash
        return super().write(deliveries)


def planning(deliveries: Sequence[Delivery]) -> bool:
    return deliveries[0].outcome == "waiting"


def second_outcome() -> Callable[[Sequence[Delivery]], bool]:
    sent: list[str] = []

    def when(deliveries: Sequence[Delivery]) -> bool:
        if deliveries[0].outcome == "sent":
            sent.append(deliveries[0].alert.alert_id)
        return len(sent) == 2

    return when


@pytest.mark.parametrize(
    ("when", "after", "repeated"),
    [
        (lambda: planning, False, 0),  # before anything is owed: the offset is not committed, the record comes again
        (lambda: planning, True, 0),  # owed, offset not committed: comes again and is known
        (second_outcome, True, 0),  # acknowledged and written down
        (second_outcome, False, 1),  # acknowledged, not written down: the one window; the receiver can tell by the key
    ],
    ids=["before-planning", "after-planning", "after-outcome", "before-outcome"],
)
def test_a_crash_at_any_step_loses_nothing_and_repeats_only_what_was_not_written_down(
    office: Office, when: Callable[[], Callable[[Sequence[Delivery]], bool]], after: bool, repeated: int
) -> None:
    told = some(5)
    ledger = CrashingLedger(office.store, when(), after=after)
    with office.desk(ledger) as desk:
        try:
            desk.take(office.arrived(*told))
        except Crash:
            assert when() is planning
        assert ledger.crashed.wait(10)
    with office.desk() as desk:
        desk.take(office.arrived(*told))
        office.wait("sent", 5)
    counts = ids(office.web.taken)
    assert set(counts) == set(all_of(told))
    assert sum(counts.values()) == 5 + repeated
    assert len({one.key for one in office.web.taken}) == 5  # a repeated message has the key it had


def test_one_who_is_no_longer_in_charge_sends_nothing(office: Office) -> None:
    in_charge = threading.Event()
    with office.desk(may_send=in_charge.is_set) as desk:
        desk.take(office.arrived(*some(2)))
        time.sleep(0.5)
        assert office.web.got == []
        in_charge.set()
        office.wait("sent", 2)


def test_three_hundred_alerts_of_a_community_are_five_messages_and_a_digest_at_the_hour(office: Office) -> None:
    told = [alert(fact=n, member_id=f"成员{n}") for n in range(300)]
    with office.desk() as desk:
        desk.take(office.arrived(*told))
        office.wait("sent", 5)
        assert len(office.web.got) == 5
        office.clock.set((office.clock.now_ms() // HOUR_MS + 1) * HOUR_MS)
        office.wait("sent", 300)
    assert len(office.web.got) == 6
    assert office.web.got[-1].title == "295 alerts in wecom:上海读书会"


def test_who_left_a_community_but_not_the_platform_waits_for_the_digest(office: Office) -> None:
    """The other community may lie on another partition than the one that raised the alert."""
    for table in (EVENTS, MEMBERS):
        office.store.command(f"TRUNCATE TABLE {table}")
    for community, platform in (("wecom:旧群", "wecom"), ("wecom:新群", "wecom"), ("qq:群", "qq")):
        office.store.command(
            f"INSERT INTO {EVENTS} (event_id, event_type, community_id, platform, occurred_at) "
            f"VALUES ('e', 'join', '{community}', '{platform}', now64(3))"
        )
    stayed = [("小王", "wecom:新群"), ("小王", "wecom:旧群"), ("小李", "qq:群")]  # 旧群: the leaving has not landed yet
    for member, community in stayed:
        office.store.command(
            f"INSERT INTO {MEMBERS} (community_id, member_id, status) VALUES ('{community}', '{member}', 'active')"
        )
    told = [
        alert("left", fact=n, community_id="wecom:旧群", member_id=member, platform="wecom", severity="high")
        for n, member in enumerate(("小王", "小李", "小赵"))
    ]
    with office.desk(still_elsewhere=partial(still_elsewhere, office.store)) as desk:
        desk.take(office.arrived(*told))
        office.wait("sent", 2)
    forms = office.store.rows("SELECT member_id, form FROM qunpulse.alert_deliveries ORDER BY member_id")
    assert dict(forms) == {"小王": "digest", "小李": "single", "小赵": "single"}


def test_quiet_hours_hold_through_a_restart_and_end_with_one_message(office: Office) -> None:
    office.channel = {"quiet_hours": "22:00-08:00", "timezone": "Asia/Shanghai"}
    office.clock.set(NOW + 11 * HOUR_MS)  # 23:05 in Shanghai
    told = [alert(fact=n, member_id=f"m{n}") for n in range(8)]
    urgent = alert("exodus", severity="critical")
    with office.desk() as desk:
        desk.take(office.arrived(*told, urgent))
        office.wait("sent", 1)
    with office.desk():
        time.sleep(0.3)
        assert [one.title for one in office.web.got] == ["[critical] many members are leaving, wecom:上海读书会"]
        office.clock.set(NOW + 20 * HOUR_MS)
        office.wait("sent", 9)
    assert [one.title for one in office.web.got[1:]] == ["8 alerts in wecom:上海读书会"]


def test_names_are_in_messages_and_in_no_table(office: Office, tmp_path: Path, store: ClickHouse) -> None:
    store.command("CREATE DATABASE IF NOT EXISTS crm")
    store.command("CREATE TABLE crm.people (member_id String, name String) ENGINE = MergeTree ORDER BY member_id")
    store.command("INSERT INTO crm.people VALUES ('m0', '李小红'), ('m1', '在表里')")
    (tmp_path / "names.csv").write_text("member_id,name\nm1,王小明\n", encoding="utf-8")
    office.names, office.folder = NamesRules(csv="names.csv", table="crm.people"), tmp_path
    try:
        with office.desk() as desk:
            desk.take(office.arrived(*some(2)))
            office.wait("sent", 2)
    finally:
        store.command("DROP DATABASE crm")
    whole = "\n".join(one.whole for one in office.web.got)
    assert "李小红" in whole
    assert "王小明" in whole  # the table of the rules file goes before
    for (row,) in store.rows(f"SELECT toString(tuple(*)) FROM {ALERT_DELIVERIES}"):
        assert "小" not in row


def test_clickhouse_away_is_waited_for_and_nothing_is_sent_unwritten(office: Office, monkeypatch: Any) -> None:
    from streams.errors import RetryableSinkError

    real, failures = DeliveryLedger.write, [3]

    def away(self: DeliveryLedger, deliveries: Sequence[Delivery]) -> list[Delivery]:
        if failures[0]:
            failures[0] -= 1
            raise RetryableSinkError("ClickHouse does not answer")
        return real(self, deliveries)

    monkeypatch.setattr(DeliveryLedger, "write", away)
    with office.desk() as desk:
        desk.take(office.arrived(*some(2)))
        office.wait("sent", 2)
    assert len(office.web.got) == 2
