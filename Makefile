# Tandem: a VRRP + IPVS director daemon, and the lab that proves it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export CGO_ENABLED := 0

.PHONY: help
help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## build bin/tandem and bin/tandemd
	@go build -trimpath -o bin/ ./cmd/...

.PHONY: kernel
kernel: build ## fetch the guest kernel into your cache, unless it is there (no root)
	@bin/tandem doctor --install >/dev/null

.PHONY: demo
demo: kernel ## break the figure-7 pair and show what the clients saw
	@bin/tandem drill run --demo

.PHONY: test
test: kernel ## run every test; what needs IPVS or root runs in the guest kernel
	@scripts/test

.PHONY: kernel-virtual
kernel-virtual: build ## build the kernel with a virtual clock, unless it is there (8 min)
	@bin/tandem kernel build >/dev/null

.PHONY: test-virtual
test-virtual: kernel-virtual ## run the drills on a virtual clock: the same every time
	@scripts/test-virtual

.PHONY: soak-suite
soak-suite: kernel-virtual ## run the drills that notice sabotage 50 times, with nothing spoilt (1 h)
	@go test -v -count=1 -timeout 0 -run TestHealthySuite ./internal/sabotage -time virtual -runs 50

.PHONY: test-faults
test-faults: kernel-virtual ## strike a working pair with every kind of fault, and heal it (6 min)
	@bin/tandem drill run 'fault-*' --time virtual

.PHONY: check
check: ## formatting, vet, staticcheck and import rules, without root
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt: $$unformatted"; exit 1; fi
	@go vet ./...
	@go tool staticcheck ./...
	@go test -run TestImports .

.PHONY: fuzz
fuzz: ## fuzz every parser for 20 s each
	@scripts/fuzz 20s

.PHONY: bench
bench: ## measure large configurations; fails where a promise is missed (1 min)
	@scripts/bench

.PHONY: bench-vrrp
bench-vrrp: build ## measure tandemd beside keepalived: outages, load, takeover, start (6 min)
	@scripts/bench-vrrp

.PHONY: bench-ipvs
bench-ipvs: kernel ## measure virtual services beside keepalived: start, reload, checks (10 min)
	@scripts/bench-ipvs

.PHONY: bench-recording
bench-recording: ## measure what recording takes of a probe's rate, which is to be below 5 % (10 s)
	@go test ./lab/probe -run '^$$' -bench Recording -benchtime 5s -count 2

.PHONY: bench-lab
bench-lab: ## measure how long a lab takes to come up, which is to be below 100 ms (5 s; needs root)
	@go test ./lab -run '^$$' -bench Up -benchtime 20x -count 2
