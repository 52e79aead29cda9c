"""A certificate authority for tests, made with the openssl program: nothing here is trusted by anybody else."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_authority(folder: Path, name: str) -> Path:
    """A CA of its own: `NAME.key` beside the returned `NAME.pem`."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate = folder / f"{name}.pem"
    _openssl(
        "req", "-x509", *_NEW_KEY, "-keyout", folder / f"{name}.key", "-out", certificate,
        "-days", "2", "-subj", f"/CN=qunpulse test {name}", "-addext", "basicConstraints=critical,CA:TRUE",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    return certificate


def make_server(folder: Path, name: str, authority: Path) -> Path:
    """A certificate for this machine, signed by `authority`: private key and certificate in one `NAME.pem`."""
    key, request, certificate = (folder / f"{name}.{kind}" for kind in ("key", "csr", "crt"))
    _openssl("req", *_NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    extensions = folder / f"{name}.ext"
    extensions.write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"
        "keyUsage=critical,digitalSignature,keyEncipherment\nbasicConstraints=CA:FALSE\n"
    )
    _openssl(
        "x509", "-req", "-in", request, "-CA", authority, "-CAkey", authority.with_suffix(".key"), "-days", "2",
        "-extfile", extensions, "-out", certificate, "-set_serial", "7",
    )  # fmt: skip
    together = folder / f"{name}.pem"
    together.touch(mode=0o600)
    together.write_text(key.read_text() + certificate.read_text())
    return together


_NEW_KEY = ("-newkey", "rsa:2048", "-nodes")


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
