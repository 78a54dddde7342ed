// SPDX-License-Identifier: BSD-3-Clause
#include "cli/pc_devices.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ipc/rcu.h"

/* How often a device that cannot wake us is asked. */
#define TICK_MS 1

/* An RCU reader holds nothing up while it waits for the lock (exit_sink.c). */
static void serve(struct sx_pc_backend *b, struct sx_virtio_device *dev)
{
	pthread_mutex_lock(&b->trap->lock);
	rcu_thread_online();
	sx_virtio_device_poll(dev);
	rcu_thread_offline();
	pthread_mutex_unlock(&b->trap->lock);
}

static bool has_backend(const struct sx_virtio_device *dev)
{
	return dev->ops->poll != NULL;
}

static void serve_tick(struct sx_pc_backend *b)
{
	for (unsigned i = 0; i < b->devices; i++) {
		struct sx_virtio_device *dev = b->device[i].dev;

		if (dev->wake_fd < 0 && has_backend(dev))
			serve(b, dev);
	}
}

static void *backend_thread(void *arg)
{
	struct sx_pc_backend *b = arg;
	struct epoll_event event[16];

	sx_rcu_register();
	rcu_thread_offline();
	for (;;) {
		int n = epoll_wait(b->epoll_fd, event, 16, b->tick_ms);

		for (int i = 0; i < n; i++) {
			if (!event[i].data.ptr)
				goto out;
			serve(b, event[i].data.ptr);
		}
		if (b->tick_ms >= 0)
			serve_tick(b);
	}
out:
	rcu_thread_online();
	sx_rcu_unregister();
	return NULL;
}

static int watch(const struct sx_pc_backend *b, int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

	return epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int watch_devices(struct sx_pc_backend *b)
{
	int rc = watch(b, b->stop_fd, NULL);

	for (unsigned i = 0; rc == 0 && i < b->devices; i++) {
		struct sx_virtio_device *dev = b->device[i].dev;

		if (dev->wake_fd >= 0)
			rc = watch(b, dev->wake_fd, dev);
		else if (has_backend(dev))
			b->tick_ms = TICK_MS;
	}
	return rc;
}

int sx_pc_backend_start(struct sx_pc_backend *b, struct sx_trap_sink *trap,
			struct sx_pc_device *device, unsigned devices, struct sx_error *err)
{
	bool needed = false;
	int rc;

	*b = (struct sx_pc_backend){
		.trap = trap, .device = device, .devices = devices, .epoll_fd = -1, .tick_ms = -1};
	for (unsigned i = 0; i < devices; i++)
		needed |= has_backend(device[i].dev);
	if (!needed)
		return 0;
	b->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (b->stop_fd < 0)
		return sx_fail(err, -errno, "cannot create an eventfd: %s", strerror(errno));
	b->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rc = b->epoll_fd < 0 ? -errno : watch_devices(b);
	if (rc == 0)
		rc = -pthread_create(&b->thread, NULL, backend_thread, b);
	if (rc == 0)
		return 0;
	if (b->epoll_fd >= 0)
		close(b->epoll_fd);
	close(b->stop_fd);
	b->epoll_fd = -1;
	return sx_fail(err, rc, "cannot start the thread that waits for devices: %s",
		       strerror(-rc));
}

void sx_pc_backend_stop(struct sx_pc_backend *b)
{
	if (!b->trap || b->epoll_fd < 0)
		return;
	/* The first write to an eventfd does not fail. */
	eventfd_write(b->stop_fd, 1);
	pthread_join(b->thread, NULL);
	close(b->epoll_fd);
	close(b->stop_fd);
	b->epoll_fd = -1;
}
