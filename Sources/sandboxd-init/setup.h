// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_SETUP_H
#define SANDBOXD_SETUP_H

#include "init.h"

/// Makes what is left of the sandbox after the launcher: cgroups, ids, mounts, network, name.
/// Answers 0 or a negative errno with the step that failed; init gives up then, and the kernel
/// takes everything back.
int setup_sandbox(const struct plan *plan, int *ret_step);

/// Leaves init with CAP_KILL and CAP_DAC_READ_SEARCH only.
int setup_shed_capabilities(const struct plan *plan);

#endif
