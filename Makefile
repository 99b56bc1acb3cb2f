# Each target is a recipe that anyone could type; `make help` lists them.

# Where `make install` puts things; DESTDIR is prepended, for packages.
PREFIX = /usr/local
# Seconds for each fuzz target.
FUZZ_SECONDS = 30
# Seconds of `make soak`.
SOAK_SECONDS = 600
# The bin directory of a virtual environment with Supervisor 4.3.0; `make dev` makes one.
PYTHON_SUPERVISOR = $(abspath $(wildcard run/venv/bin))

# What compares with Supervisor, if there is one; more options for `make bench` and `make curve`, such as
# BENCH="--quick --only rpc" or CURVE="--rounds 1".
AGAINST = $(if $(PYTHON_SUPERVISOR),--against $(PYTHON_SUPERVISOR)/supervisord)
BENCH =
CURVE =

CARGO_TARGET_DIR ?= target
BUILT = $(CARGO_TARGET_DIR)/release
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
MUSL = $(subst -gnu,-musl,$(HOST))

.PHONY: help run run-fleet build test check bench curve figures graph soak publish rest-test peers micro budgets sizes cross hostile faults fuzz sim interop dev browser-test machines-test fleet-test install \
	deb package-test dist static docs clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

run: build ## run conf/demo.conf in the foreground; Ctrl-C ends it; writes below ./run only
	@mkdir -p run
	@echo "web page   http://127.0.0.1:9001"
	@echo "socket     $(CURDIR)/run/supervisor.sock"
	@echo "command    $(BUILT)/supervisorctl -c conf/demo.conf status"
	@exec $(BUILT)/supervisord -n -c conf/demo.conf

run-fleet: build ## run conf/fleet.conf three times, a fleet on one machine; Ctrl-C ends it; writes below ./run only
	@mkdir -p run/fleet
	@echo "web pages  http://127.0.0.1:9101, :9102 and :9103, user demo, password \"three daemons\""
	@echo "command    NAME=one PORT=9101 $(BUILT)/supervisorctl -c conf/fleet.conf sstatus"
	@trap 'kill $$pids; wait' INT TERM; for at in one:9101 two:9102 three:9103; do \
		NAME=$${at%:*} PORT=$${at#*:} $(BUILT)/supervisord -n -c conf/fleet.conf > run/fleet/$${at%:*}.out & pids="$$pids $$!"; \
	done; wait

build: ## build the release executables
	cargo build --release

test: ## run all tests, also those behind one that fails
	cargo test --no-fail-fast

check: ## formatting, lints, all tests
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --lib --no-default-features -- -D warnings
	$(MAKE) test

sim: ## the simulation, a hundred times longer
	STHENO_SIM_SCHEDULES=1000000 STHENO_SIM_SEQUENCES=200000 cargo test --release --test simulation

publish: ## read a fleet's events with Python's websockets and pyzmq, as far as they are there
	cargo build
	python3 tests/interop/publish.py $(CARGO_TARGET_DIR)/debug/supervisord

rest-test: ## REST by a validator of OpenAPI, by schemathesis, and beside Supvisors' Flask application
	cargo build
	@mkdir -p run
	@if ! { test -x run/rest/bin/schemathesis || { python3 -m venv run/rest && timeout 300 run/rest/bin/pip install -q \
		openapi-spec-validator==0.9.0 schemathesis==4.32.5 supvisors==0.19 flask-restx==1.3.2; }; }; then \
		echo "SKIPPED: pip cannot get openapi-spec-validator, schemathesis and supvisors"; \
	else \
		run/rest/bin/python tests/interop/rest.py $(abspath $(CARGO_TARGET_DIR))/debug/supervisord; \
	fi

interop: ## compare with Python: the text readers, then the black-box tests against Supervisor 4.3.0
	cargo build --example wire_text
	PATH="$(PYTHON_SUPERVISOR):$$PATH" python3 tests/interop/wire_text.py $(CARGO_TARGET_DIR)/debug/examples/wire_text
	@test -n "$(PYTHON_SUPERVISOR)" || { echo "No Supervisor to compare with: make dev, or PYTHON_SUPERVISOR=/path/to/venv/bin"; exit 1; }
	STHENO_SUPERVISORD=$(PYTHON_SUPERVISOR)/supervisord cargo test --test blackbox

hostile: build ## attacks, ten seconds each; how long it works at a stretch is held to what docs/reliability.md promises
	STHENO_HOSTILE_SECONDS=10 STHENO_SUPERVISORD=$(abspath $(BUILT))/supervisord cargo test --test hostile -- --nocapture

faults: build ## what the system refuses, one row a fault; strace and root for all of them
	tests/faults/faults.py $(BUILT)/supervisord

fuzz: ## fuzz each reader of foreign bytes for FUZZ_SECONDS
	fuzz/run $(FUZZ_SECONDS)

bench: build ## measure from outside: against Supervisor if installed, and the machine's limit; run/bench.*
	@mkdir -p run
	benches/bench.py $(BUILT)/supervisord $(AGAINST) --json run/bench.json --plot run/bench.svg --markdown run/bench.md $(BENCH)

curve: build ## what 10 to 10 000 programs cost: docs/scale.json, and of it the plot and table of docs/performance.md
	benches/curve.py $(BUILT)/supervisord $(AGAINST) --json docs/scale.json --plot docs/scale.svg --markdown docs/performance.md $(CURVE)

figures: build ## all figures of docs/performance.md anew, on a quiet machine with Supervisor: half an hour
	@test -n "$(AGAINST)" || { echo "No Supervisor to compare with: make dev, or PYTHON_SUPERVISOR=/path/to/venv/bin"; exit 1; }
	benches/bench.py $(BUILT)/supervisord $(AGAINST) --json docs/bench.json --plot docs/bench.svg --markdown docs/performance.md --readme README.md $(BENCH)
	$(MAKE) curve

graph: build ## what a change costs where ten, and ten thousand, programs depend on each other
	python3 benches/graph.py $(BUILT)/supervisord

soak: build ## everything at once for SOAK_SECONDS: whether memory grows, a line is lost, and how long restarts take
	python3 benches/soak.py $(BUILT)/supervisord --seconds $(SOAK_SECONDS)

peers: build ## the same battery for tini, dumb-init, dinit, s6, runit and Supervisor, where installed (as root)
	benches/peers.py $(BUILT)/supervisord $(AGAINST) --markdown docs/performance.md

micro: ## the inner loops, one at a time
	cargo bench --bench micro

budgets: build ## instructions for each unit of work, under valgrind, against benches/budgets.json
	benches/budgets.py instructions $(BUILT)/supervisord

sizes: build ## bytes of the executable and of two static ones, against benches/budgets.json
	$(MAKE) static MUSL=none
	cp $(CARGO_TARGET_DIR)/$(HOST)/small/supervisord $(CARGO_TARGET_DIR)/static
	$(MAKE) static MUSL=none FEATURES=--no-default-features
	benches/budgets.py sizes full=$(BUILT)/supervisord static=$(CARGO_TARGET_DIR)/static \
		bare=$(CARGO_TARGET_DIR)/$(HOST)/small/supervisord

# Processors that devices have. Where a standard library is not to be had ready, that of the toolchain's sources is checked along.
CROSS = armv5te-unknown-linux-gnueabi armv7-unknown-linux-gnueabihf aarch64-unknown-linux-musl mipsel-unknown-linux-musl \
	riscv64gc-unknown-linux-gnu i686-unknown-linux-gnu i686-unknown-linux-musl powerpc-unknown-linux-gnu

cross: ## check that it compiles for other processors; says for which that could not be tried
	tests/cross $(CROSS)

docs: ## the manual anew: docs/configuration.md, docs/xmlrpc.md, docs/man
	STHENO_WRITE_MANUAL=1 cargo test -q --test manual

dev: ## what developing needs beyond Rust, on Debian: valgrind, and Supervisor 4.3.0 in ./run/venv
	command -v valgrind >/dev/null || $$(test "$$(id -u)" = 0 || echo sudo) apt-get install -y valgrind python3-venv
	python3 -m venv run/venv
	run/venv/bin/pip install -q supervisor==4.3.0 supervisor_twiddler==1.0.0

browser-test: ## drive the live page in headless Chromium, and leave pictures; Debian: apt-get install chromium nodejs npm
	cargo build
	@mkdir -p run/browser
	@if ! { command -v $${CHROMIUM:-chromium} && command -v node && command -v npm; } >/dev/null; then \
		echo "SKIPPED: the page in a browser needs chromium, node and npm"; \
	elif ! (cd run/browser && timeout 120 npm install --silent --no-save playwright-core@1.65.1 axe-core@4.14.1); then \
		echo "SKIPPED: npm cannot get playwright-core and axe-core"; \
	else \
		export CHROMIUM=$$(command -v $${CHROMIUM:-chromium}) BROWSER_MODULES=$(CURDIR)/run/browser; \
		status=0; for test in run fleet; do \
			timeout 600 node tests/browser/$$test.mjs $(abspath $(CARGO_TARGET_DIR))/debug/supervisord run/browser/pictures || status=1; \
		done; exit $$status; \
	fi

fleet-test: ## daemons on hosts of their own that lose each other: network namespaces, as root; skipped elsewhere
	cargo build
	tests/fleet/run $(CARGO_TARGET_DIR)/debug/supervisord

machines-test: ## nginx and Caddy before the page, and a Prometheus that scrapes; Debian: apt-get install nginx-light caddy prometheus
	cargo build
	tests/machines/run $(abspath $(CARGO_TARGET_DIR))/debug/supervisord

install: ## install what is built below PREFIX: one executable, four names for it, man pages, completions
	@test -x $(BUILT)/supervisord || { echo "Nothing is built yet: make build"; exit 1; }
	install -D $(BUILT)/supervisord $(DESTDIR)$(PREFIX)/bin/supervisord
	for name in supervisorctl supvisorsctl pidproxy echo_supervisord_conf; do \
		ln -sf supervisord $(DESTDIR)$(PREFIX)/bin/$$name; \
	done
	for page in docs/man/*.[1-8]; do \
		folder=$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}; install -d $$folder && \
		gzip -9nc $$page >$$folder/$${page##*/}.gz || exit 1; \
	done
	install -d $(addprefix $(DESTDIR)$(PREFIX)/share/,$(dir $(COMPLETIONS)))
	for file in $(COMPLETIONS); do \
		case $$file in bash*) shell=bash;; zsh*) shell=zsh;; *) shell=fish;; esac; \
		$(BUILT)/supervisorctl completion $$shell >$(DESTDIR)$(PREFIX)/share/$$file || exit 1; \
	done

# Where shells look for completions, below share.
COMPLETIONS = bash-completion/completions/supervisorctl zsh/site-functions/_supervisorctl \
	fish/vendor_completions.d/supervisorctl.fish

VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

deb: build ## a Debian package of it, in ./dist
	conf/debian/build $(VERSION) dist

package-test: build ## install, run, upgrade and remove that package in a root of its own (as root, by debootstrap)
	conf/debian/build $(VERSION) $(CARGO_TARGET_DIR)/deb
	conf/debian/build $(VERSION)+1 $(CARGO_TARGET_DIR)/deb
	tests/package/run $(CARGO_TARGET_DIR)/deb/stheno_$(VERSION)_*.deb $(CARGO_TARGET_DIR)/deb/stheno_$(VERSION)+1_*.deb

dist: ## what is published, in ./dist: the source, a static executable, their checksums; twice the same bytes
	@test -z "$$(git status --porcelain)" || { echo "There is something that is not committed: it would not be in it"; exit 1; }
	rm -rf dist && mkdir dist
	git archive --format=tar --prefix=stheno-$(VERSION)/ HEAD | gzip -9n >dist/stheno-$(VERSION).tar.gz
	$(MAKE) static REMAP="--remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=cargo"
	set -- $(CARGO_TARGET_DIR)/*/small/supervisord; cp $$1 dist/supervisord-$(VERSION)-$(HOST)
	cd dist && sha256sum * >SHA256SUMS && cat SHA256SUMS

# Nothing in a static file is moved when it is loaded, and nobody unwinds a stack.
STATIC_FLAGS = -C target-feature=+crt-static -C relocation-model=static -C force-unwind-tables=no \
	-C link-arg=-Wl,-T,$(CURDIR)/conf/static.ld
# Say FEATURES=--no-default-features for the smallest one.
FEATURES =
# What takes paths of the machine out of the file.
REMAP =

# Say STD=anew to have the standard library compiled along, for size, without what prints stacks and without the places of
# panics: a fifth less. It takes rustup's rust-src, and what only nightly compilers allow without being asked.
STD =
STD_FLAGS = -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size

static: ## one static file: musl where its standard library is installed, else glibc
	target=$(HOST); test ! -d "$$(rustc --print sysroot)/lib/rustlib/$(MUSL)" || target=$(MUSL); \
	$(if $(STD),RUSTC_BOOTSTRAP=1) RUSTFLAGS="$(STATIC_FLAGS) $(if $(STD),-Zlocation-detail=none) $(REMAP)" \
		cargo build $(if $(STD),$(STD_FLAGS)) --profile small --bin supervisord --target $$target $(FEATURES) && \
	ls -l $(CARGO_TARGET_DIR)/$$target/small/supervisord

clean: ## remove what was built and what `make run` wrote
	cargo clean
	rm -rf run dist
