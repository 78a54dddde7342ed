/* SPDX-License-Identifier: BSD-3-Clause */
/* The machine of machine.h on the VMX engine: what its files share. */
#ifndef DIFF_ENGINE_H
#define DIFF_ENGINE_H

#include "nested/vmx.h"
#include "nested/vmx_intercept.h"

struct engine {
	struct sx_vmx vmx;
	struct sx_vmx_cpu l1;
	struct sx_vmx_guest_state l2;
	uint64_t kernel_gs_base;
};

/* Physical memory at @gpa, NULL where not all @len bytes are there. */
void *engine_memory(uint64_t gpa, uint64_t len);

enum engine_step {
	ENGINE_NEXT,
	ENGINE_EXIT,    /* the exit is filled */
	ENGINE_UNKNOWN, /* this is not modelled */
};

/* Bytes of instruction or data that an access may be for; none of the cases' ends at a page's end.
 */
#define ENGINE_SPAN 16

/* Where L2's access at @linear lands; NULL: @step says what comes of it, the exit is filled. */
void *engine_access(struct engine *e, uint64_t linear, unsigned access, struct sx_vmx_exit *exit,
		    enum engine_step *step);
/* L2 executes what lies at its RIP, by the engine's leave. */
enum engine_step engine_instruction(struct engine *e, struct sx_vmx_exit *exit);
/* An exception of L2 at its RIP: an exit, or delivered. */
enum engine_step engine_raise(struct engine *e, const struct sx_vmx_exception *exception,
			      struct sx_vmx_exit *exit);
/* Run L2, which has just been entered, until it exits. False: it has done what is not modelled. */
bool engine_run_l2(struct engine *e, struct sx_vmx_exit *exit);

#endif
