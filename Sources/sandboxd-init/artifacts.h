// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_ARTIFACTS_H
#define SANDBOXD_ARTIFACTS_H

#include <CChannel.h>

/// Sends every regular file below /workspace/out as an open descriptor, in directory order and
/// within the command's caps, says what it refuses and why, and ends with BYE. Called when no other
/// process of the sandbox is alive. Answers 0 or a negative errno.
int artifacts_send(int channel, const struct sbx_command *command);

#endif
