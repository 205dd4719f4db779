# Everything that a developer types. Set-up is part of each command: a fresh machine needs Rust, nothing else.
.PHONY: setup test lint fmt

CARGO ?= cargo

# Kafka (from Maven Central) and PostgreSQL (the system's package): what the tests start and stop themselves.
setup:
	@scripts/install-kafka.sh >/dev/null
	@scripts/install-postgres.sh >/dev/null

test: setup
	$(CARGO) test --workspace

lint:
	@scripts/lint.sh

fmt:
	$(CARGO) fmt --all
