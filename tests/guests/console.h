/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guest `console` takes as its argument: how, and from bit 8 on how many bytes. */
#ifndef TEST_CONSOLE_H
#define TEST_CONSOLE_H

enum test_console {
	TEST_CONSOLE_PRINT = 1, /* print the bytes of test_random(), waiting for room */
	TEST_CONSOLE_STRINGS,   /* the same by string instructions of 16 bytes */
	TEST_CONSOLE_SHOUT,     /* print them without waiting */
	TEST_CONSOLE_ECHO,      /* print what is read */
};

#define TEST_CONSOLE_HOW         0xffull
#define TEST_CONSOLE_COUNT_SHIFT 8
#define TEST_CONSOLE_SEED        0x636f6e736f6c65ull

#endif
