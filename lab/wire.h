// SPDX-License-Identifier: BSD-3-Clause
/*
 * What an emulated host says to the machine it runs on: frames over its second serial port.
 * The host's init (lab/guest) writes them, lab/host reads them.
 *
 * Each frame is a struct sx_lab_frame and @size bytes. All numbers are little endian, which is
 * what both sides are.
 */
#ifndef SX_LAB_WIRE_H
#define SX_LAB_WIRE_H

#include <stdint.h>

#define SX_LAB_MAGIC   0x4c53 /* "SL" */
#define SX_LAB_PAYLOAD 4096   /* the largest @size */

enum sx_lab_kind {
	SX_LAB_UP = 'U',      /* the modules are loaded, the command starts; no payload */
	SX_LAB_STDOUT = 'O',  /* bytes of the command */
	SX_LAB_STDERR = 'E',  /* bytes of the command */
	SX_LAB_FILE = 'F',    /* a result file begins: struct sx_lab_file and its name */
	SX_LAB_DATA = 'D',    /* bytes of that file */
	SX_LAB_CLOSE = 'C',   /* the file is complete; no payload */
	SX_LAB_MISSING = 'M', /* struct sx_lab_missing: a result that cannot be brought back */
	SX_LAB_EXIT = 'X',    /* int32_t, the command's exit status; the last frame */
	SX_LAB_FAILED = 'L',  /* a sentence: the command was not started; the last frame */
};

struct sx_lab_frame {
	uint16_t magic;
	uint16_t kind;
	uint32_t size;
};

/* Followed by the path below the wanted directory, or by nothing where a file was wanted. */
struct sx_lab_file {
	uint32_t result; /* the how-manieth --result */
	uint32_t mode;   /* permission bits */
};

struct sx_lab_missing {
	uint32_t result;
	int32_t error; /* an errno */
};

/*
 * What the init is to do is in its file SX_LAB_PLAN: texts, each closed by a NUL byte, whose
 * first letter says what the rest is.
 */
#define SX_LAB_PLAN        "/plan"
#define SX_LAB_PLAN_LOAD   'm' /* a kernel module's path, and after a space its parameters */
#define SX_LAB_PLAN_ARG    'a' /* the next argument of the command */
#define SX_LAB_PLAN_RESULT 'r' /* a path to bring back */
#define SX_LAB_PLAN_SHELL  's' /* "ROWS COLUMNS": a shell on the console instead of a command */

#endif
