#!/bin/sh
# Build the gear's image, and run it like the engine, with podman in an isolated network.
# On a machine that cannot run containers, the last line says SKIPPED and why. In CI that is a failure,
# unless MAY_SKIP is set.
# usage: image_test.sh PYTHON
set -eu
cd "$(dirname "$0")/.."
python=$1
image=$(sed -n 's/.*"image": "\(.*\)".*/\1/p' manifest.json)
base=$(sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile)

skip() {
    echo "image-test SKIPPED: $1"
    [ -z "${CI:-}" ] || [ -n "${MAY_SKIP:-}" ] || exit 1
    exit 0
}

PATH=$PATH:/usr/sbin:/sbin
missing=
for tool in podman buildah runc mmdebstrap; do
    command -v $tool >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        skip "missing packages:$missing"
    fi
    echo "Installing with apt-get:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086  # several words, on purpose
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing \
        >/dev/null || skip "cannot install packages:$missing"
fi
[ "$(id -u)" -eq 0 ] || skip "root is required to create an isolated network"
unshare --net true 2>/dev/null || skip "this machine does not allow isolated networks"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/containers.conf" <<'END'
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
END
export CONTAINERS_CONF="$work/containers.conf" BUILDAH_ISOLATION=chroot

# Files that pip may need to reach its index. They do not stay in the image.
set -- --network host
for file in /etc/ssl/certs/ca-certificates.crt /etc/pip.conf /etc/xdg/pip; do
    [ ! -e "$file" ] || set -- "$@" --volume "$file:$file:ro"
done

# Without access to a registry, build a base image with Debian's Python.
if ! podman image exists "$base" && ! podman pull -q "$base" >/dev/null 2>&1; then
    base=localhost/dicom-send-base
    if ! podman image exists "$base"; then
        mmdebstrap --quiet --variant=minbase --include=python3,python3-pip,ca-certificates \
            --customize-hook='ln -s python3 "$1/usr/bin/python"' bookworm "$work/base.tar" \
            >"$work/log" 2>&1 || { tail "$work/log" >&2; skip "cannot build a base image"; }
        podman import -q "$work/base.tar" "$base" >/dev/null
    fi
    set -- "$@" --pull=never
fi
BASE_IMAGE=$base ENGINES=podman sh scripts/image.sh --quiet "$@"

# The stand-in site, the DICOM server and the container can reach only each other.
unshare --net sh -c 'ip link set lo up && exec "$@"' - "$python" -m tests.image "$image"
