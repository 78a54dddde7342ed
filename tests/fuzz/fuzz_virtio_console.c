// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: virtio-console by all that a guest can do (tests/support/virtio_fuzz.h), while somebody
 * types, and listens now and then. The first byte of the input says in which mode, the second how
 * much of that goes on. No byte is lost or doubled at the terminal's ends.
 */
#include "sidecore/virtio/console.h"
#include "tests/support/virtio_fuzz.h"

static struct terminal {
	struct sx_byte_queue out, in;
	struct sx_virtio_console console;
	unsigned pace;
	unsigned steps;
	uint64_t heard, typed;
} t;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* Between two steps of the guest. */
static void use_terminal(struct sx_virtio_device *dev)
{
	static const uint8_t keys[64];
	uint8_t got[512];
	uint32_t size = ++t.steps;

	(void)dev;
	if (t.steps % 4 == (t.pace & 3))
		t.heard += sx_byte_queue_pull(&t.out, got, t.pace * 2);
	if (t.steps % 4 == (t.pace >> 2 & 3))
		t.typed += sx_byte_queue_push(&t.in, keys, t.pace / 4);
	sx_virtio_console_moved(&t.console);
	if (t.steps % 16 == (t.pace >> 4))
		sx_virtio_console_resize(&t.console, (uint16_t)size, (uint16_t)~size);
	fuzz_require(t.console.bytes_out == t.heard + sx_byte_queue_waiting(&t.out));
	fuzz_require(t.console.bytes_in + sx_byte_queue_waiting(&t.in) == t.typed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static struct vw_world w;
	struct fuzz_input in = {data, length};
	struct sx_virtio_pci pci;
	struct sx_virtio_env env;
	struct vw_driver d;

	vw_init(&w, 512 << 10);
	env = vw_env(&w, fuzz_take(&in, 1) & 1);
	env.console_out = &t.out;
	env.console_in = &t.in;
	t.pace = (unsigned)fuzz_take(&in, 1);
	t.steps = 0;
	t.heard = t.typed = 0;
	fuzz_require(sx_byte_queue_init(&t.out, NULL) == 0);
	fuzz_require(sx_byte_queue_init(&t.in, NULL) == 0);
	fuzz_require(sx_virtio_console_init(&t.console, &env, NULL) == 0);
	fuzz_require(sx_virtio_pci_init(&pci, &t.console.dev, &w.host, SX_PCI_ANY, NULL) == 0);
	fuzz_require(vw_probe(&d, &w, pci.function.devfn) == 0);
	vf_play(&d, &t.console.dev, &in, 128, use_terminal);
	sx_virtio_pci_destroy(&pci);
	sx_virtio_console_destroy(&t.console);
	sx_byte_queue_destroy(&t.out);
	sx_byte_queue_destroy(&t.in);
	vw_destroy(&w);
	return 0;
}
