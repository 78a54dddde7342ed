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

	/*
	 * Of the guest `virtio`. Up to `depth` requests are under way. A sample of a disk is one
	 * request, of 4 KiB; one of a network is `batch` frames of `bytes` bytes, published at
	 * once: until the device has taken the last of them (TX), since the last of those before
	 * them came (RX), until the last of them has come back (FORWARD).
	 */
	SX_BENCH_BLK_READ,
	SX_BENCH_BLK_WRITE,
	SX_BENCH_NET_TX,
	SX_BENCH_NET_RX,
	SX_BENCH_NET_FORWARD,
	/* Make rings and interrupts as `how` says; they stay so. Not measured, no samples. */
	SX_BENCH_PREPARE,

	/*
	 * Of the guest `nested`, which is L1; a sample is one round trip of its L2, or, of CPUID
	 * and PASSTHROUGH, `messages` operations of L2 without one, timed by itself.
	 */
	SX_BENCH_L2_NOTHING, /* what there is besides these operations: one port write */
	SX_BENCH_L2_CPUID,
	SX_BENCH_L2_PIO,
	SX_BENCH_L2_MMIO,
	SX_BENCH_L2_PASSTHROUGH,
	SX_BENCH_L2_BLK,  /* reads of a disk that is given to it, likewise */
	SX_BENCH_VMREAD,  /* `messages` VMREADs, each by the handler that #UD comes to */
	SX_BENCH_VMWRITE, /* the same of VMWRITE */
};

/* For SX_BENCH_PREPARE. Without any: split rings, and what is used is polled for. */
#define SX_BENCH_PACKED     1u
#define SX_BENCH_INTERRUPTS 2u /* of disk and receive queue; with one request under way */

/* A block of the disk. Each knows which one it is, and whether it is whole. */
#define SX_BENCH_BLOCK 4096u
#define SX_BENCH_MAGIC 0x7873636f6c62ull

struct sx_bench_block {
	uint64_t number;
	uint64_t stamp; /* how manieth write of the guest; 0: as it was at first */
	uint8_t fill[SX_BENCH_BLOCK - 24];
	uint64_t check; /* number ^ stamp ^ SX_BENCH_MAGIC */
};

/* What a frame begins with; its last byte is the lowest of `sequence`. */
struct sx_bench_frame {
	uint8_t to[6], from[6];
	uint16_t type;
	uint16_t pad;
	uint64_t sequence; /* of all frames of the sender, from 0 */
} __attribute__((packed));

#define SX_BENCH_ETHERTYPE 0xb588u /* 0x88b5, for local experiments, in network order */
#define SX_BENCH_MAC                               \
	{                                          \
		0x52, 0x54, 0x00, 0x00, 0x00, 0x01 \
	}

/* Where the rings of the guest `virtio` lie that no PCI device was told of: rx, then tx. */
struct sx_bench_rings {
	uint32_t size;
	struct {
		uint64_t desc, avail, used;
	} ring[2];
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
	uint32_t depth;
	uint64_t doorbell; /* guest address for SX_BENCH_DOORBELL */
	uint32_t bytes;
	uint32_t unchecked; /* NET_RX: the frames are none of ours; only their length is checked */
	uint32_t window;    /* of the guest `virtio`: samples in a window; 0: there are none */
	uint32_t how;       /* SX_BENCH_PREPARE */
	/* From the guest: ops done, including the warm-up; failures seen (must be 0). */
	uint64_t done;
	uint64_t failures;
	uint64_t interrupts; /* of the guest `virtio`: that came meanwhile */
	struct sx_bench_rings rings;
	/*
	 * Guest TSC cycles. Behind the samples how long each window took, one after the other:
	 * rates are told from those, for each is short enough that most are not disturbed.
	 */
	uint64_t sample[];
};

#endif
