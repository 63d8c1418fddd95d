#!/bin/sh
# Run the tests without servers, and those of the TLS handshake, with each other Python 3.11 or
# later on this machine. A Python without wheels for all locked requirements is skipped.
# usage: check_pythons.sh PYTHON   (the one already tested)
set -eu
cd "$(dirname "$0")/.."

identify='import sys; print(sys.version_info >= (3, 11) and sys.implementation.name == "cpython",
    sys.version.split()[0], sys.base_prefix)'
tested=$("$1" -c "$identify")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

found=0
IFS=:
for folder in $PATH /usr/bin /usr/local/bin ${PYENV_ROOT:-$HOME/.pyenv}/versions/*/bin; do
    for python in "$folder"/python3 "$folder"/python3.1[1-9]; do
        [ -x "$python" ] && is=$("$python" -c "$identify" 2>/dev/null) || continue
        case $is in True*) ;; *) continue ;; esac
        case "$tested" in *"$is"*) continue ;; esac
        tested="$tested
$is"
        found=$((found + 1))
        version=$("$python" --version)
        sh scripts/venv.sh "$python" "$work/venv"
        if ! sh scripts/install.sh "$work/venv" requirements-dev.txt >"$work/log" 2>&1; then
            tail -n 3 "$work/log"
            echo "Skipping $version ($python): not every locked requirement has a wheel for it"
            continue
        fi
        echo "Testing with $version ($python)"
        "$work/venv/bin/python" -m pytest -p no:cacheprovider tests/network/tls/test_handshake.py
        "$work/venv/bin/python" -m pytest --no-servers -n auto -p no:cacheprovider
    done
done
[ $found -gt 0 ] || echo "No other Python 3.11 or later found"
