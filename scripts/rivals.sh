#!/bin/sh
# Install other DICOM senders for the benchmarks: pynetdicom's storescu, dicomweb-client and
# dcmjs-dimse. Two servers for the tests come with them: that of dcmjs-dimse, and tiny_pacs.
# usage: rivals.sh FOLDER   (with an environment for the Python packages in it)
set -eu
folder=$1
mkdir -p "$folder/dcmjs"
"$folder/pynetdicom/bin/python" -m pip install -qq --disable-pip-version-check \
    pynetdicom==3.0.4 dicomweb-client==0.61.2 'tiny_pacs[http]==0.4.1' tiny_pacs_dicomweb==0.1.0
if command -v npm >/dev/null; then
    npm install --silent --no-audit --no-fund --prefix "$folder/dcmjs" dcmjs-dimse@0.3.3
else
    echo "npm is not installed: skipping dcmjs-dimse" >&2
fi
