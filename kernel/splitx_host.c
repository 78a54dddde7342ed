// SPDX-License-Identifier: GPL-2.0
/*
 * What an unpatched KVM keeps to itself comes out of KVM_RUN, for vCPUs that are marked:
 * ipc/wire/host.h says what and how, docs/host-module.md for whom.
 *
 * While a mark wants it, ftrace leads calls of some of KVM's exported functions here (IPMODIFY,
 * Documentation/trace/ftrace-uses.rst). Three of them are whole exit handlers; to return 0 instead
 * of running them is all it takes to leave KVM_RUN. Writes of CR0 and CR4 are found where KVM
 * carries them out, kvm_set_cr0() and kvm_set_cr4(). There the write is held back, and the exit is
 * made where its instruction would be completed:
 *  - a handler of the vendor's module made the write: kvm_complete_insn_gp(), or for LMSW
 *    kvm_skip_emulated_instruction();
 *  - KVM's emulator made it, on a processor that does not decode for KVM: when
 *    kvm_emulate_instruction() returns. The emulator keeps its hands off the registers when it
 *    sees complete_userspace_io set.
 *
 * A guest of the vCPU (nesting by KVM) and system management mode are left alone.
 *
 * Lifetimes. A mark's file holds the vCPU's file, and so the VM. A call that was led here counts as
 * a user of its mark until it returns, and a write that is held back until it has come out; closing
 * waits for them. The module cannot be unloaded while it has a file, and on its way out waits for
 * tails of its functions.
 */
#include <linux/ctype.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/hashtable.h>
#include <linux/kvm_host.h>
#include <linux/magic.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "ipc/wire/host.h"

static_assert(offsetof(struct kvm_run, padding) == SX_HOST_EXIT_AT);
static_assert(sizeof_field(struct kvm_run, padding) == SX_HOST_EXIT_ROOM);
static_assert(SX_HOST_MARK == _IOW(0xb7, 1, struct sx_host_mark));

/* Exported by kvm.ko; its declaration is in a header that is not installed. */
int handle_ud(struct kvm_vcpu *vcpu);

struct mark {
	struct hlist_node node;
	struct kvm_vcpu *vcpu;
	struct file *vcpu_file;
	u32 asked; /* kinds whose hooks are counted for this mark */
	u32 kinds; /* what comes out; 0 once the mark is on its way out */
	atomic_t users;
	struct rcu_head rcu;
	/* Of the thread that runs the vCPU. */
	bool emulating; /* it is in KVM's emulator */
	u32 held;       /* SX_HOST_CR0, SX_HOST_CR4: a write that is held back; else 0 */
	u64 value;      /* what was to be written */
};

static struct module *kvm_module;  /* set once, at load */
static DEFINE_HASHTABLE(marks, 6); /* by vCPU; read under RCU */
static unsigned int mark_count;
static DEFINE_MUTEX(marks_lock); /* for changes of the two */
static DECLARE_WAIT_QUEUE_HEAD(unused);

/* --- marks ----------------------------------------------------------------------------------- */

/* Under RCU or marks_lock. */
static struct mark *mark_of(const struct kvm_vcpu *vcpu)
{
	struct mark *m;

	hash_for_each_possible_rcu(marks, m, node, (unsigned long)vcpu,
				   true) if (m->vcpu == vcpu) return m;
	return NULL;
}

/* For what runs instead, which is a user of its mark: that one stays, others may go. */
static struct mark *used_mark(const struct kvm_vcpu *vcpu)
{
	struct mark *m;

	rcu_read_lock();
	m = mark_of(vcpu);
	rcu_read_unlock();
	return m;
}

/* The mark may be gone when this returns. */
static void put_mark(struct mark *m, int users)
{
	if (atomic_sub_and_test(users, &m->users))
		wake_up(&unused);
}

/* --- what is told ---------------------------------------------------------------------------- */

static u8 code_bits(struct kvm_vcpu *vcpu)
{
	int db, l;

	static_call(kvm_x86_get_cs_db_l_bits)(vcpu, &db, &l);
	if (l && (vcpu->arch.efer & EFER_LMA))
		return 64;
	return db ? 32 : 16;
}

/* How many bytes at a linear address could be read. May sleep. */
static u8 fetch(struct kvm_vcpu *vcpu, u64 linear, u8 *to, unsigned int length)
{
	unsigned int done = 0, offset, part;
	gpa_t gpa;

	while (done < length) {
		offset = offset_in_page(linear + done);
		part = min_t(unsigned int, length - done, PAGE_SIZE - offset);
		gpa = kvm_mmu_gva_to_gpa_read(vcpu, linear + done, NULL);
		if (gpa == INVALID_GPA ||
		    kvm_vcpu_read_guest_page(vcpu, gpa_to_gfn(gpa), to + done, offset, part))
			break;
		done += part;
	}
	return done;
}

/* Make KVM_RUN return. The result is that of an exit handler: 0, to userspace. */
static int leave(struct kvm_vcpu *vcpu, u32 kind, u64 value)
{
	u64 linear = kvm_get_linear_rip(vcpu); /* and so RIP is among the cached registers */
	const unsigned long *regs = vcpu->arch.regs;
	struct sx_host_exit e = {
		.kind = kind,
		.bits = code_bits(vcpu),
		.rip = regs[VCPU_REGS_RIP],
		.value = value,
		.rax = regs[VCPU_REGS_RAX],
		.rbx = regs[VCPU_REGS_RBX],
		.rcx = regs[VCPU_REGS_RCX],
		.rdx = regs[VCPU_REGS_RDX],
		.rsi = regs[VCPU_REGS_RSI],
	};

	e.insn_bytes = fetch(vcpu, linear, e.insn, sizeof(e.insn));
	memcpy(vcpu->run->padding, &e, sizeof(e));
	vcpu->run->exit_reason = SX_HOST_EXIT;
	return 0;
}

/* --- what runs instead ----------------------------------------------------------------------- */

static int leave_and_put(struct kvm_vcpu *vcpu, u32 kind)
{
	struct mark *m = used_mark(vcpu);
	int r = leave(vcpu, kind, 0);

	put_mark(m, 1);
	return r;
}

static int instead_of_kvm_emulate_cpuid(struct kvm_vcpu *vcpu)
{
	return leave_and_put(vcpu, SX_HOST_CPUID);
}

static int instead_of_kvm_emulate_hypercall(struct kvm_vcpu *vcpu)
{
	return leave_and_put(vcpu, SX_HOST_HYPERCALL);
}

static int instead_of_kvm_emulate_xsetbv(struct kvm_vcpu *vcpu)
{
	struct mark *m = used_mark(vcpu);
	/* Its exception precedes the exit: SDM Vol. 3C 26.1.1. */
	int r = kvm_require_cpl(vcpu, 0) ? leave(vcpu, SX_HOST_XSETBV, 0) : 1;

	put_mark(m, 1);
	return r;
}

/* The other vendor's hypercall raises #UD, at which KVM would write its own over it. */
static bool is_hypercall(struct kvm_vcpu *vcpu)
{
	u8 insn[3];

	return fetch(vcpu, kvm_get_linear_rip(vcpu), insn, sizeof(insn)) == sizeof(insn) &&
	       insn[0] == 0x0f && insn[1] == 0x01 && (insn[2] == 0xc1 || insn[2] == 0xd9);
}

static int instead_of_handle_ud(struct kvm_vcpu *vcpu)
{
	struct mark *m = used_mark(vcpu);
	int r = is_hypercall(vcpu) ? leave(vcpu, SX_HOST_HYPERCALL, 0) : handle_ud(vcpu);

	put_mark(m, 1);
	return r;
}

/* Never called: that it is set is what the emulator goes by. */
static int no_completion(struct kvm_vcpu *vcpu)
{
	return 1;
}

static int hold(struct kvm_vcpu *vcpu, u32 kind, u64 value)
{
	struct mark *m = used_mark(vcpu);

	m->held = kind;
	m->value = value;
	if (m->emulating) {
		vcpu->arch.complete_userspace_io = no_completion;
		put_mark(m, 1); /* instead_of_kvm_emulate_instruction() is a user, too */
	}
	return 0;
}

static int instead_of_kvm_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0)
{
	return hold(vcpu, SX_HOST_CR0, cr0);
}

static int instead_of_kvm_set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	return hold(vcpu, SX_HOST_CR4, cr4);
}

static void instead_of_kvm_lmsw(struct kvm_vcpu *vcpu, unsigned long msw)
{
	hold(vcpu, SX_HOST_CR0, msw & 0xf);
}

static int leave_with_held(struct kvm_vcpu *vcpu, struct mark *m)
{
	u32 kind = m->held;

	m->held = 0;
	return leave(vcpu, kind, m->value);
}

/* One user is this call, the other the one that hold() has left. */
static int instead_of_kvm_skip_emulated_instruction(struct kvm_vcpu *vcpu)
{
	struct mark *m = used_mark(vcpu);
	int r = leave_with_held(vcpu, m);

	put_mark(m, 2);
	return r;
}

static int instead_of_kvm_complete_insn_gp(struct kvm_vcpu *vcpu, int err)
{
	return instead_of_kvm_skip_emulated_instruction(vcpu);
}

static int instead_of_kvm_emulate_instruction(struct kvm_vcpu *vcpu, int type)
{
	struct mark *m = used_mark(vcpu);
	int r;

	m->emulating = type == 0; /* an instruction that was intercepted */
	r = kvm_emulate_instruction(vcpu, type);
	m->emulating = false;
	if (m->held) {
		vcpu->arch.complete_userspace_io = NULL;
		/* Nothing of the emulator's is worth more than the registers as they are. */
		vcpu->arch.emulate_regs_need_sync_to_vcpu = false;
		r = leave_with_held(vcpu, m);
	}
	put_mark(m, 1);
	return r;
}

/* --- hooks ----------------------------------------------------------------------------------- */

struct hook {
	unsigned long function; /* of KVM */
	unsigned long instead;
	u32 kinds; /* it serves */
	bool (*wanted)(const struct hook *h, const struct mark *m, unsigned long caller);
};

static bool comes_out(const struct hook *h, const struct mark *m, unsigned long caller)
{
	const struct kvm_vcpu_arch *arch = &m->vcpu->arch;

	return (READ_ONCE(m->kinds) & h->kinds) && !arch->guest_state_protected &&
	       !(arch->hflags & (HF_GUEST_MASK | HF_SMM_MASK));
}

/* KVM itself also sets control registers for other reasons, such as a task switch. */
static bool write_comes_out(const struct hook *h, const struct mark *m, unsigned long caller)
{
	return comes_out(h, m, caller) && !m->held &&
	       (m->emulating || !within_module(caller, kvm_module));
}

/* Also when the mark is on its way out: the write has not been carried out. */
static bool completes_held(const struct hook *h, const struct mark *m, unsigned long caller)
{
	return m->held && !m->emulating;
}

/* Our own call of the same function is meant for KVM. No such call here is a tail call. */
static bool foreign_call(const struct hook *h, const struct mark *m, unsigned long caller)
{
	return comes_out(h, m, caller) && !within_module(caller, THIS_MODULE);
}

#define HOOK(f, kinds, wanted)                                                     \
	{                                                                          \
		(unsigned long)(f), (unsigned long)(instead_of_##f), kinds, wanted \
	}
#define CRS (SX_HOST_CR0 | SX_HOST_CR4)

/* All have the vCPU as their first argument. */
static const struct hook hooks[] = {
	HOOK(kvm_emulate_cpuid, SX_HOST_CPUID, comes_out),
	HOOK(kvm_emulate_xsetbv, SX_HOST_XSETBV, comes_out),
	HOOK(kvm_emulate_hypercall, SX_HOST_HYPERCALL, comes_out),
	HOOK(handle_ud, SX_HOST_HYPERCALL, foreign_call),
	HOOK(kvm_set_cr0, SX_HOST_CR0, write_comes_out),
	HOOK(kvm_lmsw, SX_HOST_CR0, write_comes_out),
	HOOK(kvm_set_cr4, SX_HOST_CR4, write_comes_out),
	HOOK(kvm_complete_insn_gp, CRS, completes_held),
	HOOK(kvm_skip_emulated_instruction, CRS, completes_held),
	HOOK(kvm_emulate_instruction, CRS, foreign_call),
};

/* By the address that ftrace gives: the function's, or, where it begins with ENDBR, behind that. */
static const struct hook *hook_at(unsigned long ip)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (ip - hooks[i].function <= 4)
			return &hooks[i];
	return NULL;
}

/* One of these functions is being entered. */
static void entered(unsigned long ip, unsigned long caller, struct ftrace_ops *ops,
		    struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);
	const struct hook *h;
	struct mark *m;

	rcu_read_lock();
	m = mark_of((struct kvm_vcpu *)regs->di);
	h = m ? hook_at(ip) : NULL;
	if (h && h->wanted(h, m, caller)) {
		atomic_inc(&m->users); /* before the end of RCU's protection: release_file() */
		instruction_pointer_set(regs, h->instead);
	}
	rcu_read_unlock();
}

/* PERMANENT: while hooked, the sysctl that would turn ftrace off is refused. */
static struct ftrace_ops ftrace = {
	.func = entered,
	.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT,
};

static int __init choose_functions(void)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; rc == 0 && i < ARRAY_SIZE(hooks); i++)
		rc = ftrace_set_filter_ip(&ftrace, hooks[i].function, 0, 0);
	return rc;
}

/* --- the device ------------------------------------------------------------------------------ */

/* KVM has no function that says so. Nobody but the kernel names anonymous inodes. */
static bool is_vcpu(const struct file *file)
{
	static const char prefix[] = "kvm-vcpu:";
	const char *name = file->f_path.dentry->d_name.name;

	return file_inode(file)->i_sb->s_magic == ANON_INODE_FS_MAGIC &&
	       strncmp(name, prefix, sizeof(prefix) - 1) == 0 && isdigit(name[sizeof(prefix) - 1]);
}

static int check_vcpu(const struct file *file)
{
	const struct kvm_vcpu *vcpu;

	if (!is_vcpu(file))
		return -ENOTTY;
	vcpu = file->private_data;
	return vcpu->arch.guest_state_protected ? -EOPNOTSUPP : 0;
}

static int publish_mark(struct file *file, struct mark *m)
{
	int rc = -EBUSY;

	mutex_lock(&marks_lock);
	if (file->private_data || mark_of(m->vcpu))
		goto out;
	/* KVM is hooked while there is a mark, so that else nobody pays. */
	rc = mark_count > 0 ? 0 : register_ftrace_function(&ftrace);
	if (rc)
		goto out;
	mark_count++;
	file->private_data = m;
	hash_add_rcu(marks, &m->node, (unsigned long)m->vcpu);
out:
	mutex_unlock(&marks_lock);
	return rc;
}

static int make_mark(struct file *file, const struct sx_host_mark *wish)
{
	struct mark *m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	int rc = -EBADF;

	if (!m)
		return -ENOMEM;
	m->vcpu_file = fget(wish->vcpu);
	if (!m->vcpu_file)
		goto no_file;
	rc = check_vcpu(m->vcpu_file);
	if (rc)
		goto no_vcpu;
	m->vcpu = m->vcpu_file->private_data;
	m->kinds = wish->kinds;
	rc = publish_mark(file, m);
	if (rc == 0)
		return 0;
no_vcpu:
	fput(m->vcpu_file);
no_file:
	kfree(m);
	return rc;
}

static long ioctl_file(struct file *file, unsigned int request, unsigned long argument)
{
	struct sx_host_mark wish;

	if (request != SX_HOST_MARK)
		return -ENOTTY;
	if (copy_from_user(&wish, (const void __user *)argument, sizeof(wish)))
		return -EFAULT;
	if (wish.version != SX_WIRE_VERSION)
		return -EPROTO;
	if (wish.kinds == 0 || (wish.kinds & ~SX_HOST_ALL) || wish.zero != 0)
		return -EINVAL;
	return make_mark(file, &wish);
}

static int open_file(struct inode *inode, struct file *file)
{
	file->private_data = NULL; /* where misc_open() left its own */
	return nonseekable_open(inode, file);
}

static int release_file(struct inode *inode, struct file *file)
{
	struct mark *m = file->private_data;

	if (!m)
		return 0;
	WRITE_ONCE(m->kinds, 0);
	/* Pairs with entered(): whoever read other kinds is now a user. */
	synchronize_rcu();
	wait_event(unused, atomic_read(&m->users) == 0);
	mutex_lock(&marks_lock);
	hash_del_rcu(&m->node);
	if (--mark_count == 0)
		unregister_ftrace_function(&ftrace);
	mutex_unlock(&marks_lock);
	fput(m->vcpu_file);
	kfree_rcu(m, rcu);
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = open_file,
	.release = release_file,
	.unlocked_ioctl = ioctl_file,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "splitx-host",
	.fops = &operations,
	.mode = 0600,
};

/* The one module that this one uses. */
static struct module *__init find_kvm(void)
{
	struct module_use *use;

	list_for_each_entry(use, &THIS_MODULE->target_list,
			    target_list) if (within_module((unsigned long)kvm_set_cr0,
							   use->target)) return use->target;
	return NULL;
}

static int __init load(void)
{
	int rc;

	kvm_module = find_kvm();
	if (!kvm_module) {
		pr_err("splitx_host: KVM is part of this kernel; it has to be a module\n");
		return -EOPNOTSUPP;
	}
	rc = choose_functions();
	if (rc) {
		pr_err("splitx_host: this kernel cannot lead KVM's functions elsewhere\n");
		goto out;
	}
	rc = misc_register(&device);
	if (rc == 0)
		return 0;
out:
	ftrace_free_filter(&ftrace);
	return rc;
}

static void __exit unload(void)
{
	misc_deregister(&device);
	/* A vCPU's thread may be between its last word to a mark and the end of our function. */
	synchronize_rcu_tasks();
	ftrace_free_filter(&ftrace);
}

module_init(load);
module_exit(unload);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("CPUID, CR0, CR4, XSETBV and hypercalls of marked vCPUs exit to userspace");
