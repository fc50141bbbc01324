#!/bin/sh
# make model: WALKS (100000) walks of the model of recovery, over all cores; then, for each guard that the mutants take
# away, as many as it takes to notice, MUTANT_WALKS (10000) at most: a mutant that lives is a failure.
set -eu
cd "$(dirname "$0")/.."
export CGO_ENABLED=0 GOGC=400
work=$(mktemp -d "${TMPDIR:-/tmp}/hufu-model.XXXXXX")
trap 'rm -rf "$work"' EXIT
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm # SQLite waits for no disk
step() { printf '== %s\n' "$*"; }

# walk TEST WALKS: the lines that say how many, and what failed.
walk() (
	cd idp/server
	code=0
	HUFU_TEST_WALKS=$2 "$1" -test.run '^TestRecoveryModel$' -test.v -test.timeout 0 >"$work/log" 2>&1 || code=$?
	grep -v '^===\|^ *--- PASS' "$work/log" || true
	return "$code"
)

go test -c -o "$work/model" ./idp/server
if [ "${WALKS:-100000}" -gt 0 ]; then
	step "the model of recovery, ${WALKS:-100000} walks"
	walk "$work/model" "${WALKS:-100000}"
fi
(cd idp/server && HUFU_TEST_MUTANTS="$work/mutants" "$work/model" -test.run '^TestRecoveryMutants$')
lived=0
for at in "$work"/mutants/*; do
	step "mutant: $(cat "$at/name")"
	go test -c -overlay "$at/overlay.json" -o "$work/mutant" ./idp/server
	if walk "$work/mutant" "${MUTANT_WALKS:-10000}" >"$work/said"; then
		printf 'LIVES\n' && lived=1
	elif ! grep -q 'HUFU_TEST_SEED=[0-9]*, a thief' "$work/said"; then
		cat "$work/said" && lived=1
	else
		grep 'recover_model\|HUFU_TEST_SEED=[0-9]*, a thief' "$work/said" | tail -n +2 | cut -c1-200
	fi
done
exit "$lived"
