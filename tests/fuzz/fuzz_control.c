// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: what is asked by the control socket. Each line of the input is a request; its answer is
 * one line of JSON, a reply or a refusal.
 */
#include <jansson.h>
#include <string.h>

#include "cli/control.h"
#include "tests/support/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

static int echo(void *ctx, const json_t *request, json_t **reply, struct sx_error *err)
{
	(void)ctx;
	(void)err;
	*reply = json_deep_copy(request);
	return *reply ? 0 : -1;
}

static int refuse(void *ctx, const json_t *request, json_t **reply, struct sx_error *err)
{
	(void)ctx;
	(void)reply;
	return sx_fail(err, -1, "no: %s", json_string_value(json_object_get(request, "command")));
}

static const struct sx_control_command commands[] = {{"echo", echo}, {"refuse", refuse}};

static void check(const char *answer)
{
	json_t *json = json_loads(answer, 0, NULL);

	fuzz_require(strchr(answer, '\n') == answer + strlen(answer) - 1);
	fuzz_require(json_object_size(json) == 1);
	fuzz_require(json_object_get(json, "reply") ||
		     json_is_string(json_object_get(json, "error")));
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	const struct sx_control c = {.command = commands, .commands = 2};
	const char *at = (const char *)data, *end = at + length;

	while (at < end) {
		const char *line = memchr(at, '\n', (size_t)(end - at));
		char *answer = sx_control_answer(&c, at, (size_t)((line ? line : end) - at));

		fuzz_require(answer != NULL);
		check(answer);
		free(answer);
		at = line ? line + 1 : end;
	}
	return 0;
}
