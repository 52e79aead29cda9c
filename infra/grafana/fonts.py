"""A font with Chinese signs for the pictures: one that is installed, else unpacked from its Debian package."""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from infra.embedded.maven import user_cache_folder

LATIN: Final = "DejaVu Sans"
_INSTALLED: Final = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Droid Sans Fallback", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "SimHei",
)  # fmt: skip
_PACKAGE: Final = "fonts-droid-fallback"  # 2 MB, Apache License 2.0
_FILE: Final = "usr/share/fonts-droid-fallback/truetype/DroidSansFallback.ttf"


def families(report: Callable[[str], None]) -> list[str]:
    """Font families to draw with, in the order in which signs are looked for.

    Without a font for Chinese it reports one sentence, and such signs become boxes.
    """
    from matplotlib import font_manager

    logging.getLogger(font_manager.__name__).setLevel(logging.ERROR)  # it warns that fonts for Chinese have no bold
    known = {font.name for font in font_manager.fontManager.ttflist}
    if found := next((name for name in _INSTALLED if name in known), None):
        return [LATIN, found]
    try:
        path = _unpacked(report)
    except (OSError, subprocess.SubprocessError) as error:
        report(
            f"no font with Chinese signs: none is installed and the Debian package {_PACKAGE} cannot be had ({error})"
        )
        return [LATIN]
    font_manager.fontManager.addfont(path)
    return [LATIN, font_manager.FontProperties(fname=str(path)).get_name()]


def _unpacked(report: Callable[[str], None]) -> Path:
    folder = user_cache_folder() / "fonts"
    path = folder / _PACKAGE / _FILE
    if path.is_file():
        return path
    report(f"fetching the Debian package {_PACKAGE}, once")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetch-") as staging:
        apt = ["apt-get", "--option", "APT::Sandbox::User=", "download", _PACKAGE]
        subprocess.run(apt, cwd=staging, check=True, capture_output=True, timeout=120)
        package = next(Path(staging).glob("*.deb"))
        subprocess.run(
            ["dpkg-deb", "--extract", str(package), f"{staging}/unpacked"], check=True, capture_output=True, timeout=60
        )
        shutil.rmtree(folder / _PACKAGE, ignore_errors=True)
        Path(staging, "unpacked").rename(folder / _PACKAGE)
    return path
