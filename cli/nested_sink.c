// SPDX-License-Identifier: BSD-3-Clause
#include "cli/nested_sink.h"

#define PAGE 4096u

static int handle(void *ctx, struct sx_exit *x)
{
	struct sx_nested_sink *s = ctx;

	if (x->kind == SX_EXIT_MMIO_WRITE && x->addr - s->kick < PAGE)
		return sx_nested_kick(s->engine, x->vcpu, x->value);
	return s->others.handle(s->others.ctx, x);
}

struct sx_exit_sink sx_nested_sink(struct sx_nested_sink *s)
{
	return (struct sx_exit_sink){.handle = handle, .ctx = s};
}

static int execute(void *ctx, unsigned vcpu, const uint8_t *bytes, size_t len, struct sx_error *err)
{
	return sx_nested_execute(ctx, vcpu, bytes, len, err);
}

struct sx_insn_sink sx_nested_insn_sink(struct sx_nested *engine)
{
	return (struct sx_insn_sink){.execute = execute, .ctx = engine};
}
