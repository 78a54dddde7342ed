// SPDX-License-Identifier: BSD-3-Clause
#include "cli/plug_vsock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/words.h"
#include "sidecore/virtio/vsock.h"

static int parse(struct sx_virtio_vsock_config *c, struct sx_words *w, struct sx_error *err)
{
	char *word, *value;
	int rc = 0;

	while (rc == 0 && (word = sx_words_next(w, &value))) {
		if (strcmp(word, "cid") == 0)
			rc = sx_parse_number("cid= of --vsock", value, SX_VSOCK_GUEST_CID,
					     SX_VSOCK_MAX_CID, &c->cid, err);
		else
			rc = sx_fail(err, -EINVAL, "--vsock knows cid=, not '%s'", word);
	}
	return rc;
}

int sx_plug_vsock_create(struct sx_virtio_device **dev, const char *value,
			 const struct sx_virtio_env *env, struct sx_error *err)
{
	struct sx_virtio_vsock *v = calloc(1, sizeof(*v));
	struct sx_virtio_vsock_config c = {0};
	struct sx_words w = {0};
	int rc = -ENOMEM;

	if (v)
		c.path = sx_words_begin(&w, value);
	if (c.path)
		rc = parse(&c, &w, err);
	if (rc == 0)
		rc = sx_virtio_vsock_init(v, &c, env, err);
	free(w.text);
	if (rc < 0) {
		free(v);
		return rc;
	}
	*dev = &v->dev;
	return 0;
}

void sx_plug_vsock_destroy(struct sx_virtio_device *dev)
{
	struct sx_virtio_vsock *v = (struct sx_virtio_vsock *)dev; /* it begins with it */

	sx_virtio_vsock_destroy(v);
	free(v);
}
