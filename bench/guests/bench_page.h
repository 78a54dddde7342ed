/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a benchmark drives its micro-guest: one page of commands at the start of the guest's heap,
 * samples behind it. The guest carries out one command, writes to SX_PORT_YIELD, which brings the
 * vCPU back to the benchmark, and looks for the next when it is entered again.
 */
#ifndef SX_BENCH_PAGE_H
#define SX_BENCH_PAGE_H

#include "ipc/wire/types.h"

#define SX_PORT_YIELD 0xf8

enum sx_bench_op {
	SX_BENCH_NOTHING = 0, /* an empty timing: what the clock itself costs */
	SX_BENCH_REG_READ,    /* read a register that exits */
	SX_BENCH_REG_WRITE,   /* write a register that exits */
	SX_BENCH_DOORBELL,    /* write the doorbell at bench_page.doorbell */
	SX_BENCH_PAGE_READ,   /* the same three on the shared-page twin */
	SX_BENCH_PAGE_WRITE,
	SX_BENCH_PAGE_DOORBELL,
	SX_BENCH_REQUEST,   /* request on the ring, wait for its reply */
	SX_BENCH_STREAM,    /* one sample is `messages` posts in bursts of `batch`, drained */
	SX_BENCH_IRQ,       /* trigger, until the handler's first instruction */
	SX_BENCH_IRQ_REPLY, /* trigger, until the device has seen the handler's ack */
};

struct sx_bench_page {
	/* From the benchmark. */
	uint32_t op;      /* enum sx_bench_op */
	uint32_t samples; /* how many to take */
	uint32_t warmup;  /* operations before the first sample */
	uint32_t batch;   /* SX_BENCH_STREAM */
	/*
	 * SX_BENCH_STREAM: posts in a sample, a multiple of batch. SX_BENCH_PAGE_*: accesses in a
	 * sample, back to back, for one alone is too short for the clock.
	 */
	uint32_t messages;
	uint32_t reserved;
	uint64_t doorbell; /* guest address for SX_BENCH_DOORBELL */
	/* From the guest: ops done, including the warm-up; failures seen (must be 0). */
	uint64_t done;
	uint64_t failures;
	/* Guest TSC cycles. */
	uint64_t sample[];
};

#endif
