ARG BASE_IMAGE=python:3.12-slim-bookworm
FROM ${BASE_IMAGE}

WORKDIR /flywheel/v0
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY run.py manifest.json ./
COPY fw_gear_dicom_send ./fw_gear_dicom_send
ENTRYPOINT ["python", "/flywheel/v0/run.py"]
