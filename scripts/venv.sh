#!/bin/sh
# Make a virtual environment and install locked requirements into it.
# usage: venv.sh PYTHON FOLDER REQUIREMENTS
set -eu
python=$1 folder=$2 requirements=$3

fail() {
    echo "$1" >&2
    exit 1
}

command -v "$python" >/dev/null ||
    fail "$python is not installed: install Python 3.11 or later, or say PYTHON=<its path>"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old: Python 3.11 or later is needed; say PYTHON=<its path>"

if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    # Debian keeps these modules in packages of their own.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        package=$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')
        if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
            fail "$python cannot make virtual environments: install the package $package"
        fi
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$package" >/dev/null
    fi
    "$python" -m venv --clear "$folder"
fi

"$folder/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes \
    -r "$requirements"
