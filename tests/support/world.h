// SPDX-License-Identifier: BSD-3-Clause
/*
 * A world for one integration test: real KVM guests and the sidecores that serve them.
 *
 * The cases of a test program are a table of SX_CASE(function, way): the same function is run in
 * several ways (trap, split, split with cores that sleep, ...). A case gets a fresh world, and
 * fails if it leaves a descriptor open, whether it passed or not. Where there is no usable
 * /dev/kvm, world_of() says why and skips the case.
 */
#ifndef SX_TESTS_SUPPORT_WORLD_H
#define SX_TESTS_SUPPORT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/machine.h"
#include "tests/guests/page.h"
#include "tests/support/leaks.h"

#define WORLD_GUESTS    2
#define WORLD_SIDECORES 2

/* How the exits, rings and pages of a case's guests are served. */
struct way {
	enum sx_mode mode;
	unsigned sidecores;         /* that the world has, bound nowhere; 0 in trap mode */
	struct sx_wait_policy wait; /* of both sides */
};

extern const struct way way_trap;
extern const struct way way_split;  /* one sidecore that never sleeps */
extern const struct way way_split2; /* two of them, the devices dealt out */
extern const struct way way_sleep;  /* one that sleeps as soon as it is idle */
extern const struct way way_sleep2; /* two of those */

#define SX_CASE(FUNCTION, WAY)                                                  \
	{                                                                       \
#FUNCTION " (" #WAY ")", FUNCTION, world_setup, world_teardown, \
			(void *)(uintptr_t)&way_##WAY                           \
	}

/* One guest and what it has said so far. */
struct guest {
	struct sx_machine m;
	struct sx_machine_run run;
	bool built;
	bool running;
	struct test_page *page; /* at the start of the guest's heap */
	char *said;             /* ends with a NUL beyond `length` */
	size_t length;
};

struct world {
	const struct way *way;
	struct sx_kvm kvm;
	struct sx_error why; /* there is no KVM here */
	struct sx_sidecore *sidecore[WORLD_SIDECORES];
	unsigned sidecores;
	struct guest guest[WORLD_GUESTS];
	unsigned guests;
	unsigned files; /* open before the world was made */
	char path[WORLD_GUESTS][4096];
};

int world_setup(void **state);
int world_teardown(void **state);

/* The case's world, its sidecores started. Skips the case where there is no KVM. */
struct world *world_of(void **state);

/* Returns when every poller of every sidecore has looked once more. */
void world_settle(struct world *w);

/* What a guest of this world is made of; tests change what they want otherwise. */
struct sx_machine_config world_config(struct world *w, const char *program);

/* Build the guest @program, of bench/guests/ or, with "tests/" before it, of tests/guests/. */
struct guest *guest_build(struct world *w, const char *program);
struct guest *guest_build_as(struct world *w, const struct sx_machine_config *config);
void guest_destroy(struct guest *g);

/* The path of @program, which is looked for in the same way. */
void guest_path(const char *program, char *path, size_t size);

/* A thread for each vCPU, bound nowhere. */
void guest_start(struct guest *g);
/*
 * Take what the guest says until it ends, join, and have all counts brought up to date. Returns
 * what sx_machine_join() says.
 */
int guest_wait(struct guest *g, struct sx_error *err);
/* Stop it now. */
int guest_stop(struct guest *g, struct sx_error *err);

/* Take what the guest has said since the last call, at most @max bytes; returns how many. */
size_t guest_listen(struct guest *g, size_t max);

/* Run it to its end, which it must have chosen itself; returns its exit code. */
uint32_t guest_run(struct guest *g);

/* The same, and it must end with 0 after all its vCPUs have done @count things, none wrong. */
void guest_work(struct guest *g, enum test_work work, uint64_t count);

/* KVM's counter of vCPU @vcpu now. */
uint64_t guest_counter(struct guest *g, unsigned vcpu, const char *name);

/* Leave the CPUs to the guest and its sidecores for a moment. */
void pause_a_little(void);

/* ---- what set-ups say ---- */

/* @err holds one sentence, as the conventions have it, with @says in it. */
void want_sentence(const struct sx_error *err, const char *says);

#endif
