# The verbs that people and CI share. `make demo` and `make test` set up all they need in virtual environments here.

PYTHON ?= python3
VENV := .venv
DEMO_VENV := .venv-demo
# Tests and lints share the dependencies of one profile.
CARGO_PROFILE := ci
export UV_PYTHON_DOWNLOADS := never
# torch and transformers import three times slower without compiled modules, and many tests start an interpreter.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: all demo test test-rust test-aarch64 test-python upstream upstream-processors fmt lint develop bench wheel clean
all: test

# --- environments

# uv installs in seconds what takes pip a minute; it comes from pip, so that Python is all that must be there.
define make_venv
	$(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv
endef

$(VENV)/.stamp: pyproject.toml
	$(call make_venv,$(VENV))
	VIRTUAL_ENV=$(VENV) $(VENV)/bin/uv pip install --quiet -r pyproject.toml --extra dev
	touch $@

$(DEMO_VENV)/.stamp: pyproject.toml
	$(call make_venv,$(DEMO_VENV))
	VIRTUAL_ENV=$(DEMO_VENV) $(DEMO_VENV)/bin/uv pip install --quiet 'maturin>=1.9,<2' 'numpy>=1.25' tokenizers==0.23.3
	touch $@

# --- first contact

# maturin and cargo decide what is out of date, so these run every time.
demo: $(DEMO_VENV)/.stamp
	VIRTUAL_ENV=$(CURDIR)/$(DEMO_VENV) $(DEMO_VENV)/bin/maturin develop --release --uv --quiet
	$(DEMO_VENV)/bin/penstock demo

# --- checks

test: lint test-rust test-python

develop: $(VENV)/.stamp
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(VENV)/bin/maturin develop --release --uv

# The extension module links against the interpreter that built it.
lint: develop
	cargo fmt --all --check
	PYO3_PYTHON=$(CURDIR)/$(VENV)/bin/python cargo clippy --workspace --all-targets --profile $(CARGO_PROFILE) -- -D warnings
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy python/penstock
	$(VENV)/bin/python -m mypy.stubtest penstock._native

test-rust:
	cargo test --package penstock-core --profile $(CARGO_PROFILE)

# The core on 64-bit ARM under emulation, with NEON in the scanners: for machines with that compiler and qemu's user mode.
test-aarch64: export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER := aarch64-linux-gnu-gcc
test-aarch64: export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER := qemu-aarch64-static -L /usr/aarch64-linux-gnu
test-aarch64:
	rustup target add aarch64-unknown-linux-gnu
	cargo test --package penstock-core --profile $(CARGO_PROFILE) --target aarch64-unknown-linux-gnu --lib --test scanners

# Two runs at once, since most tests use one core: what the last word of `test_complete` counts together, with what makes both
# equally long, and the rest.
COUNTED := $(addprefix tests/differential/test_, $(addsuffix .py, \
	corpora sampled random golden decode small naive tiktoken added_tokens components complete transformers_vocabulary))

test-python: develop upstream
	@$(VENV)/bin/pytest -p no:cacheprovider $(COUNTED) > $(VENV)/counted.log 2>&1 & counted=$$!; \
	$(VENV)/bin/pytest $(addprefix --ignore=, $(COUNTED)); rest=$$?; \
	wait $$counted; counted=$$?; cat $(VENV)/counted.log; \
	test $$rest -eq 0 && test $$counted -eq 0

# The source distributions of transformers and tokenizers, whose tests their wheels leave out. Without a network their
# suites are skipped.
UPSTREAM := transformers-5.23.0 tokenizers-0.23.3
upstream: $(VENV)/.stamp
	@for release in $(UPSTREAM); do \
		test -f $(VENV)/upstream/$$release.tar.gz || $(VENV)/bin/python -m pip download --quiet \
			--disable-pip-version-check --no-deps --no-build-isolation --no-binary $${release%-*} \
			--dest $(VENV)/upstream $${release%-*}==$${release##*-} \
			|| echo "the suite of $${release%-*} is skipped: no source distribution"; \
	done

# transformers' own tests of its logits processors, from the checkout that PENSTOCK_TRANSFORMERS_SOURCE names.
upstream-processors: develop
	$(VENV)/bin/pytest -s tests/upstream/test_logits_processors.py

fmt: $(VENV)/.stamp
	cargo fmt --all
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench:
	cargo bench --package penstock-benches

# One wheel for each interpreter named: the module is built against one version of CPython.
WHEEL_PYTHONS := $(PYTHON)

wheel: $(VENV)/.stamp
	$(VENV)/bin/maturin build --release --out dist --interpreter $(WHEEL_PYTHONS)

clean:
	rm -rf target dist $(VENV) $(DEMO_VENV) .fixtures
