// SPDX-License-Identifier: BSD-3-Clause
/*
 * The stage of `splitx bench virtio`: its guest checks each block and frame itself, and fails the
 * command for one that is wrong or does not come. Here: what each actor costs in exits, that blocks
 * reach the disk, and that what cannot be done is refused.
 *
 * test-timeout: 1200 (two threads that poll each other wait for time slices on a busy machine)
 */
#include "tests/support/world.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/virtio_stage.h"

#define SAMPLES 60
#define WARMUP  4
#define WINDOW  6

static struct {
	bool open;
	struct sx_virtio_stage stage;
	struct sx_virtio_outcome outcome;
} bench;

static struct sx_virtio_stage *open_stage(void **state)
{
	const struct sx_bench_options opt = {.rounds = 1, .where = "native"};
	struct sx_error err = {0};
	int rc;

	world_of(state);
	rc = sx_virtio_stage_open(&bench.stage, &opt, &err);
	bench.open = true;
	if (rc == -ENOSPC) {
		print_message("# skipped: %s\n", err.text);
		skip();
	}
	if (rc < 0)
		fail_msg("%s", err.text);
	assert_int_equal(sx_samples_init(&bench.outcome.samples, 1000, &err), 0);
	assert_int_equal(sx_samples_init(&bench.outcome.windows, 1000, &err), 0);
	return &bench.stage;
}

static int close_stage(void **state)
{
	if (bench.open) {
		sx_virtio_stage_close(&bench.stage);
		sx_samples_destroy(&bench.outcome.samples);
		sx_samples_destroy(&bench.outcome.windows);
		bench.open = false;
	}
	return world_teardown(state);
}

static struct sx_virtio_command command_of(enum sx_actor actor, enum sx_bench_op op, uint32_t depth,
					   uint32_t batch, uint32_t bytes)
{
	return (struct sx_virtio_command){
		.actor = actor,
		.op = op,
		.samples = SAMPLES,
		.warmup = WARMUP,
		.depth = depth,
		.batch = batch,
		.bytes = bytes,
		.window = WINDOW,
	};
}

/* Run it, and return the exits for MMIO that it took. */
static uint64_t carry_out(const struct sx_virtio_command *c)
{
	struct sx_virtio_outcome *o = &bench.outcome;
	struct sx_error err = {0};

	sx_samples_clear(&o->samples);
	sx_samples_clear(&o->windows);
	o->rig = (struct sx_rig_outcome){0};
	if (sx_virtio_stage_run(&bench.stage, c, o, &err) < 0)
		fail_msg("actor %d, operation %d, how %u: %s", c->actor, c->op, c->how, err.text);
	assert_int_equal(o->rig.ops, SAMPLES + WARMUP);
	assert_int_equal(o->samples.count, SAMPLES);
	assert_int_equal(o->windows.count, SAMPLES / WINDOW);
	assert_int_equal(o->samples.dropped + o->windows.dropped, 0);
	return o->rig.device_exits;
}

static uint64_t run(enum sx_actor actor, enum sx_bench_op op, uint32_t depth, uint32_t batch,
		    uint32_t bytes)
{
	const struct sx_virtio_command c = command_of(actor, op, depth, batch, bytes);

	return carry_out(&c);
}

static uint64_t run_how(enum sx_actor actor, enum sx_bench_op op, uint32_t depth, uint32_t batch,
			uint32_t bytes, uint32_t how)
{
	struct sx_virtio_command c = command_of(actor, op, depth, batch, bytes);

	c.how = how;
	return carry_out(&c);
}

static void want_refusal(struct sx_virtio_command c, int rc)
{
	struct sx_error err = {0};

	assert_int_equal(sx_virtio_stage_run(&bench.stage, &c, &bench.outcome, &err), rc);
	assert_true(err.text[0]);
}

static int written(enum sx_actor actor)
{
	struct sx_error err = {0};
	int n = sx_disk_bench_check(&bench.stage.disk[actor], &err);

	if (n < 0)
		fail_msg("%s", err.text);
	return n;
}

static void a_disk_is_read_and_written(void **state)
{
	open_stage(state);
	for (enum sx_actor a = SX_ACTOR_TRAP; a <= SX_ACTOR_SPLIT; a++) {
		for (uint32_t depth = 1; depth <= 32; depth += 31) {
			uint64_t exits = run(a, SX_BENCH_BLK_READ, depth, 0, 0);

			exits += run(a, SX_BENCH_BLK_WRITE, depth, 0, 0);
			if (a == SX_ACTOR_SPLIT)
				assert_int_equal(exits, 0);
			else
				assert_true(exits > 0);
		}
		/* Of so many blocks some may have been written twice. */
		assert_in_range(written(a), SAMPLES, 2 * (SAMPLES + WARMUP));
	}
}

static void trap_mode_exits_for_each_request(void **state)
{
	open_stage(state);
	assert_int_equal(run(SX_ACTOR_TRAP, SX_BENCH_NET_TX, 1, 1, 64), SAMPLES + WARMUP);
	assert_true(run(SX_ACTOR_TRAP, SX_BENCH_BLK_READ, 1, 0, 0) >= SAMPLES + WARMUP);
}

static void frames_come_and_go(enum sx_actor a)
{
	static const uint32_t bytes[] = {64, 1514};
	uint64_t exits = 0;

	for (unsigned i = 0; i < 2; i++) {
		exits += run(a, SX_BENCH_NET_TX, 1, 1, bytes[i]);
		exits += run(a, SX_BENCH_NET_FORWARD, 128, 32, bytes[i]);
		exits += run(a, SX_BENCH_NET_RX, 32, 32, bytes[i]);
		/* What the source left behind is not taken for what was sent. */
		exits += run(a, SX_BENCH_NET_FORWARD, 1, 1, bytes[i]);
		exits += run(a, SX_BENCH_NET_TX, 128, 32, bytes[i]);
	}
	if (a == SX_ACTOR_TRAP)
		assert_true(exits > 0);
	else
		assert_int_equal(exits, 0);
}

static void frames_come_and_go_in_trap_mode(void **state)
{
	open_stage(state);
	frames_come_and_go(SX_ACTOR_TRAP);
}

static void frames_come_and_go_in_split_mode(void **state)
{
	open_stage(state);
	frames_come_and_go(SX_ACTOR_SPLIT);
	assert_true(bench.outcome.busy > 0);
}

static void testpmd_serves_the_same_rings(void **state)
{
	const struct sx_virtio_stage *s = open_stage(state);

	if (!s->have_testpmd) {
		print_message("# skipped: %s\n", s->missing.text);
		skip();
	}
	frames_come_and_go(SX_ACTOR_TESTPMD);
	/* It was told of split rings, and of nobody to interrupt. */
	for (uint32_t how = SX_BENCH_PACKED; how <= 3; how++) {
		struct sx_virtio_command c =
			command_of(SX_ACTOR_TESTPMD, SX_BENCH_NET_TX, 1, 1, 64);

		c.how = how;
		want_refusal(c, -EIO);
	}
	run(SX_ACTOR_TESTPMD, SX_BENCH_NET_TX, 1, 1, 64);
}

static void actors_take_turns(void **state)
{
	const struct sx_virtio_stage *s = open_stage(state);

	for (unsigned i = 0; i < 3; i++)
		for (enum sx_actor a = SX_ACTOR_TRAP; a < SX_ACTORS; a++)
			if (a != SX_ACTOR_TESTPMD || s->have_testpmd)
				run(a, SX_BENCH_NET_FORWARD, 64, 8, 64);
}

/* ---- packed rings, interrupts ---- */

static uint64_t interrupts(enum sx_actor a)
{
	return bench.stage.rig[a].page->interrupts;
}

/* The laps of a ring of 256 are many: nothing is left of the last one. */
static void packed_rings(enum sx_actor a)
{
	uint64_t exits = 0;

	for (unsigned i = 0; i < 2; i++) {
		exits += run_how(a, SX_BENCH_BLK_WRITE, 1, 0, 0, SX_BENCH_PACKED);
		exits += run_how(a, SX_BENCH_BLK_READ, 32, 0, 0, SX_BENCH_PACKED);
		exits += run_how(a, SX_BENCH_NET_FORWARD, 1, 1, 64, SX_BENCH_PACKED);
		exits += run_how(a, SX_BENCH_NET_TX, 128, 32, 64, SX_BENCH_PACKED);
		exits += run_how(a, SX_BENCH_NET_RX, 32, 32, 1514, SX_BENCH_PACKED);
		exits += run_how(a, SX_BENCH_NET_FORWARD, 128, 32, 1514, SX_BENCH_PACKED);
	}
	assert_true(written(a) > 0);
	if (a == SX_ACTOR_SPLIT)
		assert_int_equal(exits, 0);
	else
		assert_true(exits >= 4ul * (SAMPLES + WARMUP));
}

static void rings_may_be_packed_in_trap_mode(void **state)
{
	open_stage(state);
	packed_rings(SX_ACTOR_TRAP);
}

static void rings_may_be_packed_in_split_mode(void **state)
{
	open_stage(state);
	packed_rings(SX_ACTOR_SPLIT);
}

/* The guest looks for nothing before an interrupt. Trap mode exits for notifications as ever. */
static void expect_interrupts(enum sx_actor a, enum sx_bench_op op, uint32_t batch, uint32_t how)
{
	const uint64_t requests = SAMPLES + WARMUP;
	uint64_t exits = run_how(a, op, 1, batch, batch * 64, how);

	if (how & SX_BENCH_INTERRUPTS)
		assert_true(interrupts(a) >= requests);
	else
		assert_int_equal(interrupts(a), 0);
	if (a == SX_ACTOR_SPLIT)
		assert_int_equal(exits, 0);
	else
		assert_true(exits >= requests);
}

/* From one kind of ring to the other, with interrupts and without, and back. */
static void interrupts_tell_of_requests_if_wanted(void **state)
{
	static const uint32_t how[] = {0, SX_BENCH_INTERRUPTS, SX_BENCH_PACKED,
				       SX_BENCH_PACKED | SX_BENCH_INTERRUPTS, 0};

	open_stage(state);
	for (enum sx_actor a = SX_ACTOR_TRAP; a <= SX_ACTOR_SPLIT; a++)
		for (unsigned i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
			expect_interrupts(a, SX_BENCH_BLK_WRITE, 0, how[i]);
			expect_interrupts(a, SX_BENCH_NET_FORWARD, 1, how[i]);
		}
}

/* ---- refusals ---- */

static void commands_that_make_no_sense_are_refused(void **state)
{
	struct sx_virtio_command c;

	open_stage(state);
	want_refusal(command_of(SX_ACTOR_SPLIT, SX_BENCH_BLK_READ, 0, 0, 0), -EIO);
	want_refusal(command_of(SX_ACTOR_SPLIT, SX_BENCH_BLK_READ, 33, 0, 0), -EIO);
	want_refusal(command_of(SX_ACTOR_SPLIT, SX_BENCH_NET_TX, 1, 2, 64), -EIO);
	want_refusal(command_of(SX_ACTOR_SPLIT, SX_BENCH_NET_TX, 257, 1, 64), -EIO);
	want_refusal(command_of(SX_ACTOR_SPLIT, SX_BENCH_NET_TX, 1, 1, 8), -EIO);
	want_refusal(command_of(SX_ACTOR_SPLIT, SX_BENCH_NET_TX, 1, 1, 4096), -EIO);
	want_refusal(command_of(SX_ACTOR_SPLIT, SX_BENCH_REQUEST, 1, 1, 64), -EIO);
	/* Two requests, one interrupt. */
	c = command_of(SX_ACTOR_SPLIT, SX_BENCH_BLK_READ, 2, 0, 0);
	c.how = SX_BENCH_INTERRUPTS;
	want_refusal(c, -EIO);
	c = command_of(SX_ACTOR_TRAP, SX_BENCH_NET_RX, 1, 1, 64);
	c.how = SX_BENCH_INTERRUPTS;
	want_refusal(c, -EIO);
	c = command_of(SX_ACTOR_SPLIT, SX_BENCH_NET_TX, 1, 1, 64);
	c.samples = UINT32_MAX / 2;
	want_refusal(c, -EINVAL);
	/* And the stage goes on. */
	assert_int_equal(run(SX_ACTOR_SPLIT, SX_BENCH_NET_TX, 1, 1, 64), 0);
}

static void a_spoilt_block_is_found(void **state)
{
	struct sx_disk_bench disk = {0};
	struct sx_bench_block *block;

	(void)state;
	assert_int_equal(sx_disk_bench_create(&disk, 8, NULL), 0);
	block = disk.image.base;
	assert_int_equal(sx_disk_bench_check(&disk, NULL), 0);
	block[3].stamp = 7;
	assert_int_equal(sx_disk_bench_check(&disk, NULL), -EIO);
	block[3].check ^= 7;
	assert_int_equal(sx_disk_bench_check(&disk, NULL), 1);
	block[3] = block[4];
	assert_int_equal(sx_disk_bench_check(&disk, NULL), -EIO);
	sx_disk_bench_destroy(&disk);
}

static void testpmd_that_is_not_there_is_told_of(void **state)
{
	char *path = strdup(getenv("PATH"));
	struct sx_error err = {0};
	struct sx_testpmd t;

	(void)state;
	assert_non_null(path);
	setenv("PATH", "/bin:/nowhere", 1);
	if (access("/bin/dpdk-testpmd", X_OK) == 0)
		setenv("PATH", "/nowhere", 1);
	assert_true(sx_testpmd_start(&t, 0, 1, &err) < 0);
	setenv("PATH", path, 1);
	free(path);
	assert_non_null(strstr(err.text, "testpmd"));
	assert_int_equal(t.pid, 0);
}

/* ---- a vhost-user back end that does not do as it should ---- */

struct backend {
	char path[64];
	int fd;
	const void *answer;
	size_t size;
};

static void *serve(void *arg)
{
	const struct backend *b = arg;
	char ignored[64];
	int fd = accept(b->fd, NULL, NULL);

	if (fd >= 0 && read(fd, ignored, sizeof(ignored)) > 0 && b->size)
		send(fd, b->answer, b->size, MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

static void want_rejected(const void *answer, size_t size, int rc)
{
	struct backend b = {.answer = answer, .size = size};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	const struct sx_region nothing = {.fd = -1};
	const struct sx_bench_rings rings = {.size = 256};
	struct sx_error err = {0};
	struct sx_vhost_user v;
	pthread_t thread;

	snprintf(b.path, sizeof(b.path), "/tmp/test_bench_virtio.%d", (int)getpid());
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", b.path);
	b.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(b.fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(b.fd, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, &b), 0);
	assert_int_equal(sx_vhost_user_open(&v, b.path, &nothing, &rings, &err), rc);
	assert_true(err.text[0]);
	assert_int_equal(v.fd, -1);
	pthread_join(thread, NULL);
	close(b.fd);
	unlink(b.path);
}

static void a_back_end_that_answers_wrong_is_refused(void **state)
{
	const uint32_t other_request[5] = {2, 5, 8, 0, 1};
	const uint32_t no_reply[5] = {1, 1, 8, 0, 1};
	const uint32_t other_size[5] = {1, 5, 4, 0, 1};
	const uint32_t legacy_only[5] = {1, 5, 8, 0x20, 0};

	(void)state;
	want_rejected(NULL, 0, -EPROTO);
	want_rejected(other_request, sizeof(other_request), -EPROTO);
	want_rejected(no_reply, sizeof(no_reply), -EPROTO);
	want_rejected(other_size, sizeof(other_size), -EPROTO);
	want_rejected(other_size, 7, -EPROTO);
	want_rejected(legacy_only, sizeof(legacy_only), -ENOTSUP);
}

static void nobody_to_connect_to_is_an_error(void **state)
{
	const struct sx_region nothing = {.fd = -1};
	const struct sx_bench_rings rings = {.size = 256};
	struct sx_error err = {0};
	struct sx_vhost_user v;
	char longest[200];

	(void)state;
	assert_int_equal(sx_vhost_user_open(&v, "/nowhere/at/all", &nothing, &rings, &err),
			 -ENOENT);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(sx_vhost_user_open(&v, longest, &nothing, &rings, NULL), -ENAMETOOLONG);
}

#define CASE(FUNCTION)                                                                      \
	{                                                                                   \
#FUNCTION, FUNCTION, world_setup, close_stage, (void *)(uintptr_t)&way_trap \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_disk_is_read_and_written),
		CASE(trap_mode_exits_for_each_request),
		CASE(frames_come_and_go_in_trap_mode),
		CASE(frames_come_and_go_in_split_mode),
		CASE(testpmd_serves_the_same_rings),
		CASE(actors_take_turns),
		CASE(rings_may_be_packed_in_trap_mode),
		CASE(rings_may_be_packed_in_split_mode),
		CASE(interrupts_tell_of_requests_if_wanted),
		CASE(commands_that_make_no_sense_are_refused),
		cmocka_unit_test(a_spoilt_block_is_found),
		cmocka_unit_test(testpmd_that_is_not_there_is_told_of),
		cmocka_unit_test(a_back_end_that_answers_wrong_is_refused),
		cmocka_unit_test(nobody_to_connect_to_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
