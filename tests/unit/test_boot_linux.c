// SPDX-License-Identifier: BSD-3-Clause
/*
 * bzImages by the 64-bit boot protocol: where things go, what the kernel is told, what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <asm/bootparam.h>
#include <errno.h>
#include <unistd.h>

#include "guestcore/pc_map.h"
#include "tests/support/boot.h"

#define SETUP     1024u /* the boot sector and one more */
#define PAYLOAD   8192u
#define LOAD      0x1000000u
#define INIT_SIZE 0x800000u

struct image {
	uint8_t bytes[SETUP + PAYLOAD];
};

static struct setup_header *header(struct image *i)
{
	return (struct setup_header *)(void *)(i->bytes + offsetof(struct boot_params, hdr));
}

/* A kernel as Linux 6.1 describes itself; its payload counts up. */
static void make(struct image *i)
{
	struct setup_header *h = header(i);

	memset(i, 0xff, sizeof(*i)); /* what is not of the header must not get into the zero page */
	memset(h, 0, sizeof(*h));
	h->setup_sects = 1;
	h->syssize = PAYLOAD / 16;
	h->boot_flag = 0xaa55;
	h->jump = 0x66eb;
	memcpy(&h->header, "HdrS", 4);
	h->version = 0x020f;
	h->loadflags = LOADED_HIGH;
	h->initrd_addr_max = 0x7fffffff;
	h->kernel_alignment = 0x200000;
	h->relocatable_kernel = 1;
	h->xloadflags = XLF_KERNEL_64;
	h->cmdline_size = 2047;
	h->setup_data = 0x1234;
	h->pref_address = LOAD;
	h->init_size = INIT_SIZE;
	for (unsigned k = 0; k < PAYLOAD; k++)
		i->bytes[SETUP + k] = (uint8_t)(k * 7);
}

static int load(struct boot_world *w, const struct image *i, size_t size)
{
	boot_give_kernel(w, i->bytes, size);
	return boot_load(w);
}

static void want(struct boot_world *w, int code, const char *says)
{
	int rc = boot_load(w);

	if (rc != code || !strstr(w->err.text, says))
		fail_msg("%d '%s' instead of %d '...%s...'", rc, w->err.text, code, says);
}

static void refuse(const struct image *i, size_t size, int code, const char *says)
{
	struct boot_world w;

	boot_world_open(&w);
	boot_give_kernel(&w, i->bytes, size);
	want(&w, code, says);
	boot_world_close(&w);
}

static void is_loaded_where_it_wants(void **state)
{
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	boot_world_open(&w);
	assert_int_equal(load(&w, &i, sizeof(i)), 0);
	assert_memory_equal(boot_at(&w, LOAD), i.bytes + SETUP, PAYLOAD);
	assert_int_equal(*(uint8_t *)boot_at(&w, LOAD + PAYLOAD), 0);
	assert_int_equal(w.entry.mode, SX_BOOT_LONG);
	assert_int_equal(w.entry.rip, LOAD + 0x200);
	assert_false(w.entry.legacy);
	boot_world_close(&w);
}

static void the_zero_page_has_the_header_and_nothing_else_of_the_file(void **state)
{
	const struct boot_params zero = {0};
	const struct boot_params *p;
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	boot_world_open(&w);
	w.req.cmdline = "root=/dev/vda ro";
	assert_int_equal(load(&w, &i, sizeof(i)), 0);
	p = boot_at(&w, w.entry.rsi);
	assert_int_equal(p->hdr.boot_flag, 0xaa55);
	assert_int_equal(p->hdr.version, 0x020f);
	assert_int_equal(p->hdr.type_of_loader, 0xff);
	assert_int_equal(p->hdr.setup_data, 0);
	assert_int_equal(p->hdr.init_size, INIT_SIZE);
	assert_int_equal(p->hdr.ramdisk_size, 0);
	assert_int_equal(p->acpi_rsdp_addr, 0xe0000);
	assert_string_equal(boot_at(&w, p->hdr.cmd_line_ptr), "root=/dev/vda ro");
	assert_int_equal(p->sentinel, 0);
	assert_memory_equal(&p->screen_info, &zero.screen_info, sizeof(zero.screen_info));
	assert_memory_equal(p->_pad7, zero._pad7, sizeof(zero._pad7));
	boot_world_close(&w);
}

static void a_short_header_is_taken_up_to_its_end(void **state)
{
	const struct boot_params *p;
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	/* It ends behind xloadflags: the rest of those bytes is code. */
	header(&i)->jump = (uint16_t)(0xeb | (0x238 - 0x202) << 8);
	boot_world_open(&w);
	assert_int_equal(load(&w, &i, sizeof(i)), 0);
	p = boot_at(&w, w.entry.rsi);
	assert_int_equal(p->hdr.xloadflags, XLF_KERNEL_64);
	assert_int_equal(p->hdr.cmdline_size, 0);
	assert_int_equal(p->hdr.init_size, 0);
	boot_world_close(&w);
}

static void the_memory_map_is_that_of_the_pc(void **state)
{
	static const struct boot_e820_entry expected[] = {
		{0, SX_PC_EBDA, 1},
		{SX_PC_EBDA, SX_PC_ISA_HOLE - SX_PC_EBDA, 2},
		{SX_PC_FIRMWARE, SX_PC_EXTENDED - SX_PC_FIRMWARE, 2},
		{SX_PC_EXTENDED, BOOT_MEMORY - SX_PC_EXTENDED, 1},
		{SX_PC_ECAM, SX_PC_ECAM_SIZE, 2},
		{SX_PC_HIGH, 5ull << 30, 1},
	};
	const struct boot_params *p;
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	boot_world_open(&w);
	w.req.high_size = 5ull << 30;
	assert_int_equal(load(&w, &i, sizeof(i)), 0);
	p = boot_at(&w, w.entry.rsi);
	assert_int_equal(p->e820_entries, 6);
	assert_memory_equal(p->e820_table, expected, sizeof(expected));
	boot_world_close(&w);
}

static void the_vmx_lines_are_reserved(void **state)
{
	static const struct boot_e820_entry expected = {SX_PC_VMX_LINES,
							SX_PC_VMX_END - SX_PC_VMX_LINES, 2};
	const struct boot_params *p;
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	boot_world_open(&w);
	w.req.high_size = 5ull << 30;
	w.req.vmx_lines = true;
	assert_int_equal(load(&w, &i, sizeof(i)), 0);
	p = boot_at(&w, w.entry.rsi);
	assert_int_equal(p->e820_entries, 7);
	assert_memory_equal(&p->e820_table[5], &expected, sizeof(expected));
	boot_world_close(&w);
}

static void without_memory_above_4g_the_map_has_none(void **state)
{
	const struct boot_params *p;
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	boot_world_open(&w);
	assert_int_equal(load(&w, &i, sizeof(i)), 0);
	p = boot_at(&w, w.entry.rsi);
	assert_int_equal(p->e820_entries, 5);
	boot_world_close(&w);
}

static void initrds_lie_high_one_behind_the_other(void **state)
{
	const struct boot_params *p;
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	boot_world_open(&w);
	boot_give_initrd(&w, "first", 5);
	boot_give_initrd(&w, "second!", 7);
	assert_int_equal(load(&w, &i, sizeof(i)), 0);
	p = boot_at(&w, w.entry.rsi);
	assert_int_equal(p->hdr.ramdisk_size, 8 + 7);
	assert_int_equal(p->hdr.ramdisk_image % 4096, 0);
	assert_int_equal(p->hdr.ramdisk_image, BOOT_MEMORY - 4096);
	assert_memory_equal(boot_at(&w, p->hdr.ramdisk_image), "first\0\0\0second!", 15);
	boot_world_close(&w);
}

static void an_initrd_stays_below_the_kernels_limit(void **state)
{
	const struct boot_params *p;
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	header(&i)->initrd_addr_max = 0x1a01fff;
	boot_world_open(&w);
	boot_give_initrd(&w, "initrd", 6);
	assert_int_equal(load(&w, &i, sizeof(i)), 0);
	p = boot_at(&w, w.entry.rsi);
	assert_int_equal(p->hdr.ramdisk_image, 0x1a01000);
	boot_world_close(&w);
}

static void an_initrd_that_does_not_fit_is_refused(void **state)
{
	size_t room = BOOT_MEMORY - LOAD - INIT_SIZE;
	uint8_t *bytes = calloc(1, room + 1);
	struct boot_world w;
	struct image i;

	(void)state;
	assert_non_null(bytes);
	make(&i);
	boot_world_open(&w);
	boot_give_initrd(&w, bytes, room);
	assert_int_equal(load(&w, &i, sizeof(i)), 0);
	boot_world_close(&w);
	boot_world_open(&w);
	boot_give_initrd(&w, bytes, room + 1);
	boot_give_kernel(&w, i.bytes, sizeof(i));
	want(&w, -EFBIG, "give more by --memory");
	assert_non_null(strstr(w.err.text, "initrd"));
	boot_world_close(&w);
	free(bytes);
}

static void initrds_begin_behind_the_kernel_though_it_ends_within_a_page(void **state)
{
	size_t room = BOOT_MEMORY - LOAD - INIT_SIZE - 100;
	uint8_t *bytes = calloc(1, room);
	struct boot_world w;
	struct image i;

	(void)state;
	assert_non_null(bytes);
	make(&i);
	header(&i)->init_size = INIT_SIZE + 100;
	boot_world_open(&w);
	boot_give_initrd(&w, bytes, room);
	boot_give_kernel(&w, i.bytes, sizeof(i));
	want(&w, -EFBIG, "give more by --memory");
	boot_world_close(&w);
	free(bytes);
}

/* Four of 2^62 bytes: their sum is 2^64. */
static void initrds_whose_sizes_wrap_round_are_refused(void **state)
{
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	boot_world_open(&w);
	boot_give_kernel(&w, i.bytes, sizeof(i));
	for (unsigned k = 0; k < 4; k++) {
		boot_give_initrd(&w, "x", 1);
		assert_int_equal(ftruncate(w.fd[1 + k], (off_t)1 << 62), 0);
	}
	want(&w, -EFBIG, "give more by --memory");
	boot_world_close(&w);
}

static void a_header_that_claims_to_be_long_is_cut(void **state)
{
	const struct boot_params zero = {0};
	const struct boot_params *p;
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	header(&i)->jump = 0xffeb;
	boot_world_open(&w);
	assert_int_equal(load(&w, &i, sizeof(i)), 0);
	p = boot_at(&w, w.entry.rsi);
	assert_memory_equal(p->_pad7, zero._pad7, sizeof(zero._pad7));
	assert_memory_equal(p->edd_mbr_sig_buffer, zero.edd_mbr_sig_buffer,
			    sizeof(zero.edd_mbr_sig_buffer));
	boot_world_close(&w);
}

static void the_command_line_has_the_kernels_limit(void **state)
{
	char line[2049];
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	memset(line, 'x', sizeof(line));
	line[2047] = '\0';
	boot_world_open(&w);
	w.req.cmdline = line;
	assert_int_equal(load(&w, &i, sizeof(i)), 0);
	assert_string_equal(boot_at(&w, 0x20000), line);
	line[2047] = 'x';
	line[2048] = '\0';
	want(&w, -EINVAL, "at most 2047");
	boot_world_close(&w);
}

static void a_huge_limit_of_the_command_line_is_not_believed(void **state)
{
	char *line = malloc(0x10001);
	struct boot_world w;
	struct image i;

	(void)state;
	assert_non_null(line);
	make(&i);
	header(&i)->cmdline_size = UINT32_MAX;
	memset(line, 'x', 0x10000);
	line[0x10000] = '\0';
	boot_world_open(&w);
	boot_give_kernel(&w, i.bytes, sizeof(i));
	w.req.cmdline = line;
	want(&w, -EINVAL, "at most 65535");
	boot_world_close(&w);
	free(line);
}

static void kernels_of_a_wrong_kind_are_refused(void **state)
{
	struct image i;

	(void)state;
	make(&i);
	header(&i)->version = 0x020b;
	refuse(&i, sizeof(i), -ENOEXEC, "boot protocol 2.11");
	make(&i);
	header(&i)->loadflags = 0;
	refuse(&i, sizeof(i), -ENOEXEC, "zImage");
	make(&i);
	header(&i)->xloadflags = 0;
	refuse(&i, sizeof(i), -ENOEXEC, "64-bit");
	make(&i);
	header(&i)->boot_flag = 0;
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
	make(&i);
	memcpy(&header(&i)->header, "HdrT", 4);
	refuse(&i, sizeof(i), -ENOEXEC, "of no kind");
}

static void damaged_kernels_are_refused(void **state)
{
	struct image i;

	(void)state;
	make(&i);
	refuse(&i, sizeof(i) - 1, -ENOEXEC, "cut short");
	refuse(&i, SETUP, -ENOEXEC, "cut short");
	refuse(&i, 0x290, -ENOEXEC, "cut short");
	refuse(&i, 0x28f, -ENOEXEC, "of no kind");
	refuse(&i, 1, -ENOEXEC, "of no kind");
	refuse(&i, 0, -ENOEXEC, "is empty");
	header(&i)->init_size = 0;
	refuse(&i, sizeof(i), -ENOEXEC, "damaged");
	make(&i);
	header(&i)->init_size = PAYLOAD - 1;
	refuse(&i, sizeof(i), -ENOEXEC, "damaged");
	make(&i);
	header(&i)->syssize = 0x200 / 16;
	refuse(&i, sizeof(i), -ENOEXEC, "damaged");
	make(&i);
	header(&i)->syssize = UINT32_MAX;
	header(&i)->init_size = UINT32_MAX;
	refuse(&i, sizeof(i), -ENOEXEC, "damaged");
	make(&i);
	header(&i)->setup_sects = 255;
	refuse(&i, sizeof(i), -ENOEXEC, "cut short");
	make(&i);
	header(&i)->setup_sects = 0; /* stands for 4 */
	refuse(&i, sizeof(i), -ENOEXEC, "cut short");
}

static void a_kernel_that_does_not_fit_is_refused(void **state)
{
	static const uint64_t wrong[] = {
		0,           SX_PC_EXTENDED - 1, BOOT_MEMORY - INIT_SIZE + 1,
		BOOT_MEMORY, UINT64_MAX - 100,   UINT64_MAX - INIT_SIZE};
	struct image i;

	(void)state;
	for (unsigned k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++) {
		make(&i);
		header(&i)->pref_address = wrong[k];
		refuse(&i, sizeof(i), -EFBIG, "give more by --memory");
	}
	make(&i);
	header(&i)->init_size = BOOT_MEMORY - LOAD + 1;
	refuse(&i, sizeof(i), -EFBIG, "give more by --memory");
}

static void files_that_are_none_are_refused(void **state)
{
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	boot_world_open(&w);
	w.req.kernel = "/nonexistent/vmlinuz";
	want(&w, -ENOENT, "kernel '/nonexistent/vmlinuz'");
	w.req.kernel = "/proc";
	want(&w, -ENOEXEC, "not a regular file");
	w.req.kernel = "/dev/null";
	want(&w, -ENOEXEC, "not a regular file");
	w.req.kernel = w.kernel;
	boot_give_kernel(&w, i.bytes, sizeof(i));
	boot_give_initrd(&w, "", 0);
	want(&w, -ENOEXEC, "initrd");
	w.initrd_path[0] = "/nonexistent/initrd";
	want(&w, -ENOENT, "initrd '/nonexistent/initrd'");
	boot_world_close(&w);
}

static void too_many_initrds_are_refused(void **state)
{
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	boot_world_open(&w);
	boot_give_kernel(&w, i.bytes, sizeof(i));
	w.req.initrds = SX_BOOT_MAX_INITRDS + 1;
	want(&w, -EINVAL, "at most 16");
	boot_world_close(&w);
}

static void too_little_memory_is_refused(void **state)
{
	struct boot_world w;
	struct image i;

	(void)state;
	make(&i);
	boot_world_open(&w);
	boot_give_kernel(&w, i.bytes, sizeof(i));
	w.req.low_end = SX_PC_EXTENDED - 1;
	want(&w, -EINVAL, "more than 1 MiB");
	w.req.low_end = SX_PC_EXTENDED;
	want(&w, -EFBIG, "give more by --memory");
	boot_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_loaded_where_it_wants),
		cmocka_unit_test(the_zero_page_has_the_header_and_nothing_else_of_the_file),
		cmocka_unit_test(a_short_header_is_taken_up_to_its_end),
		cmocka_unit_test(the_memory_map_is_that_of_the_pc),
		cmocka_unit_test(the_vmx_lines_are_reserved),
		cmocka_unit_test(without_memory_above_4g_the_map_has_none),
		cmocka_unit_test(initrds_lie_high_one_behind_the_other),
		cmocka_unit_test(an_initrd_stays_below_the_kernels_limit),
		cmocka_unit_test(an_initrd_that_does_not_fit_is_refused),
		cmocka_unit_test(initrds_begin_behind_the_kernel_though_it_ends_within_a_page),
		cmocka_unit_test(initrds_whose_sizes_wrap_round_are_refused),
		cmocka_unit_test(a_header_that_claims_to_be_long_is_cut),
		cmocka_unit_test(the_command_line_has_the_kernels_limit),
		cmocka_unit_test(a_huge_limit_of_the_command_line_is_not_believed),
		cmocka_unit_test(kernels_of_a_wrong_kind_are_refused),
		cmocka_unit_test(damaged_kernels_are_refused),
		cmocka_unit_test(a_kernel_that_does_not_fit_is_refused),
		cmocka_unit_test(files_that_are_none_are_refused),
		cmocka_unit_test(too_many_initrds_are_refused),
		cmocka_unit_test(too_little_memory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
