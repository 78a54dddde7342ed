// SPDX-License-Identifier: BSD-3-Clause
/* Files that go from an emulated host to the machine outside. */
#ifndef SX_LAB_GUEST_RESULTS_H
#define SX_LAB_GUEST_RESULTS_H

#include <stdint.h>

/*
 * Send the file @path, or every regular file below the directory @path, as the @result-th result.
 * What cannot be read is reported as missing.
 */
void sx_results_send(uint32_t result, const char *path);

#endif
