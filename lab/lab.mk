# SPDX-License-Identifier: BSD-3-Clause
# The emulated hosts with stock KVM (docs/lab.md); included by the Makefile.

.PHONY: lab-amd lab-intel lab-check
lab-amd lab-intel: lab-%: ## A shell in an emulated AMD (Intel) host with stock KVM; without a terminal, a check
	@lab/setup.sh lab
	@BUILD=$(BUILD) lab/lab $* $(if $(LAB_ARGS),$(LAB_ARGS),\
		$$([ -t 0 ] && [ -t 1 ] && echo --shell || echo --self-check))

lab-check: ## Boot both emulated hosts: KVM is there, guests run, statuses and files come back
	@lab/setup.sh lab
	@BUILD=$(BUILD) lab/lab amd --self-check
	@BUILD=$(BUILD) lab/lab intel --self-check
