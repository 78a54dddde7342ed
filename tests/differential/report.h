/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What cases say: one line each, "CASE: what came of it". A line "CASE+MORE: ..." is what else
 * there is to see afterwards.
 */
#ifndef DIFF_REPORT_H
#define DIFF_REPORT_H

#include "tests/differential/machine.h"

#define DIFF_NAME 64

struct diff_case {
	char name[DIFF_NAME];
};

/* %s a string, %u an unsigned, %x a uint64_t in hexadecimal; nothing else. */
void diff_say(const char *format, ...);
/* Name a case: the formats are those of diff_say(). */
struct diff_case diff_case(const char *format, ...);

/* "CASE:" and how the instruction ended; the caller ends the line. Registers are those it left. */
void diff_say_end(const struct diff_case *c, const struct diff_end *end);

/*
 * Execute one instruction as a step of @c in @mode and say what came of it, with the registers that
 * changed and what then is at AT_OPERAND if that did.
 */
struct diff_end diff_step(const struct diff_case *c, enum diff_mode mode, const uint8_t *code,
			  unsigned length, uint64_t gpr[GPRS]);

#endif
