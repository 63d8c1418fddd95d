#!/bin/sh
# Run the tests without servers, and those of the TLS handshake, with one Python of each other minor
# version on this machine. Fuzz tests are short, and those of the documentation run once only.
# A Python without wheels for all locked requirements is skipped.
# In CI, a machine without another Python fails, unless MAY_SKIP is set.
# usage: check_pythons.sh PYTHON   (the one already tested)
set -eu
cd "$(dirname "$0")/.."

identify='import sys
if sys.version_info >= (3, 11) and sys.implementation.name == "cpython":
    print("%d.%d" % sys.version_info[:2])'
tested=$("$1" -c "$identify")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

passed=0
IFS=:
for folder in ${PYENV_ROOT:-$HOME/.pyenv}/versions/*/bin $PATH; do
    for python in "$folder"/python3 "$folder"/python3.1[1-9]; do
        [ -x "$python" ] && version=$("$python" -c "$identify" 2>/dev/null) && [ -n "$version" ] || continue
        case " $tested " in *" $version "*) continue ;; esac
        tested="$tested $version"
        sh scripts/venv.sh "$python" "$work/venv"
        if ! sh scripts/install.sh "$work/venv" requirements-dev.txt >"$work/log" 2>&1; then
            tail -n 3 "$work/log"
            echo "Skipping Python $version ($python): not every locked requirement has a wheel for it"
            continue
        fi
        echo "Testing with Python $version ($python)"
        "$work/venv/bin/python" -m pytest -p no:cacheprovider -W default::DeprecationWarning tests/network/tls/test_handshake.py
        "$work/venv/bin/python" -m pytest -n auto -p no:cacheprovider -W default::DeprecationWarning --no-servers \
            -m "not slow" --fuzz-seconds 1 --ignore tests/project
        passed=$((passed + 1))
    done
done
if [ $passed -eq 0 ]; then
    echo "check-pythons SKIPPED: no other Python 3.11 or later"
    [ -z "${CI:-}" ] || [ -n "${MAY_SKIP:-}" ] || exit 1
fi
