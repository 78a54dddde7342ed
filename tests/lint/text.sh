#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# What every text file of the project keeps to: its licence is named, no path of somebody's own
# machine, nothing left to do, no stray white space, and a length that can be read.
set -euo pipefail
here=$(dirname "$(realpath "$0")")

NOTE_LINES=600
MAX_LINES=900

bad=0
refuse() {
	echo "not ok - text: $*"
	bad=1
}

licence_of() { # FILE -> its licence, nothing where none has to be named
	case $1 in
	LICENSE* | COPYING* | *.md | .gitignore | */.gitignore | .clang-* | *.json | *.svg) ;;
	*/corpus/*) ;;
	ipc/wire/*) echo '(BSD-3-Clause OR GPL-2.0-only)' ;;
	kernel/*) echo 'GPL-2.0' ;;
	*) echo 'BSD-3-Clause' ;;
	esac
}

# The [] keep this file from finding itself.
own_paths='(^|[^[:alnum:]._-])/(work|root|home/[[:alnum:]]+)[/][[:alnum:].]|/tmp/[[:alnum:]_]*-[[:alnum:]]'
unfinished='\b(TOD[O]|FIXM[E]|XX[X])\b|[Ii]ssue #?[0-9]'

while IFS= read -r file; do
	case $file in */corpus/*) continue ;; esac
	grep -qI . "$file" || continue # empty or binary

	licence=$(licence_of "$file")
	[ -z "$licence" ] || head -n 3 "$file" | grep -qF "SPDX-License-Identifier: $licence" ||
		refuse "$file: its first lines lack 'SPDX-License-Identifier: $licence'"

	while IFS= read -r hit; do
		refuse "$file:${hit%%:*}: a path of one machine: ${hit#*:}"
	done < <(grep -nE "$own_paths" "$file" || true)
	while IFS= read -r hit; do
		refuse "$file:${hit%%:*}: left to do: ${hit#*:}"
	done < <(grep -nE "$unfinished" "$file" || true)
	while IFS= read -r hit; do
		refuse "$file:$hit: white space at the end of the line"
	done < <(grep -nE '[[:blank:]]+$' "$file" | cut -d: -f1 || true)
	[ -z "$(tail -c 1 "$file")" ] || refuse "$file: its last line does not end"

	case $file in
	*.c | *.h | *.S | *.sh | *.py | *.pml | Makefile)
		lines=$(wc -l <"$file")
		if [ "$lines" -gt $MAX_LINES ]; then
			refuse "$file: $lines lines; split it"
		elif [ "$lines" -gt $NOTE_LINES ]; then
			echo "# $file has $lines lines; above $MAX_LINES it is refused"
		fi
		;;
	esac
done < <("$here/files.sh")

[ $bad -eq 0 ] || exit 1
echo "ok - licences, paths, white space and lengths"
