// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/irq.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int sx_irq_init(struct sx_irq *irq, struct sx_error *err)
{
	irq->raised = 0;
	irq->route = -1;
	irq->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (irq->fd < 0)
		return sx_fail(err, -errno, "cannot create an eventfd for an interrupt: %s",
			       strerror(errno));
	return 0;
}

void sx_irq_destroy(struct sx_irq *irq)
{
	if (irq->fd >= 0)
		close(irq->fd);
	irq->fd = -1;
}

int sx_irq_raise(struct sx_irq *irq)
{
	const uint64_t one = 1;

	if (write(irq->fd, &one, sizeof(one)) != sizeof(one))
		return -errno;
	__atomic_fetch_add(&irq->raised, 1, __ATOMIC_RELAXED); /* a statistic: no pair */
	return 0;
}
