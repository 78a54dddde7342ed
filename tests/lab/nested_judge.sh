# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# For the tests of `splitx bench nested` in an emulated host: sourced by them.
# shellcheck source=tests/lab/judge.sh
. tests/lab/judge.sh

# value OP KEY : of the results in $tmp/nested.json; nothing where it is not there
value() {
	awk -v op="\"$1\"," -v key="\"$2\":" '$1 == "\"op\":" { mine = $2 == op }
		$1 == key && mine { sub(/,$/, "", $2); print $2 }' "$tmp/nested.json"
}

# Exits of L0 that L1 and L2 caused themselves: all but those by interrupts of the host, which are
# its clock and the other programs on its cores.
own_exits() { # OP
	echo "$(value "$1" exits_per_op) $(value "$1" interrupt_exits_per_op)" |
		awk 'NF == 2 { printf "%.3f\n", $1 - $2 }'
}

between() { # NUMBER LOW HIGH
	awk -v n="${1:-none}" -v low="$2" -v high="$3" \
		'BEGIN { exit !(n ~ /^-?[0-9.]+$/ && n + 0 > low && n + 0 < high) }'
}

# measure_nesting amd|intel : one round, and what its counts must be
measure_nesting() {
	local op
	if ! bench/lab.sh nested "$1" --rounds 1 --json "$tmp/nested.json" >"$tmp/log" 2>&1; then
		not_ok "the emulated host measures" "$(tail -n 3 "$tmp/log")"
		exit 1
	fi
	sed 's/^/# /' "$tmp/log"
	for op in l2_cpuid l2_pio l2_mmio l2_passthrough; do
		holds "$op is measured" [ "$(value $op mode) $(value $op samples)" = "\"kvm-$1-nested\" 1000" ]
	done
	# The exit itself, and the one by which L1 lets L2 go on, are two; KVM needs more.
	for op in l2_cpuid l2_pio l2_mmio; do
		holds "$op: L0 has more than two exits" between "$(own_exits $op)" 2 50
	done
	holds "l2_pio: L1's way to its program costs no less than the one to its kernel" \
		between "$(own_exits l2_pio)" "$(own_exits l2_cpuid)" 50
	holds "l2_passthrough: none" between "$(own_exits l2_passthrough)" -0.05 0.05
	holds "L1 has no clock tick where L2 runs" [ "$(grep -c nohz_full "$tmp/nested.json")" -eq 0 ]
}
