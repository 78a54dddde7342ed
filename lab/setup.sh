#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Installs the Debian packages that splitx needs, when any is missing.
#
#   lab/setup.sh [--check] [--all] [SET...]
#
# A SET is build, test (both are the default) or lab, the emulated hosts; --all takes the three.
# --check installs nothing. Exit status: 0 all is there, 1 something is missing, 2 bad usage.
set -euo pipefail
cd "$(dirname "$0")"

list_of() { # SET -> the file that names its packages
	case $1 in
	build | test) echo "packages.$1" ;;
	lab) echo packages ;;
	esac
}

fail() {
	echo "set-up: $*" >&2
	exit 1
}

check=
sets=()
for arg; do
	case $arg in
	--check) check=yes ;;
	--all) sets=(build test lab) ;;
	build | test | lab) sets+=("$arg") ;;
	*)
		echo "usage: lab/setup.sh [--check] [--all] [build] [test] [lab]" >&2
		exit 2
		;;
	esac
done
[ ${#sets[@]} -gt 0 ] || sets=(build test)

wanted=()
for set in "${sets[@]}"; do
	file=$(list_of "$set")
	[ -e "$file" ] || continue
	while read -r name _; do
		case $name in '' | '#'*) continue ;; esac
		wanted+=("$name")
	done <"$file"
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	fail "this is no Debian system; install what these packages are called here: ${wanted[*]}"
fi

# Leaves the packages of `wanted` that are not installed in `missing`.
missing=()
find_missing() {
	local name status
	local -A installed=()
	# It fails as soon as one package is unknown, and still tells of the others.
	while read -r name status; do
		[ "$status" != installed ] || installed[$name]=yes
	done < <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null)
	missing=()
	for name in "${wanted[@]}"; do
		[ -n "${installed[$name]-}" ] || missing+=("$name")
	done
}

find_missing
[ ${#missing[@]} -gt 0 ] || exit 0

apt=(apt-get install -y --no-install-recommends)
if [ -n "$check" ] || [ "$(id -u)" -ne 0 ]; then
	sudo=
	[ "$(id -u)" -eq 0 ] || sudo="sudo "
	fail "packages are missing; install them with: $sudo${apt[*]} ${missing[*]}"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
options=(-q -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0)

printf 'set-up: installing %s ...' "${missing[*]}"
# The package lists are fetched only when those that are there (or are not) do not do.
"${apt[@]}" "${options[@]}" "${missing[@]}" >"$log" 2>&1 </dev/null ||
	{ apt-get "${options[@]}" update && "${apt[@]}" "${options[@]}" "${missing[@]}"; } \
		>>"$log" 2>&1 </dev/null ||
	{
		echo " failed" >&2
		tail -n 20 "$log" >&2
		fail "apt-get could not install ${missing[*]}; its last words are above"
	}
find_missing
[ ${#missing[@]} -eq 0 ] || {
	echo
	fail "apt-get went well, but these are still not installed: ${missing[*]}"
}
echo " done in $SECONDS s"
