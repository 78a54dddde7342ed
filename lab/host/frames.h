// SPDX-License-Identifier: BSD-3-Clause
/* What an emulated host sends (lab/wire.h), turned into output, files and an exit status. */
#ifndef SX_LAB_HOST_FRAMES_H
#define SX_LAB_HOST_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lab/wire.h"

struct sx_frames {
	/* Where each result goes: @result_count paths, owned by the caller. */
	char *const *results;
	size_t result_count;

	bool up;         /* the command was started */
	bool ended;      /* the last frame is here */
	bool failed;     /* the command was not started; @text says why */
	bool incomplete; /* a result did not come; that has been said on standard error */
	int status;      /* the command's exit status, once ended and not failed */
	char text[SX_LAB_PAYLOAD + 1];

	int file; /* being written, or -1 */
	size_t have;
	uint8_t buffer[sizeof(struct sx_lab_frame) + SX_LAB_PAYLOAD];
};

void sx_frames_init(struct sx_frames *frames, char *const *results, size_t count);

/*
 * Take @size bytes from the host. Bytes before its first frame are skipped (a BIOS may have
 * written them). Returns 0, or a negative errno when the stream makes no sense, after which no
 * more may be fed.
 */
int sx_frames_feed(struct sx_frames *frames, const void *data, size_t size);

#endif
