// SPDX-License-Identifier: BSD-3-Clause
#include "cli/stats_diff.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool is_one_of(const char *key, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(key, *list) == 0)
			return true;
	return false;
}

/* Integers that say which or what, and count nothing. */
static bool is_count(const char *key)
{
	static const char *const others[] = {"version", "pid",   "start",   "index",         "vcpu",
					     "cpu",     "group", "pollers", "first_exit_ns", NULL};

	return !is_one_of(key, others);
}

/* Do @a and @b, of two lists, tell of the same thing? What they say of themselves decides. */
static bool is_same(const json_t *a, const json_t *b)
{
	static const char *const names[] = {"name",  "ring", "space", "base", "slot",
					    "index", "vcpu", "cpu",   NULL};

	for (unsigned i = 0; names[i]; i++) {
		const json_t *x = json_object_get(a, names[i]), *y = json_object_get(b, names[i]);

		if ((x || y) && !json_equal(x, y))
			return false;
	}
	return true;
}

/*
 * Item @index of @after as it is in @before, or NULL. Pollers may have one name; they keep their
 * order.
 */
static const json_t *find(const json_t *before, const json_t *after, size_t index)
{
	const json_t *wanted = json_array_get(after, index);
	size_t skip = 0;

	for (size_t i = 0; i < index; i++)
		skip += is_same(json_array_get(after, i), wanted);
	for (size_t i = 0; i < json_array_size(before); i++)
		if (is_same(json_array_get(before, i), wanted) && !skip--)
			return json_array_get(before, i);
	return NULL;
}

static json_t *number_difference(const json_t *before, const json_t *after)
{
	uint64_t d = (uint64_t)json_integer_value(after) - (uint64_t)json_integer_value(before);

	return json_integer(d > INT64_MAX ? 0 : (json_int_t)d);
}

static json_t *difference(const json_t *before, const json_t *after, const char *key);

static json_t *list_difference(const json_t *before, const json_t *after)
{
	json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(after); i++)
		json_array_append_new(
			list, difference(find(before, after, i), json_array_get(after, i), "item"));
	return list;
}

/* A share is one of the time between. */
static void set_busy(json_t *sidecore)
{
	double busy = (double)json_integer_value(json_object_get(sidecore, "busy_tsc"));
	double total = (double)json_integer_value(json_object_get(sidecore, "total_tsc"));

	json_object_set_new(sidecore, "busy_percent",
			    json_real(total > 0 ? 100.0 * busy / total : 0.0));
}

static json_t *object_difference(const json_t *before, const json_t *after)
{
	json_t *object = json_object(), *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)after, key, value) json_object_set_new(
		object, key, difference(json_object_get(before, key), value, key));
	if (json_object_get(after, "busy_percent"))
		set_busy(object);
	return object;
}

static json_t *difference(const json_t *before, const json_t *after, const char *key)
{
	if (json_is_object(after))
		return object_difference(before, after);
	if (json_is_array(after))
		return list_difference(before, after);
	if (json_is_integer(after) && is_count(key))
		return number_difference(before, after);
	return json_copy((json_t *)(uintptr_t)after);
}

static bool is_other_guest(const json_t *before, const json_t *after)
{
	static const char *const names[] = {"pid", "start", NULL};

	for (unsigned i = 0; names[i]; i++)
		if (!json_equal(json_object_get(before, names[i]),
				json_object_get(after, names[i])) &&
		    json_object_get(after, names[i]))
			return true;
	return false;
}

json_t *sx_stats_difference(const json_t *before, const json_t *after)
{
	return difference(is_other_guest(before, after) ? NULL : before, after, "");
}
