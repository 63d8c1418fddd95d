#!/bin/sh
# Install locked requirements in a virtual environment. All are wheels, except memoization, which
# the locked build tools build.
# usage: install.sh FOLDER REQUIREMENTS
set -eu
folder=$1 requirements=$2
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
echo "Installing $requirements in $folder"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_REQUIRE_HASHES=1 PIP_ONLY_BINARY=:all:
"$folder/bin/python" -m pip install -qq --target "$tools" -r requirements-build.txt
PYTHONPATH=$tools "$folder/bin/python" -m pip install -qq \
    --no-binary memoization --no-build-isolation --use-pep517 -r "$requirements"
