#!/bin/sh
# make test: sets up what the tests need, checks the form of the code, then tests everything. Steps in order: set-up,
# gofmt, go vet, one PostgreSQL for all packages, short fuzzing, go test (with the race detector where there is a C
# compiler). Ends at the first step that fails; the server is stopped and its files removed in any case.
set -eu
cd "$(dirname "$0")/.."
. .dev/setup.sh
. .dev/postgres.sh

export CGO_ENABLED=0
# A configuration of the developer's own must not reach the programs under test.
for name in $(env | sed -n 's/^\(HUFU_[A-Z0-9_]*\)=.*/\1/p'); do
	case $name in
	HUFU_TEST_*) ;;
	*) unset "$name" ;;
	esac
done
RACE_PACKAGES=${RACE_PACKAGES:-}

step() { printf '== %s\n' "$*"; }

work=$(mktemp -d "${TMPDIR:-/tmp}/hufu-test.XXXXXX")
clean_up() {
	code=$?
	trap - EXIT
	stop_postgres
	rm -rf "$work"
	exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

check_format() {
	gofmt=$(command -v gofmt || echo "$(go env GOROOT)/bin/gofmt")
	unformatted=$(go list -f '{{.Dir}}' ./... ./.dev/run ./.dev/filter | while read -r dir; do "$gofmt" -l "$dir"/*.go; done)
	[ -z "$unformatted" ] && return
	printf 'these files are not as gofmt writes them:\n%s\n' "$unformatted" >&2
	return 1
}

# fuzz_short runs every fuzz target for FUZZTIME. The binaries are not built for coverage, which would compile every
# dependency a second time: this finds what random changes of the seeds find; make fuzz looks deeper.
fuzz_short() {
	grep -rl --include='*_test.go' '^func Fuzz' . | sed 's|/[^/]*$||' | sort -u | while read -r dir; do
		go test -c -o "$work/fuzz.test" "$dir"
		(
			cd "$dir" && targets=$("$work/fuzz.test" -test.list '^Fuzz') || exit 1
			for target in $targets; do
				"$work/fuzz.test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "${FUZZTIME:-2s}" \
					-test.fuzzcachedir "$work/fuzz" </dev/null >"$work/fuzz.log" 2>&1 || fuzz_cut_off || {
					printf 'FAIL %s %s\n' "$dir" "$target"
					cat "$work/fuzz.log"
					exit 1
				}
				printf 'ok %s %s\n' "$dir" "$target"
			done
		) || exit 1
	done
}

# fuzz_cut_off: Go sometimes calls it a failure when the time is up in the middle of an input; no input has failed.
fuzz_cut_off() {
	grep -q 'context deadline exceeded' "$work/fuzz.log" && ! grep -q 'Failing input\|panic\|_test.go:' "$work/fuzz.log"
}

# can_race: the race detector needs cgo, a C compiler and a platform it knows.
can_race() {
	[ -n "$RACE_PACKAGES" ] && command -v "$(CGO_ENABLED=1 go env CC)" >/dev/null &&
		CGO_ENABLED=1 go build -race -o /dev/null ./.dev/run 2>/dev/null
}

step "set-up"
set_up "$work/setup.log"
export HUFU_TEST_CHROMIUM="$CHROMIUM"
step "gofmt"
check_format
step "go vet"
go vet ./... ./.dev/run ./.dev/filter
if [ -n "${HUFU_TEST_POSTGRES:-}" ]; then
	step "PostgreSQL: the one of HUFU_TEST_POSTGRES"
else
	step "PostgreSQL: $("$POSTGRES_BIN/pg_ctl" --version)"
	start_postgres "$work"
fi
step "fuzzing, ${FUZZTIME:-2s} each"
fuzz_short
# What the race detector has seen is not run again without it.
plain=$(go list ./...)
seen='^$'
if can_race; then
	seen=$RACE_STORIES
	step "go test -race, for $RACE_PACKAGES"
	# shellcheck disable=SC2086 # one word a package
	CGO_ENABLED=1 go test -race -timeout 15m $RACE_PACKAGES
	step "go test -race, for the tests of many at once in $STORY_PACKAGES"
	# shellcheck disable=SC2086
	CGO_ENABLED=1 go test -race -timeout 60m -run "$RACE_STORIES" $STORY_PACKAGES
	# shellcheck disable=SC2086
	plain=$(printf '%s\n' "$plain" | grep -vxF "$(go list $RACE_PACKAGES)")
	step "go test, for the others"
else
	step "go test, without the race detector: it needs a C compiler (and RACE_PACKAGES not empty)"
fi
# The packages with many stories run beside the others.
# shellcheck disable=SC2086
plain=$(printf '%s\n' "$plain" | grep -vxF "$(go list $STORY_PACKAGES)")
failed=0
# shellcheck disable=SC2086
go test -p 1 -timeout 20m -skip "$seen" $STORY_PACKAGES >"$work/stories.log" 2>&1 &
stories=$!
# shellcheck disable=SC2086
go test -timeout 20m $plain || failed=1
wait "$stories" || failed=1
cat "$work/stories.log"
exit "$failed"
