// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_SETUP_H
#define SANDBOXD_SETUP_H

#include "init.h"

/// Makes what every sandbox has and the launcher could not make for all: ids, /proc, network, name.
/// Answers 0 or a negative errno with the step that failed; init gives up then, and the kernel
/// takes everything back.
int setup_prepare(const struct plan *plan, int *ret_step);

/// Makes what a run's plan asks for: cgroups, workspace, CPUs. Answers as `setup_prepare` does.
int setup_finish(const struct plan *plan, int *ret_step);

/// Leaves init with CAP_KILL and CAP_DAC_READ_SEARCH only.
int setup_shed_capabilities(const struct plan *plan);

#endif
