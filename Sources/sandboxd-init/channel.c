// SPDX-License-Identifier: Apache-2.0
#include "channel.h"

#include "sys.h"

// The kernel's msghdr and cmsghdr; <sys/socket.h> would bring a libc.
struct vector {
    void *base;
    size_t length;
};

struct kernel_msghdr {
    void *name;
    int name_length;
    struct vector *vectors;
    size_t vector_count;
    void *control;
    size_t control_length;
    unsigned flags;
};

struct control {
    size_t length;
    int level;
    int type;
    int fds[SBX_DESCRIPTORS_MAX];
};

#define SYS_SOL_SOCKET 1
#define SYS_SCM_RIGHTS 1
#define SYS_MSG_CMSG_CLOEXEC 0x40000000
#define SYS_MSG_NOSIGNAL 0x4000
#define SYS_MSG_TRUNC 0x20
#define SYS_MSG_CTRUNC 0x8
#define CONTROL_HEADER offsetof(struct control, fds)

static void take_descriptors(struct packet *packet, const struct kernel_msghdr *header,
                             const struct control *control) {
    packet->fd_count = 0;
    if (header->control_length < CONTROL_HEADER || control->level != SYS_SOL_SOCKET ||
        control->type != SYS_SCM_RIGHTS) {
        return;
    }
    packet->fd_count = (control->length - CONTROL_HEADER) / sizeof(int);
    for (size_t i = 0; i < packet->fd_count; i++) {
        packet->fds[i] = control->fds[i];
    }
}

int channel_receive(int channel, struct packet *packet) {
    struct vector vector = {packet->bytes, SBX_MESSAGE_MAX};
    struct control control;
    struct kernel_msghdr header = {
        .vectors = &vector,
        .vector_count = 1,
        .control = &control,
        .control_length = sizeof control,
    };
    long got;
    do {
        got = sys3(__NR_recvmsg, channel, &header, SYS_MSG_CMSG_CLOEXEC);
    } while (got == -SYS_EINTR);
    if (got <= 0) {
        return (int)got;
    }
    take_descriptors(packet, &header, &control);
    packet->length = (size_t)got;
    packet->bytes[got] = 0;
    if ((header.flags & (SYS_MSG_TRUNC | SYS_MSG_CTRUNC)) != 0 ||
        packet->length < sizeof(struct sbx_header) || packet->header.protocol != SBX_PROTOCOL ||
        packet->header.length != packet->length) {
        packet_close(packet);
        return -SYS_EPROTO;
    }
    return 1;
}

int channel_expect(int channel, struct packet *packet, uint16_t type, size_t size) {
    int got = channel_receive(channel, packet);
    if (got <= 0) {
        return got == 0 ? -SYS_EPIPE : got;
    }
    if (packet->header.type != type || packet->length < size) {
        packet_close(packet);
        return -SYS_EPROTO;
    }
    return 0;
}

int channel_send(int channel, uint16_t type, void *message, size_t size, const void *trailing,
                 size_t trailing_size, int fd) {
    struct sbx_header *start = message;
    start->protocol = SBX_PROTOCOL;
    start->type = type;
    start->length = (uint32_t)(size + trailing_size);
    struct vector vectors[2] = {{message, size}, {(void *)(uintptr_t)trailing, trailing_size}};
    struct control control = {
        .length = CONTROL_HEADER + sizeof(int),
        .level = SYS_SOL_SOCKET,
        .type = SYS_SCM_RIGHTS,
        .fds = {fd},
    };
    struct kernel_msghdr header = {
        .vectors = vectors,
        .vector_count = trailing_size > 0 ? 2 : 1,
        .control = fd >= 0 ? &control : NULL,
        .control_length = fd >= 0 ? CONTROL_HEADER + sizeof(uint64_t) : 0,
    };
    long sent;
    do {
        sent = sys3(__NR_sendmsg, channel, &header, SYS_MSG_NOSIGNAL);
    } while (sent == -SYS_EINTR);
    return sent < 0 ? (int)sent : 0;
}

void channel_fail(int channel, int step, int error) {
    struct sbx_failed failed = {
        .header = {SBX_PROTOCOL, SBX_FAILED, sizeof failed},
        .step = step,
        .error = error < 0 ? -error : error,
    };
    // Nobody is left to tell if this write fails: the channel's end says it too.
    (void)sys3(__NR_write, channel, &failed, sizeof failed);
}

void packet_close(struct packet *packet) {
    for (size_t i = 0; i < packet->fd_count; i++) {
        if (packet->fds[i] >= 0) {
            sys_close(packet->fds[i]);
        }
    }
    packet->fd_count = 0;
}
