# What people do with this checkout. `make` alone lists it.

# A DATABASE_URL meant for pgassay shall not be compiled against: the `query!` macros are to believe `.sqlx`.
export SQLX_OFFLINE = true

.DEFAULT_GOAL := help
.PHONY: help run build test fuzz lint fmt sqlx setup clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## build, start with the sample loaded, and serve on http://127.0.0.1:8000
	./target/release/pgassay serve --sample

build: setup ## build the release binary
	cargo build --release --locked

test: ## install what the tests need, and run the whole suite
	.ci/setup --test
	cargo test --locked

fuzz: ## try generated scripts and damaged dumps for an hour or so; PROPTEST_CASES says how many
	.ci/setup --test
	PROPTEST_CASES=$${PROPTEST_CASES:-20000} cargo test --locked --lib -- split::fuzz split::oracle dataset::damage

lint: ## check the formatting, and run clippy with warnings as errors
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

fmt: ## format the code
	cargo fmt

sqlx: setup ## write .sqlx anew, after a query or a migration changed
	.ci/sqlx

setup: ## install what is missing: PostgreSQL, npm, a C compiler
	.ci/setup

clean: ## remove what was built and installed here; ./data stays
	cargo clean
	rm -rf node_modules
