// SPDX-License-Identifier: BSD-3-Clause
/*
 * What happened between two snapshots (stats.h).
 */
#ifndef SX_CLI_STATS_DIFF_H
#define SX_CLI_STATS_DIFF_H

#include <jansson.h>

/*
 * @after with each counter lessened by what it was in @before; `guest_ns` is then how long it took,
 * and `busy_percent` is of that time. What is not in @before counts from 0, and so does all when
 * the guest was started again, or is another. What is not in @after is left out. A counter may have
 * wrapped; one that went back a little, as `requests` may, did not count.
 *
 * Both may be any JSON. The result is to be decref'ed; NULL without memory.
 */
json_t *sx_stats_difference(const json_t *before, const json_t *after);

#endif
