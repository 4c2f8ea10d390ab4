# `make` prints what there is. The tests need Go alone; with Node on the PATH
# they also prove every claim against the real thing, and REQUIRE_NODE=1 makes a
# missing Node a failure. The race detector needs a C compiler.
GO ?= go
GOFMT = $(shell $(GO) env GOROOT)/bin/gofmt
RACE := $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)
FUZZTIME ?= 1m
# Without this the race detector makes each test binary take a second to exit.
export GORACE ?= atexit_sleep_ms=0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help build test browser stress soak lint fuzz bench bench-all runtimes demo docs translated screenshots

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: ## the chapters' programs, into bin/
	$(GO) build -o bin/ ./0*

test: ## formatting, vet and all tests: two minutes on two cores
	@unformatted=$$($(GOFMT) -l .) && test -z "$$unformatted" || { echo "not formatted: $$unformatted"; exit 1; }
	$(GO) vet ./...
	@test -n "$(RACE)" || echo "no C compiler here: testing without -race"
	@echo "compiling the tests; the results follow package by package"
	$(GO) test $(RACE) ./...

# A module of its own, so that only this needs chromedp.
browser: ## the page of chapter 05 in a real browser: Chromium, or any Chrome on the PATH
	cd 05-cluster/watch/browser && $(GO) vet . && $(GO) test -count=1 .

screenshots: ## the pictures of docs/05-watch.md
	cd 05-cluster/watch/browser && $(GO) run . ../../../docs

stress: ## the tests beside four busy loops
	@trap 'kill $$loops' EXIT; for i in 1 2 3 4; do (while :; do :; done) & loops="$$loops $$!"; done; \
	$(GO) test $(RACE) -count=1 -timeout 30m ./...

# 1,000 forks, 10,000 handles, 100 kills, reloads under load, 5 minutes of chaos, and the
# speed-up on idle cores.
soak: ## the long proofs, some 20 minutes
	SOAK=1 $(GO) test -p 1 $(RACE) -run Soak -count=1 -timeout 30m -v ./...
	cd 05-cluster/watch/browser && SOAK=1 $(GO) test -run Memory -count=1 -v .

lint: ## vet for Linux and macOS, and staticcheck
	GOOS=linux $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	cd bench && GOOS=linux $(GO) vet ./... && GOOS=darwin $(GO) vet ./... && $(GO) run $(STATICCHECK) ./...
	cd 05-cluster/watch/browser && GOOS=darwin $(GO) vet . && $(GO) run $(STATICCHECK) .

fuzz: ## each fuzz target for FUZZTIME (1m)
	$(GO) test -run '^$$' -fuzz '^FuzzLines$$' -fuzztime $(FUZZTIME) ./internal/ipc
	$(GO) test -run '^$$' -fuzz '^FuzzInternal$$' -fuzztime $(FUZZTIME) ./internal/ipc
	$(GO) test -run '^$$' -fuzz '^FuzzArguments$$' -fuzztime $(FUZZTIME) ./02-four-spawn-methods
	$(GO) test -run '^$$' -fuzz '^FuzzLaws$$' -fuzztime $(FUZZTIME) ./internal/restart

# bench/compare and cd bench && go test -bench . measure a change of this project in less time.
bench: ## what channel and cluster cost, beside Node and Bun: docs/benchmarks.md, in some ten minutes
	cd bench && $(GO) build -o bin/ ./... && bin/bench $(BENCHFLAGS)
	$(GO) test ./docs -run TestTranslations -translated docs/benchmarks.md

bench-all: ## the same with more contenders, and 1 to 16 workers
	$(MAKE) bench BENCHFLAGS=-all

runtimes: ## the runtimes that bench compares with, 300 MB, into bench/runtimes
	cd bench/runtimes && npm ci --ignore-scripts --no-audit --no-fund

docs: ## renew the code and the transcripts that the pages show
	$(GO) test ./docs -update

translated: ## the translation of PAGE is complete: make translated PAGE=docs/03-ipc.md
	$(GO) test ./docs -run TestTranslations -translated $(PAGE)

demo: ## each chapter, once
	$(GO) run ./01-fork
	$(GO) run ./02-four-spawn-methods
	$(GO) run ./03-ipc
	$(GO) run ./04-auto-restart -demo
	$(GO) run ./05-cluster -demo
