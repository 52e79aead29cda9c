#!/bin/sh
# Make .venv with everything pinned by requirements.lock; the second run finds its stamp and does nothing.
# Needs Python >= 3.11 with venv and pip, and a package index as pip is configured to use it.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.installed
sum=$(cat requirements.lock pyproject.toml | cksum)

is_new_enough() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -x $venv/bin/python ] && is_new_enough $venv/bin/python; then
    if [ "$(cat $stamp 2>/dev/null)" = "$sum" ]; then
        exit 0
    fi
else
    python=
    # The system's own interpreter first: distributions build theirs optimised, version managers often do not.
    for name in ${PYTHON:-} /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        if is_new_enough "$name"; then
            python=$name
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "error: qunpulse needs Python 3.11 or later; install it, or name one: make PYTHON=/path/to/python3.12 …" >&2
        exit 1
    fi
    echo "making $venv with $($python --version)" >&2
    rm -rf $venv
    if ! "$python" -m venv $venv; then
        rm -rf $venv
        echo "error: $python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    fi
fi

echo "installing the packages that requirements.lock pins (the first time takes a minute or two)" >&2
rm -f $stamp
# The lock is complete, so nothing is left to resolve. Modules are compiled now: where Python may not write byte code
# later, every process would compile them anew at its start.
$venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
# setuptools is among the pinned packages, so building our own package downloads nothing.
$venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "compiling the hot path (20 seconds)" >&2
$venv/bin/python -m streams.warm_up
echo "$sum" >$stamp
