#!/bin/sh
# Build the gear's image and run it as the engine does, with podman, in a network of its own.
# Where the machine cannot run containers, its last line says SKIPPED and why, and it ends with 0.
# usage: image_test.sh PYTHON
set -eu
cd "$(dirname "$0")/.."
python=$1
image=$(sed -n 's/.*"image": "\(.*\)".*/\1/p' manifest.json)
base=$(sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile)

skip() {
    echo "image-test SKIPPED: $1"
    exit 0
}

PATH=$PATH:/usr/sbin:/sbin
missing=
for tool in podman buildah runc mmdebstrap; do
    command -v $tool >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        skip "these packages are missing:$missing"
    fi
    echo "Installing with apt-get:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086  # several words, on purpose
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing \
        >/dev/null || skip "these packages cannot be installed:$missing"
fi
[ "$(id -u)" -eq 0 ] || skip "it takes root to make a network of its own"
unshare --net true 2>/dev/null || skip "this machine lets nobody make a network of its own"

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

# What pip needs on this machine to reach its index; nothing of it stays in the image.
set -- --network host
for file in /etc/ssl/certs/ca-certificates.crt /etc/pip.conf /etc/xdg/pip; do
    [ ! -e "$file" ] || set -- "$@" --volume "$file:$file:ro"
done

# Where no registry is reached, Debian's own Python stands in for the base image.
if ! podman image exists "$base" && ! podman pull -q "$base" >/dev/null 2>&1; then
    base=localhost/dicom-send-base
    if ! podman image exists "$base"; then
        mmdebstrap --quiet --variant=minbase --include=python3,python3-pip,ca-certificates \
            --customize-hook='ln -s python3 "$1/usr/bin/python"' bookworm "$work/base.tar" \
            >"$work/log" 2>&1 || { tail "$work/log" >&2; skip "no base image can be made"; }
        podman import -q "$work/base.tar" "$base" >/dev/null
    fi
    set -- "$@" --pull=never
fi
BASE_IMAGE=$base ENGINES=podman sh scripts/image.sh --quiet "$@"

# The stand-in site, the DICOM server and the container see each other, and nothing else.
unshare --net sh -c 'ip link set lo up && exec "$@"' - "$python" -m tests.image "$image"
