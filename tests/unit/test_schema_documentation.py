"""docs/contract.md is true: its examples are decoded, its fields, codes and words are those of the models."""

import json
import re
from pathlib import Path

import pytest

from schemas.codec import Decoder
from schemas.events import MODELS, OrderItem
from schemas.refusals import CODES
from schemas.topics import DEADLETTERS, TOPIC_OF
from schemas.vocabulary import INTERACTION_KINDS, SPEAKING_KINDS, VIA_WORDS

TEXT = (Path(__file__).parents[2] / "docs" / "contract.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:<!-- refused: (\w+) -->\n)?```json\n(.*?)```", TEXT, re.DOTALL)
WORDS = " ".join(TEXT.split())


@pytest.mark.parametrize(("code", "block"), BLOCKS)
def test_examples_are_what_they_are_shown_as(code: str, block: str) -> None:
    event_type = json.loads(block)["event_type"]
    chunk = Decoder(262_144).decode(event_type, [block.encode()], None)
    assert [refusal.code for refusal in chunk.refusals] == ([code] if code else [])
    for refusal in chunk.refusals:
        assert refusal.detail in WORDS


def test_there_are_examples_of_all_types_and_of_every_field() -> None:
    shown = [json.loads(block) for code, block in BLOCKS if not code]
    assert {event["event_type"] for event in shown} == set(TOPIC_OF)
    for event_type, model in MODELS.items():
        fields = {name for event in shown if event["event_type"] == event_type for name in event}
        assert fields | {"platform", "feed"} == set(model.model_fields)
    items = [item for event in shown for item in event.get("items", [])]
    assert {name for item in items for name in item} == set(OrderItem.model_fields)


def test_topics_codes_and_words_are_named() -> None:
    for topic in (*TOPIC_OF.values(), DEADLETTERS):
        assert f"`{topic}`" in TEXT
    for code in CODES:
        assert f"| `{code}` |" in TEXT
    assert " ".join(SPEAKING_KINDS) in WORDS
    assert " ".join(INTERACTION_KINDS) in WORDS
    assert " ".join(VIA_WORDS) in WORDS
