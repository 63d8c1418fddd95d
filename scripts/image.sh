#!/bin/sh
# Build the gear's image with docker, podman or buildah, whichever is there.
# MANIFEST says which gear, by its manifest.
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
        --build-arg "MANIFEST=$manifest" "$@" --tag "$image" .
    echo "$engine has built $image"
    exit 0
done
echo "none of docker (with its daemon), podman and buildah is there to build $image" >&2
exit 1
