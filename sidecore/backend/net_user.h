// SPDX-License-Identifier: BSD-3-Clause
/*
 * A network inside this process, by libslirp: no privilege and no set-up. The guest sees
 * 10.0.2.0/24 with a DHCP server; 10.0.2.2 is the host, 10.0.2.3 a name server, 10.0.2.15 the
 * guest. Its connections become sockets of this process. It has one queue and no offloads.
 *
 * libslirp keeps a list of all its networks, so one thread at a time opens and closes them.
 */
#ifndef SX_SIDECORE_BACKEND_NET_USER_H
#define SX_SIDECORE_BACKEND_NET_USER_H

#include "sidecore/backend/net.h"

/*
 * @options: "" or, separated by commas, hostfwd=PROTOCOL:HOSTPORT-GUESTPORT, with PROTOCOL tcp or
 * udp: what comes to that port of 127.0.0.1 on the host goes to the guest's. @mtu: 0 is 1500.
 */
int sx_net_user_open(struct sx_net_backend **b, const char *options, unsigned mtu,
		     struct sx_error *err);

#endif
