// SPDX-License-Identifier: Apache-2.0
//
// How process 1 of a sandbox comes to be: one clone3 into fresh namespaces, with two ids mapped by
// the process that made it. The native engine's launcher does it many times (launch.c), a container
// of another engine once (container.c).
#ifndef SANDBOXD_BIRTH_H
#define SANDBOXD_BIRTH_H

#include <CChannel.h>
#include <stdint.h>

#include "channel.h"

/// The clone flags of these layers: the namespaces that a sandbox has.
uint64_t birth_namespaces(uint32_t layers);

/// Answers the LAUNCH in `packet`: makes process 1 of one sandbox, which becomes `first` with its
/// control channel, and sends LAUNCHED with its pidfd. Negative errno when the daemon is gone or
/// broke the protocol; a sandbox that cannot be made is told in LAUNCHED.
int birth_answer(int channel, struct packet *packet, int (*first)(int control));

#endif
