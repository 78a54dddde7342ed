// SPDX-License-Identifier: BSD-3-Clause
#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

void sx_terminal_enter(struct sx_terminal *t, bool all_keys)
{
	struct termios raw;

	t->changed = false;
	if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp() ||
	    tcgetattr(STDIN_FILENO, &t->before) < 0)
		return;
	raw = t->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	if (all_keys) {
		raw.c_lflag &= ~(tcflag_t)(ISIG | IEXTEN);
		raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL | INLCR | IGNCR | ISTRIP | BRKINT);
	}
	t->changed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void sx_terminal_restore(struct sx_terminal *t)
{
	if (t->changed)
		tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
	t->changed = false;
}

bool sx_terminal_size(uint16_t *cols, uint16_t *rows)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 &&
	    ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
		return false;
	*cols = size.ws_col;
	*rows = size.ws_row;
	return true;
}
