// SPDX-License-Identifier: BSD-3-Clause
/* What others may ask of a run by its control socket: one row of a table each. */
#include <errno.h>

#include "cli/run.h"

static int stats(void *ctx, const json_t *request, json_t **reply, struct sx_error *err)
{
	const struct sx_run *r = ctx;

	(void)request;
	*reply = sx_stats_take(&r->view);
	return *reply ? 0 : sx_fail(err, -ENOMEM, "no memory for the statistics");
}

static const struct sx_control_command commands[] = {
	{"stats", stats},
};

void sx_run_open_control(struct sx_run *r)
{
	struct sx_error err = {0};

	if (sx_control_open(&r->control, commands, sizeof(commands) / sizeof(commands[0]), r,
			    &err) < 0)
		sx_run_warn(err.text);
}
