# Everything a person or a CI machine does here, by name. `make` alone says what there is.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

ENGINE_PYTHON := .venv/bin/python
QGIS_ENVIRONMENT_PYTHON := .venv-qgis/bin/python

# Paths with letters beyond ASCII need a UTF-8 locale, which a bare machine or container does not set.
ifeq (,$(findstring UTF-8,$(LC_ALL)$(LC_CTYPE)$(LANG))$(findstring utf8,$(LC_ALL)$(LC_CTYPE)$(LANG)))
export LC_ALL := C.UTF-8
endif

# Options of `make evaluate`, `make model` and `make demo`; see the help.
SPLIT ?=
MODEL ?=
PROTOCOL ?=
SCENE ?=
SLOW ?=

.PHONY: help setup demo test lint package model accuracy bench evaluate install clean

help: ## Say what the verbs do.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is missing: QGIS from the system's packages, the engine's environment, the tests' environments.
	@tools/setup.sh system engine-tests qgis-tests

demo: ## Detect debris in a practice scene, or in SCENE=path/to/raster, with a throw-away QGIS profile, and draw a map.
	@tools/setup.sh system engine
	@$(ENGINE_PYTHON) -m tools.demo $(if $(SCENE),--scene "$(SCENE)")

test: setup ## Run the tests: the engine's and the package's, then the plugin's in a real QGIS. SLOW=1 adds the long ones.
	@status=0; \
	$(ENGINE_PYTHON) -m pytest $(if $(SLOW),,-m "not slow") tests/engine tests/package || status=1; \
	QT_QPA_PLATFORM=offscreen $(QGIS_ENVIRONMENT_PYTHON) -m pytest $(if $(SLOW),,-m "not slow") tests/plugin tests/e2e || status=1; \
	exit $$status

lint: ## Check style and types.
	@tools/setup.sh engine-tests
	$(ENGINE_PYTHON) -m ruff check
	$(ENGINE_PYTHON) -m ruff format --check
	$(ENGINE_PYTHON) -m mypy
	$(ENGINE_PYTHON) -m bandit --quiet --recursive --skip B404,B405 debris_qgis engine

package: ## Build dist/debris_qgis-<version>.zip for QGIS's plugin manager, and check that it loads in a real QGIS.
	@tools/setup.sh system engine
	@$(ENGINE_PYTHON) -m tools.package_plugin
	@$(ENGINE_PYTHON) -m tools.check_plugin dist/debris_qgis-$$(sed -n 's/^version=//p' metadata.txt).zip

install: ## Put the built plugin into the QGIS profile below QGIS_CUSTOM_CONFIG_PATH, else into your own, and enable it.
	@tools/setup.sh system engine
	@$(ENGINE_PYTHON) -m tools.package_plugin
	@$(ENGINE_PYTHON) -m tools.install_plugin --built dist/debris_qgis

model: ## Train the default model on practice scenes, the way the bundled one was trained (two to four hours).
	@tools/setup.sh engine
	@PYTHON=$(ENGINE_PYTHON) tools/train_default_model.sh

accuracy: ## Measure the bundled model and its baselines, and write docs/accuracy.md: [DATA=] [TEXTURES=] MARIDA's folders.
	@tools/setup.sh engine-tests
	@PYTHON=$(ENGINE_PYTHON) tools/make_pool.sh
	@$(ENGINE_PYTHON) -m tools.accuracy all --data "$(or $(DATA),../shared/data/marida)" \
		--textures "$(or $(TEXTURES),../shared/data/marida_train)" --pool build/pool

evaluate: ## Score a model: DATA=<MARIDA-layout folder> [SPLIT=<list>] [MODEL=<file>] [PROTOCOL=strict|floating]; JSON last.
	@test -n "$(DATA)" || { echo 'Say which data: make evaluate DATA=<folder with patches/ and splits/>' >&2; exit 2; }
	@tools/setup.sh engine >&2
	@$(ENGINE_PYTHON) -m engine evaluate --data "$(DATA)" $(if $(SPLIT),--split "$(SPLIT)") \
		$(if $(MODEL),--model "$(MODEL)") $(if $(PROTOCOL),--protocol "$(PROTOCOL)")

bench: ## Measure speed against the bare network, memory, and a whole Sentinel-2 product of 10980 x 10980 pixels (an hour).
	@tools/setup.sh engine
	@$(ENGINE_PYTHON) -m benchmarks.overhead
	@$(ENGINE_PYTHON) -m benchmarks.memory
	@$(ENGINE_PYTHON) -m benchmarks.training
	@$(ENGINE_PYTHON) -m benchmarks.product
	@tools/setup.sh qgis-tests
	@QT_QPA_PLATFORM=offscreen $(QGIS_ENVIRONMENT_PYTHON) -m benchmarks.results_panel

clean: ## Remove what was built; the environments stay.
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find engine debris_qgis tools tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
