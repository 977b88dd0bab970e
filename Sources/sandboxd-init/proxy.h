// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_PROXY_H
#define SANDBOXD_PROXY_H

#include <stdint.h>

/// Listens on `port` of the sandbox's own loopback, and hands the socket to the daemon, whose proxy
/// accepts on it: the one way out. Answers 0 or a negative errno; nothing of it stays here.
int proxy_hand_out(int channel, uint32_t port);

#endif
