// SPDX-License-Identifier: BSD-3-Clause
#include "cli/plugs.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "sidecore/virtio/blk.h"
#include "sidecore/virtio/rng.h"

#define OUTER(TYPE, DEV) ((TYPE *)(void *)((char *)(DEV)-offsetof(TYPE, dev)))

/* ---- values such as "disk.img,readonly,queues=4" ---- */

struct words {
	char *text; /* a copy, cut at its commas */
	char *next;
};

/* The first word, or NULL when there is no memory. */
static char *begin_words(struct words *w, const char *value)
{
	w->text = w->next = strdup(value);
	return w->text ? strsep(&w->next, ",") : NULL;
}

/* The next word, cut at its '='; *value is "" without one. NULL: there are no more. */
static char *next_word(struct words *w, char **value)
{
	char *word = w->next ? strsep(&w->next, ",") : NULL;

	*value = word;
	if (word)
		strsep(value, "=");
	if (word && !*value)
		*value = word + strlen(word);
	return word;
}

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

static int parse_disk(struct sx_virtio_blk_config *c, struct words *w, struct sx_error *err)
{
	uint64_t number;
	char *word, *value;
	int rc = 0;

	while (rc == 0 && (word = next_word(w, &value))) {
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
	struct words w = {0};
	int rc = -ENOMEM;

	if (blk)
		c.file.path = begin_words(&w, value);
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
		.option = "rng",
		.help = "      --rng              a source of random numbers: the host's\n",
		.create = create_rng,
		.destroy = destroy_rng,
	},
};

const unsigned sx_plug_count = sizeof(sx_plugs) / sizeof(sx_plugs[0]);

_Static_assert(sizeof(sx_plugs) / sizeof(sx_plugs[0]) <= SX_MAX_PLUGS, "all are offered");
