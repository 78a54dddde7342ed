// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtio device's life as the driver steers it: status, features, queues, resets, faults; and
 * what a device model may count on meanwhile. In both modes; in split mode the test itself is the
 * poller, so each turn comes when it is wanted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/virtio_pci.h>

#include "tests/support/virtio_world.h"

#define QUEUES   4
#define SIZE     16
#define FEATURE  SX_VIRTIO_BIT(5)
#define UNWANTED SX_VIRTIO_BIT(6) /* offered, but features_ok() says no */
#define CONFIG   12

#define ACKNOWLEDGED (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define NEGOTIATED   (ACKNOWLEDGED | VIRTIO_CONFIG_S_FEATURES_OK)
#define UP           (NEGOTIATED | VIRTIO_CONFIG_S_DRIVER_OK)

/* A model that turns bytes over. Queues 0 and 1 are group 0, the others group 1. */
struct model {
	struct sx_virtio_device dev;
	unsigned started[QUEUES], stops_asked[QUEUES], resets;
	bool under_way; /* queue_stop() says that I/O is */
	bool full;      /* the back end takes nothing */
	bool takes;     /* poll() takes a chain of queue 0 by itself */
	bool answers;   /* a chain of queue 1 takes one of queue 0 along */
	unsigned late;  /* chains that poll() is to complete */
	struct sx_vq_chain held[SIZE];
	unsigned holds;
	bool hold; /* keep chains for poll() */
	uint32_t wrote_at;
	uint64_t wrote;
	unsigned writes;
};

static struct model *model_of(struct sx_virtio_device *dev)
{
	return (struct model *)dev;
}

static unsigned take_one(struct model *m)
{
	struct iovec pool[8];
	struct sx_vq_chain c;

	if (!sx_virtqueue_pop(&m->dev.queue[0], &c, 1, pool, 8))
		return 0;
	sx_virtqueue_push(&m->dev.queue[0], &c, 0);
	return 1;
}

static unsigned process(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	struct model *m = model_of(dev);
	struct iovec pool[8];
	struct sx_vq_chain c;
	uint8_t byte;

	assert_true(sx_virtqueue_ready(vq));
	if (m->answers && vq->index == 1)
		take_one(m);
	if ((m->full && vq->index == 0) || !sx_virtqueue_pop(vq, &c, 1, pool, 8))
		return 0;
	if (m->hold) {
		m->held[m->holds++] = c;
		return 1;
	}
	if (sx_vq_read(&c, 0, &byte, 1) != 1) {
		sx_virtqueue_fail(vq, "a request without a byte");
		return 0;
	}
	byte = (uint8_t)~byte;
	sx_virtqueue_push(vq, &c, (uint32_t)sx_vq_write(&c, 0, &byte, 1));
	return 1;
}

static unsigned poll(struct sx_virtio_device *dev, unsigned group)
{
	struct model *m = model_of(dev);
	unsigned n = 0;

	if (group == 0 && m->takes)
		n = take_one(m);
	for (; group == 0 && m->late && m->holds; n++, m->late--)
		sx_virtqueue_push(&dev->queue[0], &m->held[--m->holds], 0);
	return n;
}

static void queue_start(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	assert_true(vq->running);
	assert_true(vq->group == vq->index / 2);
	model_of(dev)->started[vq->index]++;
}

static bool queue_stop(struct sx_virtio_device *dev, struct sx_virtqueue *vq)
{
	model_of(dev)->stops_asked[vq->index]++;
	return !model_of(dev)->under_way;
}

static bool features_ok(struct sx_virtio_device *dev, uint64_t features)
{
	(void)dev;
	return !(features & UNWANTED);
}

static void config_write(struct sx_virtio_device *dev, uint32_t offset, unsigned size,
			 uint64_t value)
{
	struct model *m = model_of(dev);

	m->wrote_at = offset;
	m->wrote = value & sx_bus_all_ones(size);
	m->writes++;
	if (offset == 8 && size == 4)
		sx_virtio_config_set(dev, 8, &value, 4, false);
}

static void reset(struct sx_virtio_device *dev)
{
	for (unsigned i = 0; i < dev->queues; i++)
		assert_false(dev->queue[i].running);
	model_of(dev)->resets++;
	model_of(dev)->holds = 0;
}

static const struct sx_virtio_ops ops = {
	.name = "virtio-model",
	.id = 42,
	.process = process,
	.poll = poll,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.features_ok = features_ok,
	.config_write = config_write,
	.reset = reset,
};

static struct vw_world w;
static struct model m;
static struct sx_virtio_pci pci;
static struct vw_driver d;
static sx_gpa buffers;

static const uint16_t groups[QUEUES] = {0, 0, 1, 1};

static void build(struct sx_virtio_env env)
{
	const uint8_t config[CONFIG] = {1, 2, 3, 4, 5, 6, 7, 8};
	const struct sx_virtio_shape shape = {
		.features = FEATURE | UNWANTED,
		.queues = QUEUES,
		.queue_size = SIZE,
		.max_segs = 8,
		.groups = 2,
		.group_of = groups,
		.config = config,
		.config_size = CONFIG,
	};

	memset(&m, 0, sizeof(m));
	assert_int_equal(sx_virtio_device_init(&m.dev, &ops, &shape, &env, NULL), 0);
	assert_int_equal(sx_virtio_pci_init(&pci, &m.dev, &w.host, SX_PCI_ANY, NULL), 0);
	assert_int_equal(vw_probe(&d, &w, pci.function.devfn), 0);
}

static void open_world(bool polled)
{
	vw_init(&w, 1 << 20);
	build(vw_env(&w, polled));
	buffers = vd_alloc(&w.memory, 4096, 16);
}

static void close_world(void)
{
	while (d.queues)
		vd_queue_destroy(&d.queue[--d.queues]);
	sx_virtio_pci_destroy(&pci);
	sx_virtio_device_destroy(&m.dev);
	vw_destroy(&w);
}

static int set_up_trap(void **state)
{
	(void)state;
	open_world(false);
	return 0;
}

static int set_up_split(void **state)
{
	(void)state;
	open_world(true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_world();
	return 0;
}

/* A turn of both groups' pollers, where there are any. */
static unsigned turn(void)
{
	return m.dev.env.polled ? sx_virtio_device_poll(&m.dev) : 0;
}

static void bring_up(uint64_t features)
{
	assert_int_equal(vw_negotiate(&d, features), 0);
	for (unsigned i = 0; i < QUEUES; i++)
		vw_add_queue(&d, SIZE);
	vw_start(&d);
	turn();
}

static void write_status(uint8_t status)
{
	vw_set(&d, VIRTIO_PCI_COMMON_STATUS, 1, status);
}

/* Send a byte through @queue; true if it comes back turned over. */
static bool echo(unsigned queue, uint8_t byte)
{
	const struct vd_buffer b[] = {{buffers, 1}, {buffers + 1, 1}};
	uint8_t *bytes = vd_at(&w.memory, buffers);
	uint32_t len = 0;
	void *token;

	bytes[0] = byte;
	bytes[1] = byte;
	assert_int_equal(vd_add(&d.queue[queue], b, 1, 1, NULL), 0);
	vw_kick(&d, queue);
	turn();
	return vd_take(&d.queue[queue], &token, &len) == 1 && len == 1 && bytes[1] + byte == 0xff;
}

/* ---- the straight way ---- */

static void a_device_serves_all_its_queues(void **state)
{
	(void)state;
	assert_int_equal(vw_status(&d), 0);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_NUMQ, 2), QUEUES);
	bring_up(FEATURE | SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
	assert_int_equal(vw_status(&d), UP);
	for (unsigned round = 0; round < 100; round++)
		for (unsigned i = 0; i < QUEUES; i++) {
			assert_true(echo(i, (uint8_t)(round * 3 + i)));
			assert_int_equal(vw_queue_interrupts(&d, i), round == 0);
		}
	for (unsigned i = 0; i < QUEUES; i++) {
		const struct sx_vq_stats *s = &m.dev.queue[i].stats;

		assert_int_equal(m.started[i], 1);
		assert_int_equal(s->requests, 100);
		assert_int_equal(s->interrupts, 1);
		assert_int_equal(s->suppressed, 99);
		/* An exit for each in trap mode, none in split mode. */
		assert_int_equal(s->kicks, m.dev.env.polled ? 0 : 100);
		assert_int_equal(s->absorbed, m.dev.env.polled ? 100 : 0);
	}
	assert_int_equal(m.dev.refused + pci.refused + m.dev.faults, 0);
	vw_stop(&d);
	turn();
	assert_int_equal(vw_status(&d), 0);
	assert_int_equal(m.resets, 2); /* before, and now */
}

static void nothing_runs_before_driver_ok(void **state)
{
	const struct vd_buffer b[] = {{0x1000, 1}, {0x1001, 1}};
	uint32_t len;
	void *token;

	(void)state;
	assert_int_equal(vw_negotiate(&d, 0), 0);
	for (unsigned i = 0; i < 2; i++)
		vw_add_queue(&d, SIZE);
	assert_int_equal(vd_add(&d.queue[0], b, 1, 1, NULL), 0);
	vd_publish(&d.queue[0]);
	vw_notify(&d, 0);
	turn();
	assert_int_equal(vd_take(&d.queue[0], &token, &len), 0);
	assert_int_equal(m.started[0], 0);
	vw_start(&d);
	turn();
	/* What had been made available is found without another notification. */
	assert_int_equal(vd_take(&d.queue[0], &token, &len), 1);
	assert_int_equal(m.started[0], 1);
	assert_int_equal(m.started[2], 0);
	/* A queue that is enabled later runs from then on (4.1.4.3.2 lets it). */
	vw_add_queue(&d, SIZE);
	turn();
	assert_int_equal(m.started[2], 1);
	assert_true(echo(2, 9));
}

/* ---- status and features ---- */

static void features_are_agreed_on(void **state)
{
	(void)state;
	write_status(ACKNOWLEDGED);
	/* Without VERSION_1. */
	vw_set(&d, VIRTIO_PCI_COMMON_GF, 4, FEATURE);
	write_status(NEGOTIATED);
	assert_int_equal(vw_status(&d), ACKNOWLEDGED);
	/* What was not offered. */
	vw_set(&d, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	vw_set(&d, VIRTIO_PCI_COMMON_GF, 4, 1u << (VIRTIO_F_SR_IOV - 32) | 1);
	write_status(NEGOTIATED);
	assert_int_equal(vw_status(&d), ACKNOWLEDGED);
	vw_set(&d, VIRTIO_PCI_COMMON_GF, 4, 1);
	/* What the model cannot do. */
	vw_set(&d, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	vw_set(&d, VIRTIO_PCI_COMMON_GF, 4, UNWANTED);
	write_status(NEGOTIATED);
	assert_int_equal(vw_status(&d), ACKNOWLEDGED);
	vw_set(&d, VIRTIO_PCI_COMMON_GF, 4, FEATURE);
	/* Beyond bit 63 there is nothing, and saying so is harmless. */
	vw_set(&d, VIRTIO_PCI_COMMON_GFSELECT, 4, 2);
	vw_set(&d, VIRTIO_PCI_COMMON_GF, 4, 0);
	vw_set(&d, VIRTIO_PCI_COMMON_DFSELECT, 4, 0xffffffff);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_DF, 4), 0);
	write_status(NEGOTIATED);
	assert_int_equal(vw_status(&d), NEGOTIATED);
	/* From now on they stay. */
	vw_set(&d, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	vw_set(&d, VIRTIO_PCI_COMMON_GF, 4, 0);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_GF, 4), FEATURE);
	assert_int_equal(m.dev.refused, 1);
}

static void status_goes_one_way(void **state)
{
	(void)state;
	write_status(ACKNOWLEDGED | VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(vw_status(&d), ACKNOWLEDGED); /* there are no features */
	write_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(vw_status(&d), ACKNOWLEDGED); /* no bit is cleared */
	assert_int_equal(m.dev.refused, 1);
	write_status(ACKNOWLEDGED | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(vw_status(&d), ACKNOWLEDGED); /* that one is ours */
	write_status(ACKNOWLEDGED | VIRTIO_CONFIG_S_FAILED);
	assert_int_equal(vw_status(&d), ACKNOWLEDGED | VIRTIO_CONFIG_S_FAILED);
	write_status(0);
	assert_int_equal(vw_status(&d), 0);
}

static void withheld_features_are_not_offered(void **state)
{
	struct sx_virtio_env env = vw_env(&w, false);

	(void)state;
	sx_virtio_pci_destroy(&pci);
	sx_virtio_device_destroy(&m.dev);
	env.withhold = SX_VIRTIO_BIT(VIRTIO_F_RING_PACKED) | FEATURE;
	build(env);
	assert_int_equal(vw_negotiate(&d, UINT64_MAX & ~UNWANTED), 0);
	assert_int_equal(d.features & (env.withhold | SX_VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM)), 0);
	assert_int_not_equal(d.features & SX_VIRTIO_BIT(VIRTIO_F_IN_ORDER), 0);
}

static void behind_an_iommu_the_driver_must_know(void **state)
{
	struct sx_virtio_env env = vw_env(&w, false);

	(void)state;
	sx_virtio_pci_destroy(&pci);
	sx_virtio_device_destroy(&m.dev);
	env.platform = true;
	build(env);
	assert_int_equal(vw_negotiate(&d, 0), -EPROTO);
	assert_int_equal(vw_negotiate(&d, SX_VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM)), 0);
}

/* ---- resets ---- */

static void a_reset_waits_for_what_is_under_way(void **state)
{
	(void)state;
	bring_up(0);
	m.under_way = true;
	write_status(0);
	for (unsigned i = 0; i < 3; i++) {
		turn();
		assert_int_equal(vw_status(&d), UP);
	}
	assert_int_equal(m.resets, 1);
	/* The driver has to wait. */
	write_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
	write_status(0);
	vw_set(&d, VIRTIO_PCI_COMMON_GF, 4, 0);
	assert_int_equal(m.dev.refused, 3);
	assert_int_equal(vw_status(&d), UP);
	m.under_way = false;
	turn();
	assert_int_equal(vw_status(&d), 0);
	assert_int_equal(m.resets, 2);
	assert_true(m.stops_asked[0] > 1);
	/* And all is as it was at first. */
	vw_set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_SIZE, 2), SIZE);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	vw_set(&d, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_GF, 4), 0);
	vw_stop(&d);
	bring_up(0);
	assert_true(echo(3, 1));
}

/* A group that has not heard yet that its queues should run may be starting them right now. */
static void a_reset_waits_for_who_may_be_starting(void **state)
{
	(void)state;
	bring_up(0);
	vw_stop(&d);
	turn();
	assert_int_equal(vw_negotiate(&d, 0), 0);
	for (unsigned i = 0; i < QUEUES; i++)
		vw_add_queue(&d, SIZE);
	vw_start(&d);
	write_status(0);
	assert_int_equal(vw_status(&d), UP);
	turn();
	assert_int_equal(vw_status(&d), 0);
	/* It had no reason to start them any more. */
	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(m.started[i], 1);
	vw_stop(&d);
	bring_up(0);
	assert_true(echo(3, 1));
}

/* Completions that come while the driver waits for its reset are not shown to it. */
static void a_late_completion_is_not_seen(void **state)
{
	const struct vd_buffer b = {0x1000, 1};
	uint32_t len;
	void *token;

	(void)state;
	bring_up(0);
	m.hold = true;
	assert_int_equal(vd_add(&d.queue[0], &b, 0, 1, NULL), 0);
	vw_kick(&d, 0);
	turn();
	assert_int_equal(m.holds, 1);
	m.under_way = true;
	write_status(0);
	m.late = 1;
	turn();
	vw_status(&d);
	assert_int_equal(m.late, 0);
	assert_int_equal(vd_take(&d.queue[0], &token, &len), 0);
	m.under_way = false;
	turn();
	assert_int_equal(vw_status(&d), 0);
}

static bool queue_is_resetting(unsigned queue)
{
	vw_set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	return vw_get(&d, VIRTIO_PCI_COMMON_Q_RESET, 2);
}

static void one_queue_is_reset_alone(void **state)
{
	struct sx_vq_setup s;

	(void)state;
	bring_up(SX_VIRTIO_BIT(VIRTIO_F_RING_RESET));
	m.under_way = true;
	vw_set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	turn();
	assert_true(queue_is_resetting(1));
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	/* Not yet. */
	vw_set(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	m.under_way = false;
	turn();
	assert_false(queue_is_resetting(1));
	for (unsigned i = 0; i < QUEUES; i++)
		if (i != 1)
			assert_true(echo(i, (uint8_t)i));
	/* It begins anew, elsewhere. */
	vd_queue_destroy(&d.queue[1]);
	vd_queue_init(&d.queue[1], &w.memory, 4, d.features);
	s = vd_queue_setup(&d.queue[1]);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 8, s.desc);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_AVAILLO, 8, s.driver);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_USEDLO, 8, s.device);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	turn();
	assert_int_equal(m.started[1], 2);
	for (unsigned i = 0; i < 10; i++)
		assert_true(echo(1, (uint8_t)i));
	assert_int_equal(vw_status(&d), UP);
	assert_int_equal(m.resets, 1);
}

static void a_queue_reset_must_be_negotiated(void **state)
{
	(void)state;
	bring_up(0);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_RESET, 2, 1);
	turn();
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	assert_int_equal(m.dev.refused, 1);
	assert_true(echo(0, 1));
}

/* ---- faults ---- */

static void want_needs_reset(const char *why)
{
	assert_int_equal(vw_status(&d), UP | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_string_equal(m.dev.fault, why);
	assert_int_equal(m.dev.faults, 1);
	assert_int_equal(vw_config_interrupts(&d), 1);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_false(echo(i, 5));
	/* The driver's way out. */
	vw_stop(&d);
	turn();
	assert_int_equal(vw_status(&d), 0);
	assert_null(m.dev.fault);
	bring_up(0);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_true(echo(i, 6));
	assert_int_equal(vw_config_interrupts(&d), 0);
}

static void a_malformed_chain_needs_a_reset(void **state)
{
	const struct vd_buffer b = {w.memory.size, 1};

	(void)state;
	bring_up(0);
	assert_true(echo(2, 1));
	assert_int_equal(vd_add(&d.queue[2], &b, 1, 0, NULL), 0);
	vw_kick(&d, 2);
	turn();
	want_needs_reset("a buffer is not in guest memory");
}

static void a_model_may_refuse_too(void **state)
{
	const struct vd_buffer b = {0x1000, 1};

	(void)state;
	bring_up(0);
	assert_int_equal(vd_add(&d.queue[1], &b, 0, 1, NULL), 0);
	vw_kick(&d, 1);
	turn();
	want_needs_reset("a request without a byte");
}

static void a_queue_that_cannot_start_needs_a_reset(void **state)
{
	(void)state;
	assert_int_equal(vw_negotiate(&d, 0), 0);
	vw_add_queue(&d, SIZE);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_DESCLO, 8, 0x1234);
	vw_set(&d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	vw_start(&d);
	turn();
	assert_int_equal(m.started[1], 0);
	vw_add_queue(&d, SIZE); /* ignored: it is enabled */
	vw_add_queue(&d, SIZE);
	vw_add_queue(&d, SIZE);
	want_needs_reset("a ring is not aligned");
}

/* ---- back ends ---- */

static void a_full_back_end_goes_on_later(void **state)
{
	const struct vd_buffer b[] = {{0x1000, 1}, {0x1001, 1}};
	uint32_t len;
	void *token;

	(void)state;
	bring_up(SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
	m.full = true;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vd_add(&d.queue[0], b, 1, 1, NULL), 0);
	vw_kick(&d, 0);
	turn();
	assert_int_equal(vd_take(&d.queue[0], &token, &len), 0);
	/* We know that there is something; nobody needs to tell us of more. */
	assert_int_equal(vd_add(&d.queue[0], b, 1, 1, NULL), 0);
	assert_false(vd_publish(&d.queue[0]));
	sx_virtio_device_poll(&m.dev);
	assert_int_equal(vd_add(&d.queue[0], b, 1, 1, NULL), 0);
	assert_false(vd_publish(&d.queue[0]));
	m.full = false;
	for (unsigned done = 0; done < 5;)
		done += sx_virtio_device_poll(&m.dev);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(vd_take(&d.queue[0], &token, &len), 1);
	assert_int_equal(vw_queue_interrupts(&d, 0), 1);
	/* Now that it is empty, in trap mode the driver notifies again. */
	assert_true(echo(0, 3));
	assert_int_equal(m.dev.queue[0].stats.kicks, m.dev.env.polled ? 0 : 2);
}

/* As a network device takes the driver's buffers when a frame comes. */
static void what_poll_empties_is_announced_again(void **state)
{
	const struct vd_buffer b[] = {{0x1000, 1}, {0x1001, 1}};
	uint32_t len;
	void *token;

	(void)state;
	bring_up(SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
	m.full = true;
	assert_int_equal(vd_add(&d.queue[0], b, 1, 1, NULL), 0);
	vw_kick(&d, 0);
	m.takes = true;
	assert_int_equal(sx_virtio_device_poll(&m.dev), 1);
	assert_int_equal(vd_take(&d.queue[0], &token, &len), 1);
	m.takes = false;
	assert_int_equal(vd_add(&d.queue[0], b, 1, 1, NULL), 0);
	assert_int_equal(vd_publish(&d.queue[0]), !m.dev.env.polled);
}

/* As a device takes the driver's buffers for answers to what it sends. */
static void what_another_queue_empties_is_announced_again(void **state)
{
	const struct vd_buffer b[] = {{0x1000, 1}, {0x1001, 1}};
	uint32_t len;
	void *token;

	(void)state;
	bring_up(SX_VIRTIO_BIT(VIRTIO_RING_F_EVENT_IDX));
	m.full = true;
	assert_int_equal(vd_add(&d.queue[0], b, 1, 1, NULL), 0);
	vw_kick(&d, 0);
	m.answers = true;
	assert_int_equal(vd_add(&d.queue[1], b, 1, 1, NULL), 0);
	vw_kick(&d, 1);
	turn();
	assert_int_equal(vd_take(&d.queue[0], &token, &len), 1);
	assert_int_equal(vd_take(&d.queue[1], &token, &len), 1);
	assert_int_equal(vd_add(&d.queue[0], b, 1, 1, NULL), 0);
	assert_int_equal(vd_publish(&d.queue[0]), !m.dev.env.polled);
}

static void completions_come_from_the_back_end(void **state)
{
	const struct vd_buffer b = {0x1000, 1};
	uint32_t len;
	void *token;

	(void)state;
	bring_up(0);
	m.hold = true;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(vd_add(&d.queue[0], &b, 0, 1, NULL), 0);
	vw_kick(&d, 0);
	for (unsigned i = 0; i < 5; i++)
		turn();
	assert_int_equal(m.holds, 5);
	assert_int_equal(vw_queue_interrupts(&d, 0), 0);
	m.late = 5;
	assert_int_equal(sx_virtio_device_poll(&m.dev), 5);
	assert_int_equal(vw_queue_interrupts(&d, 0), 1);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(vd_take(&d.queue[0], &token, &len), 1);
}

/* ---- configuration ---- */

static uint64_t config(unsigned offset, unsigned size)
{
	return vw_read(&w, d.config + offset, size);
}

static void configuration_is_read_in_any_size(void **state)
{
	(void)state;
	assert_int_equal(config(0, 1), 1);
	assert_int_equal(config(0, 8), 0x0807060504030201);
	assert_int_equal(config(3, 4), 0x07060504);
	assert_int_equal(config(7, 2), 8);
	assert_int_equal(m.dev.refused, 0);
	assert_int_equal(config(11, 2), 0xffff);
	assert_int_equal(config(CONFIG, 1), 0xff);
	assert_int_equal(config(0x1000, 8), UINT64_MAX);
	assert_int_equal(m.dev.refused, 3);
}

static void configuration_changes_have_generations(void **state)
{
	const uint32_t size = 0x11223344;
	uint64_t before;

	(void)state;
	sx_virtio_config_set(&m.dev, 4, &size, 4, true);
	assert_int_equal(config(4, 4), size);
	assert_int_equal(config(0, 4), 0x04030201);
	assert_int_equal(vw_config_interrupts(&d), 0); /* the driver is not up */
	bring_up(0);
	before = vw_get(&d, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_CFGGENERATION, 1), before);
	sx_virtio_config_set(&m.dev, 0, "\x99", 1, true);
	assert_int_equal(vw_get(&d, VIRTIO_PCI_COMMON_CFGGENERATION, 1), (before + 1) & 0xff);
	assert_int_equal(vw_config_interrupts(&d), 1);
	sx_virtio_config_set(&m.dev, 1, "\x98", 1, false);
	assert_int_equal(vw_config_interrupts(&d), 0);
	assert_int_equal(config(0, 8), 0x1122334404039899);
	/* Beyond the end there is nothing to change. */
	sx_virtio_config_set(&m.dev, CONFIG - 1, "abcd", 4, false);
	assert_int_equal(config(CONFIG - 1, 1), 'a');
	sx_virtio_config_set(&m.dev, UINT32_MAX, "abcd", 4, false);
	assert_int_equal(config(0, 1), 0x99);
}

static void the_driver_writes_what_the_model_takes(void **state)
{
	(void)state;
	vw_write(&w, d.config + 8, 4, 0xa1b2c3d4);
	assert_int_equal(config(8, 4), 0xa1b2c3d4);
	vw_write(&w, d.config + 1, 2, 0xffff);
	assert_int_equal(config(0, 4), 0x04030201);
	assert_int_equal(m.wrote_at, 1);
	assert_int_equal(m.wrote, 0xffff);
	vw_write(&w, d.config + 10, 4, 7);
	vw_write(&w, d.config + CONFIG, 1, 7);
	assert_int_equal(m.writes, 2);
	assert_int_equal(m.dev.refused, 2);
}

/* ---- shapes that cannot be ---- */

static void shapes_that_cannot_be(void **state)
{
	const uint16_t bad_group[] = {0, 2};
	const struct sx_virtio_shape good = {
		.queues = 2, .queue_size = 8, .max_segs = 4, .groups = 2};
	const struct sx_virtio_env env = vw_env(&w, false);
	struct sx_virtio_device dev;
	struct sx_virtio_shape s[6];

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		s[i] = good;
	s[0].queues = 0;
	s[1].queues = SX_VIRTIO_MAX_QUEUES + 1;
	s[2].groups = 3;
	s[3].group_of = bad_group;
	s[4].config_size = SX_VIRTIO_MAX_CONFIG + 1;
	s[5].queue_size = 9;
	for (unsigned i = 0; i < 6; i++) {
		struct sx_error err = {""};

		assert_int_equal(sx_virtio_device_init(&dev, &ops, &s[i], &env, &err), -EINVAL);
		assert_true(err.text[0]);
		sx_virtio_device_destroy(&dev);
	}
	assert_int_equal(sx_virtio_device_init(&dev, &ops, &good, &env, NULL), 0);
	assert_int_equal(dev.groups, 2);
	sx_virtio_device_destroy(&dev);
	sx_virtio_device_destroy(&dev);
}

#define TRAP(name) cmocka_unit_test_setup_teardown(name, set_up_trap, tear_down)
#define SPLIT(name)                                                 \
	{                                                           \
#name "_split", name, set_up_split, tear_down, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRAP(a_device_serves_all_its_queues),
		SPLIT(a_device_serves_all_its_queues),
		TRAP(nothing_runs_before_driver_ok),
		SPLIT(nothing_runs_before_driver_ok),
		TRAP(features_are_agreed_on),
		TRAP(status_goes_one_way),
		TRAP(withheld_features_are_not_offered),
		TRAP(behind_an_iommu_the_driver_must_know),
		TRAP(a_reset_waits_for_what_is_under_way),
		SPLIT(a_reset_waits_for_what_is_under_way),
		TRAP(a_late_completion_is_not_seen),
		SPLIT(a_late_completion_is_not_seen),
		SPLIT(a_reset_waits_for_who_may_be_starting),
		TRAP(one_queue_is_reset_alone),
		SPLIT(one_queue_is_reset_alone),
		TRAP(a_queue_reset_must_be_negotiated),
		TRAP(a_malformed_chain_needs_a_reset),
		SPLIT(a_malformed_chain_needs_a_reset),
		TRAP(a_model_may_refuse_too),
		SPLIT(a_model_may_refuse_too),
		TRAP(a_queue_that_cannot_start_needs_a_reset),
		SPLIT(a_queue_that_cannot_start_needs_a_reset),
		TRAP(a_full_back_end_goes_on_later),
		SPLIT(a_full_back_end_goes_on_later),
		TRAP(what_poll_empties_is_announced_again),
		SPLIT(what_poll_empties_is_announced_again),
		TRAP(what_another_queue_empties_is_announced_again),
		SPLIT(what_another_queue_empties_is_announced_again),
		TRAP(completions_come_from_the_back_end),
		SPLIT(completions_come_from_the_back_end),
		TRAP(configuration_is_read_in_any_size),
		TRAP(configuration_changes_have_generations),
		SPLIT(configuration_changes_have_generations),
		TRAP(the_driver_writes_what_the_model_takes),
		TRAP(shapes_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
