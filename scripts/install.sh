#!/bin/sh
# Install locked requirements in a virtual environment.
# usage: install.sh FOLDER REQUIREMENTS [PIP OPTION...]
set -eu
folder=$1 requirements=$2
shift 2
echo "Installing $requirements in $folder"
"$folder/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes "$@" \
    -r "$requirements"
