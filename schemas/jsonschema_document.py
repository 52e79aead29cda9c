"""The events as JSON Schema (draft 2020-12): what a platform team validates against before it sends anything."""

from typing import Any, Final

from schemas.events import MODELS, SCHEMA_VERSION
from schemas.examples import EXAMPLES
from schemas.vocabulary import EventType

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_COMMENT: Final = (
    "Generated from schemas/events.py by `qunpulse schema export`; do not edit. Stricter than JSON Schema can say: "
    "an integer must be written without fraction or exponent (5, not 5.0), a day must exist, occurred_at must lie in "
    "2000 or later, the record must be UTF-8 and at most 64 levels deep."
)


def json_schema(event_type: EventType) -> dict[str, Any]:
    """The JSON Schema of one event type."""
    schema = MODELS[event_type].model_json_schema()
    _drop_titles(schema)
    head = {
        "$schema": DRAFT,
        "$id": f"urn:qunpulse:event:{event_type}:v{SCHEMA_VERSION}",
        "$comment": _COMMENT,
        "title": event_type,
        "description": schema.pop("description"),
        "type": schema.pop("type"),
        "required": schema.pop("required"),
        "properties": schema.pop("properties"),
    }
    return {**head, **schema, "examples": [EXAMPLES[event_type]]}


def _drop_titles(schema: Any) -> None:
    """Remove the titles that pydantic makes of field names ("Event Id"): they say the name again."""
    if isinstance(schema, list):
        for entry in schema:
            _drop_titles(entry)
    elif isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for entry in schema.values():
            _drop_titles(entry)
