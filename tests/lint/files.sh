#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Prints the project's files whose name matches a pattern, as `case` does, one a line; with no
# pattern all. In a git checkout these are the files that git does not ignore, elsewhere those
# outside of build/.
#
#   tests/lint/files.sh [PATTERN...]
set -euo pipefail

all_files() {
	{ [ -e .git ] && git ls-files --cached --others --exclude-standard 2>/dev/null; } ||
		find . -name .git -prune -o -path ./build -prune -o -type f -printf '%P\n'
}

all_files | sort -u | while IFS= read -r file; do
	[ -f "$file" ] || continue # removed, but not committed yet
	[ $# -gt 0 ] || echo "$file"
	for pattern; do
		# shellcheck disable=SC2254 # it is a pattern
		case $file in $pattern) echo "$file" && break ;; esac
	done
done
