# SPDX-License-Identifier: BSD-3-Clause
# The emulated hosts with stock KVM (docs/lab.md); included by the Makefile.

.PHONY: lab-amd lab-intel lab-check
lab-amd lab-intel: lab-%: ## A shell in an emulated host with stock KVM; without a terminal, what it offers
	@lab/setup.sh lab
	@if [ -t 0 ] && [ -t 1 ]; then set -- --shell; else set -- -- kvmcheck; fi && \
		BUILD=$(BUILD) lab/lab $* $(LAB_ARGS) "$$@"

lab-check: ## Boot both emulated hosts: KVM runs a guest, exit statuses and files come back
	@lab/setup.sh lab
	@BUILD=$(BUILD) lab/check.sh amd
	@BUILD=$(BUILD) lab/check.sh intel
