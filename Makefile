# What people and CI call. `make help` lists it.
# Each of these has a cluster of its own.
LIVE := live-variants live-strategies live-disturbed live-room live-release live-adapter live-bare
STAGES := live-variants demo-aws demo live-strategies live-room live-release live-adapter live-bare cluster-check fit
.PHONY: help demo demo-aws local-aws soak soak-kills soak-matrix soak-streams package test doctor doctor-demo lint unit cluster cluster-check live $(LIVE) fit fit-oracle bench-judge bench bench-cold bench-cost bench-storm bench-breach plots prometheus

help: ## lists the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 18

doctor: ## says which prerequisite is missing on this machine
	@tests/policy/doctor.sh

doctor-demo:
	@tests/policy/doctor.sh demo

demo: doctor-demo ## three pushes on a real control plane with live traffic; stays up until Ctrl-C; KILL=20 kills weir up 20 times
	@echo "demo: building (the first time takes about 25 minutes on 2 cores)"
	cargo build -p weir-local -p weir-simulator -p weir-demo
	$(if $(BY_ITSELF),CI=true) WEIR_CLUSTER_BIN=$$(tests/cluster/build.sh) target/debug/weir-demo $(if $(KILL),--kill $(KILL))

demo-aws: doctor ## the functions' own programs on a local AWS: the same pushes; KILL=20 kills 20 of them, on a bad day at AWS; CUTS=8 cuts 8 reverts short
	cargo build -p weir-functions -p weir-simulator -p weir-aws-demo --bins
	WEIR_CLUSTER_BIN=$$(tests/cluster/build.sh) target/debug/weir-aws-demo $(if $(KILL),--kill $(KILL) --faults) $(if $(CUTS),--cuts $(CUTS))

local-aws: ## the table and the queues of infra/aws/template.yaml on this machine, for functions run by hand (docs/aws.md), until Ctrl-C
	cargo run -p weir-lambda-host --bin local-aws

soak: soak-kills soak-matrix soak-streams live-disturbed fit-oracle ## all that takes hours, one after another, on a machine that does nothing else

soak-kills: doctor ## demo-aws until KILL=1000 functions were killed and CUTS=100 reverts cut short; the API server is away for minutes
	cargo build -p weir-functions -p weir-simulator -p weir-aws-demo --bins
	WEIR_CLUSTER_BIN=$$(tests/cluster/build.sh) target/debug/weir-aws-demo --kill $(or $(KILL),1000) \
		--faults --away 120 --cuts $(or $(CUTS),100)

soak-matrix: doctor ## every way back from every step of every strategy, on a real control plane with users; ONLY=rolling for some; LANES=4 side by side
	WEIR_ONLY="$(ONLY)" WEIR_LANES=$(or $(LANES),4) WEIR_CLUSTER_BIN=$$(tests/cluster/build.sh) \
		cargo test -p weir-live --test soak every_way_back -- --nocapture

soak-streams: doctor ## STREAMS=10000 streams of 5 to 8 s that are under way on pods which are told to leave: none is cut
	WEIR_STREAMS=$(or $(STREAMS),10000) WEIR_CLUSTER_BIN=$$(tests/cluster/build.sh) \
		cargo test -p weir-live --test soak no_stream_is_cut -- --nocapture

bench-cost: doctor ## what a rollout of 20 steps with 12 looks each costs on AWS, with the programs of the package; 25 min
	nice -n 10 cargo build --quiet --profile lambda --target x86_64-unknown-linux-gnu -p weir-functions --bins
	cargo build -p weir-simulator -p weir-aws-demo --bins
	WEIR_CLUSTER_BIN=$$(tests/cluster/build.sh) target/debug/weir-aws-demo --long --programs target/x86_64-unknown-linux-gnu/lambda

package: ## the functions' programs for Lambda, x86_64 and arm64, or ONLY=x86_64, zipped; too large or too new ends with an error
	infra/aws/package.sh

bench-cold: ## how long each function takes to start, 200 times each, beside floors that do less
	nice -n 10 cargo build --quiet --profile lambda --target x86_64-unknown-linux-gnu -p weir-functions --bins
	nice -n 10 cargo build --quiet --profile lambda --target x86_64-unknown-linux-gnu -p weir-cold --bins
	target/x86_64-unknown-linux-gnu/lambda/bench-cold target/x86_64-unknown-linux-gnu/lambda $(RUNS)

# Tests of a binary that run side by side on its cluster: they wait more than they work.
SIDE_BY_SIDE := 4

# What waits for `unit` where it is told to.
$(filter-out live-variants,$(STAGES)): | $(AFTER)

# Stages on a cluster wait more than they work, and the longest come first. Beside `unit`, which takes both cores, goes only
# the one that waits most.
test: doctor lint ## everything, the real cluster and the demonstrations included
	@rm -rf target/skipped
	$(MAKE) --no-print-directory -j4 --output-sync=target -o doctor -o doctor-demo AFTER=unit KILL=20 BY_ITSELF=1 unit $(STAGES)
	@[ "$$CI" = true ] || echo "test: everything passed; $$(ls target/skipped 2>/dev/null | wc -l) tests skipped (why: target/skipped)"

lint: ## formatting, lints, dependency policy, the templates of infra/aws
	cargo fmt --all --check
	python3 tests/policy/dependencies.py
	tests/policy/template.sh
	cargo clippy --workspace --features weir-local/aws --all-targets --quiet -- --deny warnings

unit: ## everything that needs no cluster
	cargo test --workspace --features weir-local/aws --exclude weir-live --exclude weir-fit-oracle --lib --bins --tests --examples

prometheus: ## the Prometheus source against a real server, built from its Go module
	cargo run -q -p weir-metrics --example real_prometheus -- $$(tests/prometheus/build.sh)

bench-judge: ## the judge against the rules of others, 2,000 seeds; writes the plots of docs/judge.md
	cargo run --release -p weir-bench --bin bench-judge -- 2000 docs

plots: ## the pictures of docs/strategies.md, from rollouts on the real control plane
	mkdir -p docs/plots
	WEIR_PLOTS=$(CURDIR)/docs/plots $(MAKE) --no-print-directory BY_ITSELF=1 demo live-strategies live-variants live-release

define breach
	cargo build --release -p weir-storm
	WEIR_STORM=$(CURDIR)/target/release/weir-storm WEIR_CANARIES=$(or $(CANARIES),300) WEIR_BREACHES=$(or $(BREACHES),20) \
		WEIR_CLUSTER_BIN=$$(tests/cluster/build.sh) cargo test -p weir-live --test breach $(1) -- --nocapture
endef

bench-storm: ## CANARIES=300 canaries breach at once on a real control plane; how long until each route is at weight 0
	$(call breach,at_once)

bench-breach: ## BREACHES=20 canaries breach one after another at any moment; how long until its route is at weight 0
	$(call breach,at_any_moment)

cluster: ## a real control plane with GPU nodes and a gateway, until Ctrl-C
	tests/cluster/up.sh

cluster-check: ## the test cluster itself
	tests/cluster/check.sh

live: $(LIVE) ## the cluster adapter, its rights, its admission policy and the strategies on a real API server

live-adapter live-bare live-disturbed live-release live-room live-strategies: live-%:
	WEIR_CLUSTER_BIN=$$(tests/cluster/build.sh) cargo test -p weir-live --test $(subst adapter,live,$*) -- \
		--test-threads=$(SIDE_BY_SIDE)$(if $(filter strategies,$*), --skip variants::)

live-variants: # waits most of its time
	WEIR_CLUSTER_BIN=$$(tests/cluster/build.sh) cargo test -p weir-live --test strategies variants::

fit: ## the verdict of weir fit against the real scheduler, on 320 random clusters
	cargo test -p weir-fit-oracle -- --nocapture

fit-oracle: ## the same on 10,000 random clusters
	cargo run -p weir-fit-oracle --bin fit-oracle -- --cases 10000 --seed 1000000

bench: ## figures; nothing is asserted
	cargo bench -p weir-local -p weir-tests
	cargo bench -p weir-domain --bench fit
