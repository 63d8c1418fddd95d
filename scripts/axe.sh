#!/bin/sh
# Install axe-core, by which the tests check that the pages are accessible; it needs npm.
# usage: axe.sh FOLDER
set -eu
folder=$1
mkdir -p "$folder"
if command -v npm >/dev/null; then
    npm install --silent --no-audit --no-fund --prefix "$folder" axe-core@4.14.1
else
    echo "npm is not installed: the tests do not check the pages by axe-core" >&2
fi
