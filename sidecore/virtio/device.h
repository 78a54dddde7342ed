// SPDX-License-Identifier: BSD-3-Clause
/*
 * A virtio device (virtio 1.2, section 2 and 3), apart from how the guest reaches it (pci.h).
 *
 * A device model is a struct that begins with, or holds, a struct sx_virtio_device, and a struct
 * sx_virtio_ops. It does not know in which mode it runs, nor where. Two kinds of thread call it:
 *
 *  - the control thread serves the registers of all devices of a VM: in trap mode whichever vCPU
 *    holds the VM's device lock, in split mode the sidecore of the VM's first exit server;
 *  - a group's thread runs its queues. A group is one or more queues of the device that belong
 *    together (net: a pair); most devices have one group with all queues. In split mode a group's
 *    poller may be on any sidecore, and moves. In trap mode it is the control thread: a
 *    notification runs the queue on the vCPU that sent it, and what comes from the back end is
 *    served by a thread that takes the device lock (sx_virtio_device_poll()).
 *
 * So ops marked "group" need no lock for what belongs to one group. What a "control" op shares
 * with a group's is the model's to make atomic; features never change while a queue runs.
 */
#ifndef SX_SIDECORE_VIRTIO_DEVICE_H
#define SX_SIDECORE_VIRTIO_DEVICE_H

#include <linux/virtio_config.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/error.h"
#include "sidecore/poller.h"
#include "sidecore/virtio/queue.h"

#define SX_VIRTIO_MAX_QUEUES 130 /* 64 pairs and a control queue; below what one page notifies */
#define SX_VIRTIO_MAX_CONFIG 256 /* bytes of device configuration */
#define SX_VIRTIO_MAX_COUNTS 32
#define SX_VIRTIO_BIT(F)     (1ull << (F))

struct sx_byte_queue;
struct sx_region;
struct sx_virtio_device;

struct sx_virtio_ops {
	const char *name; /* "virtio-blk" */
	uint16_t id;      /* virtio 1.2, section 5 */

	/*
	 * group: look at what the driver made available on @vq, take a bounded amount of it, and
	 * push what is done. Returns how many items were done; the caller flushes. 0 when it cannot
	 * be taken now, say because the back end is full: then poll() goes on with it, and in trap
	 * mode the driver does not notify us again before the queue was empty. Called only while
	 * sx_virtqueue_ready() says that there is something.
	 */
	unsigned (*process)(struct sx_virtio_device *dev, struct sx_virtqueue *vq);

	/* The rest is optional. */

	/*
	 * group: the back end's side, once a turn: take completions, packets, key strokes, and push
	 * them to the group's queues that run (vq->running). Returns how many items. The caller
	 * flushes. Must be cheap when there is nothing.
	 */
	unsigned (*poll)(struct sx_virtio_device *dev, unsigned group);
	/*
	 * Whoever gives poll() or process() something to do then kicks the group's poller
	 * (sx_poller_kick()), so that its sidecore may sleep until then.
	 */
	bool kicks;

	/* group: @vq runs from now on. */
	void (*queue_start)(struct sx_virtio_device *dev, struct sx_virtqueue *vq);
	/*
	 * group: the driver resets @vq or the device. Returns true when nothing uses the queue's
	 * buffers any more (no I/O is under way into guest memory); until then it is asked again,
	 * between calls of poll(). What is pushed once it was asked is not seen by the driver.
	 * Without it nothing is ever under way between two calls.
	 */
	bool (*queue_stop)(struct sx_virtio_device *dev, struct sx_virtqueue *vq);

	/*
	 * group: sx_virtio_ask() was called, or something else drew attention to the group: look
	 * what is wanted. Returns how many items were pushed. For what is rare: unlike poll() it
	 * costs an idle turn nothing, and lets the sidecore sleep.
	 */
	unsigned (*asked)(struct sx_virtio_device *dev, unsigned group);

	/* control: can the device work with exactly @features? */
	bool (*features_ok)(struct sx_virtio_device *dev, uint64_t features);
	/*
	 * control: the driver wrote to the device configuration; the access lies in it. What it
	 * may change the model stores by sx_virtio_config_set(); all else is to be ignored.
	 */
	void (*config_write)(struct sx_virtio_device *dev, uint32_t offset, unsigned size,
			     uint64_t value);
	/* control: after a reset of the device, when all queues have stopped. */
	void (*reset)(struct sx_virtio_device *dev);

	/*
	 * Any thread: what the model itself counts, for statistics; a count for each of up to
	 * SX_VIRTIO_MAX_COUNTS names, which NULL ends. Both or neither.
	 */
	const char *const *count_names;
	void (*counts)(const struct sx_virtio_device *dev, uint64_t *count);
};

/* What kind of device it is; given once. */
struct sx_virtio_shape {
	uint64_t features; /* of the device type; those of the rings come by themselves */
	uint16_t queues;
	uint16_t queue_size;      /* a power of two, up to SX_VQ_MAX_SIZE */
	uint16_t max_segs;        /* of a chain, up to SX_VQ_MAX_SEGS */
	uint16_t groups;          /* 0 stands for 1 */
	const uint16_t *group_of; /* each queue's group; NULL: all in group 0 */
	const void *config;       /* the configuration at first; NULL: zeros */
	uint16_t config_size;
};

/* The world it is put into; from the wiring. A model passes it on. */
struct sx_virtio_env {
	struct sx_dma dma;
	bool polled;       /* split mode: pollers run the groups; else trap mode */
	bool may_sleep;    /* polled: their sidecores may sleep, so notifications must be exits */
	bool platform;     /* offer VIRTIO_F_ACCESS_PLATFORM: dma goes through an IOMMU */
	uint64_t withhold; /* features not to be offered, for tests and comparisons */
	const struct sx_region *ram; /* guest memory that may be given back to the host; or NULL */
	/* The terminal of a console, its ends of the queues to there and from there; or NULL. */
	struct sx_byte_queue *console_out, *console_in;
};

/* How the guest is reached; given by the transport. */
struct sx_virtio_transport {
	/* Any thread. */
	void (*queue_interrupt)(void *ctx, struct sx_virtqueue *vq);
	void (*config_interrupt)(void *ctx);
	/* Control thread: the device has been reset. */
	void (*reset)(void *ctx);
	void *ctx;
};

/* What the control thread and a queue's group tell each other; see device_group.c. */
struct sx_virtio_queue_control {
	struct sx_vq_setup setup; /* control thread's while `want` and `is` say stopped */
	bool enabled;             /* control thread's */
	bool resetting;           /* control thread's: the driver resets this queue alone */
	uint32_t want;            /* written by the control thread; odd: to run */
	uint32_t is;              /* written by the group: `want` as it has come about */
};

struct sx_virtio_group {
	struct sx_virtio_device *dev;
	unsigned index;
	uint32_t attention; /* 1: the control thread changed something; taken by the group */
	unsigned running;   /* so many of `queue`, the first ones, are served */
	unsigned queues;
	struct sx_virtqueue **queue;
	struct sx_poller poller; /* to be added to a sidecore in split mode */
};

struct sx_virtio_device {
	const struct sx_virtio_ops *ops;
	struct sx_virtio_env env;
	struct sx_virtio_transport transport;
	uint16_t queues;
	uint16_t groups;
	struct sx_virtqueue *queue;
	struct sx_virtio_queue_control *control;
	struct sx_virtio_group *group;
	uint64_t offered;
	uint64_t features; /* as the driver acknowledged them; fixed from FEATURES_OK on */
	uint32_t status;   /* VIRTIO_CONFIG_S_*; atomic */
	bool resetting;    /* control thread's: status 0 was written, queues are stopping */
	uint16_t config_size;
	uint32_t generation; /* of the configuration; its lowest bit says which of the two counts */
	uint8_t config[2][SX_VIRTIO_MAX_CONFIG]; /* atomic bytes */
	pthread_mutex_t config_writers;
	/*
	 * The model's: a descriptor that poll() or epoll finds readable when ops->poll() has
	 * something to do; -1: there is none, ops->poll() has to be called now and then. It is for
	 * trap mode. A model with several makes them one by an epoll descriptor.
	 */
	int wake_fd;
	uint64_t faults;   /* queues that broke; relaxed */
	const char *fault; /* why the last one did, a fixed string; NULL: none. Relaxed */
	uint64_t refused;  /* register accesses that are not allowed; control thread's */
};

/* ---- for device models ---- */

/* @ops and the strings in it must stay; @shape may go. wake_fd is -1 afterwards. */
int sx_virtio_device_init(struct sx_virtio_device *dev, const struct sx_virtio_ops *ops,
			  const struct sx_virtio_shape *shape, const struct sx_virtio_env *env,
			  struct sx_error *err);
/* No thread runs it any more. Safe on a zeroed struct. */
void sx_virtio_device_destroy(struct sx_virtio_device *dev);

/* Was this feature negotiated? For ops of a group that runs, and those of the control thread. */
static inline bool sx_virtio_has(const struct sx_virtio_device *dev, unsigned bit)
{
	return dev->features & SX_VIRTIO_BIT(bit);
}

/*
 * Change bytes of the device configuration. Any thread. The driver sees a new generation and never
 * half a change (virtio 1.2, 2.5.3), and with @interrupt gets a configuration change notification
 * if it is up. What lies beyond the configuration's end is left out.
 */
void sx_virtio_config_set(struct sx_virtio_device *dev, uint32_t offset, const void *bytes,
			  uint32_t len, bool interrupt);
/* That notification alone. Any thread. */
void sx_virtio_config_notify(struct sx_virtio_device *dev);

/* ---- for the wiring ---- */

/*
 * In split mode each dev->group[i].poller is added to a sidecore (sx_sidecore_add()). In trap
 * mode the wiring calls this, with the device lock held, when wake_fd is readable, or now and
 * then when there is none. Returns how many items were done.
 */
unsigned sx_virtio_device_poll(struct sx_virtio_device *dev);

/*
 * Have ops->asked() called for @group: split mode, any thread, soon; trap mode, whoever holds the
 * device lock, at once.
 */
void sx_virtio_ask(struct sx_virtio_device *dev, unsigned group);

/* ---- for a transport; control thread ---- */

void sx_virtio_attach(struct sx_virtio_device *dev, const struct sx_virtio_transport *transport);

/* The driver's status register. Writing 0 begins a reset, which reads as 0 once it is complete. */
uint8_t sx_virtio_status(struct sx_virtio_device *dev);
void sx_virtio_set_status(struct sx_virtio_device *dev, uint8_t status);

/* Feature bits @word * 32 and up: as offered, as acknowledged, and the driver acknowledges them. */
uint32_t sx_virtio_offered(const struct sx_virtio_device *dev, uint32_t word);
uint32_t sx_virtio_acknowledged(const struct sx_virtio_device *dev, uint32_t word);
void sx_virtio_acknowledge(struct sx_virtio_device *dev, uint32_t word, uint32_t bits);

/* A queue's set-up, to be changed by the driver; NULL while it is in use, or there is no such. */
struct sx_vq_setup *sx_virtio_queue_setup(struct sx_virtio_device *dev, unsigned queue);
void sx_virtio_queue_enable(struct sx_virtio_device *dev, unsigned queue);
bool sx_virtio_queue_enabled(const struct sx_virtio_device *dev, unsigned queue);
/* VIRTIO_F_RING_RESET: begin one, and ask whether it is under way. */
void sx_virtio_queue_reset(struct sx_virtio_device *dev, unsigned queue);
bool sx_virtio_queue_resetting(struct sx_virtio_device *dev, unsigned queue);

/* The driver notified us about @queue, by an exit. Runs it, or wakes who polls it. */
void sx_virtio_notify(struct sx_virtio_device *dev, unsigned queue);

/* The device configuration; reads are all ones beyond its end. */
uint8_t sx_virtio_generation(const struct sx_virtio_device *dev);
uint64_t sx_virtio_config_read(struct sx_virtio_device *dev, uint32_t offset, unsigned size);
void sx_virtio_config_write(struct sx_virtio_device *dev, uint32_t offset, unsigned size,
			    uint64_t value);

#endif
