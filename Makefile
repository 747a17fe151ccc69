# make builds; make help lists the rest.
FUZZTIME ?= 20s
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
VM_TEST = EBPFPROF_VM=1 go test -count=1 -v -timeout 20m -parallel 2 -run '$(or $(RUN),.)' ./test/vm

.PHONY: build run once screenshots test test-race test-page test-vm check-core generate check-generated web check-web lint fuzz clean help
.DEFAULT_GOAL := build

build: ## the static binary bin/ebpfprof; needs nothing but Go
	CGO_ENABLED=0 go build -trimpath -o bin/ebpfprof ./cmd/ebpfprof

run: build ## profile this machine always, until Ctrl-C: page at http://127.0.0.1:9780, history in /var/lib/ebpfprof
	$(SUDO) bin/ebpfprof daemon

once: build ## profile the whole machine for 10 s: a flamegraph, a pprof file and the top table
	$(SUDO) bin/ebpfprof record -a -d 10s -o ebpfprof.svg -o ebpfprof.pb.gz -o ebpfprof.txt
	@head -n 40 ebpfprof.txt
	@echo "open ebpfprof.svg in a browser, or: go tool pprof -top ebpfprof.pb.gz"

test: ## install what the tests need and run them all, those of the kernel side as root
	scripts/install-deps.sh test
	scripts/test.sh

test-race: ## the tests that need no root, with the race detector; pkg/unwind has no goroutines and takes it minutes
	go test -race -count=1 $$(go list ./... | grep -Ev '/(pkg/(loader|agent|unwind)|cmd/.*|test/.*)$$')

test-page: ## the page in headless Chromium, against a daemon that profiles real programs; RUN=TestLive picks one
	scripts/install-deps.sh test
	$(SUDO) go -C test/page test -count=1 -v -timeout 40m -run '$(or $(RUN),.)' .

test-vm: ## other kernels and arm64 in QEMU; RUN=TestKernels/7 picks one
	scripts/install-deps.sh vm
	$(VM_TEST)

check-core: ## the BPF objects against the types of every kernel of the matrix, booting none
	scripts/install-deps.sh vm
	go run ./test/vm/corecheck

generate: ## make the BPF objects, their Go types and the library of --preload anew, with clang 19 and lld 19
	scripts/install-deps.sh generate
	scripts/generate.sh

check-generated: ## fail if the committed BPF objects are not those of the sources
	scripts/install-deps.sh generate
	scripts/generate.sh --check

web: ## make the page's assets anew, with Go alone
	go generate ./web

check-web: ## fail if the committed assets are not those of the sources; check the page's types and run its tests with Node
	scripts/install-deps.sh web
	scripts/check-web.sh

lint: ## gofmt, vet, staticcheck, clang-format, shellcheck
	scripts/install-deps.sh lint
	scripts/lint.sh

fuzz: ## every fuzz target for FUZZTIME (20s)
	scripts/fuzz.sh $(FUZZTIME)

bench-%: build ## one measurement of scripts/bench, such as make bench-overhead
	scripts/bench/$*.sh

screenshots: build ## the pictures of the README, from a real recording
	scripts/screenshots.sh

clean: ## remove what was built
	rm -rf bin build ebpfprof.svg ebpfprof.pb.gz ebpfprof.txt

help: ## this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
