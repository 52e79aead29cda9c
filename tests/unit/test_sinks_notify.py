"""A receiver's answer is what it really said: against a web server that misbehaves and a mail server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from sinks.notify import Answer, Receiver
from streams.errors import ConfigError
from tests.receivers import HttpReceiver, MailReceiver, Reply, http_receiver, mail_receiver

TITLE, TEXT = "[high] 成员沉默", "上海读书会 的 小明 九天没有说话。"


@pytest.fixture(scope="module")
def web() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def mail() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver


def answered(web: HttpReceiver, reply: Reply, timeout_seconds: float = 5.0) -> Answer:
    web.script = lambda _: reply
    return Receiver(web.url(), timeout_seconds).send(TITLE, TEXT, "m1")


def test_what_a_web_receiver_takes_arrives_whole_and_with_its_key(web: HttpReceiver) -> None:
    assert answered(web, Reply()) == Answer(True)
    assert (web.got[-1].title, web.got[-1].text, web.got[-1].key) == (TITLE, TEXT, "m1")


def test_a_failing_receiver_says_its_status(web: HttpReceiver) -> None:
    answer = answered(web, Reply(500))
    assert (answer.acknowledged, answer.error, answer.refused) == (False, "HTTP 500 Internal Server Error", False)


@pytest.mark.parametrize("status", [400, 413])
def test_a_message_that_is_refused_speaks_of_itself_and_not_of_the_receiver(web: HttpReceiver, status: int) -> None:
    assert answered(web, Reply(status)).refused


def test_a_busy_receiver_says_when_it_wants_to_be_asked_again(web: HttpReceiver) -> None:
    assert answered(web, Reply(429, {"Retry-After": "7"})).retry_after_seconds == 7
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert answered(web, Reply(503, {"Retry-After": then})).retry_after_seconds == pytest.approx(90, abs=5)
    for nonsense in ("soon", "nan", "-5", "1e99"):
        wait = answered(web, Reply(429, {"Retry-After": nonsense})).retry_after_seconds
        assert wait is None or 0 <= wait <= 6 * 3600


def test_silence_is_no_acknowledgement(web: HttpReceiver) -> None:
    answer = answered(web, Reply(silent_seconds=1.0), timeout_seconds=0.2)
    assert not answer.acknowledged
    assert "timed out" in answer.error


def test_nobody_there_is_told_as_such() -> None:
    answer = Receiver("json://127.0.0.1:9/", 2).send(TITLE, TEXT)
    assert not answer.acknowledged
    assert "Connection refused" in answer.error


@pytest.mark.parametrize(
    ("service", "body", "error", "wait"),
    [
        ("wecombot", b'{"errcode":0,"errmsg":"ok"}', "", None),
        ("wecombot", b'{"errcode":45009,"errmsg":"api freq out of limit"}', "code 45009: api freq out of limit", 60),
        ("dingtalk", b'{"errcode":310000,"errmsg":"keywords not in content"}', "code 310000: keywords", None),
        ("lark", b'{"code":19024,"msg":"Key Words Not Found"}', "code 19024: Key Words Not Found", None),
        ("lark", b'{"StatusCode":0,"StatusMessage":"success","code":0,"msg":"success"}', "", None),
        ("feishu", b'{"code":9499,"msg":"too many request"}', "code 9499", 60),
    ],
)
def test_a_robot_that_refuses_with_status_200_has_not_taken_it(
    web: HttpReceiver, monkeypatch: pytest.MonkeyPatch, service: str, body: bytes, error: str, wait: float | None
) -> None:
    import requests

    to_robot = requests.Session.request

    def to_us(self: requests.Session, method: str, url: str, **kwargs: object) -> requests.Response:
        return to_robot(self, method, f"http://127.0.0.1:{web.port}/robot", **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(requests.Session, "request", to_us)
    replied = Reply(200, {"Content-Type": "application/json"}, body)
    web.script = lambda _: replied
    answer = _send_raw(web, f"{service}://abcdefgh12345678abcdefgh12345678")
    assert answer.acknowledged == (not error)
    assert error in answer.error
    assert answer.retry_after_seconds == wait


def _send_raw(web: HttpReceiver, url: str) -> Answer:
    return Receiver(url, 5).send(TITLE, TEXT)


def test_a_webhook_of_ones_own_may_answer_with_any_code_in_its_body(web: HttpReceiver) -> None:
    assert answered(web, Reply(200, {"Content-Type": "application/json"}, b'{"code": 17}')).acknowledged


def test_a_mail_arrives_with_chinese_subject_and_text(mail: MailReceiver) -> None:
    assert Receiver(mail.url(), 5).send(TITLE, TEXT, "m1").acknowledged
    assert mail.got[-1]["Subject"] == TITLE
    body = mail.got[-1].get_body(("plain",))
    assert body is not None
    assert TEXT in body.get_content()


def test_a_mail_server_that_refuses_is_quoted(mail: MailReceiver) -> None:
    mail.refuse = "452 mailbox full"
    try:
        answer = Receiver(mail.url(), 5).send(TITLE, TEXT)
    finally:
        mail.refuse = ""
    assert not answer.acknowledged
    assert "mailbox full" in answer.error


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "Apprise does not understand"),
        ("nosuchservice://token-abc", "Apprise does not understand nosuchservice://…"),
        ("mailto://localhost:25?from=a@example.com&to=b@example.com,c@example.com", "names 2 receivers"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_it(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Receiver(url, 5)
    assert words in str(refused.value)
    assert "abc" not in str(refused.value)
