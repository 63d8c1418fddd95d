#!/bin/sh
# Create a virtual environment, unless it exists and has the same Python.
# usage: venv.sh PYTHON FOLDER
set -eu
python=$1 folder=$2

fail() {
    echo "$1" >&2
    exit 1
}

command -v "$python" >/dev/null ||
    fail "$python is not installed: install Python 3.11 or later, or set PYTHON=<path>"
# A shim of pyenv runs only a selected version. Select the newest version that has this command.
if ! "$python" -c '' 2>/dev/null && versions=$(pyenv whence "$python" 2>/dev/null); then
    PYENV_VERSION=$(echo "$versions" | sort -V | tail -n 1)
    export PYENV_VERSION
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old: install Python 3.11 or later, or set PYTHON=<path>"

interpreter=$("$python" -c 'import sys; print(sys.version.split()[0], "in", sys.base_prefix)')
if [ "$(cat "$folder/.python" 2>/dev/null)" = "$interpreter" ] &&
    "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi

# Debian has these modules in separate packages.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "$python cannot create virtual environments: install the package $package"
    fi
    echo "Installing with apt-get: $package"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$package" >/dev/null
fi
echo "Creating a virtual environment in $folder with Python $interpreter"
"$python" -m venv --clear "$folder"
echo "$interpreter" >"$folder/.python"
