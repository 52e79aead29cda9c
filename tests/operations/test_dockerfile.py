"""The image's build, step by step as infra/Dockerfile has it, in an empty folder; then what the image would start."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "infra" / "Dockerfile"
PYTHON_MINOR = sys.version_info[:2]

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


@dataclass
class Stage:
    """The instructions of one `FROM`, in order."""

    image: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """What follows an instruction, each time it stands there."""
        return [rest for word, rest in self.steps if word == instruction]


def stages() -> list[Stage]:
    """The Dockerfile as it is; an instruction that is not known here fails the test rather than being left out."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append(Stage(rest))
        elif word:
            assert word in {"WORKDIR", "RUN", "COPY", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"}, line
            found[-1].steps.append((word, rest))
    return found


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """Stands for the root of the image; other users may look into it."""
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def built(root: Path) -> Path:
    """The build stage, carried out."""
    build, _ = stages()
    if f"python:{PYTHON_MINOR[0]}.{PYTHON_MINOR[1]}." not in build.image:
        pytest.skip(f"the image has {build.image}, this is Python {PYTHON_MINOR[0]}.{PYTHON_MINOR[1]}")
    programs = root / "programs"
    programs.mkdir()
    (programs / "python").symlink_to(Path(sys.base_prefix) / "bin" / f"python{PYTHON_MINOR[0]}.{PYTHON_MINOR[1]}")
    context = root / "context"
    for name in _context():
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, context / name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("QUNPULSE_", "PYTHON"))}
    environment["PATH"] = f"{programs}:/usr/bin:/bin"
    workdir = root
    for word, rest in build.steps:
        if word == "WORKDIR":
            workdir = root / rest.lstrip("/")
            workdir.mkdir(parents=True)
        elif word == "ENV":
            environment |= _variables(rest, root)
        elif word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                _copy(context / source, workdir / target)
        else:
            assert word == "RUN"
            done = subprocess.run(
                ["sh", "-ec", _placed(rest, root)], cwd=workdir, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{rest}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return root


def _context() -> list[str]:
    """What the build gets: files under version control that .dockerignore lets through."""
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    ]
    listed = subprocess.run(["git", "ls-files", "-z", *allowed], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def _placed(text: str, root: Path) -> str:
    return re.sub(r"(?<![\w.])/app\b", f"{root}/app", text.replace("cd / ", f"cd {root} "))


def _variables(rest: str, root: Path) -> Mapping[str, str]:
    return {name: _placed(value, root) for name, value in (pair.split("=", 1) for pair in rest.split())}


def _started(root: Path, *command: str, **options: object) -> subprocess.CompletedProcess[str]:
    _, image = stages()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(root)}
    for rest in image.all("ENV"):
        given = _variables(rest, root)
        environment |= {name: value.replace("$PATH", environment["PATH"]) for name, value in given.items()}
    return subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, **options)  # type: ignore[call-overload, no-any-return]


def test_what_the_image_starts_is_there_and_knows_its_settings(built: Path) -> None:
    _, image = stages()
    assert image.all("ENTRYPOINT") == ['["qunpulse"]']
    assert image.all("USER") == ["qunpulse"]
    program = built / "app" / "venv" / "bin" / "qunpulse"
    answer = _started(built, str(program), "version")
    assert answer.returncode == 0, answer.stderr
    shown = _started(built, str(program), "config", "--json")
    assert '"origin": "environment QUNPULSE_METRICS_HOST"' in shown.stdout, shown.stderr
    python = str(built / "app" / "venv" / "bin" / "python")
    assert _started(built, python, "-m", "infra.compose.own_secrets", "NOT_SET").returncode == 1
    assert _started(built, python, "-m", "infra.compose.alive", "1").returncode == 1
    assert "streams/" not in _started(built, python, "-c", "import streams; print(streams.__file__)").stdout.replace(
        "site-packages/streams/", ""
    ), "the image runs what was installed"


def test_the_image_user_finds_the_machine_code_and_compiles_nothing(built: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become the image's user")
    _, image = stages()
    (owner,) = re.findall(r"--chown=(\d+):(\d+) /app/machine-code", "\n".join(image.all("COPY")))
    user, group = map(int, owner)
    assert f"--uid {user}" in image.all("RUN")[0]
    for path in [built / "app" / "machine-code", *(built / "app" / "machine-code").rglob("*")]:
        os.chown(path, user, group)
    answer = _started(
        built,
        str(built / "app" / "venv" / "bin" / "python"), "-c",
        "import numba; numba.config.DEBUG_CACHE = 1; import streams.warm_up as w; w.warm_up()",
        user=user, group=group, extra_groups=[],
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "data loaded from" in answer.stdout
    assert "data saved to" not in answer.stdout
