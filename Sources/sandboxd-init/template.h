// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_TEMPLATE_H
#define SANDBOXD_TEMPLATE_H

#include "channel.h"

/// Where synthetic files lie inside every sandbox, behind an unreadable directory.
#define TEMPLATE_SYNTHETIC "/dev/.sandboxd/"

/// Receives SYNTHETIC messages and one TEMPLATE, and makes this process's mount namespace into
/// what every sandbox starts from: the image, read-only, as `/`; a small `/dev`; a `/proc` that
/// each sandbox covers with its own. The host's file system is gone afterwards, for this process
/// too. Answers 0 or a negative errno with the step that failed.
int template_make(int channel, struct packet *packet, int *ret_step);

#endif
