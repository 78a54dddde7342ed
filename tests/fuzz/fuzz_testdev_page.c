// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: a guest that writes anything anywhere into the shared page of a testdev, between polls.
 *
 * Input: a list of steps, each an enum step and what it wants. After each poll the page and the
 * device must be as a second, simple model of the device says.
 */
#include <string.h>

#include "sidecore/testdev.h"
#include "tests/support/fuzz_input.h"

#define MAX_STEPS 512
#define WORDS     (SX_TESTDEV_SIZE / 8)

enum step {
	WRITE_REGISTER, /* 9 bytes: which word of the registers, what */
	WRITE_WORD,     /* 10 bytes: which word of the page, what */
	WRITE_BYTE,     /* 3 bytes: where, what */
	COPY_WORD,      /* 2 bytes: one word of the registers over another */
	FLOOD,          /* 1 byte: the whole page becomes this */
	POLL,
	STEPS,
};

/* Word numbers of the registers. */
enum word {
	SCRATCH = offsetof(struct sx_testdev_regs, scratch) / 8,
	DOORBELL = offsetof(struct sx_testdev_regs, doorbell) / 8,
	RAISE = offsetof(struct sx_testdev_regs, raise) / 8,
	ACK = offsetof(struct sx_testdev_regs, ack) / 8,
	ID = offsetof(struct sx_testdev_regs, id) / 8,
	RINGS = offsetof(struct sx_testdev_regs, rings) / 8,
	RAISED = offsetof(struct sx_testdev_regs, raised) / 8,
	ACKED = offsetof(struct sx_testdev_regs, acked) / 8,
	MIRROR = offsetof(struct sx_testdev_regs, mirror) / 8,
	REGISTERS = sizeof(struct sx_testdev_regs) / 8,
};

/* What the device must have seen and said. */
struct model {
	uint64_t scratch, doorbell, raise, ack; /* last values seen */
	uint64_t rings;
	uint64_t restored;
	uint64_t interrupts;
};

struct world {
	struct sx_irq irq;
	struct sx_testdev_page twin;
	uint64_t *page; /* on the heap, so that ASan guards its ends */
	uint64_t before[WORDS];
	struct model model;
};

static uint64_t put_back(struct world *w, enum word word, uint64_t value)
{
	bool wrong = w->before[word] != value;

	w->before[word] = value;
	return wrong;
}

/* What a poll makes of w->before; returns how many events there are. */
static unsigned model_poll(struct world *w)
{
	struct model *m = &w->model;
	uint64_t *p = w->before;
	unsigned events = (p[SCRATCH] != m->scratch) + (p[DOORBELL] != m->doorbell) +
			  (p[RAISE] != m->raise) + (p[ACK] != m->ack);

	m->restored += put_back(w, ID, SX_TESTDEV_ID_VALUE) + put_back(w, RINGS, m->rings) +
		       put_back(w, RAISED, m->raise) + put_back(w, ACKED, m->ack) +
		       put_back(w, MIRROR, m->scratch);
	m->rings += p[DOORBELL] != m->doorbell;
	m->interrupts += p[RAISE] != m->raise;
	m->scratch = p[MIRROR] = p[SCRATCH];
	m->doorbell = p[DOORBELL];
	m->raise = p[RAISED] = p[RAISE];
	m->ack = p[ACKED] = p[ACK];
	p[RINGS] = m->rings;
	return events;
}

static void poll_and_compare(struct world *w)
{
	unsigned events, expected;

	memcpy(w->before, w->page, SX_TESTDEV_SIZE);
	expected = model_poll(w);
	events = w->twin.poller.poll(w->twin.poller.ctx);
	fuzz_require(events == expected);
	fuzz_require(!memcmp(w->page, w->before, SX_TESTDEV_SIZE));
	fuzz_require(w->twin.restored == w->model.restored);
	fuzz_require(w->irq.raised == w->model.interrupts);
	fuzz_require(w->twin.dev.irq_failures == 0);
	/* Nobody has written since. */
	fuzz_require(w->twin.poller.poll(w->twin.poller.ctx) == 0);
}

static void step(struct world *w, struct fuzz_input *in)
{
	uint64_t at;

	switch (fuzz_take(in, 1) % STEPS) {
	case WRITE_REGISTER:
		at = fuzz_take(in, 1) % REGISTERS;
		w->page[at] = fuzz_take(in, 8);
		break;
	case WRITE_WORD:
		at = fuzz_take(in, 2) % WORDS;
		w->page[at] = fuzz_take(in, 8);
		break;
	case WRITE_BYTE:
		at = fuzz_take(in, 2) % SX_TESTDEV_SIZE;
		((uint8_t *)w->page)[at] = (uint8_t)fuzz_take(in, 1);
		break;
	case COPY_WORD:
		at = fuzz_take(in, 1) % REGISTERS;
		w->page[at] = w->page[fuzz_take(in, 1) % REGISTERS];
		break;
	case FLOOD:
		memset(w->page, (int)fuzz_take(in, 1), SX_TESTDEV_SIZE);
		break;
	case POLL:
		poll_and_compare(w);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct fuzz_input in = {data, length};
	static struct world w;

	memset(&w, 0, sizeof(w));
	w.page = aligned_alloc(4096, SX_TESTDEV_SIZE);
	if (!w.page || sx_irq_init(&w.irq, NULL) < 0)
		abort();
	memset(w.page, 0, SX_TESTDEV_SIZE);
	sx_testdev_page_init(&w.twin, (struct sx_testdev_regs *)(void *)w.page, &w.irq);
	for (unsigned i = 0; i < MAX_STEPS && in.left; i++)
		step(&w, &in);
	poll_and_compare(&w);
	sx_irq_destroy(&w.irq);
	free(w.page);
	return 0;
}
