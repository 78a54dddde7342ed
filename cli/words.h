// SPDX-License-Identifier: BSD-3-Clause
/*
 * The values of options that are words with commas between them: "disk.img,readonly,queues=4".
 */
#ifndef SX_CLI_WORDS_H
#define SX_CLI_WORDS_H

struct sx_words {
	char *text; /* a copy, cut at its commas; to be freed, and the words with it */
	char *next; /* what is left of it; NULL: nothing */
};

/* The first word, or NULL when there is no memory. */
char *sx_words_begin(struct sx_words *w, const char *value);

/* The next word, cut at its '='; *value is "" without one. NULL: there are no more. */
char *sx_words_next(struct sx_words *w, char **value);

#endif
