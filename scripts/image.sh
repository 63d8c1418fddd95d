#!/bin/sh
# Build the gear's image with docker, podman or buildah.
# MANIFEST is the manifest of the gear, by default manifest.json.
# usage: image.sh [BUILD OPTION...]
set -eu
cd "$(dirname "$0")/.."
manifest=${MANIFEST:-manifest.json}
image=$(sed -n 's/.*"image": "\(.*\)".*/\1/p' "$manifest")

for engine in ${ENGINES:-docker podman buildah}; do
    case $engine in
        docker) docker info >/dev/null 2>&1 || continue ;;
        *) command -v $engine >/dev/null || continue ;;
    esac
    $engine build ${BASE_IMAGE:+--build-arg "BASE_IMAGE=$BASE_IMAGE"} \
        ${BASE_DIGEST:+--build-arg "BASE_DIGEST=$BASE_DIGEST"} \
        --build-arg "MANIFEST=$manifest" "$@" --tag "$image" .
    echo "$engine has built $image"
    exit 0
done
echo "cannot build $image: install podman or buildah, or docker with a running daemon" >&2
exit 1
