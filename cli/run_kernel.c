// SPDX-License-Identifier: BSD-3-Clause
/* splitx run --kernel: a kernel that nobody changed, on a PC. */
#include <cpuid.h>

#include "cli/run.h"
#include "cli/status.h"

#define USUAL_MEMORY  (512ull << 20)
#define USUAL_CMDLINE "console=ttyS0"
/* Until the console's driver is there the kernel speaks by the serial port. */
#define CONSOLE_CMDLINE "earlycon=uart8250,io,0x3f8 console=hvc0"

/* CPUID leaves 1 and 0x80000001, ECX. */
#define ECX_VMX (1u << 5)
#define ECX_SVM (1u << 2)

/* Does the host's processor run guests itself? (SDM Vol. 3C 24.6; AMD APM Vol. 2, 15.4) */
static bool has_vmx_or_svm(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(1, &a, &b, &c, &d) && (c & ECX_VMX))
		return true;
	return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & ECX_SVM);
}

static void moved(void *ctx)
{
	sx_pc_console_moved(ctx);
}

static void resized(void *ctx, uint16_t cols, uint16_t rows)
{
	sx_pc_console_resized(ctx, cols, rows);
}

/* It speaks by all it has, and hears by the virtio console if it has one. */
static void incidents(void *ctx, void (*report)(const char *text))
{
	struct sx_pc *pc = ctx;

	sx_nested_host_incidents(&pc->nested, report);
}

static struct sx_console_guest console_of(struct sx_pc *pc)
{
	struct sx_console_guest guest = {
		.out = {&pc->serial_out, &pc->console_out},
		.outs = pc->console ? 2 : 1,
		.in = pc->console ? &pc->console_in : &pc->serial_in,
		.moved = moved,
		.resized = resized,
		.incidents = incidents,
		.ctx = pc,
		.all_keys = true,
	};

	return guest;
}

static const char *cmdline_of(const struct sx_run_kernel_options *k)
{
	if (k->cmdline)
		return k->cmdline;
	return k->virtio_console ? CONSOLE_CMDLINE : USUAL_CMDLINE;
}

static void show(struct sx_run *r)
{
	struct sx_pc *pc = &r->pc;
	unsigned pollers = sx_pc_pollers(pc, r->poller, SX_RUN_MAX_POLLERS);

	r->vcpu = pc->vcpu;
	r->vcpus = pc->vcpus;
	r->console = console_of(pc);
	r->view = (struct sx_stats_view){
		.guest = pc->config.kernel,
		.mode = pc->config.mode,
		.vcpu = pc->vcpu,
		.vcpus = pc->vcpus,
		.bus = &pc->bus,
		.sidecores = pc->config.sidecores,
		.sidecore_count = pc->config.sidecore_count,
		.server = pc->server,
		.poller = r->poller,
		.pollers = pc->config.mode == SX_SPLIT ? pollers : 0,
		.device = pc->devices.device,
		.devices = pc->devices.count,
	};
}

static int create(struct sx_run *r, struct sx_error *err)
{
	const struct sx_run_kernel_options *k = &r->opt.kernel;
	struct sx_pc_config c = {
		.kvm = &r->kvm,
		.place = r->place,
		.kernel = k->path,
		.initrd = k->initrd,
		.initrds = k->initrds,
		.cmdline = cmdline_of(k),
		.memory = r->opt.memory ? r->opt.memory : USUAL_MEMORY,
		.hugepages = k->hugepages,
		.memfd = k->memfd,
		.prefault = k->prefault,
		.idle_poll = k->idle_poll,
		.nested = k->nested,
		.engine = k->engine,
		.nested_place = k->nested_place,
		.plugged = k->plugged,
		.plugged_count = k->plugged_count,
		.mode = r->opt.mode,
		.wait = r->opt.wait,
		.sidecores = r->sidecore,
		.sidecore_count = r->sidecores,
		.sidecores_sleep = r->opt.wait.idle_ns != 0,
	};
	int rc = sx_pc_create(&r->pc, &c, err);

	if (rc < 0)
		return rc;
	r->created = true;
	show(r);
	if (!r->starts++ && !r->pc.entry.legacy && !has_vmx_or_svm())
		sx_run_warn("this host's KVM runs without VMX or SVM and emulates every "
			    "instruction of a kernel, which takes minutes to boot or never does; "
			    "lab/lab amd runs splitx on an emulated host that does not");
	return 0;
}

static void destroy(struct sx_run *r)
{
	if (r->created)
		sx_pc_destroy(&r->pc);
	r->created = false;
}

static int status(const struct sx_run *r)
{
	if (r->pc.power.end != SX_POWER_RESET)
		return 0;
	return r->opt.kernel.restart ? SX_RUN_AGAIN : SX_STATUS_GUEST_RESET;
}

const struct sx_run_kind sx_run_kernel = {create, destroy, status};
