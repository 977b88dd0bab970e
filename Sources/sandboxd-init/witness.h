// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_WITNESS_H
#define SANDBOXD_WITNESS_H

#include "channel.h"
#include "init.h"

/// How the filter's answers are seen, where the run asks for that. The two processes that meet here
/// are the job's, before its execve, and init.
struct witness {
    /// The job's end and init's, of a socket that carries the filter's listener once; -1 when closed.
    int sending;
    int receiving;
    /// Tells of each call that waits for its answer; -1 before it has come, and after the last
    /// process that has the filter is gone.
    int listener;
    const struct plan *plan;
};

/// What is watched for: a listener, or the socket that it comes through; -1 is nothing.
int witness_watched(const struct witness *witness);

/// Makes the socket when `plan` wants a witness. Answers 0 or a negative errno.
int witness_open(struct witness *witness, const struct plan *plan);

/// In the job's process, which may call write, sendmsg and read from here on, and nothing else but
/// execve: installs the filter so that what it would refuse waits for init's answer, and hands the
/// listener over. Answers 0 or a negative errno.
int witness_install(const struct witness *witness);

/// In init: takes the listener, or answers one call as the filter itself would, and takes note of it.
void witness_step(struct witness *witness, struct packet *packet);

/// Sends what was noted, a DENIED each. Answers 0 or a negative errno.
int witness_send(struct witness *witness, int channel);

#endif
