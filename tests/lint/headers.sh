#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Each header compiles alone, and when included twice, with gcc and with clang. Headers of
# ipc/wire/ do so also as strict C11 with nothing but a compiler's own headers; those of the
# micro-guests as freestanding code only.
#
#   tests/lint/headers.sh [CC HEADER]      all headers with both compilers, or just one
#
# Environment, set by the Makefile: HOST_CFLAGS, GUEST_CFLAGS, WARN.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
: "${HOST_CFLAGS:?is set by make lint-headers}" "${GUEST_CFLAGS:?}" "${WARN:?}"

# Prints what the compiler says when it refuses.
compile() { # CC HOW HEADER FLAGS...
	local cc=$1 how=$2 header=$3 out
	shift 3
	if ! out=$(printf '#include "%s"\n' "$header" "$header" |
		"$cc" "$@" -fsyntax-only -x c - 2>&1); then
		printf '%s\n' "$out"
		echo "not ok - headers: $header by itself with $cc, $how"
		exit 1
	fi
}

check_one() { # CC HEADER
	local cc=$1 header=$2 bare host guest
	bare=(-ffreestanding -nostdinc -isystem "$("$cc" -print-file-name=include)")
	eval "host=($HOST_CFLAGS)" # -DNAME='"VALUE"' has quotes for a shell
	read -ra guest <<<"$GUEST_CFLAGS"
	case $header in
	kernel/* | bench/peers/* | sidecore/backend/dpdk/*) ;; # need flags of the kernel's build and of DPDK
	*/guests/*) compile "$cc" "as guest code" "$header" "${guest[@]}" "${bare[@]}" ;;
	ipc/wire/*)
		# shellcheck disable=SC2086 # a list
		compile "$cc" "as strict freestanding C11" "$header" -std=c11 -pedantic-errors -I. $WARN \
			"${bare[@]}"
		compile "$cc" "as host code" "$header" "${host[@]}"
		;;
	*) compile "$cc" "as host code" "$header" "${host[@]}" ;;
	esac
}

if [ $# -eq 2 ]; then
	check_one "$@"
	exit
fi

mapfile -t headers < <("$here/files.sh" '*.h')
[ ${#headers[@]} -gt 0 ] || { echo "not ok - headers: there is none here" && exit 1; }

bad=0
for cc in gcc clang; do
	if printf '%s\n' "${headers[@]}" | xargs -P "$(nproc)" -n 1 "$0" "$cc"; then
		echo "ok - each of ${#headers[@]} headers compiles alone and twice with $cc"
	else
		bad=1
	fi
done
exit $bad
