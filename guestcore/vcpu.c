// SPDX-License-Identifier: BSD-3-Clause
#include "guestcore/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guestcore/alarm.h"
#include "ipc/rcu.h"
#include "ipc/wait.h"
#include "ipc/wire/types.h"

int sx_vcpu_open(const struct sx_kvm *kvm, int vm_fd, unsigned index, struct kvm_run **run,
		 struct sx_stats *stats, struct sx_error *err)
{
	int rc, fd = sx_ioctl(vm_fd, KVM_CREATE_VCPU, (void *)(uintptr_t)index);

	stats->fd = -1;
	if (fd < 0)
		return sx_fail(err, fd, "KVM cannot create vCPU %u (of at most %d): %s", index,
			       kvm->max_vcpus, strerror(-fd));
	*run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*run == MAP_FAILED) {
		rc = sx_fail(err, -errno, "cannot map the state of vCPU %u: %s", index,
			     strerror(errno));
		goto fail_fd;
	}
	if (kvm->has_stats) {
		rc = sx_stats_open(stats, fd, err);
		if (rc < 0)
			goto fail_map;
	}
	return fd;

fail_map:
	munmap(*run, kvm->run_size);
fail_fd:
	close(fd);
	return rc;
}

void sx_vcpu_close(const struct sx_kvm *kvm, int fd, struct kvm_run *run, struct sx_stats *stats)
{
	sx_stats_close(stats);
	munmap(run, kvm->run_size);
	close(fd);
}

int sx_vcpu_create(struct sx_vcpu *v, struct sx_vm *vm, unsigned index, struct sx_error *err)
{
	int rc;

	memset(v, 0, sizeof(*v));
	v->vm = vm;
	v->index = index;
	rc = sx_vcpu_open(vm->kvm, vm->fd, index, &v->run, &v->stats, err);
	v->fd = rc < 0 ? -1 : rc;
	if (rc < 0)
		return rc;
	pthread_mutex_init(&v->lent_lock, NULL);
	return 0;
}

void sx_vcpu_destroy(struct sx_vcpu *v)
{
	if (v->fd < 0)
		return;
	pthread_mutex_destroy(&v->lent_lock);
	sx_vcpu_close(v->vm->kvm, v->fd, v->run, &v->stats);
	v->fd = -1;
}

uint32_t sx_vcpu_tsc_khz(const struct sx_vcpu *v)
{
	int khz = v->vm->kvm->has_tsc_khz ? sx_ioctl(v->fd, KVM_GET_TSC_KHZ, NULL) : 0;

	return khz > 0 ? (uint32_t)khz : 0;
}

/* That KVM_RUN returns is all that it is for. An alarm may come too early for that, and says so. */
static void kicked(int sig, siginfo_t *info, void *context)
{
	const struct sx_alarm *alarm = info->si_value.sival_ptr;
	struct kvm_run *run;

	(void)sig;
	(void)context;
	if (info->si_code != SI_TIMER)
		return;
	run = sx_load_relaxed(alarm->running); /* no pair: this thread's own */
	if (run)
		sx_store_relaxed(&run->immediate_exit, (uint8_t)1);
}

int sx_vcpu_set_up_signal(struct sx_error *err)
{
	struct sigaction sa = {.sa_sigaction = kicked, .sa_flags = SA_SIGINFO};

	sigemptyset(&sa.sa_mask);
	if (sigaction(SX_VCPU_SIGNAL, &sa, NULL) < 0)
		return sx_fail(err, -errno, "cannot install a signal handler: %s", strerror(errno));
	return 0;
}

void sx_vcpu_interrupt(struct kvm_run *run, pthread_t thread)
{
	/* A signal that comes before KVM_RUN would be lost; KVM looks at this after entering. */
	sx_store_relaxed(&run->immediate_exit, (uint8_t)1);
	pthread_kill(thread, SX_VCPU_SIGNAL);
}

void sx_vcpu_lend(struct sx_vcpu *v, struct kvm_run *run)
{
	pthread_mutex_lock(&v->lent_lock);
	v->lent = run;
	pthread_mutex_unlock(&v->lent_lock);
}

bool sx_vcpu_stopping(const struct sx_vcpu *v)
{
	/* Pairs with the release in sx_vcpu_stop(). */
	return sx_load_acquire(&v->stop) != 0;
}

void sx_vcpu_stop(struct sx_vcpu *v, pthread_t thread)
{
	/*
	 * A signal that comes before KVM_RUN would be lost; KVM looks at this after entering.
	 * First, so that it cannot come after the run loop, having seen `stop`, has forgotten both.
	 */
	sx_store_relaxed(&v->run->immediate_exit, (uint8_t)1);
	/* Pairs with the acquires in run_loop() and sx_vcpu_stopping(). */
	sx_store_release(&v->stop, 1u);
	/* After `stop`: a thread that lends itself later looks at that. */
	pthread_mutex_lock(&v->lent_lock);
	if (v->lent)
		sx_store_relaxed(&v->lent->immediate_exit, (uint8_t)1);
	pthread_mutex_unlock(&v->lent_lock);
	pthread_kill(thread, SX_VCPU_SIGNAL);
}

void sx_vcpu_forget_stop(struct sx_vcpu *v)
{
	sx_store_relaxed(&v->run->immediate_exit, (uint8_t)0);
	sx_store_relaxed(&v->stop, 0u);
}

static uint64_t load_bytes(const uint8_t *p, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, p, size);
	return value;
}

/* Hand one access to the sink; a read's result goes to @data. */
static int forward(struct sx_vcpu *v, enum sx_exit_kind kind, uint64_t addr, uint8_t *data,
		   unsigned size, struct sx_error *err)
{
	struct sx_exit x = {.kind = kind, .size = size, .vcpu = v->index, .addr = addr};
	bool read = sx_exit_is_read(kind);
	int rc;

	if (!read)
		x.value = load_bytes(data, size);
	if (!v->exits_forwarded)
		sx_store_relaxed(&v->first_exit_ns, sx_now_ns()); /* no pair: statistics */
	sx_count(&v->exits_forwarded, 1);
	rc = v->sink.handle(v->sink.ctx, &x);
	if (rc == -ENXIO)
		return sx_fail(err, rc,
			       "the guest %s %u byte%s at %s 0x%" PRIx64
			       ", where there is no memory and no device; it was stopped",
			       read ? "read" : "wrote", size, size == 1 ? "" : "s",
			       kind == SX_EXIT_PIO_IN || kind == SX_EXIT_PIO_OUT ? "port"
										 : "address",
			       addr);
	if (rc >= 0 && read)
		memcpy(data, &x.value, size);
	return rc;
}

static int exit_mmio(struct sx_vcpu *v, struct sx_error *err)
{
	struct kvm_run *run = v->run;

	return forward(v, run->mmio.is_write ? SX_EXIT_MMIO_WRITE : SX_EXIT_MMIO_READ,
		       run->mmio.phys_addr, run->mmio.data, run->mmio.len, err);
}

/* A string instruction comes as one exit with a count: one access each. */
static int exit_io(struct sx_vcpu *v, struct sx_error *err)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	enum sx_exit_kind kind =
		run->io.direction == KVM_EXIT_IO_OUT ? SX_EXIT_PIO_OUT : SX_EXIT_PIO_IN;
	int action = SX_EXIT_CONTINUE;

	for (uint32_t i = 0; i < run->io.count; i++) {
		int rc = forward(v, kind, run->io.port, data + (size_t)i * run->io.size,
				 run->io.size, err);

		if (rc < 0)
			return rc;
		if (rc == SX_EXIT_STOP)
			action = SX_EXIT_STOP;
	}
	return action;
}

/* KVM_EXIT_X86_RDMSR and WRMSR: what is not 0 in `error` becomes a #GP. */
static int exit_msr(struct sx_vcpu *v)
{
	struct kvm_run *run = v->run;
	const struct sx_msr_sink *to = &v->msrs;
	uint64_t value = run->msr.data;
	int rc;

	if (run->exit_reason == KVM_EXIT_X86_RDMSR)
		rc = to->read(to->ctx, v->index, run->msr.index, &value);
	else
		rc = to->write(to->ctx, v->index, run->msr.index, value);
	run->msr.data = value;
	run->msr.error = rc < 0;
	return SX_EXIT_CONTINUE;
}

static uint64_t rip_of(const struct sx_vcpu *v)
{
	struct kvm_regs regs = {0};

	sx_ioctl(v->fd, KVM_GET_REGS, &regs);
	return regs.rip;
}

static int execute(struct sx_vcpu *v, struct sx_error *err)
{
	const struct kvm_run *run = v->run;
	const uint64_t has_bytes = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	uint8_t bytes[sizeof(run->emulation_failure.insn_bytes)];

	if (!v->insns.execute || run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION ||
	    run->emulation_failure.ndata == 0 || !(run->emulation_failure.flags & has_bytes) ||
	    run->emulation_failure.insn_size > sizeof(bytes))
		return -ENXIO;
	memcpy(bytes, run->emulation_failure.insn_bytes, sizeof(bytes));
	return v->insns.execute(v->insns.ctx, v->index, bytes, run->emulation_failure.insn_size,
				err);
}

static int exit_internal_error(struct sx_vcpu *v, struct sx_error *err)
{
	const struct kvm_run *run = v->run;
	int rc = execute(v, err);

	if (rc != -ENXIO)
		return rc;
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
		return sx_fail(err, -EFAULT,
			       "vCPU %u was stopped: KVM cannot emulate the guest's instruction at "
			       "rip 0x%" PRIx64,
			       v->index, rip_of(v));
	return sx_fail(err, -EIO, "vCPU %u was stopped: KVM internal error %u at rip 0x%" PRIx64,
		       v->index, run->internal.suberror, rip_of(v));
}

/* What to do about the exit that KVM_RUN came back with: enum sx_exit_action or an error. */
static int handle_exit(struct sx_vcpu *v, struct sx_error *err)
{
	switch (v->run->exit_reason) {
	case KVM_EXIT_MMIO:
		return exit_mmio(v, err);
	case KVM_EXIT_IO:
		return exit_io(v, err);
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		return exit_msr(v);
	case KVM_EXIT_INTR:
		return SX_EXIT_CONTINUE;
	case KVM_EXIT_SHUTDOWN:
		return sx_fail(err, -EFAULT,
			       "the guest crashed: triple fault on vCPU %u at rip 0x%" PRIx64,
			       v->index, rip_of(v));
	case KVM_EXIT_FAIL_ENTRY:
		return sx_fail(
			err, -EIO,
			"KVM could not enter the guest on vCPU %u: hardware reason 0x%" PRIx64,
			v->index, (uint64_t)v->run->fail_entry.hardware_entry_failure_reason);
	case KVM_EXIT_INTERNAL_ERROR:
		return exit_internal_error(v, err);
	default:
		return sx_fail(
			err, -EIO,
			"vCPU %u was stopped: KVM gave exit reason %u, which this version of "
			"splitx does not know",
			v->index, v->run->exit_reason);
	}
}

/* One KVM_RUN; 0, or a negative errno. While in it the thread holds no RCU reference. */
static int enter(struct sx_vcpu *v)
{
	int rc;

	rcu_thread_offline();
	rc = ioctl(v->fd, KVM_RUN, 0) < 0 ? -errno : 0;
	rcu_thread_online();
	return rc;
}

static int run_loop(struct sx_vcpu *v, struct sx_error *err)
{
	for (;;) {
		int rc;

		/* Pairs with the release in sx_vcpu_stop(). */
		if (sx_load_acquire(&v->stop))
			return SX_VCPU_STOPPED;
		rc = enter(v);
		if (rc == -EINTR || rc == -EAGAIN)
			continue;
		if (rc < 0)
			return sx_fail(err, rc, "KVM cannot run vCPU %u: %s", v->index,
				       strerror(-rc));
		rc = handle_exit(v, err);
		if (rc < 0)
			return rc;
		if (rc == SX_EXIT_STOP)
			return SX_VCPU_SINK;
	}
}

int sx_vcpu_run(struct sx_vcpu *v, struct sx_error *err)
{
	int rc;

	v->thread = gettid();
	sx_rcu_register();
	rc = run_loop(v, err);
	sx_rcu_unregister();
	if (rc == SX_VCPU_STOPPED)
		sx_vcpu_forget_stop(v);
	return rc;
}
