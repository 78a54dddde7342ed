// SPDX-License-Identifier: BSD-3-Clause
/* Values that several commands take. */
#ifndef SX_CLI_OPTIONS_H
#define SX_CLI_OPTIONS_H

#include <stdint.h>

#include "ipc/error.h"

/* A number in [low, high], decimal. */
int sx_parse_number(const char *option, const char *text, uint64_t low, uint64_t high,
		    uint64_t *value, struct sx_error *err);

/* A size in bytes: a number with an optional suffix K, M or G (powers of 1024; bare: MiB). */
int sx_parse_size(const char *option, const char *text, uint64_t *bytes, struct sx_error *err);

/*
 * -EINVAL, with a sentence on what getopt_long() did not like about the options of @command: it
 * returned @why, ':' that a value is missing or '?' the option itself. Its option string begins
 * with ':', and values from 256 on stand for long options only.
 */
int sx_refuse_option(const char *command, int why, char **argv, struct sx_error *err);

#endif
