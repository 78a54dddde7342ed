// SPDX-License-Identifier: BSD-3-Clause
/*
 * Snapshots for people: each figure by its name, by the second and the most frequent first; and
 * what another process says reaches no terminal unchecked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/stats_print.h"
#include "tests/support/json.h"

static char *print(const char *now, const char *difference)
{
	json_t *n = json_quoted(now), *d = difference ? json_quoted(difference) : NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	if (d)
		sx_stats_print_rates(f, n, d);
	else
		assert_int_equal(sx_stats_print(f, n), 0);
	fclose(f);
	json_decref(n);
	json_decref(d);
	return text;
}

/* The numbers of the one line that begins with @name, which follow it. */
static void want_line(const char *text, const char *name, unsigned count, const double *wanted)
{
	const char *at = text;

	while (at && strncmp(at, name, strlen(name)) != 0) {
		at = strchr(at, '\n');
		at += at != NULL;
	}
	if (!at)
		fail_msg("there is no line '%s' in:\n%s", name, text);
	at += strlen(name);
	for (unsigned i = 0; i < count; i++) {
		char *end;
		double value = strtod(at, &end);

		if (end == at || value < wanted[i] - 0.01 || value > wanted[i] + 0.01)
			fail_msg("number %u of '%s' is not %.2f in:\n%s", i, name, wanted[i], text);
		at = end;
	}
}

#define WANT(TEXT, NAME, ...)                                                   \
	want_line(TEXT, NAME, sizeof((double[]){__VA_ARGS__}) / sizeof(double), \
		  (double[]){__VA_ARGS__})

#define NOW "{'pid':4711,'guest':'a guest','mode':'split','guest_ns':12500000000}"

/* Two seconds. */
#define BUSY                                                                                      \
	"{'guest_ns':2000000000,"                                                                 \
	"'vcpus':[{'index':0,'exits_forwarded':20,'kvm':{'exits':100,'io_exits':30,'mmio_exits':" \
	"2,"                                                                                      \
	"'halt_exits':4}},"                                                                       \
	"{'index':1,'exits_forwarded':22,'kvm':{'exits':40,'io_exits':0,'mmio_exits':38,"         \
	"'halt_exits':0}}],"                                                                      \
	"'devices':[{'name':'idle','space':'memory','base':'0xd0000000','reads':0,'writes':0},"   \
	"{'name':'uart','space':'port','base':'0x3f8','reads':2,'writes':28},"                    \
	"{'name':'disk','space':'memory','base':'0xc0000000','reads':30,'writes':10}],"           \
	"'nowhere':0,'rings':[],"                                                                 \
	"'virtio':[{'name':'virtio-blk','slot':'01.0','faults':0,'fault':null,"                   \
	"'counts':{'reads':600,'bytes_read':2457600,'writes':0},"                                 \
	"'queues':[{'index':0,'requests':500,'batches':100,'kicks':4,'absorbed':96,"              \
	"'interrupts':20,'suppressed':80},"                                                       \
	"{'index':1,'requests':100,'batches':100,'kicks':0,'absorbed':100,'interrupts':2,"        \
	"'suppressed':98},"                                                                       \
	"{'index':2,'requests':0,'batches':0,'kicks':0,'absorbed':0,'interrupts':0,"              \
	"'suppressed':0}]}],"                                                                     \
	"'sidecores':[{'cpu':5,'busy_percent':12.5,'turns':4000,'sleeps':6,'exits_served':42,"    \
	"'polled':[{'name':'virtio-blk','polls':4000,'hits':200,'items':600},"                    \
	"{'name':'quiet','polls':4000,'hits':0,'items':0}]}]}"

static void rates_are_by_the_second(void **state)
{
	char *text = print(NOW, BUSY);

	(void)state;
	assert_ptr_equal(strstr(text, "guest 4711 (a guest), split mode, up 12.5 s"), text);
	WANT(text, "  io_exits ", 15);
	WANT(text, "  mmio_exits ", 20);
	WANT(text, "  halt_exits ", 2);
	WANT(text, "  others ", 33);
	WANT(text, "  all ", 70);
	WANT(text, "  to devices, by ours ", 21);
	WANT(text, "  uart ", 1, 14);
	WANT(text, "  disk ", 15, 5);
	WANT(text, "  virtio-blk       01.0 ", 300, 3, 98, 2, 11, 89);
	WANT(text, "    queue 0 ", 250, 5, 48, 2, 10, 40);
	WANT(text, "    queue 1 ", 50, 1, 50, 0, 1, 49);
	WANT(text, "    reads ", 300);
	WANT(text, "sidecore 0 on CPU 5: ", 12.5);
	WANT(text, "    virtio-blk  ", 2000);
	free(text);
}

static void the_most_frequent_come_first(void **state)
{
	char *text = print(NOW, BUSY);

	(void)state;
	assert_true(strstr(text, "others ") < strstr(text, "mmio_exits"));
	assert_true(strstr(text, "mmio_exits") < strstr(text, "io_exits  "));
	assert_true(strstr(text, "io_exits  ") < strstr(text, "halt_exits"));
	assert_true(strstr(text, "  disk ") < strstr(text, "  uart "));
	free(text);
}

static void what_did_nothing_has_no_line(void **state)
{
	char *text = print(NOW, BUSY);

	(void)state;
	assert_null(strstr(text, "irq_exits"));
	assert_null(strstr(text, "  idle "));
	assert_null(strstr(text, "queue 2"));
	assert_null(strstr(text, "writes 0"));
	assert_null(strstr(text, "quiet"));
	assert_null(strstr(text, "nothing is there"));
	free(text);
}

static void each_of_several_vcpus_is_told(void **state)
{
	char *text = print(NOW, BUSY);

	(void)state;
	assert_non_null(strstr(text, "  vCPU    0:      50.0    1:      20.0\n"));
	free(text);
}

static void totals_are_whole(void **state)
{
	char *text = print(BUSY, NULL);

	(void)state;
	WANT(text, "guest ran ", 2000);
	WANT(text, "  io_exits ", 30);
	WANT(text, "  idle ", 0, 0);
	WANT(text, "  disk ", 30, 10);
	WANT(text, "  virtio-blk       01.0 ", 600, 3, 196, 4, 22, 178);
	WANT(text, "    virtio-blk  ", 4000);
	WANT(text, "    quiet  ", 4000);
	free(text);
}

static void a_queue_that_broke_is_told(void **state)
{
	char *text = print(NOW, "{'guest_ns':1,'virtio':[{'name':'v','slot':'03.0','faults':2,"
				"'fault':'a descriptor is empty','queues':[]}]}");

	(void)state;
	assert_non_null(strstr(text, "stopped 2 times until its driver resets it: "
				     "a descriptor is empty\n"));
	free(text);
}

static void a_kvm_that_counts_nothing_is_told(void **state)
{
	char *text = print(NOW, "{'guest_ns':1000,'vcpus':[{'index':0,'kvm':{}}]}");

	(void)state;
	assert_non_null(strstr(text, "this host's KVM counts no exits"));
	assert_null(strstr(text, "others"));
	free(text);
}

/* No time has passed, or it says so: nothing is divided by it. */
static void no_time_gives_no_rates(void **state)
{
	char *text = print(NOW, "{'guest_ns':0,'vcpus':[{'kvm':{'exits':4}}]}");

	(void)state;
	assert_null(strstr(text, "exits"));
	assert_ptr_equal(strchr(text, '\n'), strrchr(text, '\n'));
	free(text);
}

static void want_printable(char *text)
{
	for (char *at = text; *at; at++)
		if (*at != '\n' && (*at < ' ' || *at > '~'))
			fail_msg("a byte %d in:\n%s", *at, text);
	free(text);
}

/* What could move a cursor, or begin a line of its own. */
#define EVIL "\\u001b[2J\\n\\u009b\\u00e4"

static void hostile_words_are_made_harmless(void **state)
{
	static const char evil[] =
		"{'guest_ns':9,'pid':1,'guest':'" EVIL "','mode':'" EVIL "',"
		"'vcpus':[{'index':0,'kvm':{'" EVIL "':7}}],"
		"'devices':[{'name':'" EVIL "','space':'" EVIL "','base':'" EVIL "','reads':1}],"
		"'rings':[{'ring':'" EVIL "','messages':1}],"
		"'virtio':[{'name':'" EVIL "','slot':'" EVIL "','faults':1,'fault':'" EVIL "',"
		"'counts':{'" EVIL "':1},'queues':[{'" EVIL "':1,'requests':1}]}],"
		"'sidecores':[{'polled':[{'name':'" EVIL "','hits':1}]}]}";

	(void)state;
	want_printable(print(evil, evil));
	want_printable(print(evil, NULL));
}

/* Of each kind of thing one that is of no kind. */
#define STRANGE                                                                    \
	"{'guest_ns':5,'vcpus':[1,null,{'kvm':[]}],'devices':[[]],'rings':[null]," \
	"'virtio':['x',{'queues':[7,{'requests':'y'}],'counts':[1]}],"             \
	"'sidecores':[[],{'polled':{}}]}"

static void any_json_is_taken(void **state)
{
	static const char *const any[] = {
		"null",    "[]",
		"{}",      "{'guest_ns':'x','vcpus':{}}",
		(STRANGE), "{'guest_ns':-1,'vcpus':[{'kvm':{'exits':-1}},{'kvm':{'exits':-1}}]}",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(any) / sizeof(any[0]); i++) {
		want_printable(print(any[i], any[i]));
		want_printable(print(any[i], NULL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_by_the_second),
		cmocka_unit_test(the_most_frequent_come_first),
		cmocka_unit_test(what_did_nothing_has_no_line),
		cmocka_unit_test(each_of_several_vcpus_is_told),
		cmocka_unit_test(totals_are_whole),
		cmocka_unit_test(a_queue_that_broke_is_told),
		cmocka_unit_test(a_kvm_that_counts_nothing_is_told),
		cmocka_unit_test(no_time_gives_no_rates),
		cmocka_unit_test(hostile_words_are_made_harmless),
		cmocka_unit_test(any_json_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
