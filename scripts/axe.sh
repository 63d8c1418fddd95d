#!/bin/sh
# Install axe-core, with which the tests check the accessibility of the pages. Needs npm.
# usage: axe.sh FOLDER
set -eu
folder=$1
mkdir -p "$folder"
if command -v npm >/dev/null; then
    npm install --silent --no-audit --no-fund --prefix "$folder" axe-core@4.14.1
else
    echo "npm is not installed: the tests skip the checks with axe-core" >&2
fi
