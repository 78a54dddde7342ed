// SPDX-License-Identifier: BSD-3-Clause
/*
 * Two PCs whose devices live on one sidecore, at the same time; tests/lab/test_boot.sh runs it.
 *
 *   pair KERNEL INITRD CMDLINE DISK OUT DISK OUT
 *
 * Each guest has one of the disks, and what it says goes to the OUT behind that. Exits with 0 when
 * both have switched themselves off.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cli/machine_run.h"
#include "cli/pc.h"

#define MACHINES 2
#define MEMORY   (256ull << 20)

struct pair {
	struct sx_kvm kvm;
	struct sx_placement *place;
	struct sx_sidecore *sidecore;
	const char *initrd;
	struct machine {
		struct sx_plugged disk;
		struct sx_pc pc;
		struct sx_machine_run run;
		FILE *out;
	} machine[MACHINES];
};

static const struct sx_plug *disk_plug(void)
{
	for (unsigned i = 0; i < sx_plug_count; i++)
		if (strcmp(sx_plugs[i].option, "disk") == 0)
			return &sx_plugs[i];
	return NULL;
}

static int build(struct pair *p, char **argv, struct sx_error *err)
{
	const struct sx_placement_request request = {.n_guest = 1, .n_side = 1};
	struct sx_sidecore_config sidecore = SX_SIDECORE_POLL(-1);
	int rc = sx_kvm_open(&p->kvm, err);

	p->initrd = argv[2];
	sidecore.wait = (struct sx_wait_policy){SX_SPIN_PAUSE, 100000};
	if (rc == 0)
		rc = sx_placement_plan(&request, &p->place, err);
	if (rc == 0)
		rc = sx_vcpu_set_up_signal(err);
	if (rc == 0)
		rc = sx_sidecore_start(&p->sidecore, &sidecore, err);
	for (unsigned i = 0; rc == 0 && i < MACHINES; i++) {
		struct machine *m = &p->machine[i];
		struct sx_pc_config c = {.kvm = &p->kvm,
					 .place = p->place,
					 .kernel = argv[1],
					 .initrd = &p->initrd,
					 .initrds = 1,
					 .cmdline = argv[3],
					 .memory = MEMORY,
					 .plugged = &m->disk,
					 .plugged_count = 1,
					 .mode = SX_SPLIT,
					 .wait = sidecore.wait,
					 .sidecores = &p->sidecore,
					 .sidecore_count = 1,
					 .sidecores_sleep = true};

		m->disk = (struct sx_plugged){.plug = disk_plug(), .value = argv[4 + 2 * i]};
		m->out = fopen(argv[5 + 2 * i], "w");
		if (!m->out)
			return sx_fail(err, -errno, "cannot write '%s'", argv[5 + 2 * i]);
		rc = sx_pc_create(&m->pc, &c, err);
	}
	return rc;
}

/* Takes what a guest has said. */
static void listen(struct machine *m)
{
	char text[4096];
	uint32_t n;

	while ((n = sx_byte_queue_pull(&m->pc.serial_out, text, sizeof(text))) > 0) {
		fwrite(text, 1, n, m->out);
		sx_pc_console_moved(&m->pc);
	}
	fflush(m->out);
}

static int run(struct pair *p, struct sx_error *err)
{
	const int anywhere = -1;
	struct pollfd done[MACHINES];
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < MACHINES; i++) {
		struct machine *m = &p->machine[i];

		rc = sx_machine_run_start(&m->run, m->pc.vcpu, m->pc.vcpus, &anywhere, 0, err);
		done[i] = (struct pollfd){.fd = m->run.done_fd, .events = POLLIN};
	}
	if (rc < 0)
		return rc;
	for (unsigned left = MACHINES; left > 0;) {
		poll(done, MACHINES, 20);
		for (unsigned i = 0; i < MACHINES; i++) {
			listen(&p->machine[i]);
			if (done[i].fd < 0 || !done[i].revents)
				continue;
			done[i].fd = -1;
			left--;
		}
	}
	return 0;
}

static int finish(struct pair *p, struct sx_error *err)
{
	int off = 0;

	for (unsigned i = 0; i < MACHINES; i++) {
		struct machine *m = &p->machine[i];

		if (sx_machine_run_join(&m->run, err) == SX_VCPU_SINK &&
		    m->pc.power.end == SX_POWER_OFF)
			off++;
		listen(m);
		sx_pc_destroy(&m->pc);
		fclose(m->out);
	}
	sx_sidecore_stop(p->sidecore);
	sx_placement_free(p->place);
	sx_kvm_close(&p->kvm);
	printf("pair: %d switched off\n", off);
	return off == MACHINES ? 0 : 1;
}

int main(int argc, char **argv)
{
	static struct pair pair;
	struct sx_error err = {0};
	int rc;

	if (argc != 8)
		return 2;
	rc = build(&pair, argv, &err);
	if (rc == 0)
		rc = run(&pair, &err);
	if (rc < 0) {
		fprintf(stderr, "pair: %s\n", err.text);
		return 1;
	}
	return finish(&pair, &err);
}
