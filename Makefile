# Everything that a developer types. Set-up is part of each command: a fresh machine needs Rust, nothing else.
.PHONY: try setup test lint fmt

CARGO ?= cargo

# A year of an invented county's registers, and what the rules would have raised. Nothing else is needed.
try:
	$(CARGO) build --release --quiet -p earlybell
	@mkdir -p target/try
	target/release/earlybell simulate target/try/registers.csv --pupils-out target/try/pupils.csv --policy-out target/try/policy
	target/release/earlybell backtest --registers target/try/registers.csv --pupils target/try/pupils.csv \
		--policy target/try/policy --records target/try/records.csv --alerts target/try/alerts.csv

# Kafka (from Maven Central) and PostgreSQL (the system's package): what the tests start and stop themselves.
setup:
	@scripts/install-kafka.sh >/dev/null
	@scripts/install-postgres.sh >/dev/null

test: setup
	$(CARGO) test --workspace --locked

lint:
	@scripts/lint.sh

fmt:
	$(CARGO) fmt --all
