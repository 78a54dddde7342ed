// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/backend/net.h"

#include <errno.h>
#include <string.h>

#include "sidecore/backend/net_port.h"
#include "sidecore/backend/net_tap.h"
#include "sidecore/backend/net_user.h"

int sx_net_open(struct sx_net_backend **b, const char *spec, unsigned queues, unsigned mtu,
		struct sx_error *err)
{
	*b = NULL;
	if (mtu && (mtu < SX_NET_MIN_MTU || mtu > SX_NET_MAX_MTU))
		return sx_fail(err, -EINVAL, "the MTU of a network is %u to %u, not %u",
			       SX_NET_MIN_MTU, SX_NET_MAX_MTU, mtu);
	if (!strncmp(spec, "tap=", 4))
		return sx_net_tap_open(b, spec + 4, queues, mtu, err);
	if (!strncmp(spec, "port=", 5))
		return sx_net_port_open(b, spec + 5, queues, mtu, err);
	if (!strcmp(spec, "user"))
		return sx_net_user_open(b, "", mtu, err);
	if (!strncmp(spec, "user,", 5))
		return sx_net_user_open(b, spec + 5, mtu, err);
	return sx_fail(err, -EINVAL,
		       "'%s' is no network; it is 'user[,hostfwd=tcp:HOSTPORT-GUESTPORT]', "
		       "'tap=NAME' or 'port=DEVARGS'",
		       spec);
}

void sx_net_close(struct sx_net_backend *b)
{
	if (b)
		b->ops->destroy(b);
}
