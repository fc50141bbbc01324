#!/bin/sh
# make fuzz: every fuzz target for FUZZTIME (10m), one after the other, guided by coverage. What it finds is kept as a
# seed below the package's testdata/fuzz.
set -eu
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
grep -rl --include='*_test.go' '^func Fuzz' . | sed 's|/[^/]*$||' | sort -u | while read -r dir; do
	go test -list '^Fuzz' "$dir" </dev/null | grep '^Fuzz' | while read -r target; do
		printf '== %s %s\n' "$dir" "$target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10m}" "$dir" </dev/null || exit 1
	done || exit 1
done
