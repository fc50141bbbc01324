#!/bin/sh
# make lint: go vet, and those of staticcheck, govulncheck and shellcheck that this machine has.
set -eu
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
optional() {
	if command -v "$1" >/dev/null; then
		printf '== %s\n' "$*"
		"$@"
	else
		printf '== %s is not installed: left out\n' "$1"
	fi
}
go vet ./... ./.dev/run ./.dev/filter
optional staticcheck ./... ./.dev/run ./.dev/filter
optional govulncheck ./...
optional shellcheck .dev/*.sh .ci/run
