# One throw-away PostgreSQL server for a test run. Sourced by test.sh, after setup.sh has set POSTGRES_BIN.
# shellcheck shell=sh

# as_server runs a command as the user that may run PostgreSQL: it refuses root.
as_server() {
	if [ "$(id -u)" != 0 ]; then
		"$@"
	elif command -v runuser >/dev/null; then
		runuser -u "$server_user" -- "$@"
	else
		# shellcheck disable=SC2016 # for the inner shell to expand
		su -s /bin/sh -c 'exec "$@"' -- "$server_user" sh "$@"
	fi
}

# start_postgres FOLDER: makes a database cluster below the folder, starts it on a free port of the loopback address
# and exports HUFU_TEST_POSTGRES, the address of a superuser. Durability is off: the data lives for one run.
start_postgres() {
	server_user=nobody
	id postgres >/dev/null 2>&1 && server_user=postgres
	database=$1/postgres
	password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	mkdir "$database"
	[ "$(id -u)" != 0 ] || chown "$server_user" "$database"
	chmod 711 "$1"
	(umask 077 && printf '%s\n' "$password" >"$1/password")
	[ "$(id -u)" != 0 ] || chown "$server_user" "$1/password"
	(
		cd "$database" || exit 1
		as_server "$POSTGRES_BIN/initdb" -D "$database/data" -U hufu_test -A password --pwfile="$1/password" \
			-E UTF8 --locale=C --no-sync
	) >"$1/initdb.log" 2>&1 || {
		cat "$1/initdb.log" >&2
		return 1
	}
	for _ in 1 2 3 4 5 6 7 8; do
		port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
		if start_postgres_on "$port"; then
			export HUFU_TEST_POSTGRES="postgres://hufu_test:$password@127.0.0.1:$port/postgres?sslmode=disable"
			return
		fi
	done
	echo "postgres: does not start:" >&2
	tail -n 20 "$database/log" >&2
	return 1
}

start_postgres_on() {
	(
		cd "$database" || exit 1
		as_server "$POSTGRES_BIN/pg_ctl" start -w -t 60 -D "$database/data" -l "$database/log" -o "-p $1 \
			-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 -c shared_buffers=128MB \
			-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c autovacuum=off"
	) >/dev/null 2>&1
}

# stop_postgres may be called at any time, also twice.
stop_postgres() {
	[ -n "${database:-}" ] && [ -f "$database/data/postmaster.pid" ] || return 0
	(cd "$database" && as_server "$POSTGRES_BIN/pg_ctl" stop -m immediate -w -D "$database/data") >/dev/null 2>&1 || true
}
