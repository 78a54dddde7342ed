# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash disable=SC2154 # words of the command line
#
# The job of the guests in tests/lab/test_vsock.sh: what the host connects to, what it connects to
# itself, and what is refused. With again=yes it starts anew once, by its own reset.

# Whoever is told that we listen connects once, and at once.
listening() {
	until grep -q '^peer: listens' /log; do
		kill -0 $! || exit
		sleep 0.1
	done
}

if [ -n "${again-}" ] && [ "$(head -c 4 /dev/vda)" != SEEN ]; then
	printf SEEN | dd of=/dev/vda conv=fsync 2>/dev/null
	vsock_peer echo vsock:4294967295:52 1 >/log &
	listening
	echo "guest: first"
	until grep -q accepted /log; do
		sleep 1
	done
	reboot -f
fi
vsock_peer echo vsock:4294967295:52 "$count" >/log &
server=$!
listening
echo "guest: listens"
vsock_peer ask vsock:2:99 "$bytes" | sed 's/^/guest: /'
for where in vsock:2:98 vsock:2:4294967294 vsock:77:99; do
	vsock_peer refused $where | sed "s/^/guest: $where: /"
done
wait "$server"
cat /log
