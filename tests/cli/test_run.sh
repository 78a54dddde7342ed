#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# splitx run where something is wrong with the guest, the cores or the host: one sentence, the
# documented exit status, nothing left behind.
set -euo pipefail
# shellcheck source=tests/cli/common.sh
. "$(dirname "$0")/common.sh"

# The watchdog may have a word of its own on a machine that is busy with other things.
run=("$SPLITX" run --watchdog 0)
hello=$GUESTS/hello
user=nobody
has_kvm=
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then has_kvm=yes; fi

# Run what needs KVM, or say that it is skipped.
with_kvm() { # fails|succeeds NAME ...
	if [ -n "$has_kvm" ]; then
		"$@"
	else
		skip "$2" "there is no /dev/kvm that can be used"
	fi
}

# ---- guests that are none ----

fails_both() { # NAME STATUS TEXT GUEST : in trap and in split mode
	with_kvm fails "$1, trapped" "$2" "$3" "${run[@]}" --mode trap "$4"
	with_kvm fails "$1, split" "$2" "$3" "${run[@]}" --mode split "$4"
}

printf 'just a text that is longer than the header of an ELF file would be, and no more\n' >"$tmp/text"
: >"$tmp/empty"
head -c 2000 "$GUESTS/hello" >"$tmp/cut"
# 256 MiB in the first segment's p_memsz, which lies 40 bytes into the program header at 64.
cp "$GUESTS/hello" "$tmp/large"
printf '\0\0\0\020\0\0\0\0' | dd of="$tmp/large" bs=1 seek=104 conv=notrunc status=none

fails_both "no such guest" 66 "No such file or directory" "$tmp/nothing"
fails_both "a guest that is a directory" 65 "is not a regular file" "$tmp"
fails_both "a guest that is a device" 65 "is not a regular file" /dev/zero
fails_both "a guest that is empty" 65 "is no ELF64 file" "$tmp/empty"
fails_both "a guest that is a text" 65 "is no ELF64 file" "$tmp/text"
fails_both "a guest for the host" 65 "is not linked to fixed addresses" "$SPLITX"
fails_both "a guest that is cut short" 65 "build it again" "$tmp/cut"
fails_both "a guest that is too large" 65 "give more by --memory" "$tmp/large"
with_kvm fails "too little memory" 64 "change --memory" "${run[@]}" --memory 1M "$hello"
with_kvm fails "too much memory" 64 "change --memory" "${run[@]}" --memory 4G "$hello"

# ---- guests that go wrong ----

fails_both "a guest that triple-faults" 70 "triple fault on vCPU 0 at rip 0x" "$TEST_GUESTS/fault"
fails_both "a guest that touches what is not there" 70 "the guest wrote 8 bytes at address 0xe0000040" \
	"$TEST_GUESTS/stray"

# ---- guests that are right ----

for mode in trap split; do
	with_kvm succeeds "hello, $mode" '^hello from a guest' "${run[@]}" --mode $mode "$hello"
	if [ -n "$has_kvm" ]; then
		invoke "${run[@]}" --mode $mode "$TEST_GUESTS/beyond"
		if [ "$status" -eq 63 ] && [ ! -s "$tmp/err" ]; then
			ok "a code above 63 becomes 63, $mode"
		else
			not_ok "a code above 63 becomes 63, $mode" "exit status $status"
		fi
		out=/dev/full fails "what a guest says to a full disk, $mode" 74 "No space left on device" \
			"${run[@]}" --mode $mode "$hello"
		# shellcheck disable=SC2016 # expanded by that shell
		fails "what a guest says to a closed descriptor, $mode" 74 "Bad file descriptor" \
			sh -c 'exec "$@" >&-' sh "${run[@]}" --mode $mode "$hello"
		# shellcheck disable=SC2016
		succeeds "closed standard input and error, $mode" '^hello' \
			sh -c 'exec "$@" <&- 2>&-' sh "${run[@]}" --mode $mode "$hello"
	else
		skip "what a guest says and how it ends, $mode" "there is no /dev/kvm that can be used"
	fi
done

# ---- cores ----

last=$(($(nproc --all) - 1))
beyond=$((last + 1000))
cores() { # NAME STATUS TEXT OPTION...
	local name=$1 want=$2 text=$3
	shift 3
	with_kvm fails "$name" "$want" "$text" "${run[@]}" "$@" "$hello"
}

cores "a core list that is none" 64 "--guest-cores" --guest-cores 1-
cores "a sidecore list that is none" 64 "--sidecores" --sidecores zero
cores "a core named twice" 64 "--guest-cores" --guest-cores 0,0
cores "a core that is not there" 69 "CPU $beyond" --guest-cores "$beyond"
cores "a sidecore that is not there" 69 "CPU $beyond" --sidecores "$beyond"
cores "a core for both" 69 "CPU 0" --guest-cores 0 --sidecores 0
cores "more sidecores than cores" 69 "CPU $((last + 1))" --sidecores "0-$((last + 1))"
cores "every core a sidecore" 69 "name fewer --sidecores" --sidecores "0-$last"
cores "sidecores without split mode" 64 "--mode trap" --mode trap --sidecores 0
if [ "$last" -ge 1 ]; then
	with_kvm fails "a core that this process may not use" 77 "CPU 1" \
		taskset -c 0 "${run[@]}" --guest-cores 1 "$hello"
	with_kvm fails "no core left for a sidecore" 69 "sidecore" taskset -c 0 "${run[@]}" "$hello"
else
	skip "a core that this process may not use" "this machine has one CPU"
fi
offline=$(cat /sys/devices/system/cpu/offline 2>/dev/null || true)
if [[ $offline =~ ^[0-9]+ ]]; then
	cores "a core that is offline" 69 "offline" --guest-cores "${BASH_REMATCH[0]}"
else
	skip "a core that is offline" "none is here; test_placement_host has it on a described machine"
fi
fails "more sidecores than a machine has" 69 "ask for fewer" \
	"$SPLITX" topo --topology 'pack:1 core:2 pu:1' --sidecore-count 5
fails "a core that a machine does not have" 69 "CPU 7" \
	"$SPLITX" topo --topology 'pack:1 core:2 pu:1' --guest-cores 7

# ---- a host without KVM, or without the right to it ----

# A place where /dev/kvm is what is said: nothing, or the null device.
# shellcheck disable=SC2016 # expanded by that shell
hide_dev='mount -t tmpfs none /dev && : >/dev/null && exec "$@"'
# shellcheck disable=SC2016
null_dev='mount --bind /dev/null /dev/kvm && exec "$@"'

apart=()
for how in "unshare -m" "unshare -rm"; do
	read -ra try <<<"$how"
	if "${try[@]}" sh -c "$hide_dev" sh true 2>/dev/null; then
		apart=("${try[@]}")
		break
	fi
done
if [ ${#apart[@]} -gt 0 ]; then
	for mode in trap split; do
		fails "no /dev/kvm, $mode" 69 "this machine has no /dev/kvm" \
			"${apart[@]}" sh -c "$hide_dev" sh "${run[@]}" --mode $mode "$hello"
	done
	fails "no /dev/kvm, bench" 69 "this machine has no /dev/kvm" \
		"${apart[@]}" sh -c "$hide_dev" sh "$SPLITX" bench exits
else
	skip "no /dev/kvm" "this process may have no mount namespace of its own"
fi
if [ ${#apart[@]} -gt 0 ] && [ -e /dev/kvm ]; then
	fails "a /dev/kvm that is none" 69 "API version" \
		"${apart[@]}" sh -c "$null_dev" sh "${run[@]}" "$hello"
else
	skip "a /dev/kvm that is none" "there is none to put it over, or no mount namespace"
fi

# As somebody else, who can reach the command and its guest, and has these groups.
as_other() { # GROUPS COMMAND...
	local groups=$1
	shift
	setpriv --reuid "$user" --regid nogroup "$groups" "$@"
}

cp "$SPLITX" "$hello" "$tmp/"
cp "$hello" "$tmp/secret"
chmod 0 "$tmp/secret"
group=$(stat -c %G /dev/kvm 2>/dev/null || true)
if [ -e /dev/kvm ] && [ -z "$has_kvm" ]; then
	fails "no permission for /dev/kvm" 77 "join the group that owns it" "${run[@]}" "$hello"
elif ! as_other --clear-groups true 2>/dev/null; then
	skip "no permission" "only root can become somebody else"
elif as_other --clear-groups test -w /dev/kvm; then
	skip "no permission for /dev/kvm" "here everybody may use it"
elif [ -e /dev/kvm ]; then
	fails "no permission for /dev/kvm" 77 "join the group that owns it" \
		setpriv --reuid "$user" --regid nogroup --clear-groups "$tmp/splitx" run --watchdog 0 "$tmp/hello"
fi
if as_other "--groups=$group" test -w /dev/kvm 2>/dev/null; then
	member=(setpriv --reuid "$user" --regid nogroup "--groups=$group")
	fails "no permission for the guest" 77 "Permission denied" \
		"${member[@]}" "$tmp/splitx" run --watchdog 0 "$tmp/secret"
	# shellcheck disable=SC2016
	fails "no permission to lock memory" 77 "leave out --rt" \
		sh -c 'ulimit -l 0 && exec "$@"' sh "${member[@]}" "$tmp/splitx" run --watchdog 0 --rt "$tmp/hello"
	succeeds "no more rights than those to /dev/kvm" '^hello' \
		"${member[@]}" "$tmp/splitx" run --watchdog 0 "$tmp/hello"
else
	skip "no permission but for /dev/kvm" "nobody else can be let use it here"
fi
finish
