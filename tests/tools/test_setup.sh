#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The set-up script, with a package manager and a user id that are only pretended.
set -euo pipefail

cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0

mkdir -p "$tmp/lab" "$tmp/bin" "$tmp/bare"
cp lab/setup.sh "$tmp/lab/"
printf '# a remark\none\ntwo\n' >"$tmp/lab/packages.build"
printf 'three  # why\n\n' >"$tmp/lab/packages.test"
printf 'four\n' >"$tmp/lab/packages"
for tool in bash dirname mktemp rm tail; do
	ln -s "$(command -v $tool)" "$tmp/bare/$tool"
done

# dpkg-query knows the packages in the file `have`; apt-get adds to it, or fails while the file
# `stale` is there, which `apt-get update` removes. Each call is noted in the file `calls`.
cat >"$tmp/bin/dpkg-query" <<'EOF'
#!/bin/sh
for name in $(cat "$PRETEND/have"); do echo "$name installed"; done
echo "removed config-files"
exit 1
EOF
cat >"$tmp/bin/apt-get" <<'EOF'
#!/bin/sh
echo "$*" >>"$PRETEND/calls"
case " $* " in
*" update "*) rm -f "$PRETEND/stale"; exit 0 ;;
esac
[ ! -e "$PRETEND/stale" ] && [ ! -e "$PRETEND/broken" ] || { echo "E: no such package"; exit 100; }
[ -e "$PRETEND/lies" ] || for name; do echo "$name" >>"$PRETEND/have"; done
EOF
cat >"$tmp/bin/id" <<'EOF'
#!/bin/sh
cat "$PRETEND/uid"
EOF
chmod +x "$tmp"/bin/*
export PRETEND=$tmp

# pretend UID PACKAGE... : who runs it, and what is installed
pretend() {
	echo "$1" >"$tmp/uid"
	shift
	printf '%s\n' "$@" >"$tmp/have"
	: >"$tmp/calls"
	rm -f "$tmp/stale" "$tmp/broken" "$tmp/lies"
}

# expect NAME STATUS TEXT ARGUMENT... : that exit status, and TEXT (a pattern) is all it prints
expect() {
	local name=$1 want=$2 text=$3 out status=0
	shift 3
	out=$(PATH=$tmp/bin:$PATH "$tmp/lab/setup.sh" "$@" 2>&1) || status=$?
	# shellcheck disable=SC2053 # it is a pattern
	if [ "$status" -eq "$want" ] && [[ $out == $text ]]; then
		echo "ok - $name"
	else
		echo "not ok - $name: exit status $status, said: $out"
		bad=1
	fi
}

calls() { # NAME COUNT
	if [ "$(wc -l <"$tmp/calls")" -eq "$2" ]; then
		echo "ok - $1"
	else
		echo "not ok - $1: $(tr '\n' ';' <"$tmp/calls")"
		bad=1
	fi
}

pretend 0 one two three
expect "says nothing when all is there" 0 ""
expect "--all looks at the lab's packages too" 1 "*missing*install*: apt-get install * four" --check --all
calls "asks apt-get nothing when all is there, or only to check" 0

pretend 1000 two
expect "tells a user the one command" 1 "set-up: *sudo apt-get install * one three"
calls "installs nothing for a user" 0

pretend 0 two
expect "installs what is missing for root" 0 "set-up: installing one three ... done in * s"
calls "does so in one call" 1

pretend 0 one two
touch "$tmp/stale"
expect "fetches the package lists when they are stale" 0 "set-up: installing three ... done in * s"
calls "which takes three calls" 3

pretend 0 one two
touch "$tmp/broken"
expect "fails with the last words of apt-get" 1 "*E: no such package*could not install three*"

pretend 0 one two
touch "$tmp/lies"
expect "fails when nothing was installed after all" 1 "*still not installed: three"

pretend 0 one two
expect "one set alone" 0 "" build
expect "refuses an argument it does not know" 2 "usage: *" everything

out=$(PATH=$tmp/bare "$tmp/lab/setup.sh" 2>&1) && status=0 || status=$?
if [ "$status" -eq 1 ] && [[ $out == *"no Debian"*"one two three" ]]; then
	echo "ok - names the packages where there is no apt-get"
else
	echo "not ok - names the packages where there is no apt-get: $status, $out"
	bad=1
fi
exit $bad
