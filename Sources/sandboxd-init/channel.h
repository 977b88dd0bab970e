// SPDX-License-Identifier: Apache-2.0
//
// One packet in, one packet out: the only place that knows about sendmsg and control data.
#ifndef SANDBOXD_CHANNEL_H
#define SANDBOXD_CHANNEL_H

#include <CChannel.h>
#include <stddef.h>

/// A received message. `bytes` is followed by a NUL that is not part of it.
struct packet {
    union {
        struct sbx_header header;
        char bytes[SBX_MESSAGE_MAX + 1];
        uint64_t align;
    };
    size_t length;
    int fds[SBX_DESCRIPTORS_MAX];
    size_t fd_count;
};

/// Waits for the next packet. Its descriptors are close-on-exec and the caller's.
/// Answers 1, 0 when the other side is gone, or a negative errno; then no descriptor is left open.
int channel_receive(int channel, struct packet *packet);

/// As `channel_receive`, and -EPROTO for any other type or for fewer than `size` bytes.
int channel_expect(int channel, struct packet *packet, uint16_t type, size_t size);

/// Sends `message` (whose header this fills in), then `trailing`, with at most one descriptor
/// (-1 for none).
int channel_send(int channel, uint16_t type, void *message, size_t size, const void *trailing,
                 size_t trailing_size, int fd);

/// Sends FAILED by write(2) alone, which every seccomp filter allows.
void channel_fail(int channel, int step, int error);

/// Closes what came with a packet and was not taken (entries of -1 are skipped).
void packet_close(struct packet *packet);

#endif
