// SPDX-License-Identifier: BSD-3-Clause
/*
 * Guest files that are not what they should be: each is refused with its code and one sentence,
 * before anything of it runs, and nothing is left of the machine.
 */
#include "tests/support/world.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A good guest, to be spoilt. */
struct image {
	size_t size;
	union {
		Elf64_Ehdr header;
		unsigned char byte[1 << 20];
	};
};

struct scene {
	char dir[32];
	char path[64];
	struct image *good, *bad;
};

static Elf64_Phdr *segment(struct image *im, unsigned i)
{
	return (Elf64_Phdr *)(void *)(im->byte + im->header.e_phoff) + i;
}

/* How far the file has to reach for all segments to be whole. */
static size_t needed(struct image *im)
{
	size_t end = 0;

	for (unsigned i = 0; i < im->header.e_phnum; i++) {
		const Elf64_Phdr *p = segment(im, i);

		if (p->p_type == PT_LOAD && p->p_offset + p->p_filesz > end)
			end = p->p_offset + p->p_filesz;
	}
	return end;
}

static void open_scene(struct scene *s)
{
	char path[4096];
	FILE *f;

	strcpy(s->dir, "/tmp/splitx-test-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/guest", s->dir);
	s->good = calloc(2, sizeof(*s->good));
	assert_non_null(s->good);
	s->bad = s->good + 1;
	guest_path("first", path, sizeof(path));
	f = fopen(path, "re");
	assert_non_null(f);
	s->good->size = fread(s->good->byte, 1, sizeof(s->good->byte), f);
	assert_true(feof(f));
	fclose(f);
	assert_int_equal(segment(s->good, 0)->p_type, PT_LOAD);
}

static void close_scene(struct scene *s)
{
	unlink(s->path);
	assert_int_equal(rmdir(s->dir), 0);
	free(s->good);
}

static void write_bad(const struct scene *s, size_t size)
{
	FILE *f = fopen(s->path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(s->bad->byte, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static void want_refusal(struct world *w, const char *path, int code, const char *says)
{
	struct sx_machine_config config = world_config(w, "first");
	unsigned files = open_files(), mappings = file_mappings();
	struct sx_error err = {0};
	struct sx_machine m;
	int rc;

	config.guest = path;
	rc = sx_machine_create(&m, &config, &err);
	if (rc != code)
		fail_msg("wanted %d and '%s', got %d: %s", code, says, rc, err.text);
	want_sentence(&err, says);
	want_sentence(&err, path);
	assert_int_equal(open_files(), files);
	assert_int_equal(file_mappings(), mappings);
}

/* ---- headers and segments that lie ---- */

static void no_magic(struct image *im)
{
	im->byte[0] = 'x';
}

static void of_32_bits(struct image *im)
{
	im->byte[EI_CLASS] = ELFCLASS32;
}

static void big_endian(struct image *im)
{
	im->byte[EI_DATA] = ELFDATA2MSB;
}

static void for_arm(struct image *im)
{
	im->header.e_machine = EM_AARCH64;
}

static void position_independent(struct image *im)
{
	im->header.e_type = ET_DYN;
}

static void not_linked(struct image *im)
{
	im->header.e_type = ET_REL;
}

static void no_headers(struct image *im)
{
	im->header.e_phnum = 0;
}

static void many_headers(struct image *im)
{
	im->header.e_phnum = 65535;
}

static void small_headers(struct image *im)
{
	im->header.e_phentsize = 8;
}

static void headers_past_the_end(struct image *im)
{
	im->header.e_phoff = im->size - 8;
}

static void headers_far_away(struct image *im)
{
	im->header.e_phoff = UINT64_MAX - 7;
}

static void headers_at_a_negative_offset(struct image *im)
{
	im->header.e_phoff = 1ull << 63;
}

static void more_file_than_memory(struct image *im)
{
	segment(im, 0)->p_memsz = segment(im, 0)->p_filesz - 1;
}

static void bytes_past_the_end(struct image *im)
{
	segment(im, 0)->p_offset = im->size - 1;
}

static void bytes_far_away(struct image *im)
{
	segment(im, 0)->p_offset = UINT64_MAX - 4;
}

static void into_our_tables(struct image *im)
{
	segment(im, 0)->p_paddr = SX_GUEST_TABLES;
}

static void below_the_image(struct image *im)
{
	segment(im, 0)->p_paddr = SX_GUEST_IMAGE - 1;
}

static void above_memory(struct image *im)
{
	segment(im, 0)->p_paddr = 1ull << 40;
}

static void round_the_end(struct image *im)
{
	segment(im, 0)->p_paddr = UINT64_MAX - 4095;
}

static void into_the_stacks(struct image *im)
{
	segment(im, 0)->p_memsz = (16ull << 20) - segment(im, 0)->p_paddr;
}

static void of_endless_size(struct image *im)
{
	segment(im, 0)->p_memsz = UINT64_MAX - segment(im, 0)->p_paddr;
}

static void entry_at_null(struct image *im)
{
	im->header.e_entry = 0;
}

static void entry_past_the_end(struct image *im)
{
	im->header.e_entry = 15ull << 20;
}

static void nothing_to_load(struct image *im)
{
	for (unsigned i = 0; i < im->header.e_phnum; i++)
		segment(im, i)->p_type = PT_NOTE;
}

static const struct {
	void (*spoil)(struct image *im);
	int code;
	const char *says;
} lies[] = {
	{no_magic, -ENOEXEC, "is no ELF64 file"},
	{of_32_bits, -ENOEXEC, "is no ELF64 file"},
	{big_endian, -ENOEXEC, "is no ELF64 file"},
	{for_arm, -ENOEXEC, "is no ELF64 file for x86-64"},
	{position_independent, -ENOEXEC, "is not linked to fixed addresses"},
	{not_linked, -ENOEXEC, "is not linked to fixed addresses"},
	{no_headers, -ENOEXEC, "has 0 program headers"},
	{many_headers, -ENOEXEC, "has 65535 program headers"},
	{small_headers, -ENOEXEC, "program headers"},
	{headers_past_the_end, -ENOEXEC, "cut short"},
	{headers_far_away, -ENOEXEC, "cut short"},
	{headers_at_a_negative_offset, -ENOEXEC, "cut short"},
	{more_file_than_memory, -ENOEXEC, "is damaged"},
	{bytes_past_the_end, -ENOEXEC, "is damaged"},
	{bytes_far_away, -ENOEXEC, "is damaged"},
	{into_our_tables, -EFBIG, "does not fit"},
	{below_the_image, -EFBIG, "does not fit"},
	{above_memory, -EFBIG, "does not fit"},
	{round_the_end, -EFBIG, "does not fit"},
	{into_the_stacks, -EFBIG, "give more by --memory"},
	{of_endless_size, -EFBIG, "does not fit"},
	{entry_at_null, -ENOEXEC, "outside what it loads"},
	{entry_past_the_end, -ENOEXEC, "outside what it loads"},
	{nothing_to_load, -ENOEXEC, "outside what it loads"},
};

static void headers_that_lie(void **state)
{
	struct world *w = world_of(state);
	struct scene s;

	open_scene(&s);
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		memcpy(s.bad, s.good, sizeof(*s.bad));
		lies[i].spoil(s.bad);
		write_bad(&s, s.bad->size);
		want_refusal(w, s.path, lies[i].code, lies[i].says);
	}
	close_scene(&s);
}

/* ---- files that are cut, and what is no file ---- */

static void files_that_are_cut(void **state)
{
	struct world *w = world_of(state);
	struct scene s;
	size_t whole;

	open_scene(&s);
	memcpy(s.bad, s.good, sizeof(*s.bad));
	whole = needed(s.bad);
	for (size_t size = 0; size < whole; size += size < 300 ? 13 : whole / 20) {
		write_bad(&s, size);
		want_refusal(w, s.path, -ENOEXEC, "guest program");
	}
	write_bad(&s, whole - 1);
	want_refusal(w, s.path, -ENOEXEC, "is damaged");
	close_scene(&s);
}

static void what_is_no_file(void **state)
{
	struct world *w = world_of(state);
	struct scene s;

	open_scene(&s);
	want_refusal(w, s.path, -ENOENT, "No such file");
	want_refusal(w, s.dir, -ENOEXEC, "is not a regular file");
	want_refusal(w, "/dev/zero", -ENOEXEC, "is not a regular file");
	/* Opening it must not wait for somebody who writes. */
	assert_int_equal(mkfifo(s.path, 0600), 0);
	want_refusal(w, s.path, -ENOEXEC, "is not a regular file");
	unlink(s.path);
	assert_int_equal(symlink(s.path, s.path), 0);
	want_refusal(w, s.path, -ELOOP, "symbolic links");
	close_scene(&s);
}

/* The same bytes with a longer tail of zeroes fit where there is more memory. */
static void large_guests_fit_large_memory(void **state)
{
	struct world *w = world_of(state);
	struct sx_machine_config config;
	struct scene s;

	open_scene(&s);
	memcpy(s.bad, s.good, sizeof(*s.bad));
	segment(s.bad, s.bad->header.e_phnum - 1)->p_memsz = 20ull << 20;
	write_bad(&s, s.bad->size);
	config = world_config(w, "first");
	config.guest = s.path;
	want_refusal(w, s.path, -EFBIG, "give more by --memory");
	config.memory = 32ull << 20;
	assert_int_equal(guest_run(guest_build_as(w, &config)), 0);
	close_scene(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SX_CASE(headers_that_lie, trap),
		SX_CASE(files_that_are_cut, trap),
		SX_CASE(what_is_no_file, trap),
		SX_CASE(large_guests_fit_large_memory, trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
