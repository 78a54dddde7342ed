// SPDX-License-Identifier: BSD-3-Clause
/*
 * The user's terminal while a guest has the console: characters reach the guest one by one and
 * unechoed, and all is as before afterwards.
 */
#ifndef SX_CLI_TERMINAL_H
#define SX_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

struct sx_terminal {
	bool changed;
	struct termios before;
};

/*
 * Nothing when standard input is no terminal, or one that we are in the background of. With
 * @all_keys the guest gets Ctrl-C and its like too; else they still interrupt splitx.
 */
void sx_terminal_enter(struct sx_terminal *t, bool all_keys);
/* Nothing when nothing was changed; may be called twice. */
void sx_terminal_restore(struct sx_terminal *t);

/* How large is what the user looks at? False when that is no terminal. */
bool sx_terminal_size(uint16_t *cols, uint16_t *rows);

#endif
