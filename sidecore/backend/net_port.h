// SPDX-License-Identifier: BSD-3-Clause
/*
 * DPDK ports as back ends. They come from a plug-in, sidecore/backend/dpdk/, which is loaded when
 * the first port is named: who names none has no DPDK in the process.
 */
#ifndef SX_SIDECORE_BACKEND_NET_PORT_H
#define SX_SIDECORE_BACKEND_NET_PORT_H

#include "sidecore/backend/net.h"

/*
 * What the plug-in is asked for by the name SX_NET_PLUGIN_SYMBOL. It and the program are built from
 * the same sources, which `version` and `frame_size` tell.
 */
struct sx_net_plugin {
	const char *version;
	size_t frame_size;
	/* As sx_net_port_open(). */
	int (*open)(struct sx_net_backend **b, const char *devargs, unsigned queues, unsigned mtu,
		    struct sx_error *err);
};

#define SX_NET_PLUGIN_SYMBOL "sx_net_plugin"

/*
 * Open the port that @devargs describes to DPDK, such as "net_tap0,iface=tap0", "net_pcap0,..." or
 * "0000:03:00.0". b->queues is at most @queues; @mtu: 0 is the port's own. From one thread at a
 * time, which is no sidecore's; and so is its end.
 */
int sx_net_port_open(struct sx_net_backend **b, const char *devargs, unsigned queues, unsigned mtu,
		     struct sx_error *err);

#endif
