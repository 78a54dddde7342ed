// SPDX-License-Identifier: BSD-3-Clause
#include "cli/pc.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "cli/pc_memory.h"
#include "guestcore/acpi.h"
#include "guestcore/cpuid.h"
#include "guestcore/pc_map.h"
#include "ipc/rcu.h"

#define HIGH_WINDOW (16ull << 30) /* for BARs above 4 GiB */

/* ---- construction ---- */

static int create_vm(struct sx_pc *pc, struct sx_error *err)
{
	const struct sx_pc_config *c = &pc->config;
	int rc = sx_vm_create(&pc->vm, c->kvm, err);

	if (rc < 0 || !c->idle_poll)
		return rc;
	if (pc->vcpus > sx_placement_guest_cores(c->place))
		return sx_fail(err, -EINVAL,
			       "--idle poll wants a guest core for each of %u vCPUs, and there are "
			       "%u; use --idle halt",
			       pc->vcpus, sx_placement_guest_cores(c->place));
	return sx_vm_keep_idle_in_guest(&pc->vm, err);
}

static int create_vcpus(struct sx_pc *pc, struct sx_error *err)
{
	int rc = 0;

	pc->vcpu = calloc(pc->vcpus, sizeof(*pc->vcpu));
	if (!pc->vcpu)
		return -ENOMEM;
	for (unsigned i = 0; i < pc->vcpus; i++)
		pc->vcpu[i].fd = -1;
	for (unsigned i = 0; rc == 0 && i < pc->vcpus; i++)
		rc = sx_vcpu_create(&pc->vcpu[i], &pc->vm, i, err);
	return rc;
}

static int create_servers(struct sx_pc *pc, struct sx_error *err)
{
	const struct sx_pc_config *c = &pc->config;
	int rc = 0;

	if (c->mode == SX_TRAP)
		return 0;
	pc->server = calloc(c->sidecore_count, sizeof(*pc->server));
	if (!pc->server)
		return -ENOMEM;
	for (unsigned i = 0; rc == 0 && i < c->sidecore_count; i++)
		rc = sx_exit_server_init(&pc->server[i], &pc->bus, pc->vcpus, &c->wait, err);
	pc->split = (struct sx_split_sink){.bus = &pc->bus, .first = &pc->server[0]};
	return rc;
}

static int create_uart(struct sx_pc *pc, struct sx_error *err)
{
	int rc = sx_byte_queue_init(&pc->serial_out, err);

	if (rc == 0)
		rc = sx_byte_queue_init(&pc->serial_in, err);
	if (rc == 0)
		rc = sx_irq_init(&pc->uart_irq, err);
	if (rc == 0)
		rc = sx_vm_connect_pin(&pc->vm, &pc->uart_irq, SX_PC_UART_GSI, err);
	if (rc < 0)
		return rc;
	sx_uart_init(&pc->uart, &pc->serial_out, &pc->serial_in, &pc->uart_irq);
	return sx_bus_add(&pc->bus, &pc->uart.range, err);
}

static int create_devices(struct sx_pc *pc, struct sx_error *err)
{
	int rc = create_uart(pc, err);

	if (rc < 0)
		return rc;
	sx_power_init(&pc->power, SX_PC_POWER, SX_PC_KEYBOARD, SX_PC_S5_TYPE, SX_PC_RESET_VALUE);
	rc = sx_bus_add(&pc->bus, &pc->power.range, err);
	return rc < 0 ? rc : sx_bus_add(&pc->bus, &pc->power.keyboard, err);
}

/* ---- what the guest finds ---- */

/* The window above 4 GiB lies behind memory, where the processor's addresses reach so far. */
static int place_high_window(const struct sx_pc *pc, unsigned bits, struct sx_pci_window *high,
			     struct sx_error *err)
{
	uint64_t end = SX_PC_HIGH + sx_pc_high_memory(pc);
	uint64_t reach = bits < 64 ? 1ull << bits : UINT64_MAX;

	if (end > reach)
		return sx_fail(err, -EINVAL,
			       "this processor's %u-bit physical addresses do not reach %" PRIu64
			       " MiB of memory; change --memory",
			       bits, pc->config.memory >> 20);
	high->base = (end + HIGH_WINDOW - 1) / HIGH_WINDOW * HIGH_WINDOW;
	high->size = high->base + HIGH_WINDOW <= reach ? HIGH_WINDOW : 0;
	return 0;
}

/* The virtio console among the devices, if there is one. */
static struct sx_virtio_console *find_console(const struct sx_pc_devices *d)
{
	for (unsigned i = 0; i < d->count; i++)
		if (d->device[i].plug == &sx_plug_console)
			return sx_plug_console_of(d->device[i].dev);
	return NULL;
}

static int create_pci(struct sx_pc *pc, const struct sx_pci_window *high, struct sx_error *err)
{
	const struct sx_pc_config *c = &pc->config;
	struct sx_pc_devices_config devices = {
		.vm = &pc->vm,
		.bus = &pc->bus,
		.trap = &pc->trap,
		.ram = &pc->ram,
		.console_out = &pc->console_out,
		.console_in = &pc->console_in,
		.high = *high,
		.plugged = c->plugged,
		.count = c->plugged_count,
		.may_sleep = c->sidecores_sleep,
		.sidecores = c->sidecores,
		.sidecore_count = c->mode == SX_SPLIT ? c->sidecore_count : 0,
	};

	int rc = sx_byte_queue_init(&pc->console_out, err);

	if (rc == 0)
		rc = sx_byte_queue_init(&pc->console_in, err);
	if (rc == 0)
		rc = sx_pc_devices_create(&pc->devices, &devices, err);
	pc->console = find_console(&pc->devices);
	return rc;
}

static int load_kernel(struct sx_pc *pc, const struct sx_acpi_config *acpi, struct sx_error *err)
{
	const struct sx_pc_config *c = &pc->config;
	struct sx_boot_request boot = {
		.kernel = c->kernel,
		.initrd = c->initrd,
		.initrds = c->initrds,
		.cmdline = c->cmdline,
		.low_end = pc->low_end,
		.high_size = sx_pc_high_memory(pc),
		.vmx_lines = c->engine,
	};
	int rc = sx_acpi_build(&pc->vm.memory, acpi, &boot.rsdp, err);

	return rc < 0 ? rc : sx_boot_load(&pc->vm.memory, &boot, &pc->entry, err);
}

static bool has_tsc_deadline(const struct sx_pc *pc)
{
	return sx_ioctl(pc->vm.fd, KVM_CHECK_EXTENSION, (void *)KVM_CAP_TSC_DEADLINE_TIMER) > 0;
}

static int set_up_guest(struct sx_pc *pc, struct sx_cpuid *cpuid, const struct sx_pci_window *high,
			struct sx_error *err)
{
	struct sx_cpuid_config cpu = {
		.shape = sx_placement_shape(pc->config.place),
		.nested = pc->config.nested,
		.dedicated = pc->config.idle_poll,
		.tsc_deadline = has_tsc_deadline(pc),
		.lines = sx_pc_nested_lines(pc),
	};
	const struct sx_acpi_config acpi = {
		.vcpus = pc->vcpus, .high_base = high->base, .high_size = high->size};
	int rc = load_kernel(pc, &acpi, err);

	if (rc == 0 && pc->entry.legacy)
		rc = sx_vm_add_timer(&pc->vm, err);
	if (rc == 0)
		rc = sx_cpuid_set(cpuid, pc->vcpu, pc->vcpus, &cpu, err);
	return rc < 0 ? rc : sx_boot_start(pc->vcpu, pc->vcpus, &pc->entry, err);
}

/* ---- who serves it ---- */

static int join_sidecores(struct sx_pc *pc, struct sx_error *err)
{
	const struct sx_pc_config *c = &pc->config;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < c->sidecore_count; i++)
		rc = sx_sidecore_add(c->sidecores[i], &pc->server[i].poller);
	/* Where its registers are served. */
	if (rc == 0)
		rc = sx_sidecore_add(c->sidecores[0], &pc->uart.poller);
	if (rc < 0)
		return sx_fail(err, rc, "a sidecore has no room for the machine's devices");
	return 0;
}

static int start_serving(struct sx_pc *pc, struct sx_error *err)
{
	struct sx_exit_sink sink = sx_trap_sink(&pc->trap);
	int rc = 0;

	if (pc->config.mode == SX_SPLIT) {
		sink = sx_split_sink(&pc->split);
		rc = join_sidecores(pc, err);
	}
	if (rc == 0)
		rc = sx_pc_devices_start(&pc->devices, err);
	for (unsigned i = 0; i < pc->vcpus; i++)
		pc->vcpu[i].sink = sink;
	return rc < 0 || !pc->config.engine ? rc : sx_pc_nested_start(pc, err);
}

void sx_pc_console_resized(struct sx_pc *pc, uint16_t cols, uint16_t rows)
{
	if (pc->console)
		sx_virtio_console_resize(pc->console, cols, rows);
}

void sx_pc_console_moved(struct sx_pc *pc)
{
	if (pc->console)
		sx_virtio_console_moved(pc->console);
	if (pc->config.mode == SX_SPLIT) {
		sx_poller_kick(&pc->uart.poller);
		return;
	}
	pthread_mutex_lock(&pc->trap.lock);
	pc->uart.poller.poll(pc->uart.poller.ctx);
	pthread_mutex_unlock(&pc->trap.lock);
}

struct sx_virtio_balloon *sx_pc_balloon(const struct sx_pc *pc)
{
	struct sx_virtio_balloon *balloon = NULL;

	for (unsigned i = 0; !balloon && i < pc->devices.count; i++)
		balloon = sx_virtio_balloon_of(pc->devices.device[i].dev);
	return balloon;
}

/* Whoever holds the lock serves the device, and so is an RCU reader for that long. */
void sx_pc_refresh_balloon(struct sx_pc *pc, struct sx_virtio_balloon *balloon)
{
	if (pc->config.mode == SX_SPLIT) {
		sx_virtio_balloon_refresh(balloon);
		return;
	}
	pthread_mutex_lock(&pc->trap.lock);
	sx_rcu_register();
	sx_virtio_balloon_refresh(balloon);
	sx_rcu_unregister();
	pthread_mutex_unlock(&pc->trap.lock);
}

unsigned sx_pc_pollers(const struct sx_pc *pc, const struct sx_poller **poller, unsigned max)
{
	if (max)
		poller[0] = &pc->uart.poller;
	return 1 + sx_pc_devices_pollers(&pc->devices, poller + 1, max ? max - 1 : 0);
}

/* ---- life ---- */

static int create(struct sx_pc *pc, struct sx_cpuid *cpuid, struct sx_error *err)
{
	struct sx_pci_window high;
	int rc = place_high_window(pc, sx_cpuid_physical_bits(cpuid), &high, err);

	if (rc == 0 && pc->config.engine)
		rc = sx_pc_nested_check(cpuid, err);
	if (rc == 0)
		rc = create_vm(pc, err);
	if (rc == 0)
		rc = sx_pc_create_memory(pc, err);
	if (rc == 0)
		rc = create_vcpus(pc, err);
	if (rc == 0 && pc->config.engine)
		rc = sx_pc_nested_create(pc, err);
	if (rc == 0)
		rc = create_servers(pc, err);
	if (rc == 0)
		rc = create_devices(pc, err);
	if (rc == 0)
		rc = create_pci(pc, &high, err);
	if (rc == 0)
		rc = set_up_guest(pc, cpuid, &high, err);
	return rc < 0 ? rc : start_serving(pc, err);
}

int sx_pc_create(struct sx_pc *pc, const struct sx_pc_config *config, struct sx_error *err)
{
	struct sx_cpuid cpuid;
	int rc;

	memset(pc, 0, sizeof(*pc));
	pc->config = *config;
	pc->vcpus = sx_placement_vcpus(config->place);
	pc->low_end = config->memory < SX_PC_LOW_END ? config->memory : SX_PC_LOW_END;
	pc->vm.fd = -1;
	pc->uart_irq.fd = -1;
	pc->serial_out.fd = pc->serial_in.fd = -1;
	pc->console_out.fd = pc->console_in.fd = -1;
	sx_bus_init(&pc->bus, false);
	sx_trap_sink_init(&pc->trap, &pc->bus);
	rc = sx_cpuid_get(&cpuid, config->kvm, err);
	if (rc == 0)
		rc = create(pc, &cpuid, err);
	sx_cpuid_free(&cpuid);
	if (rc < 0) {
		sx_pc_destroy(pc);
		return sx_fail(err, rc, "cannot build the machine: %s", strerror(-rc));
	}
	return 0;
}

/* Every part knows whether it was made: destroy runs after a partial create too. */
void sx_pc_destroy(struct sx_pc *pc)
{
	sx_pc_devices_destroy(&pc->devices);
	sx_sidecore_remove(&pc->uart.poller);
	sx_nested_host_destroy(&pc->nested);
	for (unsigned i = 0; pc->server && i < pc->config.sidecore_count; i++) {
		sx_sidecore_remove(&pc->server[i].poller);
		sx_exit_server_destroy(&pc->server[i]);
	}
	free(pc->server);
	sx_irq_destroy(&pc->uart_irq);
	for (unsigned i = 0; pc->vcpu && i < pc->vcpus; i++)
		sx_vcpu_destroy(&pc->vcpu[i]);
	free(pc->vcpu);
	sx_vm_destroy(&pc->vm);
	sx_region_destroy(&pc->ram);
	sx_byte_queue_destroy(&pc->serial_out);
	sx_byte_queue_destroy(&pc->serial_in);
	sx_byte_queue_destroy(&pc->console_out);
	sx_byte_queue_destroy(&pc->console_in);
	sx_trap_sink_destroy(&pc->trap);
	sx_bus_destroy(&pc->bus);
	memset(pc, 0, sizeof(*pc));
	pc->vm.fd = -1;
}
