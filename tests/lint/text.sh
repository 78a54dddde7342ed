#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What every text file of the project keeps to: its licence is named, no path of somebody's own
# machine, nothing left to do, no stray white space, and a length that can be read.
set -euo pipefail
here=$(dirname "$(realpath "$0")")

NOTE_LINES=600
MAX_LINES=900

# The [] keep this file from finding itself.
own_path='(^|[^[:alnum:]._-])/(work|root|home/[[:alnum:]]+)[/][[:alnum:].]'
unfinished='\b(TOD[O]|FIXM[E]|XX[X])\b|[Ii]ssue #?[0-9]'

bad=0
refuse() {
	echo "not ok - text: $*"
	bad=1
}

# refuse_lines WHY PATTERN : each line that matches, in any file
refuse_lines() {
	local hit
	while IFS= read -r hit; do
		refuse "$1: $hit"
	done < <(grep -nHE "$2" "${files[@]}" || true)
}

licence_of() { # FILE -> its licence, nothing where none has to be named
	case $1 in
	LICENSE* | COPYING* | *.md | .gitignore | */.gitignore | .clang-* | *.json | *.svg) ;;
	ipc/wire/*) echo '(BSD-3-Clause OR GPL-2.0-only)' ;;
	kernel/*) echo 'GPL-2.0' ;;
	*) echo 'BSD-3-Clause' ;;
	esac
}

check_licence() { # FILE
	local want head line
	want=$(licence_of "$1")
	[ -n "$want" ] || return 0
	head=
	for _ in 1 2 3; do
		IFS= read -r line || break
		head+=$line$'\n'
	done <"$1"
	[[ $head == *"SPDX-License-Identifier: $want"* ]] ||
		refuse "$1: its first lines lack 'SPDX-License-Identifier: $want'"
}

check_length() { # FILE
	local lines
	case $1 in
	*.c | *.h | *.S | *.sh | *.py | *.pml | Makefile) ;;
	*) return 0 ;;
	esac
	mapfile -t lines <"$1"
	if [ ${#lines[@]} -gt $MAX_LINES ]; then
		refuse "$1: ${#lines[@]} lines; split it"
	elif [ ${#lines[@]} -gt $NOTE_LINES ]; then
		echo "# $1 has ${#lines[@]} lines; above $MAX_LINES it is refused"
	fi
}

# Text only: neither what fuzzers feed on nor what grep takes for binary.
mapfile -t files < <("$here/files.sh" | grep -v '/corpus/' | xargs -d '\n' grep -lI .)
[ ${#files[@]} -gt 0 ] || { echo "not ok - text: there is no file here" && exit 1; }

refuse_lines "a path of one machine" "$own_path"
refuse_lines "left to do" "$unfinished"
refuse_lines "white space at the end of the line" '[[:blank:]]+$'
for file in "${files[@]}"; do
	check_licence "$file"
	check_length "$file"
done
while IFS= read -r file; do
	refuse "$file: its last line does not end"
done < <(grep -LzP '\n\z' "${files[@]}" || true)

[ $bad -eq 0 ] || exit 1
echo "ok - licences, paths, white space and lengths"
