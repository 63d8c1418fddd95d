# make demo          run the gear as Flywheel would, against servers on this machine
# make demo PACS=orthanc   the same, with Orthanc as the DICOM server
# make demo PACS=dicomweb  the same, by DICOMweb to Orthanc with its plugin
# make check         linters, types and the fast tests that need no other program
# make test          linters, types and all tests
# make coverage      linters, types, all tests and their coverage
# make check-pythons the tests that need no other program, with each other version of Python on this machine
# make check-next    the tests of what imports pydicom and pynetdicom, with version 3 of both
# make check-manifests  validate the manifests with the current fw-gear
# make check-wheel   build the wheel, install it in an empty environment, and send an image with it
# make image         build the gear's image; BASE_IMAGE=... selects another base, BASE_DIGEST=... pins it
# make image MANIFEST=manifest-rule.json   build the image of the gear for gear rules
# make image-test    build the image, and run it like the engine
# make soak          send 50,000 images to a server that fails repeatedly
# make bench         compare the gear with other senders, for docs/; BENCH="--scale 0.1" for a trial
# make bench-peer    the same, including the published gear in a separate environment
# make bench-far     measure near and far servers only (needs root and /dev/net/tun)
# make bench-dicomweb  measure DICOMweb only
# make bench-claims  measure single claims of the documentation
# make pictures      make the pictures of README.md (needs Chromium)
# make docs          write the manifests, the manual page and parts of docs/ from the code
# make site          write the documentation as a searchable site to build/site
# make lock          update the locked requirements (needs uv)
# make audit         look up the locked requirements in PyPI's list of vulnerabilities
#
# make TARGET PYTHON=python3.12   run a target with another Python
# make clean         remove everything that the other targets create, except images

PYTHON ?= python3
WORKERS ?= auto
PACS ?= pynetdicom
MANIFEST ?= manifest.json
BENCH ?= --docs docs
# Python and pytest keep the modules that they compile; otherwise each worker compiles all tests.
export PYTHONDONTWRITEBYTECODE :=
VENV := .venv
BIN := $(VENV)/bin
NEXT := .venv-next
# The modules that these tests cover import pydicom and pynetdicom; the other modules of network/ do not.
NEXT_TESTS := tests/network/query tests/network/store tests/network/protocol tests/network/test_*.py
FW_GEAR := .venv-fw-gear
SITE := .venv-site
AUDIT := .venv-audit
PEER := .venv-peer
RIVALS := .rivals
AXE := .axe

.PHONY: FORCE demo check lint test coverage check-pythons check-next check-manifests check-wheel image image-test soak bench bench-far bench-peer bench-dicomweb bench-claims \
	docs pictures site lock audit clean

demo: $(VENV)/.runtime
	$(BIN)/python -m demo --pacs $(PACS)

check: lint
	$(BIN)/python -m pytest --no-servers -m "not slow" -n $(WORKERS) --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint $(AXE)/.installed $(RIVALS)/.installed
	sh scripts/servers.sh
	$(BIN)/python -m pytest -n $(WORKERS)

coverage: lint $(AXE)/.installed $(RIVALS)/.installed
	sh scripts/servers.sh
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check-pythons: $(VENV)/.dev
	sh scripts/check_pythons.sh $(BIN)/python

check-next: $(NEXT)/.installed
	sh scripts/servers.sh
	$(NEXT)/bin/python -m pytest -n $(WORKERS) -p no:cacheprovider -W default::DeprecationWarning --fuzz-seconds 1 $(NEXT_TESTS)

check-manifests: $(FW_GEAR)/.installed
	$(FW_GEAR)/bin/python scripts/check_manifests.py manifest.json manifest-rule.json

check-wheel: $(VENV)/.dev
	sh scripts/check_wheel.sh $(BIN)/python

image:
	MANIFEST=$(MANIFEST) sh scripts/image.sh

image-test: $(VENV)/.dev
	sh scripts/image_test.sh $(BIN)/python

soak: $(VENV)/.dev
	$(BIN)/python -m soak

bench: $(VENV)/.bench $(RIVALS)/.installed
	sh scripts/servers.sh
	$(BIN)/python -m benchmarks $(BENCH) --rivals $(RIVALS)

bench-peer: $(VENV)/.bench $(RIVALS)/.installed $(PEER)/.peer
	sh scripts/servers.sh
	$(BIN)/python -m benchmarks $(BENCH) --rivals $(RIVALS) --peer $(PEER)/bin/python

bench-far: $(VENV)/.bench
	sh scripts/servers.sh
	$(BIN)/python -m benchmarks --docs docs --sets far --targets far

bench-dicomweb: $(VENV)/.bench $(RIVALS)/.installed
	sh scripts/servers.sh
	$(BIN)/python -m benchmarks --docs docs --rivals $(RIVALS) --sets mr,ct,multiframe \
		--targets web-orthanc,web-sink,c-store,web-distance

bench-claims: $(VENV)/.bench
	sh scripts/servers.sh
	$(BIN)/python -m benchmarks.claims --json docs/benchmarks-claims.json

docs: $(VENV)/.dev
	$(BIN)/python -m scripts.conformance
	$(BIN)/python -m scripts.reasons
	$(BIN)/python -m scripts.options
	$(BIN)/python -m scripts.man_page
	$(BIN)/python -m scripts.clone

pictures: $(VENV)/.dev
	sh scripts/servers.sh
	$(BIN)/python -m scripts.pictures docs

site: $(SITE)/.installed
	$(SITE)/bin/python scripts/site.py build/site-pages
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/python -m mkdocs build --strict
	@echo "build/site/index.html is the first page"

# Each environment is rebuilt for another Python.
FORCE:

%/.python: FORCE
	@sh scripts/venv.sh $(PYTHON) $*

$(VENV)/.runtime: requirements.txt $(VENV)/.python
	@sh scripts/install.sh $(VENV) $<
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.python
	@sh scripts/install.sh $(VENV) $<
	@touch $@ $(VENV)/.runtime

$(VENV)/.bench: requirements-bench.txt $(VENV)/.python
	@sh scripts/install.sh $(VENV) $<
	@touch $@ $(VENV)/.dev $(VENV)/.runtime

$(NEXT)/.installed: requirements-next.txt $(NEXT)/.python
	@sh scripts/install.sh $(NEXT) $<
	@touch $@

$(SITE)/.installed: requirements-site.txt $(SITE)/.python
	@sh scripts/install.sh $(SITE) $<
	@touch $@

$(AUDIT)/.installed: requirements-audit.txt $(AUDIT)/.python
	@sh scripts/install.sh $(AUDIT) $<
	@touch $@

$(FW_GEAR)/.installed: $(FW_GEAR)/.python
	$(FW_GEAR)/bin/python -m pip install -qq --disable-pip-version-check fw-gear==0.3.7
	touch $@

$(PEER)/.peer: $(PEER)/.python
	$(PEER)/bin/python -m pip install -qq --disable-pip-version-check fw-gear-dicom-send==4.2.0
	touch $@

$(RIVALS)/.installed: scripts/rivals.sh $(RIVALS)/pynetdicom/.python
	sh scripts/rivals.sh $(RIVALS)
	touch $@

$(AXE)/.installed: scripts/axe.sh
	sh scripts/axe.sh $(AXE)
	test ! -d $(AXE)/node_modules || touch $@

LOCK := uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" --upgrade

lock:
	$(LOCK) pyproject.toml --extra gear --output-file requirements.txt
	$(LOCK) requirements-next.in --output-file requirements-next.txt
	$(LOCK) requirements-site.in --output-file requirements-site.txt
	$(LOCK) requirements-build.in --output-file requirements-build.txt
	$(LOCK) requirements-audit.in --constraint requirements-site.txt --output-file requirements-audit.txt
	$(LOCK) pyproject.toml --extra gear --extra dev --constraint requirements.txt --output-file requirements-dev.txt
	$(LOCK) pyproject.toml --extra gear --extra dev --extra bench --constraint requirements-dev.txt \
		--output-file requirements-bench.txt

audit: $(AUDIT)/.installed
	$(AUDIT)/bin/python scripts/audit.py requirements*.txt

clean:
	rm -rf $(VENV) $(NEXT) $(FW_GEAR) $(SITE) $(AUDIT) $(PEER) $(RIVALS) $(AXE) demo-output build *.egg-info .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
