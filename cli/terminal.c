// SPDX-License-Identifier: BSD-3-Clause
#include "cli/terminal.h"

#include <unistd.h>

void sx_terminal_enter(struct sx_terminal *t)
{
	struct termios raw;

	t->changed = false;
	if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp() ||
	    tcgetattr(STDIN_FILENO, &t->before) < 0)
		return;
	raw = t->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	t->changed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void sx_terminal_restore(struct sx_terminal *t)
{
	if (t->changed)
		tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
	t->changed = false;
}
