# BASE_DIGEST=sha256:... pins the base image by its content; SECURITY.md describes how to find it.
ARG BASE_IMAGE=python:3.12.15-slim-bookworm
ARG BASE_DIGEST=

FROM ${BASE_IMAGE}${BASE_DIGEST:+@}${BASE_DIGEST} AS packages
COPY requirements-build.txt requirements.txt /
# memoization has no wheel. The tools that build it are not copied to the image. fw-gear requires the
# SDK, but works without it, and run.py does not let it import the SDK.
RUN export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_REQUIRE_HASHES=1 PIP_ONLY_BINARY=:all: \
    && python -m venv --without-pip /opt/venv \
    && python -m pip install --target /opt/build -r /requirements-build.txt \
    && PYTHONPATH=/opt/build python -m pip --python /opt/venv/bin/python install \
        --no-binary memoization --no-build-isolation --use-pep517 -r /requirements.txt \
    && python -m pip --python /opt/venv/bin/python uninstall -y flywheel-sdk

FROM ${BASE_IMAGE}${BASE_DIGEST:+@}${BASE_DIGEST}
ARG MANIFEST=manifest.json
COPY --from=packages /opt/venv /opt/venv
WORKDIR /flywheel/v0
COPY run.py LICENSE ./
COPY ${MANIFEST} ./manifest.json
COPY fw_gear_dicom_send ./fw_gear_dicom_send
# Compile now, as the gear can run as any user and on a read-only file system.
RUN /opt/venv/bin/python -m compileall -q . && chmod -R a+rX,go-w . && mkdir input output work
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin
USER 1000:1000
ENTRYPOINT ["/bin/sh", "-c", "exec python run.py"]
