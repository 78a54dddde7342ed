// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/host/frames.h"
#include "lab/host/write_all.h"

void sx_frames_init(struct sx_frames *frames, char *const *results, size_t count)
{
	memset(frames, 0, sizeof(*frames));
	frames->results = results;
	frames->result_count = count;
	frames->file = -1;
}

static void missing(struct sx_frames *frames, const char *path, int error)
{
	fprintf(stderr, "lab: a result for '%s' did not come: %s\n", path, strerror(error));
	frames->incomplete = true;
}

/* A name from the host may only go down: no "..", no absolute path, no empty part. */
static bool name_is_safe(const char *name)
{
	while (*name) {
		size_t length = strcspn(name, "/");

		if (length == 0 || (length <= 2 && strncmp(name, "..", length) == 0))
			return false;
		name += length;
		if (*name == '/' && *++name == '\0')
			return false;
	}
	return true;
}

/* Makes the directories that @path, which may be changed meanwhile, lies in. */
static void make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0777); /* where this fails, opening the file tells why */
		*slash = '/';
	}
}

static int open_result(struct sx_frames *frames, const uint8_t *payload, size_t size)
{
	char name[SX_LAB_PAYLOAD + 1] = "", path[PATH_MAX];
	struct sx_lab_file file;
	const char *base;

	if (size < sizeof(file) || frames->file >= 0)
		return -EPROTO;
	memcpy(&file, payload, sizeof(file));
	memcpy(name, payload + sizeof(file), size - sizeof(file));
	if (file.result >= frames->result_count || !name_is_safe(name) ||
	    strlen(name) != size - sizeof(file))
		return -EPROTO;
	base = frames->results[file.result];
	if (snprintf(path, sizeof(path), "%s%s%s", base, *name ? "/" : "", name) >=
	    (int)sizeof(path)) {
		missing(frames, base, ENAMETOOLONG);
		return 0;
	}
	make_parents(path);
	frames->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, file.mode & 0777);
	if (frames->file < 0)
		missing(frames, path, errno);
	return 0;
}

/* What follows a file that could not be opened is dropped: that was reported. */
static void write_result(struct sx_frames *frames, const uint8_t *payload, size_t size)
{
	int ret;

	if (frames->file < 0)
		return;
	ret = sx_write_all(frames->file, payload, size);
	if (ret == 0)
		return;
	fprintf(stderr, "lab: cannot write a result: %s\n", strerror(-ret));
	frames->incomplete = true;
	close(frames->file);
	frames->file = -1;
}

static void close_result(struct sx_frames *frames)
{
	if (frames->file < 0)
		return;
	if (close(frames->file) < 0) {
		fprintf(stderr, "lab: cannot write a result: %s\n", strerror(errno));
		frames->incomplete = true;
	}
	frames->file = -1;
}

static int note_missing(struct sx_frames *frames, const uint8_t *payload, size_t size)
{
	struct sx_lab_missing report;

	if (size != sizeof(report))
		return -EPROTO;
	memcpy(&report, payload, sizeof(report));
	if (report.result >= frames->result_count)
		return -EPROTO;
	missing(frames, frames->results[report.result], report.error);
	return 0;
}

static int end(struct sx_frames *frames, const uint8_t *payload, size_t size)
{
	int32_t status;

	if (size != sizeof(status))
		return -EPROTO;
	memcpy(&status, payload, sizeof(status));
	frames->status = status & 0xff;
	frames->ended = true;
	return 0;
}

static int take(struct sx_frames *frames, uint16_t kind, const uint8_t *payload, size_t size)
{
	switch (kind) {
	case SX_LAB_UP:
		frames->up = true;
		return 0;
	case SX_LAB_STDOUT:
		return sx_write_all(STDOUT_FILENO, payload, size);
	case SX_LAB_STDERR:
		return sx_write_all(STDERR_FILENO, payload, size);
	case SX_LAB_FILE:
		return open_result(frames, payload, size);
	case SX_LAB_DATA:
		write_result(frames, payload, size);
		return 0;
	case SX_LAB_CLOSE:
		close_result(frames);
		return 0;
	case SX_LAB_MISSING:
		return note_missing(frames, payload, size);
	case SX_LAB_EXIT:
		return end(frames, payload, size);
	case SX_LAB_FAILED:
		memcpy(frames->text, payload, size);
		frames->failed = frames->ended = true;
		return 0;
	default:
		return -EPROTO;
	}
}

static bool is_frame(const struct sx_lab_frame *frame)
{
	return frame->magic == SX_LAB_MAGIC && frame->size <= SX_LAB_PAYLOAD;
}

/*
 * Takes the frame that the buffer begins with. Returns how many bytes are done with, 0 when more
 * are needed, or a negative errno.
 */
static int take_one(struct sx_frames *frames)
{
	struct sx_lab_frame frame;
	int ret;

	if (frames->have < sizeof(frame))
		return 0;
	memcpy(&frame, frames->buffer, sizeof(frame));
	if (!is_frame(&frame))
		return frames->up ? -EPROTO : 1;
	if (frames->have < sizeof(frame) + frame.size)
		return 0;
	ret = take(frames, frame.kind, frames->buffer + sizeof(frame), frame.size);
	return ret < 0 ? ret : (int)(sizeof(frame) + frame.size);
}

static int take_buffered(struct sx_frames *frames)
{
	while (!frames->ended) {
		int done = take_one(frames);

		if (done <= 0)
			return done;
		frames->have -= (size_t)done;
		memmove(frames->buffer, frames->buffer + done, frames->have);
	}
	return 0;
}

int sx_frames_feed(struct sx_frames *frames, const void *data, size_t size)
{
	const uint8_t *next = data;
	int ret = 0;

	while (size > 0 && ret == 0 && !frames->ended) {
		size_t room = sizeof(frames->buffer) - frames->have;
		size_t part = size < room ? size : room;

		memcpy(frames->buffer + frames->have, next, part);
		frames->have += part;
		next += part;
		size -= part;
		ret = take_buffered(frames);
	}
	return ret;
}
