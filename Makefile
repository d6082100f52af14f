# What people do with this checkout. `make` alone lists it.

# A DATABASE_URL meant for pgassay shall not be compiled against: the `query!` macros are to believe `.sqlx`.
export SQLX_OFFLINE = true

BENCH = cargo run --quiet --release --locked --manifest-path benches/Cargo.toml --target-dir target/bench --

.DEFAULT_GOAL := help
.PHONY: help run build test test-servers fuzz bench bench-long lint audit fmt sqlx setup clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build, start with the sample loaded, and serve on http://127.0.0.1:8000
	./target/release/pgassay serve --sample

build: setup ## build the release binary
	cargo build --release --locked

# Generated cases are the same each time, so that the suite says the same of the same code; `fuzz` tries others.
test: ## install what the tests need, and run the whole suite
	.ci/setup --test
	PROPTEST_RNG_SEED=$${PROPTEST_RNG_SEED:-1} cargo test --locked --features cloud

test-servers: ## run the whole suite on PostgreSQL 16, 17 and 18 as well, and every dump on every server
	.ci/setup --test
	.ci/test-servers

fuzz: ## try generated scripts and damaged dumps for an hour or so; PROPTEST_CASES says how many
	.ci/setup --test
	PROPTEST_CASES=$${PROPTEST_CASES:-20000} cargo test --locked --lib -- split::fuzz split::oracle dataset::damage

bench: build ## measure the release binary beside its peers; on an otherwise quiet machine, about ten minutes
	$(BENCH)

bench-long: build ## the rest of it: uploads of 2 GB, and a release build from nothing
	$(BENCH) --long

lint: ## check the formatting, and run clippy with warnings as errors
	cargo fmt --check
	cargo fmt --check --manifest-path benches/Cargo.toml
	cargo clippy --locked --all-targets --features cloud -- -D warnings
	cargo clippy --locked -- -D warnings
	cargo clippy --locked --manifest-path benches/Cargo.toml --target-dir target/bench -- -D warnings

audit: ## ask whether all crates are used, and may be: licences, where they come from, known holes (deny.toml)
	.ci/audit --install

fmt: ## format the code
	cargo fmt
	cargo fmt --manifest-path benches/Cargo.toml

sqlx: setup ## write .sqlx anew, after a query or a migration changed
	.ci/sqlx

setup: ## install what is missing: PostgreSQL, npm, a C compiler
	.ci/setup

clean: ## remove what was built and installed here; ./data stays
	cargo clean
	rm -rf node_modules tests/servers/node_modules tests/servers/python tests/servers/schemathesis
