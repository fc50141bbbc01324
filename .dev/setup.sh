# Finds PostgreSQL, a Chromium and a Chinese font for the tests, and installs what is missing when it may. Sourced by
# test.sh; sets POSTGRES_BIN (folder of initdb and pg_ctl) and CHROMIUM (path of the browser).
# shellcheck shell=sh

POSTGRES_OLDEST=15

# find_postgres looks where the package systems put the server's programs, newest first.
find_postgres() {
	POSTGRES_BIN=
	newest=0
	for dir in "$(dirname "$(command -v initdb || echo /none/initdb)")" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
		/usr/libexec/postgresql*/ /usr/local/pgsql/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
		if [ ! -x "$dir/initdb" ] || [ ! -x "$dir/pg_ctl" ]; then continue; fi
		version=$("$dir/pg_ctl" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
		if [ "${version:-0}" -ge "$POSTGRES_OLDEST" ] && [ "$version" -gt "$newest" ]; then
			newest=$version
			POSTGRES_BIN=${dir%/}
		fi
	done
	[ -n "$POSTGRES_BIN" ]
}

# find_chromium asks each candidate for its version: some systems ship a stub that only points to an app store.
find_chromium() {
	for name in chromium chromium-browser google-chrome google-chrome-stable chrome headless-shell \
		"/Applications/Chromium.app/Contents/MacOS/Chromium" \
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
		CHROMIUM=$(command -v "$name") || continue
		"$CHROMIUM" --version >/dev/null 2>&1 && return 0
	done
	CHROMIUM=
	return 1
}

find_font() {
	[ "$(uname)" = Darwin ] || { command -v fc-list >/dev/null && [ -n "$(fc-list :lang=zh-cn family)" ]; }
}

# as_root runs a command as root: directly, or by sudo when that asks nothing.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		sudo -n "$@"
	else
		return 1
	fi
}

# install_one installs the first of the named packages that the system has.
install_one() {
	for package in "$@"; do
		if [ "$manager" = brew ]; then
			case $package in
			cask/*) brew install --cask "${package#cask/}" ;;
			*) brew install "$package" ;;
			esac
		elif [ "$manager" = apt-get ]; then
			as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package"
		elif [ "$manager" = dnf ]; then
			as_root dnf install -y "$package"
		else
			as_root apk add "$package"
		fi >>"$setup_log" 2>&1 && return 0
	done
	return 1
}

# packages names, for one need and the system's package manager, the packages that may fill it, best first.
packages() {
	case "$manager $1" in
	"apt-get postgres") echo postgresql ;;
	"apt-get chromium") echo chromium chromium-browser ;;
	"apt-get font") echo fonts-noto-cjk ;;
	"dnf postgres") echo postgresql-server ;;
	"dnf chromium") echo chromium chromium-headless ;;
	"dnf font") echo google-noto-sans-cjk-fonts google-noto-sans-cjk-vf-fonts ;;
	"apk postgres") echo postgresql18 postgresql17 postgresql16 postgresql15 ;;
	"apk chromium") echo chromium ;;
	"apk font") echo font-noto-cjk ;;
	"brew postgres") echo postgresql@17 postgresql@16 ;;
	"brew chromium") echo cask/chromium cask/google-chrome ;;
	esac
}

find_manager() {
	for manager in apt-get dnf apk brew; do
		command -v "$manager" >/dev/null && return 0
	done
	manager=none
	return 1
}

# may_install: Homebrew wants to be an ordinary user, the others want root.
may_install() {
	find_manager || return 1
	[ "$manager" = brew ] || as_root true
}

# need KIND WORDS: KIND is found, or installed and found, or the name of what is missing is kept for the end.
need() {
	"find_$1" && return
	if may_install; then
		echo "setup: installing $2 with $manager"
		if [ "$manager" = apt-get ] && [ -z "$lists_fresh" ]; then
			as_root apt-get update >>"$setup_log" 2>&1 || true
			lists_fresh=yes
		fi
		# shellcheck disable=SC2046 # one word a package
		install_one $(packages "$1") || tail -n 5 "$setup_log" >&2
		[ "$1" != font ] || command -v fc-list >/dev/null || install_one fontconfig || true
		"find_$1" && return
	fi
	missing="$missing
  - $2"
}

# set_up finds everything or ends the script with what to install.
set_up() {
	setup_log=$1
	missing='' lists_fresh=''
	if [ -z "${HUFU_TEST_POSTGRES:-}" ]; then
		need postgres "PostgreSQL $POSTGRES_OLDEST or newer (the server)"
	fi
	if [ -n "${HUFU_TEST_CHROMIUM:-}" ]; then
		CHROMIUM=$HUFU_TEST_CHROMIUM
	else
		need chromium "Chromium or Chrome"
	fi
	need font "a font with Chinese characters (and fontconfig)"
	[ -z "$missing" ] && return
	cat >&2 <<-END
		make test needs, and could not find or install:$missing

		Install them and run make test again:
		  Debian, Ubuntu:  sudo apt-get install postgresql chromium fonts-noto-cjk
		  Fedora:          sudo dnf install postgresql-server chromium google-noto-sans-cjk-fonts
		  Alpine:          sudo apk add postgresql17 chromium font-noto-cjk fontconfig
		  macOS:           brew install postgresql@17 && brew install --cask chromium
		Or name ones you have: HUFU_TEST_POSTGRES=postgres://SUPERUSER:PASSWORD@HOST/postgres HUFU_TEST_CHROMIUM=/path/of/chromium
	END
	return 1
}
