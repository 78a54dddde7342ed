// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *json_quoted(const char *text)
{
	char *copy = strdup(text);
	json_error_t error;
	json_t *json;

	if (!copy)
		abort();
	for (char *at = copy; *at; at++)
		if (*at == '\'')
			*at = '"';
	json = json_loads(copy, JSON_DECODE_ANY, &error);
	if (!json) {
		fprintf(stderr, "%s in: %s\n", error.text, copy);
		abort();
	}
	free(copy);
	return json;
}

json_int_t json_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value)) {
		fprintf(stderr, "'%s' is no integer\n", key);
		abort();
	}
	return json_integer_value(value);
}

json_t *json_member(const json_t *list, const char *key, const char *value)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(json_object_get(item, key));

		if (text && strcmp(text, value) == 0)
			return item;
	}
	return NULL;
}
