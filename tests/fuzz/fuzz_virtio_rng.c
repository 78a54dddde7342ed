// SPDX-License-Identifier: BSD-3-Clause
/*
 * Fuzz: virtio-rng, and with it the transport and the device layer, by all that a guest can do
 * (tests/support/virtio_fuzz.h). The first byte of the input says in which mode.
 */
#include <string.h>

#include "sidecore/virtio/rng.h"
#include "tests/support/virtio_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	static struct vw_world w;
	struct fuzz_input in = {data, length};
	struct sx_virtio_rng rng;
	struct sx_virtio_pci pci;
	struct sx_virtio_env env;
	struct vw_driver d;

	vw_init(&w, 512 << 10);
	env = vw_env(&w, fuzz_take(&in, 1) & 1);
	fuzz_require(sx_virtio_rng_init(&rng, &env, NULL) == 0);
	fuzz_require(sx_virtio_pci_init(&pci, &rng.dev, &w.host, SX_PCI_ANY, NULL) == 0);
	fuzz_require(vw_probe(&d, &w, pci.function.devfn) == 0);
	vf_play(&d, &rng.dev, &in, 128, NULL);
	sx_virtio_pci_destroy(&pci);
	sx_virtio_rng_destroy(&rng);
	vw_destroy(&w);
	return 0;
}
