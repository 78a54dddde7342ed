// SPDX-License-Identifier: BSD-3-Clause
/*
 * Bytes of a chain, however the driver cut it into segments.
 */
#include <string.h>

#include "sidecore/virtio/queue.h"

/* Copy between @buf and the segments from @offset on; returns how many bytes. */
static size_t copy(const struct iovec *seg, unsigned count, size_t offset, uint8_t *buf, size_t len,
		   enum sx_access access)
{
	size_t done = 0;

	for (unsigned i = 0; i < count && done < len; i++) {
		size_t n = seg[i].iov_len;
		uint8_t *p = seg[i].iov_base;

		if (offset >= n) {
			offset -= n;
			continue;
		}
		n -= offset;
		if (n > len - done)
			n = len - done;
		if (access == SX_WRITE)
			memcpy(p + offset, buf + done, n);
		else
			memcpy(buf + done, p + offset, n);
		done += n;
		offset = 0;
	}
	return done;
}

size_t sx_vq_read(const struct sx_vq_chain *chain, size_t offset, void *to, size_t len)
{
	return copy(chain->seg, chain->readable, offset, to, len, SX_READ);
}

size_t sx_vq_write(const struct sx_vq_chain *chain, size_t offset, const void *from, size_t len)
{
	/* copy() only reads the buffer for SX_WRITE. */
	return copy(chain->seg + chain->readable, chain->writable, offset,
		    (uint8_t *)(uintptr_t)from, len, SX_WRITE);
}

unsigned sx_iov_slice(const struct iovec *seg, unsigned count, size_t skip, size_t len,
		      struct iovec *out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count && len; i++) {
		size_t left = seg[i].iov_len;

		if (skip >= left) {
			skip -= left;
			continue;
		}
		left -= skip;
		if (left > len)
			left = len;
		out[n].iov_base = (uint8_t *)seg[i].iov_base + skip;
		out[n++].iov_len = left;
		len -= left;
		skip = 0;
	}
	return n;
}
