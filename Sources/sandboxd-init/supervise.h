// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_SUPERVISE_H
#define SANDBOXD_SUPERVISE_H

#include "channel.h"
#include "init.h"
#include "job.h"

/// Opens the gate when the daemon says so, holds the job to its limits, and when it is over kills
/// and reaps every other process and sends what the witness has seen, then ENDED. Answers 0 or a negative errno; -EPIPE when the
/// daemon is gone.
int supervise(int channel, struct packet *packet, const struct plan *plan,
              const struct sbx_command *command, const struct job *job,
              struct witness *witness);

#endif
