# Everything here is a short name for a command; `make help` lists them.

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## start a server for development and print where the page is
	go run ./cmd/hocket serve --dev

.PHONY: build
build: ## build bin/hocket
	go build -trimpath -o bin/hocket ./cmd/hocket

.PHONY: test
test: ## install what the tests need where possible, and run everything
	scripts/test

.PHONY: test-go
test-go: ## Go tests with the race detector
	scripts/test go

.PHONY: test-sdk
test-sdk: ## tests of the TypeScript SDK
	scripts/test sdk

.PHONY: test-page
test-page: ## tests of the page in Chromium
	scripts/test page

.PHONY: lint
lint: ## gofmt, vet for three systems, staticcheck, gosec, generated files, tidy
	scripts/test lint

.PHONY: fuzz
fuzz: ## every fuzz target; FUZZTIME=5000x says how long
	scripts/test fuzz

.PHONY: vuln
vuln: ## look for known holes in what we depend on, where the database (vuln.go.dev) can be reached
	go run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./...

.PHONY: soak
soak: ## by hand, half an hour: conformance in full, and a hundred thousand odd connections to each kind of server
	go test -tags soak -run Soak -count=1 -p 1 -timeout 60m -v \
		$$(grep -rl --include='*_test.go' --exclude-dir=node_modules --exclude-dir=bench '^//go:build soak' . | xargs -n 1 dirname | sort -u)

SEEDS ?= 1000
FIRST ?= 1
TIMES ?= 1

.PHONY: sim
sim: ## simulate SEEDS=1000 worlds from FIRST=1 on, each TIMES=1, and end with one line of counts
	@go test -c -o bin/sim.test ./internal/sim
	@bin/sim.test -seeds $(SEEDS) -first $(FIRST) -times $(TIMES)

.PHONY: examples
examples: ## run the back ends of examples/backends in every language that is installed here
	HOCKET_EXAMPLES=all go test -count=1 -v ./examples/backends

.PHONY: bench
bench: ## measure against other servers, about an hour; cd bench && go run . -help has less
	cd bench && go run .

.PHONY: generate
generate: api ## make every generated file again
	go generate ./...

.PHONY: api
api: ## write docs/api.txt, every exported name
	go run ./internal/gen/api

.PHONY: clean
clean: ## remove what was built and installed here
	rm -rf bin .cache sdk/js/node_modules
