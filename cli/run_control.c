// SPDX-License-Identifier: BSD-3-Clause
/* What others may ask of a run by its control socket: one row of a table each. */
#include <errno.h>
#include <linux/virtio_balloon.h>

#include "cli/run.h"
#include "ipc/wire/types.h"

static int stats(void *ctx, const json_t *request, json_t **reply, struct sx_error *err)
{
	const struct sx_run *r = ctx;

	(void)request;
	*reply = sx_stats_take(&r->view);
	return *reply ? 0 : sx_fail(err, -ENOMEM, "no memory for the statistics");
}

/* What the guest said of itself; null: nothing. */
static json_t *said(const struct sx_virtio_balloon *b, unsigned stat)
{
	uint64_t value = sx_load_relaxed(&b->counts.stat[stat]);

	return value == UINT64_MAX ? json_null() : json_integer((json_int_t)value);
}

/* All in bytes; with a "target" in the request that is the new one. */
static int balloon(void *ctx, const json_t *request, json_t **reply, struct sx_error *err)
{
	struct sx_run *r = ctx;
	struct sx_virtio_balloon *b = r->kind == &sx_run_kernel ? sx_pc_balloon(&r->pc) : NULL;
	const json_t *target = json_object_get(request, "target");
	int rc = 0;

	if (!b)
		return sx_fail(err, -ENODEV, "this guest has no balloon; start it with --balloon");
	if (target && !json_is_integer(target))
		return sx_fail(err, -EINVAL, "a balloon's target is a number of bytes");
	if (target)
		rc = sx_virtio_balloon_set_target(b, (uint64_t)json_integer_value(target), err);
	if (rc < 0)
		return rc;
	sx_pc_refresh_balloon(&r->pc, b);
	*reply = json_pack(
		"{s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "memory", (json_int_t)b->ram->size, "target",
		(json_int_t)sx_virtio_balloon_target(b), "actual",
		(json_int_t)sx_virtio_balloon_actual(b), "returned",
		(json_int_t)sx_load_relaxed(&b->counts.returned), "free",
		said(b, VIRTIO_BALLOON_S_MEMFREE), "available", said(b, VIRTIO_BALLOON_S_AVAIL),
		"total", said(b, VIRTIO_BALLOON_S_MEMTOT));
	return *reply ? 0 : sx_fail(err, -ENOMEM, "no memory for the answer");
}

static const struct sx_control_command commands[] = {
	{"stats", stats},
	{"balloon", balloon},
};

void sx_run_open_control(struct sx_run *r)
{
	struct sx_error err = {0};

	if (sx_control_open(&r->control, commands, sizeof(commands) / sizeof(commands[0]), r,
			    &err) < 0)
		sx_run_warn(err.text);
}
