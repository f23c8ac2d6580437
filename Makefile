# What people and CI call. `make help` lists it.
.PHONY: help test lint stories bench-judge cluster doctor

help: ## lists the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/'

doctor: ## says which prerequisite is missing
	@ok=1; for tool in cargo go python3 git; do command -v $$tool >/dev/null || { echo "missing: $$tool"; ok=0; }; done; \
	unshare -rn true 2>/dev/null || { echo "missing: user namespaces (sysctl kernel.unprivileged_userns_clone=1)"; ok=0; }; \
	[ $$ok = 1 ] && echo "doctor: everything is there"

lint: ## formatting of the Rust code
	cargo fmt --all --check

test: doctor lint ## everything that needs no cluster
	cargo test --workspace --exclude weir-cluster
	cargo test -p weir-cluster --lib

stories: ## the stories alone
	cargo test -p weir-tests --test stories

bench-judge: ## the judge against the rules of others, 2,000 seeds; writes the plots of docs/judge.md
	cargo run --release -p weir-bench --bin bench-judge -- 2000 docs

cluster: ## a real control plane with GPU nodes and a gateway, until Ctrl-C
	tests/cluster/up.sh
