"""One record looked at closely: the slow way that the codec takes for what is not plainly valid.

msgspec's strict grammar decides what JSON is, for both ways, so the fast one and this one cannot disagree about it.
"""

from typing import Any, Final

import msgspec
from pydantic import ValidationError

from schemas.events import MODELS, SCHEMA_VERSION
from schemas.hot_structs import DECODE, STRUCTS
from schemas.refusals import Refusal, faults_of, join_faults, refusal
from schemas.screening import MAX_NESTING, nests_deeper
from schemas.vocabulary import EventType


class _VersionOnly(msgspec.Struct):
    schema_version: Any = None


_decode_version: Final = msgspec.json.Decoder(_VersionOnly).decode
_decode_anything: Final = msgspec.json.Decoder().decode


def examine(event_type: EventType, index: int, raw: bytes | None, max_record_bytes: int) -> msgspec.Struct | Refusal:
    """The event in `raw`, or why it is refused; raises nothing, whatever the bytes."""
    if raw is None:
        return refusal(index, "invalid_json", "a tombstone: the record has no value")
    if len(raw) > max_record_bytes:
        return refusal(index, "too_large", f"{len(raw)} bytes; at most {max_record_bytes} are read")
    if not raw.strip():
        return refusal(index, "invalid_json", "the record is empty")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return refusal(index, "invalid_json", f"not UTF-8: {error.reason} at byte {error.start}")
    if nests_deeper(raw, MAX_NESTING):
        return refusal(index, "invalid_json", f"nested deeper than {MAX_NESTING} levels")
    try:
        version = _decode_version(raw).schema_version
    except msgspec.ValidationError as error:
        # Only two things can be wrong here: no object at all, or a version that is a number beyond all limits.
        if "schema_version" in str(error):
            return refusal(index, "invalid_field", "schema_version: a number out of range")
        return refusal(index, "invalid_json", "valid JSON, but not an object")
    except (ValueError, RecursionError) as error:
        return refusal(index, "invalid_json", _grammar_words(error))
    if isinstance(version, int) and version > SCHEMA_VERSION:  # true is an int too, but not above 1
        found = version if version.bit_length() <= 64 else f"an integer of {version.bit_length()} bits"
        return refusal(
            index, "unknown_schema_version", f"schema_version {found}; this worker knows up to {SCHEMA_VERSION}"
        )
    return _validated(event_type, index, raw)


def _validated(event_type: EventType, index: int, raw: bytes) -> msgspec.Struct | Refusal:
    """Decode with msgspec; let pydantic judge what it refuses, and whatever may hold the character NUL."""
    struct: msgspec.Struct | None = None
    try:
        struct = DECODE[event_type](raw)
        # Of a good record pydantic sees the known fields only: the others are nobody's business.
        found = msgspec.to_builtins(struct)
    except (ValueError, RecursionError) as refused:
        try:
            found = _decode_anything(raw)
        except (ValueError, RecursionError):
            return refusal(index, "invalid_field", _grammar_words(refused))
        words = _grammar_words(refused)
    try:
        MODELS[event_type].model_validate(found)
    except ValidationError as error:
        return refusal(index, "invalid_field", join_faults(faults_of(error)))
    if struct is not None:
        return struct
    # Only a repeated key brings us here: msgspec stumbled over an earlier value, but the last one wins.
    try:
        return msgspec.convert(found, STRUCTS[event_type])
    except ValueError:
        return refusal(index, "invalid_field", words)


def _grammar_words(error: BaseException) -> str:
    words = str(error) or type(error).__name__
    if words == "Input data was truncated":  # msgspec says so of half a surrogate pair as well
        return "the JSON ends too early, or a \\u escape is half of a surrogate pair"
    return words
