#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What was built installs under DESTDIR/PREFIX, works there, and uninstalls without a trace.
set -euo pipefail

cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
root=$tmp/root
bad=0

is() { # NAME COMMAND...
	local name=$1
	shift
	if "$@" >"$tmp/out" 2>&1; then
		echo "ok - $name"
	else
		echo "not ok - $name: $(cat "$tmp/out")"
		bad=1
	fi
}

is "install" make --no-print-directory install DESTDIR="$root" PREFIX=/opt/x
is "the command runs where it was installed" "$root/opt/x/bin/splitx" --version
for guest in "$SX_BUILD_DIR"/guests/*; do
	is "guest $(basename "$guest")" cmp "$guest" "$root/opt/x/lib/splitx/guests/$(basename "$guest")"
done
if [ -e "$SX_BUILD_DIR/lib/splitx-dpdk.so" ]; then
	is "the plug-in for DPDK" cmp "$SX_BUILD_DIR/lib/splitx-dpdk.so" \
		"$root/opt/x/lib/splitx/splitx-dpdk.so"
fi
for page in docs/*.1; do
	is "page $(basename "$page")" cmp "$page" "$root/opt/x/share/man/man1/$(basename "$page")"
done
touch "$root/opt/x/bin/other"
is "uninstall" make --no-print-directory uninstall DESTDIR="$root" PREFIX=/opt/x
is "and nothing but the other program is left" \
	test "$(find "$root" -type f -printf '%P')" = opt/x/bin/other
exit $bad
