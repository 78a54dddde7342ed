// SPDX-License-Identifier: BSD-3-Clause
#include "bench/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int set_in_addr(int fd, struct ifreq *ifr, unsigned long request, struct in_addr value)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = value};

	memcpy(&ifr->ifr_addr, &in, sizeof(in));
	return ioctl(fd, request, ifr) < 0 ? -errno : 0;
}

static int bring_up(int fd, struct ifreq *ifr)
{
	if (ioctl(fd, SIOCGIFFLAGS, ifr) < 0)
		return -errno;
	ifr->ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, ifr) < 0 ? -errno : 0;
}

int sx_link_set_address(const char *name, const char *address, unsigned bits, struct sx_error *err)
{
	struct in_addr mask = {0}, ip;
	struct ifreq ifr = {0};
	int fd, rc;

	if (bits == 0 || bits > 32 || inet_pton(AF_INET, address, &ip) != 1)
		return sx_fail(err, -EINVAL, "'%s/%u' is no IPv4 address", address, bits);
	mask.s_addr = htonl(UINT32_MAX << (32 - bits));
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return sx_fail(err, -errno, "cannot make a socket: %s", strerror(errno));
	rc = set_in_addr(fd, &ifr, SIOCSIFADDR, ip);
	if (rc == 0)
		rc = set_in_addr(fd, &ifr, SIOCSIFNETMASK, mask);
	if (rc == 0)
		rc = bring_up(fd, &ifr);
	close(fd);
	if (rc < 0)
		return sx_fail(err, rc, "cannot give the network interface '%s' an address: %s",
			       name, strerror(-rc));
	return 0;
}
