ARG BASE_IMAGE=python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS packages
COPY requirements.txt /
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --only-binary :all: \
        --no-binary memoization \
        --require-hashes --disable-pip-version-check -r /requirements.txt

FROM ${BASE_IMAGE}
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
