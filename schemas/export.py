"""The contract as files: generated, committed, and checked for drift and for backward compatibility.

`released/vN/` holds the JSON Schemas as they were last released; senders out there follow them. To release a contract,
copy `jsonschema/*.json` there: compatible changes into the folder of the same version, others into the next one
together with a higher `schema_version`.
"""

import io
import json
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from schemas import alerts, facts, milestones, touches
from schemas.asyncapi_document import asyncapi
from schemas.compatibility import breaking_changes
from schemas.jsonschema_document import json_schema
from schemas.vocabulary import EVENT_TYPES

HERE: Final = Path(__file__).parent
RELEASED: Final = HERE / "released"
_WAY_OUT: Final = "run `qunpulse schema export` and commit the files"


def generated() -> dict[str, str]:
    """The text of every file of the contract, by its path below the destination."""
    files = {f"jsonschema/{event_type}.json": as_json(json_schema(event_type)) for event_type in EVENT_TYPES}
    files["jsonschema/referral-fact.json"] = as_json(facts.json_schema())
    files["jsonschema/milestone.json"] = as_json(milestones.json_schema())
    files["jsonschema/touch.json"] = as_json(touches.json_schema())
    files["jsonschema/alert.json"] = as_json(alerts.alert_schema())
    files["jsonschema/command.json"] = as_json(alerts.command_schema())
    files["asyncapi.yaml"] = _as_yaml(asyncapi())
    return files


def export(dest: Path = HERE) -> list[Path]:
    """Write the contract below `dest` and return the files; OSError when that is not possible."""
    written = []
    for name, text in generated().items():
        path = dest / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        written.append(path)
    return written


def check() -> list[str]:
    """What is wrong with the committed contract, one finding a line; empty when nothing is."""
    return drift(HERE) + incompatibilities(RELEASED)


def drift(committed: Path) -> list[str]:
    """Where the committed files differ from what the models say."""
    findings = []
    expected = generated()
    for name, text in expected.items():
        path = committed / name
        if not path.is_file():
            findings.append(f"{name}: is missing; {_WAY_OUT}")
        elif path.read_text(encoding="utf-8") != text:
            findings.append(f"{name}: differs from the models; {_WAY_OUT}")
    there = sorted(f"jsonschema/{path.name}" for path in (committed / "jsonschema").glob("*.json"))
    return findings + [f"{name}: belongs to no event or record; delete it" for name in there if name not in expected]


def incompatibilities(released: Path) -> list[str]:
    """What would break for senders that follow the last released contract."""
    versions = sorted(released.glob("v*"), key=lambda folder: int(folder.name[1:]))
    if not versions:
        return [f"{released.name}: no released contract to compare with"]
    now = {event_type: json_schema(event_type) for event_type in EVENT_TYPES}
    findings = []
    for path in sorted(versions[-1].glob("*.json")):
        name = f"{path.stem} against {versions[-1].name}"
        new = next((schema for event_type, schema in now.items() if event_type == path.stem), None)
        if new is None:
            findings.append(f"{name}: the event was removed")
            continue
        old = json.loads(path.read_text(encoding="utf-8"))
        findings += [f"{name}: {finding}" for finding in breaking_changes(old, new)]
    return findings


def as_json(document: dict[str, Any]) -> str:
    """The document as the text that is committed."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _as_yaml(document: dict[str, Any]) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    # The order tells the story: info, channels, operations.
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 10_000  # folding would leave blanks at line ends
    yaml.representer.ignore_aliases = lambda _: True  # anchors would make the reader look elsewhere
    text = io.StringIO()
    yaml.dump(document, text)
    return text.getvalue()
