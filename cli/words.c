// SPDX-License-Identifier: BSD-3-Clause
#include "cli/words.h"

#include <stddef.h>
#include <string.h>

char *sx_words_begin(struct sx_words *w, const char *value)
{
	w->text = w->next = strdup(value);
	return w->text ? strsep(&w->next, ",") : NULL;
}

char *sx_words_next(struct sx_words *w, char **value)
{
	char *word = w->next ? strsep(&w->next, ",") : NULL;

	*value = word;
	if (word)
		strsep(value, "=");
	if (word && !*value)
		*value = word + strlen(word);
	return word;
}
