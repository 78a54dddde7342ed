// SPDX-License-Identifier: BSD-3-Clause
/*
 * The machine that a result was measured on, as far as it matters to the result. It never holds
 * the machine's name.
 */
#ifndef SX_BENCH_HOSTINFO_H
#define SX_BENCH_HOSTINFO_H

#include <stddef.h>
#include <stdint.h>

/* A text that this machine does not tell is empty, a number 0, unless said otherwise. */
struct sx_host {
	char cpu[96];
	char microcode[24];
	char isolated[128]; /* CPUs that the scheduler leaves alone, as a list: "2-5,8" */
	char governor[32];  /* of the first CPU */
	char kernel[96];    /* release */
	char kvm[32];       /* the module: kvm_intel, kvm_amd, kvm_pvm */
	char hypervisor[16];
	char date[24]; /* UTC, "2025-01-31T12:00:00Z" */
	char version[24];
	unsigned cpus; /* online */
	int smt;       /* 1: siblings are online; 0: not; -1: not told */
	uint64_t memory_mib;
	uint64_t tsc_khz; /* set by who measures with it */
};

/* @root is put before each path below /proc and /sys: "" but for tests. */
void sx_host_read(struct sx_host *host, const char *root);

/* One line for people: "Xeon 8481C, 4 CPUs, 15.6 GiB, Linux 6.1.0, kvm_intel". */
void sx_host_text(const struct sx_host *host, char *text, size_t size);

#endif
