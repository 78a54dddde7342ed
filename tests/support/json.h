// SPDX-License-Identifier: BSD-3-Clause
/*
 * JSON in tests: written with ' for ", and looked into. Aborts where it is not what it should be.
 */
#ifndef SX_TESTS_SUPPORT_JSON_H
#define SX_TESTS_SUPPORT_JSON_H

#include <jansson.h>

/* @text, in which ' stands for ", as JSON. */
json_t *json_quoted(const char *text);

/* The integer @key of @object. */
json_int_t json_number(const json_t *object, const char *key);

/* The first item of @list whose string @key is @value; NULL: there is none. */
json_t *json_member(const json_t *list, const char *key, const char *value);

#endif
