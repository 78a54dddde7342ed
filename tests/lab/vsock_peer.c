// SPDX-License-Identifier: BSD-3-Clause
/*
 * Either end of a stream between guest and host, for tests/lab/test_vsock.sh; a static program.
 *
 *   vsock_peer echo WHERE COUNT    listen, send COUNT connections back what comes, one by one
 *   vsock_peer ask WHERE BYTES     connect, send BYTES, compare what comes back
 *   vsock_peer hold WHERE          connect, and wait until the other side ends it
 *   vsock_peer refused WHERE       connecting fails
 *
 * WHERE is vsock:CID:PORT, unix:PATH, or unix:PATH:PORT, which says CONNECT first.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static uint8_t buffer[1 << 16];

static void die(const char *what)
{
	printf("peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Bytes that differ from place to place. */
static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(i * 0x9e3779b97f4a7c15u >> 56);
}

static uint64_t add_to_sum(uint64_t sum, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ bytes[i]) * 0x100000001b3u; /* FNV-1a */
	return sum;
}

static size_t size_of(const struct sockaddr *a)
{
	return a->sa_family == AF_VSOCK ? sizeof(struct sockaddr_vm) : sizeof(struct sockaddr_un);
}

union address {
	struct sockaddr any;
	struct sockaddr_vm vm;
	struct sockaddr_un un;
};

/* A socket, and what it is to be connected or bound to; *port is set where CONNECT is to be said.
 */
static int parse(const char *where, union address *a, unsigned *port)
{
	char path[sizeof(a->un.sun_path)];
	unsigned cid;

	memset(a, 0, sizeof(*a));
	*port = 0;
	if (sscanf(where, "vsock:%u:%u", &cid, port) == 2) {
		a->vm.svm_family = AF_VSOCK;
		a->vm.svm_cid = cid;
		a->vm.svm_port = *port;
		*port = 0;
		return socket(AF_VSOCK, SOCK_STREAM, 0);
	}
	if (sscanf(where, "unix:%107[^:]:%u", path, port) < 1)
		die("no address");
	a->un.sun_family = AF_UNIX;
	strcpy(a->un.sun_path, path);
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int dial(const char *where)
{
	union address a;
	unsigned port, host_port;
	char line[64] = "";
	int fd = parse(where, &a, &port);
	size_t n = 0;

	if (fd < 0 || connect(fd, &a.any, size_of(&a.any)) < 0)
		return -1;
	if (!port)
		return fd;
	dprintf(fd, "CONNECT %u\n", port);
	while (n < sizeof(line) - 1 && read(fd, &line[n], 1) == 1)
		if (line[n++] == '\n')
			break;
	errno = ECONNREFUSED;
	return sscanf(line, "OK %u\n", &host_port) == 1 ? fd : -1;
}

static void write_all(int fd, const uint8_t *from, size_t len)
{
	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0)
			die("write");
		from += n;
		len -= (size_t)n;
	}
}

static int echo(const char *where, unsigned count)
{
	union address a;
	unsigned port;
	int fd = parse(where, &a, &port);

	if (fd < 0 || bind(fd, &a.any, size_of(&a.any)) < 0 || listen(fd, 8) < 0)
		die(where);
	printf("peer: listens at %s\n", where);
	while (count--) {
		int c = accept(fd, NULL, NULL);
		uint64_t sum = 0, bytes = 0;
		ssize_t n;

		printf("peer: accepted\n");
		while ((n = read(c, buffer, sizeof(buffer))) > 0) {
			sum = add_to_sum(sum, buffer, (size_t)n);
			bytes += (uint64_t)n;
			write_all(c, buffer, (size_t)n);
		}
		printf("peer: echoed %lu bytes, sum %016lx, %s\n", bytes, sum,
		       n ? "failed" : "whole");
		close(c);
	}
	return 0;
}

/* Send the next part of @bytes from @*sent on; at the end say that there is no more. */
static void send_part(int fd, uint64_t *sent, uint64_t bytes)
{
	uint8_t part[8192];
	size_t len = bytes - *sent < sizeof(part) ? bytes - *sent : sizeof(part);
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		part[i] = byte_at(*sent + i);
	n = write(fd, part, len);
	if (n < 0 && errno != EAGAIN)
		die("write");
	*sent += n > 0 ? (uint64_t)n : 0;
	if (*sent == bytes)
		shutdown(fd, SHUT_WR);
}

static int ask(const char *where, uint64_t bytes)
{
	uint64_t sent = 0, got = 0, sum = 0;
	int fd = dial(where);
	ssize_t n = 1;

	if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		die(where);
	while (n) {
		struct pollfd p = {.fd = fd, .events = POLLIN | (sent < bytes ? POLLOUT : 0)};

		poll(&p, 1, -1);
		if (sent < bytes)
			send_part(fd, &sent, bytes);
		n = read(fd, buffer, sizeof(buffer));
		if (n < 0 && errno != EAGAIN)
			die("read");
		for (ssize_t i = 0; i < n; i++)
			if (buffer[i] != byte_at(got + (uint64_t)i))
				die("a byte is wrong");
		sum = add_to_sum(sum, buffer, n > 0 ? (size_t)n : 0);
		got += n > 0 ? (uint64_t)n : 0;
	}
	printf("peer: asked %lu bytes, got %lu, sum %016lx\n", bytes, got, sum);
	return got != bytes;
}

static int hold(const char *where)
{
	int fd = dial(where);
	ssize_t n;

	if (fd < 0)
		die(where);
	n = read(fd, buffer, 1);
	printf("peer: held, %s\n", n == 0 ? "and it ended" : "and something else came");
	return n != 0;
}

static int refused(const char *where)
{
	int fd = dial(where);

	printf("peer: %s\n", fd < 0 ? strerror(errno) : "connected");
	return fd >= 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && strcmp(argv[1], "echo") == 0)
		return echo(argv[2], (unsigned)atoi(argv[3]));
	if (argc == 4 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2], strtoull(argv[3], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "hold") == 0)
		return hold(argv[2]);
	if (argc == 3 && strcmp(argv[1], "refused") == 0)
		return refused(argv[2]);
	printf("the head of vsock_peer.c says how to use it\n");
	return 2;
}
