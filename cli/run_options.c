// SPDX-License-Identifier: BSD-3-Clause
/* What the user said to splitx run. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/device_core.h"
#include "cli/options.h"
#include "cli/run.h"

static void usage_begin(FILE *to)
{
	fputs("Usage: splitx run [OPTION]... GUEST\n"
	      "       splitx run [OPTION]... --kernel FILE\n"
	      "Run GUEST, an ELF64 micro-guest, or a kernel that knows nothing of splitx, on KVM.\n"
	      "\n"
	      "      --mode trap|split  who handles exits: the exiting vCPU's own thread, or a\n"
	      "                         sidecore (default: split)\n"
	      "      --vcpus N          virtual CPUs (default: one for each guest core named, or "
	      "1)\n"
	      "      --guest-cores L    run vCPUs on these CPUs, such as 2-5 or 2,4 (default: "
	      "chosen)\n"
	      "      --sidecores L      run device work on these CPUs (default: one, chosen)\n"
	      "      --smt              allow SMT siblings to be chosen\n"
	      "      --memory SIZE      guest memory, such as 64M (default: 16M, with a kernel\n"
	      "                         512M)\n"
	      "      --wait POLICY      how cores wait: hot, pause or umwait; with :US they sleep\n"
	      "                         after US idle microseconds (default: hot)\n"
	      "      --rt               real-time scheduling and locked memory\n"
	      "      --watchdog MS      name a poller that holds its sidecore longer than this\n"
	      "                         (default: 500; 0: never)\n"
	      "      --stats[=json]     at the end print KVM's exit counters and ours, to stderr\n"
	      "      --verbose          say where the cores are and what spoils the placement\n"
	      "      --help             show this\n"
	      "\n"
	      "For kernels:\n"
	      "      --kernel FILE      a Linux bzImage, or an ELF kernel with a PVH note or a\n"
	      "                         Multiboot header\n"
	      "      --initrd FILE      its initrd, or a module; may be given again\n"
	      "      --append TEXT      its command line (default: for its console)\n"
	      "      --console serial|virtio  what this terminal is to it: ttyS0 or hvc0, which "
	      "is\n"
	      "                         told its size (default: serial)\n"
	      "      --cpu host[,nested]  the processor it sees: the host's; with nested also VMX "
	      "or SVM\n"
	      "      --nested[=parallel|colocated]  the guest may be a hypervisor, by splitx's own "
	      "VMX;\n"
	      "                         in split mode its guests run on other cores or on its own\n"
	      "                         (default: colocated)\n"
	      "      --idle poll|halt   an idle vCPU keeps its core in the guest, or gives it "
	      "back\n"
	      "                         (default: halt)\n"
	      "      --hugepages        take its memory from the host's reserved hugepages\n"
	      "      --memfd            keep its memory in a memfd, which processes can share\n"
	      "      --prefault         take all its memory at the start\n"
	      "      --reboot exit|restart  what its reset does (default: exit)\n"
	      "      --device-core DEVICE=CPU  have the sidecore on this CPU serve a device: net0 "
	      "is\n"
	      "                         the first --net (default: sidecores in turn)\n",
	      to);
}

static void usage_end(FILE *to)
{
	fputs("On a terminal the kernel gets every key; Ctrl-A x stops it, Ctrl-A Ctrl-A is one "
	      "for it.\n"
	      "\n"
	      "Exit status: the guest's own code (0 to 63); 64 usage; 65 GUEST is no such\n"
	      "program or does not fit; 66 GUEST is missing; 69 the host lacks something; 70 the\n"
	      "guest crashed; 71 the system failed; 74 standard output could not be written;\n"
	      "77 no permission; 80 the guest reset and --reboot is exit; 128+N ended by signal "
	      "N.\n",
	      to);
}

static void usage(FILE *to)
{
	usage_begin(to);
	for (unsigned i = 0; i < sx_plug_count; i++)
		fputs(sx_plugs[i].help, to);
	usage_end(to);
}

enum {
	OPT_MODE = 256,
	OPT_VCPUS,
	OPT_GUEST_CORES,
	OPT_SIDECORES,
	OPT_SMT,
	OPT_MEMORY,
	OPT_WAIT,
	OPT_RT,
	OPT_WATCHDOG,
	OPT_STATS,
	OPT_VERBOSE,
	OPT_HELP,
	/* From here on for kernels only. */
	OPT_KERNEL,
	OPT_INITRD,
	OPT_APPEND,
	OPT_CPU,
	OPT_NESTED,
	OPT_IDLE,
	OPT_HUGEPAGES,
	OPT_MEMFD,
	OPT_PREFAULT,
	OPT_REBOOT,
	OPT_DEVICE_CORE,
	OPT_CONSOLE,
	OPT_PLUGS, /* the first of sx_plugs[]; the others follow */
};

static const struct option fixed_options[] = {
	{"mode", required_argument, NULL, OPT_MODE},
	{"vcpus", required_argument, NULL, OPT_VCPUS},
	{"guest-cores", required_argument, NULL, OPT_GUEST_CORES},
	{"sidecores", required_argument, NULL, OPT_SIDECORES},
	{"smt", no_argument, NULL, OPT_SMT},
	{"memory", required_argument, NULL, OPT_MEMORY},
	{"wait", required_argument, NULL, OPT_WAIT},
	{"rt", no_argument, NULL, OPT_RT},
	{"watchdog", required_argument, NULL, OPT_WATCHDOG},
	{"stats", optional_argument, NULL, OPT_STATS},
	{"verbose", no_argument, NULL, OPT_VERBOSE},
	{"help", no_argument, NULL, OPT_HELP},
	{"kernel", required_argument, NULL, OPT_KERNEL},
	{"initrd", required_argument, NULL, OPT_INITRD},
	{"append", required_argument, NULL, OPT_APPEND},
	{"cpu", required_argument, NULL, OPT_CPU},
	{"nested", optional_argument, NULL, OPT_NESTED},
	{"idle", required_argument, NULL, OPT_IDLE},
	{"hugepages", no_argument, NULL, OPT_HUGEPAGES},
	{"memfd", no_argument, NULL, OPT_MEMFD},
	{"prefault", no_argument, NULL, OPT_PREFAULT},
	{"reboot", required_argument, NULL, OPT_REBOOT},
	{"device-core", required_argument, NULL, OPT_DEVICE_CORE},
	{"console", required_argument, NULL, OPT_CONSOLE},
};

#define FIXED (sizeof(fixed_options) / sizeof(fixed_options[0]))

/* All options: the fixed ones and those of devices. */
struct option_table {
	struct option option[FIXED + SX_MAX_PLUGS + 1];
};

static int takes_value(const struct sx_plug *plug)
{
	if (plug->value_optional)
		return optional_argument;
	return plug->has_value ? required_argument : no_argument;
}

static void fill_options(struct option_table *t)
{
	memset(t, 0, sizeof(*t));
	memcpy(t->option, fixed_options, sizeof(fixed_options));
	for (unsigned i = 0; i < sx_plug_count; i++)
		t->option[FIXED + i] = (struct option){
			.name = sx_plugs[i].option,
			.has_arg = takes_value(&sx_plugs[i]),
			.val = (int)(OPT_PLUGS + i),
		};
}

static int parse_mode(struct sx_run_options *o, const char *text, struct sx_error *err)
{
	if (strcmp(text, "trap") == 0)
		o->mode = SX_TRAP;
	else if (strcmp(text, "split") == 0)
		o->mode = SX_SPLIT;
	else
		return sx_fail(err, -EINVAL, "--mode is trap or split, not '%s'", text);
	return 0;
}

static int parse_stats(struct sx_run_options *o, const char *text, struct sx_error *err)
{
	if (text && strcmp(text, "json") != 0)
		return sx_fail(err, -EINVAL, "--stats takes =json or nothing, not '%s'", text);
	o->stats = text ? SX_STATS_JSON : SX_STATS_TEXT;
	return 0;
}

/* @arg is one of two words; returns whether it is @yes. */
static int parse_choice(const char *option, const char *arg, const char *no, const char *yes,
			bool *value, struct sx_error *err)
{
	*value = strcmp(arg, yes) == 0;
	if (!*value && strcmp(arg, no) != 0)
		return sx_fail(err, -EINVAL, "%s is %s or %s, not '%s'", option, no, yes, arg);
	return 0;
}

static int add_initrd(struct sx_run_kernel_options *k, const char *path, struct sx_error *err)
{
	if (k->initrds == SX_BOOT_MAX_INITRDS)
		return sx_fail(err, -EINVAL, "--initrd may be given %d times at most",
			       SX_BOOT_MAX_INITRDS);
	k->initrd[k->initrds++] = path;
	return 0;
}

static int plug_in(struct sx_run_kernel_options *k, const struct sx_plug *plug, const char *value,
		   struct sx_error *err)
{
	if (k->plugged_count == SX_PC_MAX_DEVICES)
		return sx_fail(err, -EINVAL, "a guest has at most %d devices; plug in fewer",
			       SX_PC_MAX_DEVICES);
	k->plugged[k->plugged_count++] = (struct sx_plugged){.plug = plug, .value = value};
	return 0;
}

static int plug_console(struct sx_run_kernel_options *k, struct sx_error *err)
{
	return k->virtio_console ? plug_in(k, &sx_plug_console, NULL, err) : 0;
}

static int add_device_core(struct sx_run_kernel_options *k, const char *text, struct sx_error *err)
{
	if (k->device_cores == SX_PC_MAX_DEVICES)
		return sx_fail(err, -EINVAL, "--device-core may be given %d times at most",
			       SX_PC_MAX_DEVICES);
	k->device_core[k->device_cores++] = text;
	return 0;
}

static int parse_kernel_option(struct sx_run_kernel_options *k, int opt, const char *arg,
			       struct sx_error *err)
{
	switch (opt) {
	case OPT_KERNEL:
		k->path = arg;
		return 0;
	case OPT_INITRD:
		return add_initrd(k, arg, err);
	case OPT_APPEND:
		k->cmdline = arg;
		return 0;
	case OPT_CPU:
		return parse_choice("--cpu", arg, "host", "host,nested", &k->nested, err);
	case OPT_NESTED:
		k->engine = true;
		return parse_choice("--nested", arg ? arg : "colocated", "colocated", "parallel",
				    &k->parallel, err);
	case OPT_IDLE:
		return parse_choice("--idle", arg, "halt", "poll", &k->idle_poll, err);
	case OPT_HUGEPAGES:
		k->hugepages = true;
		return 0;
	case OPT_MEMFD:
		k->memfd = true;
		return 0;
	case OPT_PREFAULT:
		k->prefault = true;
		return 0;
	case OPT_REBOOT:
		return parse_choice("--reboot", arg, "exit", "restart", &k->restart, err);
	case OPT_DEVICE_CORE:
		return add_device_core(k, arg, err);
	case OPT_CONSOLE:
		return parse_choice("--console", arg, "serial", "virtio", &k->virtio_console, err);
	default:
		return plug_in(k, &sx_plugs[opt - OPT_PLUGS], arg, err);
	}
}

static int parse_option(struct sx_run_options *o, int opt, const char *arg, struct sx_error *err)
{
	switch (opt) {
	case OPT_MODE:
		return parse_mode(o, arg, err);
	case OPT_VCPUS:
		return sx_parse_number("--vcpus", arg, 1, SX_MACHINE_MAX_VCPUS, &o->vcpus, err);
	case OPT_GUEST_CORES:
		o->place.guest_cores = arg;
		return 0;
	case OPT_SIDECORES:
		o->place.sidecores = arg;
		return 0;
	case OPT_SMT:
		o->place.allow_smt = true;
		return 0;
	case OPT_MEMORY:
		return sx_parse_size("--memory", arg, &o->memory, err);
	case OPT_WAIT:
		return sx_wait_policy_parse(&o->wait, arg, err);
	case OPT_RT:
		o->rt = true;
		return 0;
	case OPT_WATCHDOG:
		return sx_parse_number("--watchdog", arg, 0, 3600000, &o->watchdog_ms, err);
	case OPT_VERBOSE:
		o->verbose = true;
		return 0;
	case OPT_STATS:
		return parse_stats(o, arg, err);
	default:
		return parse_kernel_option(&o->kernel, opt, arg, err);
	}
}

/* Now that all devices are known. */
static int pin_devices(struct sx_run_options *o, struct sx_error *err)
{
	struct sx_run_kernel_options *k = &o->kernel;
	int rc = 0;

	if (k->device_cores && o->mode == SX_TRAP)
		return sx_fail(err, -EINVAL, "--device-core has no meaning with --mode trap");
	for (unsigned i = 0; rc == 0 && i < k->device_cores; i++)
		rc = sx_device_core_apply(k->plugged, k->plugged_count, k->device_core[i], err);
	return rc;
}

/* Now that the mode is known. */
static int place_nested(struct sx_run_options *o, struct sx_error *err)
{
	struct sx_run_kernel_options *k = &o->kernel;

	if (!k->engine)
		return 0;
	if (k->nested)
		return sx_fail(err, -EINVAL,
			       "--nested is splitx's own VMX and --cpu host,nested is KVM's; give "
			       "one of them");
	if (k->hugepages)
		return sx_fail(err, -EINVAL,
			       "--nested shares single pages of memory, which --hugepages does not "
			       "have; leave one of them out");
	if (k->parallel && o->mode == SX_TRAP)
		return sx_fail(err, -EINVAL, "--nested=parallel has no meaning with --mode trap");
	k->nested_place = k->parallel ? SX_NESTED_PARALLEL : SX_NESTED_COLOCATED;
	if (o->mode == SX_TRAP)
		k->nested_place = SX_NESTED_TRAP;
	return 0;
}

/* One guest, of one kind. */
static int parse_guest(struct sx_run_options *o, char **words, int count, struct sx_error *err)
{
	int rc;

	if (o->kernel.path && count)
		return sx_fail(err, -EINVAL, "give --kernel or a micro-guest, not both");
	if (o->kernel.path) {
		rc = plug_console(&o->kernel, err);
		if (rc == 0)
			rc = place_nested(o, err);
		return rc < 0 ? rc : pin_devices(o, err);
	}
	if (o->kernel.first)
		return sx_fail(err, -EINVAL, "--%s is for kernels; give one by --kernel",
			       o->kernel.first);
	if (count != 1)
		return sx_fail(err, -EINVAL,
			       count ? "give one guest only (splitx run --help)"
				     : "which guest? give an ELF64 program, or --kernel (splitx "
				       "run --help)");
	o->guest = words[0];
	return 0;
}

int sx_run_parse(struct sx_run_options *o, int argc, char **argv, struct sx_error *err)
{
	struct option_table table;
	int opt, rc, index;

	fill_options(&table);
	*o = (struct sx_run_options){.mode = SX_SPLIT, .watchdog_ms = 500, .wait = SX_WAIT_POLL};
	optind = 1;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:h", table.option, &index)) != -1) {
		if (opt == OPT_HELP || opt == 'h') {
			usage(stdout);
			return 1;
		}
		if (opt >= OPT_KERNEL && !o->kernel.first)
			o->kernel.first = table.option[index].name;
		rc = opt == ':' || opt == '?' ? sx_refuse_option("run", opt, argv, err)
					      : parse_option(o, opt, optarg, err);
		if (rc < 0)
			return rc;
	}
	return parse_guest(o, argv + optind, argc - optind, err);
}
