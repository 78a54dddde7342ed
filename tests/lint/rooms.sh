#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
#
# Includes point one way: cli, bench -> nested -> guestcore, sidecore -> ipc. What micro-guests
# and kernel modules share with the host is ipc/wire/, which is freestanding.
set -euo pipefail
here=$(dirname "$(realpath "$0")")

mapfile -t files < <("$here/files.sh" '*.c' '*.h' '*.S')
[ ${#files[@]} -gt 0 ] || { echo "not ok - rooms: there is no source file here" && exit 1; }

awk '
BEGIN {
	may["ipc/wire"]  = "ipc/wire"
	may["ipc"]       = "ipc"
	may["guestcore"] = "guestcore ipc"
	may["sidecore"]  = "sidecore ipc"
	may["nested"]    = "nested guestcore sidecore ipc"
	may["bench"]     = may["cli"] = "cli bench nested guestcore sidecore ipc"
	may["tests"]     = "tests " may["cli"]
	may["lab"]       = "lab " may["cli"]
	may["guests"]    = "bench/guests tests/guests ipc/wire"
	may["kernel"]    = "kernel ipc/wire"
	room = "[a-z]+(/wire|/guests)?/"
}

function room_of(file) {
	if (file ~ /^ipc\/wire\//)
		return "ipc/wire"
	if (file ~ /^(bench|tests)\/guests\//)
		return "guests"
	sub(/\/.*/, "", file)
	return file
}

function refuse(why) {
	printf "not ok - rooms: %s:%d: %s\n", FILENAME, FNR, why
	bad++
}

function allowed(room, target,   list, i, n) {
	n = split(may[room], list, " ")
	for (i = 1; i <= n; i++)
		if (index(target, list[i] "/") == 1)
			return 1
	return 0
}

/^[ \t]*#[ \t]*include[ \t]*["<]/ {
	target = $0
	sub(/^[^"<]*/, "", target)
	quoted = substr(target, 1, 1) == "\""
	target = substr(target, 2)
	sub(/[">].*/, "", target)
	room = room_of(FILENAME)

	if (!(room in may))
		refuse("\"" room "\" is no room that may hold C")
	else if (quoted && target ~ /(^|\/)\.\.?\//)
		refuse("\"" target "\" is a relative path; name it from the root")
	else if (quoted && target ~ /\.c$/)
		refuse("\"" target "\" is no header")
	else if (quoted && target !~ /\//)
		refuse("\"" target "\" names no room; write \"" room "/" target "\"")
	else if (quoted && !allowed(room, target))
		refuse(room " must not include " target)
	else if (!quoted && room == "ipc/wire" && target !~ /^(stdint|linux\/types)\.h$/)
		refuse("ipc/wire is freestanding and must not include <" target ">")
	else if (!quoted && room == "guests" && target !~ /^(stdint|stddef|stdbool|stdarg|limits|cpuid|[a-z0-9]*intrin)\.h$/)
		refuse("a micro-guest is freestanding and must not include <" target ">")
}

END {
	if (!bad)
		print "ok - includes point one way"
	exit bad > 0
}' "${files[@]}"
