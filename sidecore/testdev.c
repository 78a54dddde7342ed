// SPDX-License-Identifier: BSD-3-Clause
#include "sidecore/testdev.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define REG(name) offsetof(struct sx_testdev_regs, name)

void sx_testdev_init(struct sx_testdev *d, struct sx_irq *irq)
{
	memset(d, 0, sizeof(*d));
	d->irq = irq;
}

static void interrupt(struct sx_testdev *d)
{
	if (d->irq && sx_irq_raise(d->irq) < 0)
		d->irq_failures++;
}

static void raise_irq(struct sx_testdev *d, uint64_t cookie)
{
	d->raised = cookie;
	interrupt(d);
}

/* ---- registers that exit ---- */

static int reg_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	struct sx_testdev *d = dev;

	*value = 0;
	if (size != 8) {
		d->refused++;
		*value = sx_bus_all_ones(size);
		return SX_EXIT_CONTINUE;
	}
	switch (offset) {
	case REG(scratch):
	case REG(mirror):
		*value = d->scratch;
		break;
	case REG(doorbell):
	case REG(raise):
	case REG(ack):
		break;
	case REG(id):
		*value = SX_TESTDEV_ID_VALUE;
		break;
	case REG(rings):
		*value = d->rings;
		break;
	case REG(raised):
		*value = d->raised;
		break;
	case REG(acked):
		*value = d->acked;
		break;
	default:
		d->refused++;
		*value = sx_bus_all_ones(size);
	}
	return SX_EXIT_CONTINUE;
}

static int reg_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct sx_testdev *d = dev;

	switch (size == 8 ? offset : SX_TESTDEV_SIZE) {
	case REG(scratch):
		d->scratch = value;
		break;
	case REG(doorbell):
		d->rings++;
		break;
	case REG(raise):
		raise_irq(d, value);
		break;
	case REG(ack):
		d->acked = value;
		break;
	default:
		d->refused++;
	}
	return SX_EXIT_CONTINUE;
}

const struct sx_bus_ops sx_testdev_bus_ops = {.read = reg_read, .write = reg_write};

/* ---- ring ---- */

static void count_post(struct sx_testdev *d, const struct sx_cell *msg)
{
	const uint64_t *w = msg->w;

	if (__builtin_expect(w[0] != d->posts, 0))
		sx_count(&d->out_of_sequence, 1);
	d->posts++;
	d->post_sum += (w[1] + w[2]) + (w[3] + w[4]) + (w[5] + w[6]);
}

/* False when @msg is no post. */
static bool take_post(struct sx_testdev *d, const struct sx_cell *msg)
{
	if (msg->op == SX_TESTDEV_POST) {
		count_post(d, msg);
	} else if (msg->op == SX_TESTDEV_RAISE) {
		d->raised = msg->w[0];
		d->interrupt_due = true;
	} else {
		return false;
	}
	return true;
}

/* @status and the words of @w; those that @w leaves out are 0. */
static enum sx_ring_verdict answer(struct sx_cell *reply, enum sx_testdev_status status,
				   const uint64_t w[SX_CELL_WORDS])
{
	reply->arg = (uint16_t)status;
	memcpy(reply->w, w, sizeof(reply->w));
	return SX_RING_REPLIED;
}

static enum sx_ring_verdict echo(const struct sx_cell *msg, struct sx_cell *reply)
{
	reply->arg = SX_TESTDEV_OK;
	for (int i = 0; i < SX_CELL_WORDS; i++)
		reply->w[i] = ~msg->w[i];
	return SX_RING_REPLIED;
}

static inline __attribute__((always_inline)) enum sx_ring_verdict
ring_message(void *ctx, const struct sx_cell *msg, struct sx_cell *reply)
{
	struct sx_testdev *d = ctx;

	if (take_post(d, msg))
		return SX_RING_POSTED;
	d->requests++;
	switch (msg->op) {
	case SX_TESTDEV_ECHO:
		return echo(msg, reply);
	case SX_TESTDEV_COUNTS:
		return answer(reply, SX_TESTDEV_OK,
			      (uint64_t[SX_CELL_WORDS]){d->posts, d->out_of_sequence, d->post_sum,
							d->rings, d->raised});
	}
	d->refused++;
	return answer(reply, SX_TESTDEV_BAD_OP, (uint64_t[SX_CELL_WORDS]){0});
}

/*
 * To interrupt takes a system call, a thousand times what a message takes: a guest that asks for
 * nothing else would have its sidecore do little for others. So there is one a turn.
 */
static __attribute__((noinline)) unsigned ring_serve(struct sx_ring_server *s)
{
	struct sx_testdev *d = s->handler.ctx;
	unsigned served = sx_ring_server_poll_with(s, ring_message);

	if (__builtin_expect(d->interrupt_due, 0)) {
		d->interrupt_due = false;
		interrupt(d);
	}
	return served;
}

static unsigned ring_poll(void *server)
{
	return sx_ring_server_idle(server) ? 0 : ring_serve(server);
}

struct sx_ring_handler sx_testdev_ring_handler(struct sx_testdev *d)
{
	return (struct sx_ring_handler){.handle = ring_message, .ctx = d, .poll = ring_poll};
}

/* ---- shared page ---- */

/* Put back a word that only the device writes; the guest may have changed it. */
static void restore(struct sx_testdev_page *t, uint64_t *word, uint64_t value)
{
	if (__builtin_expect(sx_load_relaxed(word) == value, 1))
		return;
	sx_store_relaxed(word, value);
	t->restored++;
}

/* The device's own words: written when they change, so what differs now was the guest. */
static void guard(struct sx_testdev_page *t)
{
	restore(t, &t->regs->id, SX_TESTDEV_ID_VALUE);
	restore(t, &t->regs->rings, t->dev.rings);
	restore(t, &t->regs->raised, t->dev.raised);
	restore(t, &t->regs->acked, t->dev.acked);
	restore(t, &t->regs->mirror, t->dev.scratch);
}

/*
 * The guest's four words are one line, which stays in our cache until the guest writes it. Each
 * acquire pairs with the guest's store, each release with the guest's load of the answer.
 */
static unsigned poll_page(void *ctx)
{
	struct sx_testdev_page *t = ctx;
	struct sx_testdev_regs *regs = t->regs;
	uint64_t scratch = sx_load_acquire(&regs->scratch);
	uint64_t doorbell = sx_load_acquire(&regs->doorbell);
	uint64_t raise = sx_load_acquire(&regs->raise);
	uint64_t ack = sx_load_acquire(&regs->ack);
	unsigned events = 0;

	guard(t);
	if (raise != t->raise) {
		t->raise = raise;
		sx_store_release(&regs->raised, raise);
		raise_irq(&t->dev, raise);
		events++;
	}
	if (doorbell != t->doorbell) {
		t->doorbell = doorbell;
		t->dev.rings++;
		sx_store_release(&regs->rings, t->dev.rings);
		events++;
	}
	if (ack != t->dev.acked) {
		t->dev.acked = ack;
		sx_store_release(&regs->acked, ack);
		events++;
	}
	if (scratch != t->dev.scratch) {
		t->dev.scratch = scratch;
		sx_store_release(&regs->mirror, scratch);
		events++;
	}
	return events;
}

void sx_testdev_page_init(struct sx_testdev_page *t, struct sx_testdev_regs *regs,
			  struct sx_irq *irq)
{
	memset(t, 0, sizeof(*t));
	memset(regs, 0, sizeof(*regs));
	sx_testdev_init(&t->dev, irq);
	t->regs = regs;
	regs->id = SX_TESTDEV_ID_VALUE;
	t->poller = (struct sx_poller){.name = "testdev-page", .poll = poll_page, .ctx = t};
}

void sx_testdev_page_resume(struct sx_testdev_page *t)
{
	struct sx_testdev_regs *regs = t->regs;

	regs->scratch = regs->mirror = t->dev.scratch;
	regs->ack = regs->acked = t->dev.acked;
	regs->rings = t->dev.rings;
	regs->raised = t->dev.raised;
}
