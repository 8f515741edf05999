# What to run. `make` alone lists it.

.PHONY: bench-agents bench-dispatch bench-peers bench-workspace help build demo test test-clients test-postgres test-python soak check

help:
	@echo "make demo   set up what is missing, build, run a real workflow on two agents"
	@echo "make test   set up what is missing, pass every test"
	@echo "make test-python  the Python client's part of that"
	@echo "make test-clients  the programs of clients/examples: grpcurl, SQL, Go, TypeScript, Java"
	@echo "make test-postgres VERSION=18  the SQL part of the tests on another release of Postgres, 14 to 18"
	@echo "make soak   the tests whose size is a setting, large (minutes)"
	@echo "make bench-agents  what an agent costs: memory, short tasks, output, containers (minutes)"
	@echo "make bench-workspace  files between tasks beside rsync, find, cp, sha256sum (minutes, a quiet machine)"
	@echo "make bench-dispatch  tasks that do nothing beside the barest queue in Postgres (minutes, a quiet machine)"
	@echo "make bench-peers  handlers of one Python worker beside those of other queues (minutes, a quiet machine)"
	@echo "make check  formatting, lints, documentation, frozen migrations"
	@echo "make build  the postq, postq-coordinator and postq-agent programs"

build:
	@scripts/setup.sh build
	cargo build --workspace --bins

demo:
	@scripts/setup.sh demo
	cargo build --workspace --bins
	@scripts/demo.sh

# End-to-end tests start the programs, so these are built first. They mostly wait: four at a time.
test:
	@scripts/setup.sh test
	cargo build --workspace --bins
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-4} cargo test --workspace
	@$(MAKE) test-python

test-python:
	@scripts/setup.sh test
	@scripts/setup.sh python
	cargo build --workspace --bins
	scripts/python.sh test

test-clients:
	@scripts/setup.sh demo
	@scripts/setup.sh clients
	cargo build --workspace --bins
	scripts/clients.sh
	scripts/proto.sh check

# The programs come from npm. The machine's own pg_dump refuses a server that is newer than it.
VERSION ?= 18
test-postgres:
	@scripts/setup.sh postgres
	cargo build --workspace --bins
	POSTQ_POSTGRES=$$(scripts/postgres.sh $(VERSION)) RUST_TEST_THREADS=$${RUST_TEST_THREADS:-4} \
		cargo test -p postq-tests --test promises -- sql_ --skip a_queue_that_was_dumped_and_restored

soak:
	@scripts/setup.sh test
	cargo build --workspace --bins
	POSTQ_SOAK=1 cargo test -p postq-tests --test promises -- soak --nocapture --test-threads 1

check:
	@scripts/setup.sh build
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	scripts/frozen-migrations.sh
	@scripts/setup.sh python
	scripts/python.sh check

# Optimised, five rounds of each case; JSON lines to target/bench-workspace.jsonl, a table to the
# terminal.
bench-workspace:
	@scripts/setup.sh bench
	cargo build --release -p postq -p postq-bench
	target/release/postq-bench workspace $(BENCH_ARGUMENTS) > target/bench-workspace.jsonl

# The same of tasks that do nothing, to target/bench-dispatch.jsonl.
bench-dispatch:
	@scripts/setup.sh demo
	cargo build --release --workspace --bins
	target/release/postq-bench dispatch $(BENCH_ARGUMENTS) > target/bench-dispatch.jsonl

# The same for what an agent costs; to target/bench-agents.jsonl.
bench-agents:
	@scripts/setup.sh test
	cargo build --release -p postq -p postq-coordinator -p postq-agent -p postq-bench
	target/release/postq-bench agents $(BENCH_ARGUMENTS) > target/bench-agents.jsonl

# Optimised; JSON lines to target/bench-peers.jsonl, a table to the terminal.
bench-peers:
	@scripts/setup.sh bench
	@scripts/setup.sh python
	cargo build --release -p postq -p postq-coordinator -p postq-agent
	scripts/bench-peers.sh $(BENCH_ARGUMENTS) > target/bench-peers.jsonl
