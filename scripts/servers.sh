#!/bin/sh
# Install missing servers and tools for the tests.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing=
command -v Orthanc >/dev/null || missing=orthanc
[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing="$missing orthanc-dicomweb"
command -v nginx >/dev/null || missing="$missing nginx"
command -v storescp >/dev/null && command -v dcmsend >/dev/null || missing="$missing dcmtk"
command -v chromium >/dev/null && command -v chromedriver >/dev/null ||
    missing="$missing chromium chromium-driver"
command -v openssl >/dev/null || missing="$missing openssl"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "missing packages for the tests: $missing" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "missing packages for the tests, install them as root: $missing" >&2
        exit 1
    fi
    as_root="sudo -n"
fi
echo "Installing with apt-get: $missing"
$as_root apt-get update -qq
# shellcheck disable=SC2086  # several words, on purpose
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -y --no-install-recommends $missing >/dev/null
