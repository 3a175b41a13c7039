# Python 3.11 or newer with pip, and make, are all that a machine needs.
#
#   PYTHON=python3.12   the Python to use (for a new .venv)
#   STORAGE=redis       for `make demo`; s3 unless given
#   ARGS="..."          further arguments for `make demo`, `make test`, `make differential`, `make faults` and `make races`

PYTHON ?= python3
STORAGE ?= s3
ARGS ?=
COLLECTING_ROUNDS ?= 10000

# make takes `make demo --keep` for its own --keep-going; what was meant is clear.
KEEP = $(if $(findstring k,$(firstword -$(MAKEFLAGS))),--keep)

VENV := .venv
IN_VENV := $(VENV)/bin
MEMBERS := $(patsubst %/pyproject.toml,%,$(wildcard core/pyproject.toml plugins/*/pyproject.toml examples/*/pyproject.toml))
PUBLISHED := $(filter core plugins/%,$(MEMBERS))
DEMO_MEMBERS := core plugins/azure_blob plugins/filesystem plugins/gcs plugins/gzip_codec plugins/msgspec_converter \
	plugins/postgres plugins/redis plugins/s3 examples/local_servers examples/order_batch

# Tests of the same servers stay together (conftest.py). Three at once on two processors, for servers make each wait.
AT_ONCE := -n 3 --dist loadgroup --no-loadscope-reorder

# An installed uv, or one of our own.
UV := $(or $(shell command -v uv 2>/dev/null),.tools/uv/bin/uv)
# Never fetch a Python: the one that was asked for is used, or it is an error.
export UV_PYTHON_DOWNLOADS := never
# Trust the certificates that the machine trusts, as pip does; some networks have one of their own.
export UV_SYSTEM_CERTS := true
INSTALL := $(UV) pip install --python $(VENV)
# Builds use the pinned hatchling in the environment, so they need no network.
INSTALL_MEMBERS := $(INSTALL) --quiet --no-deps --no-build-isolation

.DEFAULT_GOAL := help
.PHONY: help demo azurite test test-unit test-references test-oldest differential faults races bench docs generate \
	lint types audit sbom requirements check-python

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@sed -n 's/^#   \(.*\)/  \1/p' $(MAKEFILE_LIST)

demo: $(VENV)/.demo $(if $(filter azure_blob,$(STORAGE)),azurite) ## run the shipping-order batch on real servers (STORAGE=redis, --keep)
	@$(IN_VENV)/python -m order_batch demo --storage $(STORAGE) $(KEEP) $(ARGS)

# Without npm the tests that need Azurite are skipped, or in CI fail.
test: $(VENV)/.dev $(if $(shell command -v npm 2>/dev/null),azurite) ## run every test
	$(if $(ARGS),$(IN_VENV)/python -m pytest $(ARGS),$(IN_VENV)/python -m pytest $(AT_ONCE) -m "not alone" && $(IN_VENV)/python -m pytest -m alone)

azurite: .tools/azurite/.done ## install the Azure Blob Storage emulator, with npm

test-unit: $(VENV)/.dev ## run the tests that need no server
	$(IN_VENV)/python -m pytest $(AT_ONCE) -m "not server and not browser" $(ARGS)

test-references: $(VENV)/.dev ## run what touches references, written through the codecs as the SDK is going to
	$(IN_VENV)/python -m pytest $(AT_ONCE) -m "not alone" -p support.encoded_references \
		tests/end_to_end tests/interop core/tests/codec_server \
		--ignore tests/interop/test_payload_converters.py $(ARGS)

# But for msgspec's, which may be of one minor release only: its tests would take longer than all others.
test-oldest: ## run the unit tests with the oldest releases that the distributions allow
	@$(MAKE) --no-print-directory VENV=.venv-oldest .venv-oldest/.oldest
	.venv-oldest/bin/python -m pytest $(AT_ONCE) -p no:cacheprovider -m "not server and not browser" \
		--ignore plugins/msgspec_converter core plugins $(ARGS)

differential: $(VENV)/.dev ## hold the msgspec converter against the SDK's (ARGS="--seconds 600")
	PYTHONPATH=tests $(IN_VENV)/python -m support.differential $(ARGS)

faults: $(VENV)/.dev ## break all that workflows stand on, and see that nothing is lost (ARGS="--seconds 600")
	PYTHONPATH=tests $(IN_VENV)/python -m support.storm $(ARGS)

# Ten thousand rounds take longer than pytest waits for one test.
races: $(VENV)/.dev ## race writers with a collector in every store, for an hour or two (COLLECTING_ROUNDS=10000)
	COLLECTING_ROUNDS=$(COLLECTING_ROUNDS) $(IN_VENV)/python -m pytest $(AT_ONCE) -o faulthandler_timeout=0 \
		plugins/*/tests/test_collecting_races.py core/tests/storage/test_collecting_storm.py $(ARGS)

bench: $(VENV)/.dev ## measure beside the peers, in about half an hour (ARGS=--quick: in one or two)
	$(IN_VENV)/python -m benchmarks $(ARGS)

# MkDocs itself tells of a version of its own that Material cannot be used with, and is not pinned here.
docs: $(VENV)/.dev ## build the documentation site in build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(IN_VENV)/mkdocs build --strict
	@echo "Read it, with its search: $(IN_VENV)/python -m http.server -b 127.0.0.1 -d build/site"

generate: $(VENV)/.dev ## write what is made from the code: references, the dashboard, and which plugins core knows
	$(IN_VENV)/python core/generate.py
	$(IN_VENV)/python docs/generate.py
	$(IN_VENV)/python docs/observability/generate.py

lint: $(VENV)/.dev ## check style, formatting and the direction of imports
	$(IN_VENV)/ruff check
	$(IN_VENV)/ruff format --check
	$(IN_VENV)/lint-imports

types: $(VENV)/.dev ## check types
	$(IN_VENV)/mypy core plugins examples tests benchmarks docs

audit: .tools/audit/.done ## look for known vulnerabilities in what is pinned, if a service can be asked
	@.tools/audit/bin/python .ci/audit.py $(ARGS)

sbom: .tools/audit/.done $(VENV)/.dev ## list what the distributions consist of and depend on, in build/sbom.json
	@.tools/audit/bin/python .ci/sbom.py $(PUBLISHED)

# `make requirements ARGS=--upgrade` moves every pin to the newest release.
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes $(ARGS) \
	--no-emit-index-url --custom-compile-command "make requirements" --no-annotate
NO_MEMBERS := $(foreach name,local-servers order-batch temporal-payloads \
	$(patsubst plugins/%,temporal-payloads-%,$(subst _,-,$(filter plugins/%,$(PUBLISHED)))),--no-emit-package $(name))

requirements: | $(UV) ## pin what the distributions and the development tools depend on
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) $(NO_MEMBERS) --all-extras $(addsuffix /pyproject.toml,$(MEMBERS)) requirements/dev.in \
		-o requirements/dev.txt
	$(COMPILE) $(NO_MEMBERS) --constraints requirements/dev.txt $(addsuffix /pyproject.toml,$(DEMO_MEMBERS)) \
		requirements/demo.in -o requirements/demo.txt
	$(COMPILE) $(NO_MEMBERS) --constraints requirements/dev.txt --all-extras $(addsuffix /pyproject.toml,$(PUBLISHED)) \
		-o requirements/published.txt
	# Not pytest, which the kit for plugin authors needs: it is what runs the tests, and is set up for a newer one.
	# Nor OpenTelemetry's API: its SDK, by which the tests see what is told, takes no other release than its own.
	$(COMPILE) $(NO_MEMBERS) --no-emit-package pytest --no-emit-package opentelemetry-api --resolution lowest-direct --all-extras \
		$(addsuffix /pyproject.toml,$(PUBLISHED)) -o requirements/oldest.txt
	$(COMPILE) requirements/audit.in -o requirements/audit.txt
	$(COMPILE) --constraints requirements/dev.txt requirements/build.in -o requirements/build.txt

# A stamp in the environment says what was installed last; it is older than a changed requirement.
$(VENV)/.demo: requirements/demo.txt $(addsuffix /pyproject.toml,$(DEMO_MEMBERS)) | $(VENV)/bin/python
	$(INSTALL) --require-hashes -r requirements/demo.txt
	$(INSTALL_MEMBERS) $(addprefix -e ,$(DEMO_MEMBERS))
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(addsuffix /pyproject.toml,$(MEMBERS)) | $(VENV)/bin/python
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(INSTALL_MEMBERS) $(addprefix -e ,$(MEMBERS))
	@touch $(VENV)/.demo $@

# What the tests themselves need stays as it is.
$(VENV)/.oldest: requirements/oldest.txt $(VENV)/.dev
	$(INSTALL) --require-hashes --no-deps -r requirements/oldest.txt
	@touch $@

# Of what it installs nothing runs at once, and nothing is sent anywhere.
.tools/azurite/.done: requirements/azurite/package.json requirements/azurite/package-lock.json
	@command -v npm >/dev/null || { echo "Azurite needs Node.js 18 or newer with npm: install them." >&2; exit 1; }
	@mkdir -p .tools/azurite
	cp requirements/azurite/package.json requirements/azurite/package-lock.json .tools/azurite
	npm ci --prefix .tools/azurite --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.tools/audit/.done: requirements/audit.txt | check-python $(UV)
	$(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" .tools/audit
	$(UV) pip install --quiet --python .tools/audit --require-hashes -r requirements/audit.txt
	@touch $@

$(VENV)/bin/python: | check-python $(UV)
	$(UV) venv --quiet --python "$$(command -v $(PYTHON))" $(VENV)

.tools/uv/bin/uv: requirements/uv.txt | check-python
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade --target .tools/uv \
		--require-hashes -r requirements/uv.txt
	@touch $@

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, but \`$(PYTHON)\` is $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
