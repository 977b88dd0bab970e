// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_JOB_H
#define SANDBOXD_JOB_H

#include "init.h"
#include "witness.h"

/// The job's first process, seen from init.
struct job {
    /// In the sandbox's PID namespace.
    int pid;
    /// One byte opens the gate; closing it without one ends the job unrun. The caller's.
    int gate;
};

/// Forks the job's process, which confines itself (the steps of job.c, in order), writes READY to
/// the channel, and waits at the gate. The witness's sending end is closed here. Answers 0 or a
/// negative errno.
int job_fork(int channel, const struct plan *plan, struct command *command,
             struct witness *witness, struct job *ret_job);

#endif
