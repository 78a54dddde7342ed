// SPDX-License-Identifier: BSD-3-Clause
/*
 * Snapshots (stats.h) for people.
 */
#ifndef SX_CLI_STATS_PRINT_H
#define SX_CLI_STATS_PRINT_H

#include <jansson.h>
#include <stdio.h>

/* All that @stats counted since the guest's start. Both return 0, or -EIO when @to fails. */
int sx_stats_print(FILE *to, const json_t *stats);
int sx_stats_write(FILE *to, const json_t *stats); /* as JSON */

/*
 * How fast it counts: @now, and the @difference (stats_diff.h) to an earlier snapshot. Exits by
 * their kind, then who caused them, most first, and what needed none.
 */
void sx_stats_print_rates(FILE *to, const json_t *now, const json_t *difference);

/* stats_exits.c: the first part of it, of exits in @seconds. */
void sx_stats_print_exits(FILE *to, const json_t *difference, double seconds);

#endif
