# make demo          run the gear as Flywheel would, against servers on this machine
# make demo PACS=orthanc   the same, with Orthanc as the DICOM server
# make test          linters, types and tests
# make lock          renew the locked requirements (needs uv)
# make clean         remove what the others made

PYTHON ?= python3
PACS ?= pynetdicom
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lock clean

demo: $(VENV)/.runtime
	$(BIN)/python -m demo --pacs $(PACS)

test: $(VENV)/.dev
	sh scripts/servers.sh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict fw_gear_dicom_send run.py
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

$(VENV)/.runtime: requirements.txt
	sh scripts/venv.sh $(PYTHON) $(VENV) $<
	touch $@

$(VENV)/.dev: requirements-dev.txt
	sh scripts/venv.sh $(PYTHON) $(VENV) $<
	touch $@ $(VENV)/.runtime

LOCK := uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" --upgrade pyproject.toml

lock:
	$(LOCK) --output-file requirements.txt
	$(LOCK) --extra dev --constraint requirements.txt --output-file requirements-dev.txt

clean:
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
