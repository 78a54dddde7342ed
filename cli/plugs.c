// SPDX-License-Identifier: BSD-3-Clause
#include "cli/plugs.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/plug_net.h"
#include "cli/plug_vsock.h"
#include "cli/words.h"
#include "sidecore/virtio/balloon.h"
#include "sidecore/virtio/blk.h"
#include "sidecore/virtio/rng.h"

#define OUTER(TYPE, DEV) ((TYPE *)(void *)((char *)(DEV)-offsetof(TYPE, dev)))

/* ---- disk ---- */

static int parse_cache(const char *text, enum sx_file_cache *cache, struct sx_error *err)
{
	if (strcmp(text, "auto") == 0)
		*cache = SX_FILE_AUTO;
	else if (strcmp(text, "direct") == 0)
		*cache = SX_FILE_DIRECT;
	else if (strcmp(text, "cached") == 0)
		*cache = SX_FILE_CACHED;
	else
		return sx_fail(err, -EINVAL, "cache= of --disk is auto, direct or cached, not '%s'",
			       text);
	return 0;
}

static int parse_disk(struct sx_virtio_blk_config *c, struct sx_words *w, struct sx_error *err)
{
	uint64_t number;
	char *word, *value;
	int rc = 0;

	while (rc == 0 && (word = sx_words_next(w, &value))) {
		if (strcmp(word, "readonly") == 0 && !*value) {
			c->file.readonly = true;
		} else if (strcmp(word, "cache") == 0) {
			rc = parse_cache(value, &c->file.cache, err);
		} else if (strcmp(word, "serial") == 0) {
			c->serial = value;
		} else if (strcmp(word, "queues") == 0) {
			rc = sx_parse_number("queues= of --disk", value, 1, SX_BLK_MAX_QUEUES,
					     &number, err);
			c->queues = (uint16_t)number;
		} else if (strcmp(word, "block") == 0) {
			rc = sx_parse_number("block= of --disk", value, 512, 4096, &number, err);
			c->file.block_size = (uint32_t)number;
		} else {
			rc = sx_fail(err, -EINVAL,
				     "--disk knows readonly, cache=, serial=, queues= and block=, "
				     "not '%s'",
				     word);
		}
	}
	return rc;
}

static int create_disk(struct sx_virtio_device **dev, const char *value,
		       const struct sx_virtio_env *env, struct sx_error *err)
{
	struct sx_virtio_blk_config c = {0};
	struct sx_virtio_blk *blk = calloc(1, sizeof(*blk));
	struct sx_words w = {0};
	int rc = -ENOMEM;

	if (blk)
		c.file.path = sx_words_begin(&w, value);
	if (c.file.path)
		rc = parse_disk(&c, &w, err);
	if (rc == 0)
		rc = sx_virtio_blk_init(blk, &c, env, err);
	free(w.text);
	if (rc < 0) {
		free(blk);
		return rc;
	}
	*dev = &blk->dev;
	return 0;
}

static void destroy_disk(struct sx_virtio_device *dev)
{
	struct sx_virtio_blk *blk = OUTER(struct sx_virtio_blk, dev);

	sx_virtio_blk_destroy(blk);
	free(blk);
}

/* ---- rng ---- */

static int create_rng(struct sx_virtio_device **dev, const char *value,
		      const struct sx_virtio_env *env, struct sx_error *err)
{
	struct sx_virtio_rng *rng = calloc(1, sizeof(*rng));
	int rc;

	(void)value;
	if (!rng)
		return -ENOMEM;
	rc = sx_virtio_rng_init(rng, env, err);
	if (rc < 0) {
		free(rng);
		return rc;
	}
	*dev = &rng->dev;
	return 0;
}

static void destroy_rng(struct sx_virtio_device *dev)
{
	struct sx_virtio_rng *rng = OUTER(struct sx_virtio_rng, dev);

	sx_virtio_rng_destroy(rng);
	free(rng);
}

/* ---- balloon ---- */

static int parse_balloon(const char *value, uint64_t *target, struct sx_error *err)
{
	static const char word[] = "target=";

	if (!value)
		return 0;
	if (strncmp(value, word, strlen(word)) != 0)
		return sx_fail(err, -EINVAL, "--balloon knows target=, not '%s'", value);
	return sx_parse_size("target= of --balloon", value + strlen(word), target, err);
}

static int create_balloon(struct sx_virtio_device **dev, const char *value,
			  const struct sx_virtio_env *env, struct sx_error *err)
{
	struct sx_virtio_balloon *balloon = calloc(1, sizeof(*balloon));
	uint64_t target = 0;
	int rc = balloon ? parse_balloon(value, &target, err) : -ENOMEM;

	if (rc == 0)
		rc = sx_virtio_balloon_init(balloon, target, env, err);
	if (rc < 0) {
		free(balloon);
		return rc;
	}
	*dev = &balloon->dev;
	return 0;
}

static void destroy_balloon(struct sx_virtio_device *dev)
{
	struct sx_virtio_balloon *balloon = OUTER(struct sx_virtio_balloon, dev);

	sx_virtio_balloon_destroy(balloon);
	free(balloon);
}

/* ---- console ---- */

static int create_console(struct sx_virtio_device **dev, const char *value,
			  const struct sx_virtio_env *env, struct sx_error *err)
{
	struct sx_virtio_console *console = calloc(1, sizeof(*console));
	int rc;

	(void)value;
	if (!console)
		return -ENOMEM;
	rc = sx_virtio_console_init(console, env, err);
	if (rc < 0) {
		free(console);
		return rc;
	}
	*dev = &console->dev;
	return 0;
}

struct sx_virtio_console *sx_plug_console_of(struct sx_virtio_device *dev)
{
	return OUTER(struct sx_virtio_console, dev);
}

static void destroy_console(struct sx_virtio_device *dev)
{
	struct sx_virtio_console *console = sx_plug_console_of(dev);

	sx_virtio_console_destroy(console);
	free(console);
}

const struct sx_plug sx_plug_console = {
	.option = "console",
	.create = create_console,
	.destroy = destroy_console,
};

/* ---- the table ---- */

const struct sx_plug sx_plugs[] = {
	{
		.option = "disk",
		.has_value = true,
		.help = "      --disk "
			"FILE[,readonly][,cache=auto|direct|cached][,serial=S][,queues=N]\n"
			"                 [,block=BYTES]  a raw image or block device as a disk\n",
		.create = create_disk,
		.destroy = destroy_disk,
	},
	{
		.option = "net",
		.has_value = true,
		.help = "      --net [queues=N,][mac=MAC,][mtu=N,]NETWORK\n"
			"                         a network device; NETWORK is tap=NAME, the "
			"kernel's;\n"
			"                         user[,hostfwd=tcp|udp:HOSTPORT-GUESTPORT]..., "
			"one "
			"in\n"
			"                         this process; or port=DEVARGS, a port of DPDK\n",
		.create = sx_plug_net_create,
		.destroy = sx_plug_net_destroy,
	},
	{
		.option = "rng",
		.help = "      --rng              a source of random numbers: the host's\n",
		.create = create_rng,
		.destroy = destroy_rng,
	},
	{
		.option = "balloon",
		.value_optional = true,
		.help = "      --balloon[=target=SIZE]  gives memory that it does not need back to "
			"the\n"
			"                         host, and keeps SIZE of it (default: all)\n",
		.create = create_balloon,
		.destroy = destroy_balloon,
	},
	{
		.option = "vsock",
		.has_value = true,
		.help = "      --vsock PATH[,cid=N]\n"
			"                         stream sockets between guest and host, by the "
			"UNIX\n"
			"                         sockets PATH and PATH_PORT\n",
		.create = sx_plug_vsock_create,
		.destroy = sx_plug_vsock_destroy,
	},
};

const unsigned sx_plug_count = sizeof(sx_plugs) / sizeof(sx_plugs[0]);

_Static_assert(sizeof(sx_plugs) / sizeof(sx_plugs[0]) <= SX_MAX_PLUGS, "all are offered");
