#!/bin/sh
# Makes .venv with the packages of requirements.txt and this package in it, unless that is done already.
# PYTHON=/path/to/python chooses the interpreter; otherwise the first one on the path that is new enough.
set -eu
cd "$(dirname "$0")/../.."

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
stamp=.venv/made-from.txt

made_from() { # what .venv depends on: this place on the disk, the pinned packages, the package's own metadata
    pwd
    cat requirements.txt pyproject.toml
}

if [ -x .venv/bin/python ] && .venv/bin/python -c "$new_enough" && made_from | cmp -s - "$stamp"; then
    exit 0
fi

seconds() { echo $(($(date +%s) - start)); }

python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c "$new_enough" 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "No Python 3.11 or newer was found${PYTHON:+ at PYTHON=$PYTHON}; install one, or name it: make PYTHON=/path/to/python3" >&2
    exit 1
fi

# pyproject.toml changes more often than the pins; then only this package is installed again.
if ! { [ -x .venv/bin/python ] && .venv/bin/python -c "$new_enough" && cmp -s requirements.txt .venv/requirements.txt &&
    [ "$(head -n 1 "$stamp" 2>/dev/null)" = "$(pwd)" ]; }; then
    start=$(date +%s)
    rm -f "$stamp"
    if ! "$python" -m venv --clear .venv; then
        echo "Python's venv module did not work; on Debian and Ubuntu: apt install python3-venv" >&2
        exit 1
    fi
    echo "Made .venv with $("$python" --version) ($(seconds) s)"

    start=$(date +%s)
    echo "Installing the pinned packages; PyTorch is large, this takes a few minutes ..."
    .venv/bin/python -m pip install -qq --disable-pip-version-check --requirement requirements.txt
    cp requirements.txt .venv/requirements.txt
    echo "Installed the pinned packages ($(seconds) s)"
fi

start=$(date +%s)
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
made_from >"$stamp"
echo "Installed gancourse, editable ($(seconds) s)"
