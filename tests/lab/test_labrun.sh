#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck disable=SC2016 # the scripts in single quotes are for the shell that plays the host
#
# The program that attends an emulated host, against hosts that are shell scripts here: it
# believes nothing that they send, and tells every way to fail from every other.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=$PWD/${BUILD:-build}/test-labrun
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

# The kernel is not looked for: nothing here needs one.
mkdir -p "$build"
make -s -f lab/build.mk LAB_BUILD="$build" LAB_KERNEL=none "$build/labrun"

# frame KIND [PAYLOAD] : one frame of lab/wire.h, its payload in printf's escapes
frame() {
	local size
	size=$(printf '%b' "${2-}" | wc -c)
	# shellcheck disable=SC2059 # the format is made of the size's bytes
	printf "SL$1\\0\\x$(printf %x $((size % 256)))\\x$(printf %x $((size / 256)))\\0\\0"
	printf '%b' "${2-}"
}
export -f frame

up=$(declare -f frame)$'\nframe U >&4\n'
ok='frame X "\0\0\0\0" >&4; sleep 60'
first='\0\0\0\0' mode='\xa4\x01\0\0' # result 0, permissions 0644

# expect NAME STATUS OUT ERR HOST [OPTION...] : HOST is the script; OUT and ERR are patterns
expect() {
	local name=$1 want=$2 out err status=0
	"$build/labrun" --log "$tmp/log" --timeout 20 "${@:6}" -- bash -c "$5" \
		>"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
	out=$(tr -d '\0' <"$tmp/out") err=$(tr -d '\0' <"$tmp/err")
	# shellcheck disable=SC2053 # they are patterns
	if [ "$status" -eq "$want" ] && [[ $out == $3 && $err == $4 ]]; then
		echo "ok - $name"
		passed=$((passed + 1))
	else
		echo "not ok - $name: exit status $status, output '$out', error '$err'"
		failed=$((failed + 1))
	fi
}

# refused NAME HOST : a stream that makes no sense, and writes no file
refused() {
	expect "$1" 125 '*' '*makes no sense*' "$2" --result "$tmp/in/result"
	if [ -e "$tmp/escaped" ] || [ -e "$tmp/in" ]; then
		echo "not ok - $1: it left a file"
		failed=$((failed + 1))
		rm -rf "$tmp/escaped" "$tmp/in"
	fi
}

expect "output, errors and a status arrive" 5 'out' 'err' \
	"$up"'frame O out >&4; frame E err >&4; frame X "\5\0\0\0" >&4; sleep 60'
expect "a frame may come in pieces" 0 'pieces' '' \
	"$up"'frame O pieces | while IFS= read -r -d "" -n 1 c; do
		[ -n "$c" ] && printf %s "$c" || printf "\0"; sleep 0.02; done >&4; '"$ok"
expect "a frame of the largest size arrives" 0 '*' '' \
	"$up"'frame O "$(head -c 4096 /dev/zero | tr "\0" x)" >&4; '"$ok"
[ "$(wc -c <"$tmp/out")" -eq 4096 ] || { echo "not ok - all of it" && failed=$((failed + 1)); }
expect "what a BIOS writes before the first frame is skipped" 0 '' '' \
	"printf 'SLSLSSL noise' >&4; $up$ok"
expect "the emulator is ended, not waited for" 0 '' '' "$up"'trap "" TERM INT; '"$ok"
expect "what the emulator says goes to its log only" 0 '' '' "echo said; echo said >&2; $up$ok"

expect "a result becomes a file" 0 '' '' \
	"$up"'frame F "'"$first$mode"'" >&4; frame D content >&4; frame C >&4; '"$ok" \
	--result "$tmp/in/result"
[ "$(cat "$tmp/in/result")" = content ] || { echo "not ok - its content" && failed=$((failed + 1)); }
rm -r "$tmp/in"
expect "a result below a directory becomes a file below one" 0 '' '' \
	"$up"'frame F "'"$first$mode"'a/b" >&4; frame D content >&4; frame C >&4; '"$ok" \
	--result "$tmp/in/result"
[ "$(cat "$tmp/in/result/a/b")" = content ] || { echo "not ok - its content" && failed=$((failed + 1)); }
rm -r "$tmp/in"
expect "a result that cannot be written is told of" 125 '' '*did not come*' \
	"$up"'frame F "'"$first$mode"'" >&4; frame D content >&4; frame C >&4; '"$ok" \
	--result /proc/none/result

refused "a name that climbs is refused" "$up"'frame F "'"$first$mode"'../../escaped" >&4; '"$ok"
refused "one that climbs in its middle, too" "$up"'frame F "'"$first$mode"'a/../../../escaped" >&4; '"$ok"
refused "an absolute name is refused" "$up"'frame F "'"$first$mode$tmp"'/escaped" >&4; '"$ok"
refused "a name with a NUL is refused" "$up"'frame F "'"$first$mode"'a\0b" >&4; '"$ok"
refused "a result that nobody wants is refused" "$up"'frame F "\1\0\0\0'"$mode"'" >&4; '"$ok"
expect "a file within a file is refused" 125 '' '*makes no sense*' \
	"$up"'frame F "'"$first$mode"'" >&4; frame F "'"$first$mode"'" >&4; '"$ok" --result "$tmp/in/result"
rm -r "$tmp/in"
refused "a short announcement is refused" "$up"'frame F ab >&4; '"$ok"
refused "a short status is refused" "$up"'frame X ab >&4; sleep 60'
refused "an unknown kind is refused" "$up"'frame Q >&4; '"$ok"
refused "noise between frames is refused" "$up"'printf "not a frame" >&4; '"$ok"
refused "a frame that is too large is refused" "$up"'printf "SLO\0\1\20\0\0" >&4; '"$ok"

expect "a host that ends early has the status 125" 125 '' '*ended before it came up*' 'exit 0'
expect "also while the command runs" 125 '' '*ended while the command ran*' "$up exit 0"
expect "a host that ends with its last frame is fine" 9 '' '' "$up"'frame X "\11\0\0\0" >&4'
expect "a host that is not up in time has the status 125" 125 '' '*did not come up within 1 s*' \
	'sleep 60' --boot-timeout 1
expect "a command that takes too long has the status 124" 124 '' '*did not end within 1 s*' \
	"$up"'sleep 60' --timeout 1
expect "a panic has the status 126" 126 '' '*the host panicked*' \
	"$up"'echo "[ 1.0] Kernel panic - not syncing: sysrq" >&3; sleep 60'
expect "an emulator that is not there has the status 125" 125 '' '*ended before it came up*' \
	'exec no-such-emulator'
expect "a failure before the command has the status 125 and the host's words" 125 '' \
	'*was not run: no KVM here; *' "$(declare -f frame)"$'\nframe L "no KVM here" >&4; sleep 60'

expect "a bare image's output is shown until it ends" 3 'one' '' \
	'printf "one\nSPLITX-LAB-EXIT 3\nmore\n" >&3; sleep 60' --bare
expect "a status that is none does not end it" 125 $'SPLITX-LAB-EXIT 256\nlast' '*ended before*' \
	'printf "SPLITX-LAB-EXIT 256\nlast" >&3' --bare
expect "a bare image that does not end has the status 124" 124 'half' '*did not end within 1 s*' \
	'printf half >&3; sleep 60' --bare --timeout 1

mkdir "$tmp/used" && touch "$tmp/used/file"
expect "the run's directory is removed" 0 '' '' "$up$ok" --remove "$tmp/used"
[ ! -e "$tmp/used" ] || { echo "not ok - it is still there" && failed=$((failed + 1)); }

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
