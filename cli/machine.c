// SPDX-License-Identifier: BSD-3-Clause
#include "cli/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define REQUEST_ORDER 6
#define STREAM_ORDER  12
#define MSI_ADDRESS   0xfee00000ull /* physical destination APIC ID 0 (SDM Vol. 3A 11.11.1) */
#define VECTOR        0x60
#define TWIN_VECTOR   0x61
#define PAGE          4096ull

static uint32_t ring_stride(uint32_t order)
{
	return (uint32_t)((sx_ring_bytes(order) + PAGE - 1) & ~(PAGE - 1));
}

/* ---- the ring doorbell ---- */

static int kick_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
	(void)dev;
	(void)offset;
	*value = sx_bus_all_ones(size);
	return SX_EXIT_CONTINUE;
}

/* All that was there at the kick, and no more: another vCPU may go on posting for ever. */
static void serve_lap(struct sx_ring_server *s)
{
	unsigned served = 0, n;

	do {
		n = sx_ring_server_poll(s);
		served += n;
	} while (n && served <= s->consumer.mask);
}

/*
 * In trap mode the exiting thread serves the ring itself, under the device lock. In split mode a
 * sidecore polls it, and is woken in case it sleeps.
 */
static int kick_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
	struct sx_machine *m = dev;

	(void)offset;
	(void)size;
	if (value >= m->ring_count)
		return SX_EXIT_CONTINUE;
	if (m->mode == SX_TRAP)
		serve_lap(&m->ring[value].server);
	else
		sx_poller_kick(&m->ring[value].server.poller);
	return SX_EXIT_CONTINUE;
}

static const struct sx_bus_ops kick_ops = {.read = kick_read, .write = kick_write};

/* ---- construction ---- */

static int create_memory(struct sx_machine *m, struct sx_error *err)
{
	int rc = sx_region_create(&m->ram, "splitx-ram", m->config.memory, 0, err);

	if (rc == 0 && m->config.place)
		rc = sx_placement_bind_memory(m->config.place, m->ram.base, m->ram.size, err);
	if (rc == 0)
		rc = sx_vm_add_memory(&m->vm, 0, m->config.memory, m->ram.base, 0, err);
	if (rc == 0)
		rc = sx_region_create(&m->twin_page, "splitx-twin", SX_TESTDEV_SIZE, 0, err);
	return rc;
}

static int create_vcpus(struct sx_machine *m, struct sx_error *err)
{
	int rc = 0;

	m->vcpu = calloc(m->config.vcpus, sizeof(*m->vcpu));
	if (!m->vcpu)
		return -ENOMEM;
	for (unsigned i = 0; i < m->config.vcpus; i++)
		m->vcpu[i].fd = -1;
	for (unsigned i = 0; rc == 0 && i < m->config.vcpus; i++)
		rc = sx_vcpu_create(&m->vcpu[i], &m->vm, i, err);
	return rc;
}

static int create_interrupts(struct sx_machine *m, struct sx_error *err)
{
	int rc = sx_irq_init(&m->irq, err);

	if (rc == 0)
		rc = sx_irq_init(&m->twin_irq, err);
	if (rc == 0)
		rc = m->gsi = sx_vm_route_msi(&m->vm, &m->irq, MSI_ADDRESS, VECTOR, err);
	if (rc >= 0)
		rc = m->twin_gsi =
			sx_vm_route_msi(&m->vm, &m->twin_irq, MSI_ADDRESS, TWIN_VECTOR, err);
	return rc < 0 ? rc : 0;
}

static int add_range(struct sx_machine *m, struct sx_bus_range *r, unsigned *next,
		     struct sx_error *err)
{
	if (m->config.sidecore_count)
		r->owner = &m->server[(*next)++ % m->config.sidecore_count];
	return sx_bus_add(&m->bus, r, err);
}

static struct sx_bus_range mmio_range(const char *name, uint64_t base, const struct sx_bus_ops *ops,
				      void *dev)
{
	return (struct sx_bus_range){
		.name = name,
		.space = SX_BUS_MMIO,
		.base = base,
		.size = PAGE,
		.ops = ops,
		.dev = dev,
	};
}

static int create_devices(struct sx_machine *m, struct sx_error *err)
{
	unsigned next = 0;
	int rc;

	rc = sx_byte_queue_init(&m->console_out, err);
	if (rc == 0)
		rc = sx_byte_queue_init(&m->console_in, err);
	if (rc < 0)
		return rc;
	sx_uart_init(&m->uart, &m->console_out, &m->console_in, NULL);
	sx_debug_exit_init(&m->debug_exit);
	sx_testdev_init(&m->testdev, &m->irq);
	sx_testdev_page_init(&m->twin, m->twin_page.base, &m->twin_irq);
	m->testdev_range =
		mmio_range("testdev", SX_MACHINE_TESTDEV_GPA, &sx_testdev_bus_ops, &m->testdev);
	m->twin_range =
		mmio_range("testdev-twin", SX_MACHINE_TWIN_GPA, &sx_testdev_bus_ops, &m->twin.dev);
	m->kick_range = mmio_range("ring-kick", SX_MACHINE_KICK_GPA, &kick_ops, m);
	rc = add_range(m, &m->testdev_range, &next, err);
	if (rc == 0)
		rc = add_range(m, &m->uart.range, &next, err);
	if (rc == 0)
		rc = add_range(m, &m->debug_exit.range, &next, err);
	if (rc == 0)
		rc = add_range(m, &m->kick_range, &next, err);
	return rc;
}

static int create_ring(struct sx_machine *m, const struct sx_boot_rings *where, unsigned vcpu,
		       enum sx_machine_ring_kind kind, struct sx_error *err)
{
	static const char *const names[] = {"requests", "stream"};
	struct sx_machine_ring *r = &m->ring[SX_RING_KINDS * vcpu + kind];
	struct sx_ring_handler handler = sx_testdev_ring_handler(&r->dev);
	unsigned flags = m->config.sidecores_sleep ? SX_RING_KICK : 0;

	sx_testdev_init(&r->dev, NULL);
	return sx_ring_server_init(&r->server, names[kind], &m->vm.memory,
				   where->base + (uint64_t)vcpu * where->stride, where->order,
				   flags, &handler, err);
}

static int create_rings(struct sx_machine *m, struct sx_error *err)
{
	unsigned count = SX_RING_KINDS * m->config.vcpus;
	int rc = 0;

	m->ring = calloc(count, sizeof(*m->ring));
	if (!m->ring)
		return -ENOMEM;
	m->ring_count = count;
	for (unsigned i = 0; rc == 0 && i < m->config.vcpus; i++) {
		rc = create_ring(m, &m->boot.requests, i, SX_REQUEST_RING, err);
		if (rc == 0)
			rc = create_ring(m, &m->boot.streams, i, SX_STREAM_RING, err);
	}
	return rc;
}

static int create_servers(struct sx_machine *m, struct sx_error *err)
{
	int rc = 0;

	if (!m->config.sidecore_count)
		return 0;
	m->server = calloc(m->config.sidecore_count, sizeof(*m->server));
	if (!m->server)
		return -ENOMEM;
	for (unsigned i = 0; rc == 0 && i < m->config.sidecore_count; i++)
		rc = sx_exit_server_init(&m->server[i], &m->bus, m->config.vcpus, &m->config.wait,
					 err);
	m->split = (struct sx_split_sink){.bus = &m->bus, .first = &m->server[0]};
	return rc;
}

/* The rings take the top of memory. */
static void place_rings(struct sx_machine *m, struct sx_boot_rings *requests,
			struct sx_boot_rings *streams)
{
	*requests = (struct sx_boot_rings){.order = REQUEST_ORDER,
					   .stride = ring_stride(REQUEST_ORDER)};
	*streams =
		(struct sx_boot_rings){.order = STREAM_ORDER, .stride = ring_stride(STREAM_ORDER)};
	streams->base = m->config.memory - (uint64_t)m->config.vcpus * streams->stride;
	requests->base = streams->base - (uint64_t)m->config.vcpus * requests->stride;
}

static int load_guest(struct sx_machine *m, struct sx_error *err)
{
	struct sx_boot_rings requests, streams;
	struct sx_boot_info *b = &m->boot;
	struct sx_elf_image image;
	int rc;

	place_rings(m, &requests, &streams);
	rc = sx_microguest_load(&m->vm, m->config.guest, m->config.memory, requests.base,
				m->config.vcpus, b, &image, err);
	if (rc < 0)
		return rc;
	b->tsc_khz = sx_vcpu_tsc_khz(&m->vcpu[0]);
	b->split = m->config.mode == SX_SPLIT;
	b->testdev = SX_MACHINE_TESTDEV_GPA;
	b->twin = SX_MACHINE_TWIN_GPA;
	b->requests = requests;
	b->streams = streams;
	b->ring_kick = SX_MACHINE_KICK_GPA;
	b->vector = VECTOR;
	b->twin_vector = TWIN_VECTOR;
	b->argument = m->config.argument;
	b->vmx_lines = m->config.nested ? SX_MACHINE_VMX_LINES_GPA : 0;
	rc = create_rings(m, err);
	if (rc == 0)
		rc = sx_microguest_start(&m->vm, m->vcpu, b, &image, m->config.supervisor ? 0 : 3,
					 err);
	return rc;
}

/* What the rings and stacks take, and 1 MiB for the program. */
static uint64_t least_memory(unsigned vcpus)
{
	uint64_t each =
		ring_stride(REQUEST_ORDER) + ring_stride(STREAM_ORDER) + SX_GUEST_STACK_SIZE;

	return SX_GUEST_IMAGE + vcpus * each + (1ull << 20);
}

static int check_config(const struct sx_machine_config *c, struct sx_error *err)
{
	if (c->vcpus < 1 || c->vcpus > SX_MACHINE_MAX_VCPUS)
		return sx_fail(err, -EINVAL, "a micro-guest has 1 to %d vCPUs; change --vcpus",
			       SX_MACHINE_MAX_VCPUS);
	if (c->memory % PAGE || c->memory < least_memory(c->vcpus) ||
	    c->memory > SX_MICROGUEST_MAX_MEMORY)
		return sx_fail(err, -EINVAL,
			       "a micro-guest with %u vCPU%s has %" PRIu64
			       " MiB to 3 GiB of memory; change --memory",
			       c->vcpus, c->vcpus == 1 ? "" : "s",
			       (least_memory(c->vcpus) >> 20) + 1);
	if (c->sidecore_count > SX_MACHINE_MAX_SIDECORES)
		return sx_fail(err, -EINVAL, "a machine uses at most %d sidecores; name fewer",
			       SX_MACHINE_MAX_SIDECORES);
	if (c->mode == SX_SPLIT && !c->sidecore_count)
		return sx_fail(err, -EINVAL,
			       "split mode needs a sidecore; name one by --sidecores");
	return 0;
}

int sx_machine_create(struct sx_machine *m, const struct sx_machine_config *config,
		      struct sx_error *err)
{
	int rc;

	memset(m, 0, sizeof(*m));
	m->config = *config;
	m->vm.fd = -1;
	m->irq.fd = m->twin_irq.fd = -1;
	m->gsi = m->twin_gsi = -1;
	m->console_out.fd = m->console_in.fd = -1;
	rc = check_config(config, err);
	if (rc < 0)
		return rc;
	sx_bus_init(&m->bus, true);
	sx_trap_sink_init(&m->trap, &m->bus);
	m->mode = SX_TRAP;
	rc = sx_vm_create(&m->vm, config->kvm, err);
	if (rc == 0)
		rc = create_memory(m, err);
	if (rc == 0)
		rc = create_vcpus(m, err);
	if (rc == 0)
		rc = create_interrupts(m, err);
	if (rc == 0 && config->nested)
		rc = sx_machine_nested_create(m, err);
	if (rc == 0)
		rc = create_servers(m, err);
	if (rc == 0)
		rc = create_devices(m, err);
	if (rc == 0)
		rc = load_guest(m, err);
	if (rc == 0)
		rc = sx_bus_add(&m->bus, &m->twin_range, err);
	if (rc == 0)
		rc = sx_machine_set_mode(m, config->mode, err);
	if (rc < 0) {
		sx_machine_destroy(m);
		return sx_fail(err, rc, "cannot build the machine: %s", strerror(-rc));
	}
	return 0;
}

static void leave_sidecores(struct sx_machine *m)
{
	for (unsigned i = 0; i < m->ring_count; i++)
		sx_sidecore_remove(&m->ring[i].server.poller);
	sx_sidecore_remove(&m->twin.poller);
	for (unsigned i = 0; m->server && i < m->config.sidecore_count; i++)
		sx_sidecore_remove(&m->server[i].poller);
}

/* Every part knows whether it was made: destroy runs after a partial create too. */
void sx_machine_destroy(struct sx_machine *m)
{
	leave_sidecores(m);
	sx_nested_host_destroy(&m->nested);
	for (unsigned i = 0; m->server && i < m->config.sidecore_count; i++)
		sx_exit_server_destroy(&m->server[i]);
	free(m->server);
	free(m->ring);
	if (m->gsi >= 0)
		sx_vm_unroute_msi(&m->vm, &m->irq, m->gsi);
	if (m->twin_gsi >= 0)
		sx_vm_unroute_msi(&m->vm, &m->twin_irq, m->twin_gsi);
	sx_irq_destroy(&m->irq);
	sx_irq_destroy(&m->twin_irq);
	for (unsigned i = 0; m->vcpu && i < m->config.vcpus; i++)
		sx_vcpu_destroy(&m->vcpu[i]);
	free(m->vcpu);
	sx_vm_destroy(&m->vm);
	sx_region_destroy(&m->twin_page);
	sx_region_destroy(&m->ram);
	sx_byte_queue_destroy(&m->console_out);
	sx_byte_queue_destroy(&m->console_in);
	sx_trap_sink_destroy(&m->trap);
	sx_bus_destroy(&m->bus);
	memset(m, 0, sizeof(*m));
	m->vm.fd = -1;
}

/* ---- modes ---- */

/* The exits' servers first: a guest must find its devices answering before its pages. */
static int join_sidecores(struct sx_machine *m)
{
	struct sx_sidecore *const *sc = m->config.sidecores;
	unsigned n = m->config.sidecore_count;
	int rc = n ? 0 : -EINVAL;

	for (unsigned i = 0; rc == 0 && i < n; i++)
		rc = sx_sidecore_add(sc[i], &m->server[i].poller);
	if (rc == 0)
		rc = sx_sidecore_add(sc[0], &m->twin.poller);
	for (unsigned i = 0; rc == 0 && i < m->ring_count; i++)
		rc = sx_sidecore_add(sc[i % n], &m->ring[i].server.poller);
	return rc;
}

/*
 * What the guest said to its sidecores, and they had not heard yet. It has no reason to kick for it
 * again, so in trap mode it would wait for ever. No vCPU runs: it ends.
 */
static void catch_up(struct sx_machine *m)
{
	m->twin.poller.poll(m->twin.poller.ctx);
	for (unsigned i = 0; i < m->ring_count; i++)
		serve_lap(&m->ring[i].server);
}

static void set_sinks(struct sx_machine *m, struct sx_exit_sink sink)
{
	if (m->nested.engine)
		sink = sx_nested_host_sink(&m->nested, sink);
	for (unsigned i = 0; i < m->config.vcpus; i++)
		m->vcpu[i].sink = sink;
}

static int enter_split(struct sx_machine *m, struct sx_error *err)
{
	int rc;

	sx_bus_remove(&m->bus, &m->twin_range);
	sx_testdev_page_resume(&m->twin);
	rc = sx_vm_add_memory(&m->vm, SX_MACHINE_TWIN_GPA, SX_TESTDEV_SIZE, m->twin_page.base, 0,
			      err);
	if (rc < 0)
		goto fail_range;
	rc = join_sidecores(m);
	if (rc < 0) {
		sx_fail(err, rc, "a sidecore has no room for the machine's devices");
		goto fail_memory;
	}
	set_sinks(m, sx_split_sink(&m->split));
	return 0;

fail_memory:
	leave_sidecores(m);
	sx_vm_remove_memory(&m->vm, SX_MACHINE_TWIN_GPA);
fail_range:
	/* It was on the bus a moment ago, so there is room for it. */
	sx_bus_add(&m->bus, &m->twin_range, NULL);
	return rc;
}

static int enter_trap(struct sx_machine *m, struct sx_error *err)
{
	int rc;

	leave_sidecores(m);
	catch_up(m);
	set_sinks(m, sx_trap_sink(&m->trap));
	rc = sx_vm_remove_memory(&m->vm, SX_MACHINE_TWIN_GPA);
	if (rc < 0)
		return sx_fail(err, rc, "KVM does not take a shared page back: %s", strerror(-rc));
	return sx_bus_add(&m->bus, &m->twin_range, err);
}

int sx_machine_set_mode(struct sx_machine *m, enum sx_mode mode, struct sx_error *err)
{
	int rc = 0;

	if (mode == m->mode) {
		if (mode == SX_TRAP)
			set_sinks(m, sx_trap_sink(&m->trap));
		return 0;
	}
	rc = mode == SX_SPLIT ? enter_split(m, err) : enter_trap(m, err);
	if (rc < 0)
		return rc;
	m->mode = mode;
	m->boot.split = mode == SX_SPLIT;
	return sx_memmap_write(&m->vm.memory, SX_GUEST_BOOT_INFO, &m->boot, sizeof(m->boot));
}

/* ---- incidents ---- */

void sx_machine_incidents(struct sx_machine *m, void (*report)(const char *text))
{
	sx_nested_host_incidents(&m->nested, report);
	for (unsigned i = 0; i < m->ring_count; i++) {
		struct sx_machine_ring *r = &m->ring[i];
		char text[160];

		/* Pairs with the release in the ring server's refuse(). */
		if (r->told || !sx_load_acquire(&r->server.refused))
			continue;
		r->told = true;
		snprintf(
			text, sizeof(text),
			"the guest broke the protocol of ring '%s' of vCPU %u (turn word 0x%" PRIx32
			" at message %" PRIu32 "); that ring was closed",
			r->server.poller.name, i / SX_RING_KINDS, r->server.bad_turn,
			r->server.bad_message);
		report(text);
	}
}
