// SPDX-License-Identifier: BSD-3-Clause
/* What this process has, to be compared before and after: descriptors, mappings, threads. */
#ifndef SX_TESTS_SUPPORT_LEAKS_H
#define SX_TESTS_SUPPORT_LEAKS_H

unsigned open_files(void);
unsigned threads(void);
/* Of files, KVM's among them. */
unsigned file_mappings(void);
/* Lines of /proc/self/maps with @word in them. */
unsigned mappings_of(const char *word);

#endif
