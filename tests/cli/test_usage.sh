#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Wrong command lines, and help. None of this needs KVM.
set -euo pipefail
# shellcheck source=tests/cli/common.sh
. "$(dirname "$0")/common.sh"

# ---- help and version ----

succeeds "splitx --help" '^usage: splitx' "$SPLITX" --help
succeeds "splitx -h" '^usage: splitx' "$SPLITX" -h
succeeds "splitx --version" '^splitx [0-9]*\.[0-9]*\.[0-9]*$' "$SPLITX" --version
for command in run stat topo bench; do
	succeeds "splitx $command --help" "^usage: splitx $command" "$SPLITX" $command --help
	succeeds "splitx $command -h" "^usage: splitx $command" "$SPLITX" $command -h
	succeeds "the first --help counts, whatever follows" "^usage" "$SPLITX" $command --help --nonsense
done

# ---- options that are none ----

fails "a command that is none" 64 "there is no command 'fly'" "$SPLITX" fly
fails "an option before the command" 64 "there is no command '--mode'" "$SPLITX" --mode trap run x
for command in run stat topo bench; do
	fails "$command: an unknown long option" 64 "'--fly' is no option" "$SPLITX" $command --fly
	fails "$command: an unknown short option" 64 "'-x' is no option" "$SPLITX" $command -x
	fails "$command: a value for what takes none" 64 "--help=5 takes no value" \
		"$SPLITX" $command --help=5
done
fails "an abbreviation that may be two options" 64 "is no option" "$SPLITX" run --s 1 guest
for option in mode vcpus guest-cores sidecores memory wait watchdog; do
	fails "run: --$option without its value" 64 "--$option needs a value" "$SPLITX" run --$option
done
for option in guest-cores sidecores svg topology vcpus; do
	fails "topo: --$option without its value" 64 "--$option needs a value" "$SPLITX" topo --$option
done
for option in json svg rounds; do
	fails "bench: --$option without its value" 64 "--$option needs a value" \
		"$SPLITX" bench exits --$option
done

# ---- values that are none ----

refused() { # OPTION TEXT VALUE...
	local option=$1 text=$2 value
	shift 2
	for value; do
		fails "run: $option '$value'" 64 "$text" "$SPLITX" run "$option" "$value" guest
	done
}

refused --mode "--mode is trap or split" '' splat TRAP trap,split
refused --vcpus "--vcpus wants a number from 1 to 64" '' 0 65 -1 +1 1x 0x2 18446744073709551617
refused --memory "--memory wants a size" '' 0 x 5T 1.5G -4M 64MM 18014398509481985G
refused --wait "is no wait policy" '' lazy hot: hot:0 hot:-5 hot:5x hot:9999999999 pause,5
refused --watchdog "--watchdog wants a number" '' -1 soon 3600001
fails "run: --stats=xml" 64 "--stats takes =json or nothing" "$SPLITX" run --stats=xml guest
fails "run: no guest" 64 "which guest?" "$SPLITX" run --mode trap
fails "run: two guests" 64 "give one guest only" "$SPLITX" run a b
fails "run: an option after the guest" 64 "give one guest only" "$SPLITX" run guest --stats
fails "bench: no suite" 64 "which suite?" "$SPLITX" bench
fails "bench: a suite that is none" 64 "there is no suite 'speed'" "$SPLITX" bench speed
fails "bench: no rounds" 64 "--rounds wants a number" "$SPLITX" bench exits --rounds 0
fails "topo: a stray word" 64 "'plan' is no option" "$SPLITX" topo plan

# ---- standard output that takes nothing ----

lost() { # NAME COMMAND...
	local name=$1
	shift
	out=/dev/full fails "$name to a full disk" 74 "No space left on device" "$@"
	# shellcheck disable=SC2016 # expanded by that shell
	fails "$name to a closed descriptor" 74 "Bad file descriptor" sh -c 'exec "$@" >&-' sh "$@"
}

lost "--help" "$SPLITX" --help
lost "--version" "$SPLITX" --version
lost "stat --list" "$SPLITX" stat --list
lost "run --help" "$SPLITX" run --help
lost "topo --help" "$SPLITX" topo --help
lost "bench --help" "$SPLITX" bench --help
lost "a plan" "$SPLITX" topo --topology 'core:2 pu:1'
finish
