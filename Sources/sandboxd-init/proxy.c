// SPDX-License-Identifier: Apache-2.0
#include "proxy.h"

#include <CChannel.h>

#include "channel.h"
#include "sys.h"

#define FAMILY_INET 2
#define TYPE_STREAM 1
#define TYPE_NONBLOCK 04000
#define BACKLOG 128

/// As ip(7) has it; port and address in the network's order.
struct inet_address {
    uint16_t family;
    uint8_t port[2];
    uint8_t address[4];
    uint8_t padding[8];
};

int proxy_hand_out(int channel, uint32_t port) {
    const struct inet_address loopback = {
        .family = FAMILY_INET,
        .port = {(uint8_t)(port >> 8), (uint8_t)port},
        .address = {127, 0, 0, 1},
    };
    long fd = sys3(__NR_socket, FAMILY_INET, TYPE_STREAM | TYPE_NONBLOCK | SYS_O_CLOEXEC, 0);
    if (fd < 0) {
        return (int)fd;
    }
    long error = sys3(__NR_bind, fd, &loopback, sizeof loopback);
    if (error == 0) {
        error = sys2(__NR_listen, fd, BACKLOG);
    }
    if (error == 0) {
        struct sbx_signal message;
        error = channel_send(channel, SBX_LISTENER, &message, sizeof message, NULL, 0, (int)fd);
    }
    sys_close((int)fd);
    return (int)error;
}
