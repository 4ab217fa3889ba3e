# Every word here is one line of `make help`. Nothing but Go is needed; lint
# fetches staticcheck through the Go module proxy when it can be reached.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
# A word of Go's own flags for the tests, as in: make test FLAGS=-v
FLAGS ?=
# The simulated world: a scenario, the first seed, and how many runs.
SCENARIO ?=
SEED ?= 1
N ?= 100
# How long each fuzz target runs.
FUZZTIME ?= 10s

.DEFAULT_GOAL := help
.PHONY: help build test race lint demo sim sim-one mutants fuzz cover peers

help: ## print these words
	@sed -n 's/^\([a-z-]*\): .*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

build: ## build bin/troupe
	go build -trimpath -o bin/troupe ./cmd/troupe

test: ## build and run every test
	go vet ./...
	go vet -tags mutants ./...
	go test $(FLAGS) ./...
	cd simulations/peers && go vet ./... && go test $(FLAGS) ./...

race: ## every test under the race detector
	go test -race $(FLAGS) ./...

lint: ## gofmt, go vet and, when it can be had, staticcheck
	@bad=$$(gofmt -l .); if [ -n "$$bad" ]; then echo "not gofmt'ed:"; echo "$$bad"; exit 1; fi
	go vet ./...
	go vet -tags mutants ./...
	@if go run $(STATICCHECK) -version >/dev/null 2>&1; then \
		echo "go run $(STATICCHECK) ./..."; go run $(STATICCHECK) ./...; \
	else echo "staticcheck was not run: it could not be fetched"; fi

demo: build ## tell the whole story on embedded brokers, one and three, then clean up
	@bin/troupe demo

sim: build ## play clusters in the simulated world: N= runs in all, or SCENARIO= and SEED= for one
	@if [ -n "$(SCENARIO)" ]; then bin/troupe sim run $(SCENARIO) --seed $(SEED) $(FLAGS); \
	else bin/troupe sim run --all --runs $(N) --seed $(SEED) $(FLAGS); fi

mutants: ## switch on one deliberate bug after the other: the simulation must find each
	go build -tags mutants -o bin/troupe-mutants ./cmd/troupe
	bin/troupe-mutants sim mutants $(FLAGS)

sim-one: ## the world of one broker: SEED= the first seed, N= how many
	TROUPE_SIM_SEED=$(SEED) TROUPE_SIM_SEEDS=$(N) go test -count=1 -timeout 30m $(FLAGS) -run 'OneNode|EveryCrashImage' ./simulations/...

fuzz: ## run every fuzz target for FUZZTIME
	@grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$file); do \
			echo "fuzz $$(dirname $$file) $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$(dirname $$file) </dev/null || exit 1; \
		done; \
	done

peers: ## measure side by side with NATS and plain files, and write docs/BENCHMARKS.md
	cd simulations/peers && go run . $(FLAGS)

cover: ## print how much of each room its tests reach
	go test -cover ./... | grep -v 'no test files'
