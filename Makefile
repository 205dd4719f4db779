# Everything that a developer types. Set-up is part of each command: a fresh machine needs Rust, nothing else.
.PHONY: demo demo-real setup test faults fuzz bench earliness lint fmt

CARGO ?= cargo
TARGET = $(or $(CARGO_TARGET_DIR),target)
# Further arguments of a demonstration: make demo ARGS="--days 20 --speed 5"
ARGS ?=

# A simulated autumn term through all services in one process, on embedded parts: nothing else is needed.
demo:
	$(CARGO) run --release --locked --quiet -p earlybell -- demo $(ARGS)

# The same on a real Kafka and PostgreSQL, started and stopped here.
demo-real: setup
	$(CARGO) build --release --locked --quiet -p earlybell -p support --bins
	$(TARGET)/release/with-servers $(TARGET)/release/earlybell demo --folder earlybell-demo-real \
		--brokers {brokers} --database {database} $(ARGS)

# Kafka (from Maven Central) and PostgreSQL (the system's package): what the tests start and stop themselves.
setup:
	@scripts/install-kafka.sh >/dev/null
	@scripts/install-postgres.sh >/dev/null

test: setup
	$(CARGO) test --workspace --locked

# Every fault, all its rounds: about half an hour on 2 cores. Parts of names run those alone: make faults ARGS="kill"
faults: setup
	$(CARGO) test -p earlybell --test faults --locked -- --all $(ARGS)

# Every parser of outside bytes, by coverage: an hour unless told otherwise, ARGS="60" a minute each, ARGS="60 values" one of them.
fuzz:
	@scripts/fuzz.sh $(ARGS)

# The figures of docs/benchmarks.md, in one run: some 20 minutes on 2 cores. ARGS="--alone" leaves the peer out.
bench: setup
	$(CARGO) build --release --locked --quiet -p earlybell -p bench --bins
	$(TARGET)/release/bench --program $(TARGET)/release/earlybell --duckdb "$$(scripts/install-duckdb.sh)" $(ARGS)

# The tables of docs/earliness.md: what seeing absence early is worth, on simulated cohorts of several kinds; some five minutes on 2 cores.
# ARGS="--projection deploy/policy/projection.toml" writes the numbers that ship anew.
earliness:
	$(CARGO) build --release --locked --quiet -p earliness
	$(TARGET)/release/earliness $(ARGS)

lint:
	@scripts/lint.sh

fmt:
	$(CARGO) fmt --all
