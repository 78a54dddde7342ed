// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a Linux guest does in `splitx bench nested --kernel`: it is L1, and this program, a user of
 * its KVM, runs a bare L2 (l1_vm.c, l2.S). It does as it is told, line by line, over the console;
 * bench/vmm.h is the other side.
 *
 *   OP COUNT     have L2 do it so often: l2_nothing, l2_cpuid, l2_pio, l2_mmio or l2_passthrough
 *   end          the end
 *
 * As in job.sh a measurement says "ready", begins when the host says so, says "done", and goes on
 * when the host has read its counters; then comes "result".
 *
 * L2 is run by a thread that has CPU 1 for itself. It never sleeps and never speaks: in between it
 * spins on a word of memory, so that what the host counts on that CPU is the work and nothing else.
 * The other thread is on CPU 0, talks, and polls the page that L2 and L1 share.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/linux/l1_vm.h"

#define TALK_CPU 0
#define RUN_CPU  1

static const char *const op_names[L1_OPS] = {
	[L1_NOTHING] = "l2_nothing",
	[L1_CPUID] = "l2_cpuid",
	[L1_PIO] = "l2_pio",
	[L1_MMIO] = "l2_mmio",
	[L1_PASSTHROUGH] = "l2_passthrough",
};

/* Whose turn it is: the talker makes it RUNNING, the runner makes it STOPPED. */
enum turn { STOPPED, RUNNING };

struct l1 {
	struct l1_vm vm;
	int turn;
	/* What is to be run, and what came of it; of the one whose turn it is. */
	enum l1_op op;
	uint32_t count;
	int rc;
	double ms;
};

/* One write, so that nothing comes between. */
__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char line[256] = "splitx-bench: ";
	size_t used = strlen(line);
	va_list args;
	ssize_t n;

	va_start(args, fmt);
	vsnprintf(line + used, sizeof(line) - used - 1, fmt, args);
	va_end(args);
	strcat(line, "\n");
	n = write(STDOUT_FILENO, line, strlen(line));
	if (n < 0)
		exit(1); /* nobody is there to be told */
}

static _Noreturn void give_up(const char *why)
{
	say("failed %s", why);
	exit(1);
}

/* ---- the runner ---- */

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Each change of the turn is a release, and each look at it an acquire: what the other thread wrote
 * before is seen. */
static int look(const struct l1 *l)
{
	return __atomic_load_n(&l->turn, __ATOMIC_ACQUIRE);
}

static void pass(struct l1 *l, enum turn turn)
{
	__atomic_store_n(&l->turn, turn, __ATOMIC_RELEASE);
}

static void *runner(void *arg)
{
	struct l1 *l = arg;

	for (;;) {
		double begin;

		while (look(l) != RUNNING)
			;
		begin = now_ms();
		l->rc = l1_vm_run(&l->vm, l->op, l->count);
		l->ms = now_ms() - begin;
		pass(l, STOPPED);
	}
	return NULL;
}

static void pin(pthread_t thread, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (pthread_setaffinity_np(thread, sizeof(set), &set) != 0)
		give_up("L1 needs two CPUs");
}

static void start_runner(struct l1 *l)
{
	pthread_t thread;

	pin(pthread_self(), TALK_CPU);
	if (pthread_create(&thread, NULL, runner, l) != 0)
		give_up("L1 cannot start a thread");
	pin(thread, RUN_CPU);
}

/* ---- the talker ---- */

/* Let the runner run, and be what L2 talks to. */
static void accompany(struct l1 *l)
{
	const bool serve = l->op == L1_PASSTHROUGH;
	const struct timespec nap = {.tv_nsec = 200000};

	pass(l, RUNNING);
	while (look(l) == RUNNING) {
		if (serve)
			l1_vm_serve(&l->vm);
		else
			nanosleep(&nap, NULL);
	}
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double us(const struct l1 *l, double cycles)
{
	return cycles * 1e3 / l->vm.tsc_khz;
}

/* By nearest rank, as sx_samples_percentile() has it. */
static double percentile(const struct l1 *l, uint32_t permille)
{
	uint64_t rank = ((uint64_t)l->count * permille + 999) / 1000;

	return us(l, l1_vm_cycles(&l->vm)[rank - 1]);
}

static void say_result(const struct l1 *l)
{
	uint32_t *cycles = l1_vm_cycles(&l->vm);
	double sum = 0;

	qsort(cycles, l->count, sizeof(*cycles), by_size);
	for (uint32_t i = 0; i < l->count; i++)
		sum += cycles[i];
	say("result %u %.3f %.3f %.3f %.3f %.3f", l->count, l->ms, percentile(l, 500),
	    percentile(l, 990), percentile(l, 999), us(l, sum / l->count));
}

static void wait_for_word(void)
{
	char line[64];

	if (!fgets(line, sizeof(line), stdin))
		give_up("the host says nothing more");
}

static void work(struct l1 *l)
{
	l1_vm_begin(&l->vm);
	accompany(l);
	if (l->rc < 0 || l1_vm_check(&l->vm, l->op, l->count) < 0)
		give_up(l->vm.why);
}

static void measure(struct l1 *l, enum l1_op op, uint32_t count)
{
	l->op = op;
	l->count = count;
	/* The first time L2 touches its memory, which costs exits. */
	work(l);
	say("ready");
	wait_for_word();
	work(l);
	say("done");
	wait_for_word();
	say_result(l);
}

static enum l1_op find_op(const char *name)
{
	for (int i = 0; i < L1_OPS; i++)
		if (strcmp(name, op_names[i]) == 0)
			return i;
	return L1_OPS;
}

/* Does CPU 1 have no clock tick while one thread has it? */
static bool tickless(void)
{
	char list[32] = "";
	FILE *f = fopen("/sys/devices/system/cpu/nohz_full", "re");

	if (!f)
		return false;
	if (!fgets(list, sizeof(list), f))
		list[0] = '\0';
	fclose(f);
	return list[0] == '0' + RUN_CPU;
}

int main(void)
{
	static struct l1 l;
	char line[64], name[32];
	unsigned count;

	if (l1_vm_open(&l.vm) < 0)
		give_up(l.vm.why);
	start_runner(&l);
	say("init %s", tickless() ? "tickless" : "ticks");
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "end\n") != 0) {
		if (sscanf(line, "%31s %u", name, &count) != 2 || find_op(name) == L1_OPS)
			give_up("L1 was asked for something it does not know");
		measure(&l, find_op(name), count);
	}
	return 0;
}
