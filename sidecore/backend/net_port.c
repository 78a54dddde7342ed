// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/backend/net_port.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ipc/paths.h"

#define PLUGIN "splitx-dpdk.so"

static int find_plugin(char *path, size_t size, struct sx_error *err)
{
	/* As built, as installed, and for a test that lies two folders below the build. */
	static const char *const places[] = {"lib", "../lib/splitx", "../../lib"};
	int rc = sx_path_beside(places, sizeof(places) / sizeof(places[0]), PLUGIN, R_OK, path,
				size, err);

	if (rc == 0)
		return 0;
	return sx_fail(err, -ENOTSUP,
		       "DPDK ports cannot be opened, because this splitx was built without DPDK; "
		       "install libdpdk-dev and run make again");
}

/* It stays loaded: DPDK can neither be unloaded nor started twice. */
static int load(const struct sx_net_plugin **plugin, struct sx_error *err)
{
	char path[SX_PATH_SIZE];
	int rc = find_plugin(path, sizeof(path), err);
	void *handle;

	if (rc < 0)
		return rc;
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!handle)
		return sx_fail(err, -ENOTSUP, "DPDK ports cannot be opened: %s; install DPDK",
			       dlerror());
	*plugin = dlsym(handle, SX_NET_PLUGIN_SYMBOL);
	if (!*plugin || strcmp((*plugin)->version, SX_VERSION) != 0 ||
	    (*plugin)->frame_size != sizeof(struct sx_net_frame))
		return sx_fail(err, -ENOTSUP,
			       "'%s' is not of this splitx; install both from one build", path);
	return 0;
}

int sx_net_port_open(struct sx_net_backend **b, const char *devargs, unsigned queues, unsigned mtu,
		     struct sx_error *err)
{
	const struct sx_net_plugin *plugin;
	int rc;

	if (!*devargs)
		return sx_fail(err, -EINVAL,
			       "port= names no DPDK port; it is followed by one such as "
			       "'net_tap0,iface=NAME' or a PCI address");
	rc = load(&plugin, err);
	return rc < 0 ? rc : plugin->open(b, devargs, queues, mtu, err);
}
