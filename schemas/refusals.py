"""Why a record is refused: a closed list of codes, and the words that tell a person what to repair.

Details quote what was found only in short, never ids of people, and never the whole payload: they end in logs, headers
and tables that more people read than the topic itself. They hold no line break and at most MAX_DETAIL characters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydantic import ValidationError

from schemas.events import PEOPLE

RefusalCode = Literal[
    "invalid_json",
    "invalid_field",
    "unknown_schema_version",
    "conflicting_duplicate",
    "future_timestamp",
    "too_large",
]
MEANINGS: Final[dict[RefusalCode, str]] = {
    "invalid_json": "The record is no JSON object in UTF-8, is empty (a tombstone), holds NaN or nests too deeply.",
    "invalid_field": "A field is missing, of the wrong type or outside its limits; the detail names each.",
    "unknown_schema_version": "The record follows a newer contract than this worker knows; update it, then replay.",
    "conflicting_duplicate": "An event with the same id but another member or time was there before.",
    "future_timestamp": "The event lies more than 5 minutes after the broker received it: a clock is wrong.",
    "too_large": "The record is larger than the worker's `max_record_bytes`.",
}
CODES: Final[tuple[RefusalCode, ...]] = get_args(RefusalCode)
MAX_DETAIL: Final = 500
_MAX_QUOTE: Final = 40
_MAX_FAULTS: Final = 5


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused record: its position in the decoded chunk, a code of the closed list, a readable detail."""

    index: int
    code: RefusalCode
    detail: str


@dataclass(frozen=True, slots=True)
class Fault:
    """One field that is wrong: its path (`items[3].sku`), what was expected, what was found."""

    field: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.field}: {self.expected}" + (f", found {self.found}" if self.found else "")


def refusal(index: int, code: RefusalCode, detail: str) -> Refusal:
    """A refusal whose detail keeps to the limits above."""
    return Refusal(index, code, shorten(detail, MAX_DETAIL))


def shorten(text: str, limit: int) -> str:
    """`text` on one line, printable, at most `limit` characters long; never a lone surrogate."""
    head = text[: limit + 1]
    clean = head if head.isprintable() else "".join(c if c.isprintable() else " " for c in head)
    clean = clean.strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def faults_of(error: ValidationError) -> list[Fault]:
    """Every fault pydantic found, in our words."""
    return [fault_of(found) for found in error.errors(include_url=False, include_context=True)]


def join_faults(faults: Sequence[Fault]) -> str:
    """One line for all faults; the first few in full."""
    text = "; ".join(str(fault) for fault in faults[:_MAX_FAULTS])
    more = len(faults) - _MAX_FAULTS
    return f"{text}; and {more} more" if more > 0 else text


def quote(found: object, *, private: bool = False) -> str:
    """What was found, shortened; of a private value only what kind of thing it is."""
    match found:
        case None:
            return "null"
        case bool():
            return "true" if found else "false"
        case str():
            what = f"a text of {len(found)} characters" if found else "an empty text"
            return what if private or len(found) > _MAX_QUOTE else f"{shorten(found, _MAX_QUOTE)!r}"
        case int():
            if private:
                return "an integer"
            # Printing an integer of thousands of digits is quadratic, and Python refuses beyond 4,300.
            return str(found) if found.bit_length() <= 128 else f"an integer of {found.bit_length()} bits"
        case float():
            return "a number" if private else repr(found)
        case list() | tuple():
            return f"a list of {len(found)}"
        case dict():
            return "an object"
    return type(found).__name__


def fault_of(error: Any) -> Fault:
    """One entry of pydantic's `errors()` in our words."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    field = str(error["loc"][0]) if error["loc"] else ""
    expected = _expected(error["type"], error.get("ctx", {}), error["msg"])
    found = "" if error["type"] == "missing" else quote(error["input"], private=field in PEOPLE)
    return Fault(path or "record", expected, found)


def _expected(kind: str, limits: dict[str, Any], message: str) -> str:
    match kind:
        case "missing":
            return "is required and missing"
        case "string_type":
            return "expected a text"
        case "int_type":
            return "expected an integer (not a text, not 5.0)"
        case "int_parsing":  # where texts are read as numbers: tables, headers
            return "expected an integer"
        case "bool_type":
            return "expected true or false"
        case "float_type" | "finite_number":
            return "expected a finite number"
        case "list_type":
            return "expected a list"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "expected an object"
        case "string_too_short":
            return f"expected at least {limits['min_length']} character(s)"
        case "string_too_long":
            return f"expected at most {limits['max_length']} characters"
        case "too_long":
            return f"expected at most {limits['max_length']} entries"
        case "greater_than_equal":
            return f"expected {limits['ge']} or more"
        case "less_than_equal":
            return f"expected {limits['le']} or less"
        case "literal_error":
            return f"expected {limits['expected']}"
        case "string_pattern_mismatch" if "A-Z" in limits["pattern"]:
            return "expected three capital letters (ISO 4217)"
        case "string_pattern_mismatch":
            return "must not contain the character NUL"
        case "value_error":
            return str(limits["error"])
    return message[:1].lower() + message[1:]
