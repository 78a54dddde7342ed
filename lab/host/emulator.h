// SPDX-License-Identifier: BSD-3-Clause
/* A running emulator: a child process whose serial ports end at us. */
#ifndef SX_LAB_HOST_EMULATOR_H
#define SX_LAB_HOST_EMULATOR_H

#include <stdbool.h>
#include <sys/types.h>

/* The emulator finds its serial ports as these descriptors (and opens them as /dev/fd/N). */
#define SX_EMULATOR_CONSOLE 3
#define SX_EMULATOR_CHANNEL 4

struct sx_emulator {
	pid_t pid;
	int exited;  /* a pidfd: readable once the emulator has ended */
	int console; /* what it writes to its first serial port; both ways where it is a terminal */
	int channel; /* what it writes to its second */
	int quiet;   /* the other end of its standard input, which stays open and silent */
};

/*
 * Start @argv with its own words going to the file @log. @terminal makes the console a
 * pseudo-terminal. It dies with us, however we end. Returns 0 or a negative errno; a program
 * that cannot be run says so in @log and ends.
 */
int sx_emulator_start(struct sx_emulator *emulator, char *const *argv, const char *log,
		      bool terminal);

/* End it and its own children, if they still run, and wait until it is gone. */
void sx_emulator_stop(struct sx_emulator *emulator);

#endif
