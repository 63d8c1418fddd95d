#!/bin/sh
# Build the wheel from the sdist. Install it in an empty environment, with the locked packages of the
# gear and then without extras, and send an image with it.
# usage: check_wheel.sh PYTHON   (one with the packages of requirements-dev.txt)
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1

sh scripts/venv.sh "$1" "$work/venv"
python=$work/venv/bin/python
"$python" -m pip install -qq --require-hashes --only-binary :all: --target "$work/tools" \
    -r requirements-build.txt
export PYTHONPATH="$work/tools"
"$python" -c "from setuptools import build_meta; build_meta.build_sdist('$work')" >"$work/log"
"$python" -m pip wheel -qq --no-deps --no-build-isolation --wheel-dir "$work" "$work"/*.tar.gz
unset PYTHONPATH

sh scripts/install.sh "$work/venv" requirements.txt
"$python" -m pip install -qq --no-deps --no-index "$work"/*.whl
"$python" -m pip check
"$1" -m tests.wheel "$work/venv"

sed -n 's/ *\\$//; /^[a-z].*==/p' requirements.txt >"$work/versions"
sh scripts/venv.sh "$1" "$work/bare"
"$work/bare/bin/python" -m pip install -qq --only-binary :all: -c "$work/versions" "$work"/*.whl
"$work/bare/bin/python" -m pip check
"$1" -m tests.wheel "$work/bare" --without-extras
