// SPDX-License-Identifier: Apache-2.0
//
// What the system call filter refused.
//
// Theory of operation. The kernel says of a refused call nothing but its errno to who made it. Where
// a run asks for more, the job installs a copy of its filter in which every refusal by an errno (and,
// to learn what a program needs, every permission) is "ask whoever listens" instead. init listens. It
// has the filter as it was meant, runs that over the call's numbers as the kernel would have, answers
// just so, and takes note. So nothing is allowed that the filter refuses: what is different is who
// says no. Should init go, the kernel answers ENOSYS.
#include "witness.h"

#include <asm/poll.h>
#include <linux/seccomp.h>

#include "sys.h"

#define RECORDS_MAX 512
#define PROGRAM_MAX 16
#define TYPE_SEQPACKET 5
#define FAMILY_UNIX 1
// linux/seccomp.h has them as macros of ioctl numbers that need a libc's header.
#define NOTIF_RECEIVE 0xc0502100u
#define NOTIF_SEND 0xc0182101u
#define DATA_WORDS (sizeof(struct seccomp_data) / 4)
#define FIRST_ARGUMENT offsetof(struct seccomp_data, args)

static struct sbx_denied records[RECORDS_MAX];
static uint32_t record_count;
static uint64_t unrecorded;
static struct sock_filter observed[sizeof((struct plan *)0)->filter / sizeof(struct sock_filter) + 3];

/// What the filter does with a call, and which arguments it looked at (bit n: argument n).
struct opinion {
    uint32_t action;
    uint32_t looked_at;
};

/// Runs the filter as it was meant. It was compiled by the daemon from a few kinds of instructions;
/// another one refuses.
static struct opinion judge(const struct plan *plan, const struct seccomp_data *data) {
    const uint32_t *words = (const uint32_t *)(const void *)data;
    const uint32_t length = plan->message.filter_bytes / (uint32_t)sizeof(struct sock_filter);
    struct opinion opinion = {.action = SECCOMP_RET_ERRNO | SYS_ENOSYS};
    uint32_t loaded = 0;
    // Jumps only go forwards, so it ends.
    for (uint32_t at = 0; at < length; at++) {
        const struct sock_filter *now = &plan->filter[at];
        switch (now->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (now->k % 4 != 0 || now->k / 4 >= DATA_WORDS) {
                return opinion;
            }
            loaded = words[now->k / 4];
            if (now->k >= FIRST_ARGUMENT) {
                opinion.looked_at |= 1u << ((now->k - FIRST_ARGUMENT) / 8);
            }
            break;
        case BPF_ALU | BPF_AND | BPF_K: loaded &= now->k; break;
        case BPF_JMP | BPF_JA: at += now->k; break;
        case BPF_JMP | BPF_JEQ | BPF_K: at += loaded == now->k ? now->jt : now->jf; break;
        case BPF_JMP | BPF_JGE | BPF_K: at += loaded >= now->k ? now->jt : now->jf; break;
        case BPF_JMP | BPF_JGT | BPF_K: at += loaded > now->k ? now->jt : now->jf; break;
        case BPF_RET | BPF_K: opinion.action = now->k; return opinion;
        default: return opinion;
        }
    }
    return opinion;
}

int witness_watched(const struct witness *witness) {
    return witness->listener >= 0 ? witness->listener : witness->receiving;
}

int witness_open(struct witness *witness, const struct plan *plan) {
    *witness = (struct witness){.sending = -1, .receiving = -1, .listener = -1, .plan = plan};
    if (plan->message.witness == SBX_WITNESS_NONE) {
        return 0;
    }
    int ends[2];
    int error = (int)sys4(__NR_socketpair, FAMILY_UNIX, TYPE_SEQPACKET | SYS_O_CLOEXEC, 0, ends);
    if (error == 0) {
        witness->receiving = ends[0];
        witness->sending = ends[1];
    }
    return error;
}

int witness_install(const struct witness *witness) {
    const struct plan *plan = witness->plan;
    const uint32_t length = plan->message.filter_bytes / (uint32_t)sizeof(struct sock_filter);
    const int sees_all = plan->message.witness == SBX_WITNESS_ALL;
    // The call that hands the listener over cannot wait for who does not have it yet.
    const struct sock_filter first[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, __NR_sendmsg},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    uint32_t count = 0;
    while (sees_all && count < sizeof first / sizeof first[0]) {
        observed[count] = first[count];
        count++;
    }
    for (uint32_t i = 0; i < length; i++, count++) {
        observed[count] = plan->filter[i];
        const uint32_t action = observed[count].k & SECCOMP_RET_ACTION_FULL;
        if (observed[count].code == (BPF_RET | BPF_K) &&
            (action == SECCOMP_RET_ERRNO || (sees_all && action == SECCOMP_RET_ALLOW))) {
            observed[count].k = SECCOMP_RET_USER_NOTIF;
        }
    }
    const struct {
        unsigned short length;
        const struct sock_filter *filter;
    } program = {.length = (unsigned short)count, .filter = observed};
    const long listener = sys3(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
                               SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0) {
        return (int)listener;
    }
    struct sbx_signal message;
    // The listener is close-on-exec from birth.
    return channel_send(witness->sending, SBX_LISTENER, &message, sizeof message, NULL, 0,
                        (int)listener);
}

/// The short name of the program that called, as the kernel has it.
static void read_program(uint32_t pid, char program[PROGRAM_MAX]) {
    char path[32] = "/proc/";
    char digits[12];
    size_t used = 6;
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + pid % 10);
        pid /= 10;
    } while (pid > 0);
    while (count > 0) {
        path[used++] = digits[--count];
    }
    const char *end = "/comm";
    while (*end != 0) {
        path[used++] = *end++;
    }
    const long fd = sys4(__NR_openat, SYS_AT_FDCWD, path, SYS_O_RDONLY | SYS_O_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    const long got = sys3(__NR_read, fd, program, PROGRAM_MAX - 1);
    sys_close((int)fd);
    for (long i = 0; i < PROGRAM_MAX; i++) {
        if (i >= got || program[i] == '\n') {
            program[i] = 0;
        }
    }
}

static int same(const struct sbx_denied *record, const struct sbx_denied *call) {
    if (record->number != call->number || record->error != call->error ||
        record->looked_at != call->looked_at) {
        return 0;
    }
    for (int i = 0; i < 6; i++) {
        if ((call->looked_at & (1u << i)) != 0 && record->arguments[i] != call->arguments[i]) {
            return 0;
        }
    }
    for (int i = 0; i < PROGRAM_MAX; i++) {
        if (record->program[i] != call->program[i]) {
            return 0;
        }
    }
    return 1;
}

static void note(struct sbx_denied *call) {
    for (uint32_t i = 0; i < record_count; i++) {
        if (same(&records[i], call)) {
            records[i].count++;
            return;
        }
    }
    if (record_count == RECORDS_MAX) {
        unrecorded++;
        return;
    }
    call->count = 1;
    records[record_count++] = *call;
}

static void answer(struct witness *witness) {
    // The kernel wants it empty.
    struct seccomp_notif call = {0};
    if (sys3(__NR_ioctl, witness->listener, NOTIF_RECEIVE, &call) < 0) {
        // Who called was killed meanwhile.
        return;
    }
    const struct opinion opinion = judge(witness->plan, &call.data);
    struct sbx_denied seen = {.number = call.data.nr, .looked_at = opinion.looked_at};
    struct seccomp_notif_resp response = {.id = call.id};
    if (opinion.action == SECCOMP_RET_ALLOW) {
        response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        // Nothing decides what is allowed anyway.
        seen.looked_at = 0;
    } else {
        const int32_t error = (opinion.action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO
                                  ? (int32_t)(opinion.action & SECCOMP_RET_DATA)
                                  : SYS_ENOSYS;
        response.error = -error;
        seen.error = error;
    }
    for (int i = 0; i < 6; i++) {
        seen.arguments[i] = (seen.looked_at & (1u << i)) != 0 ? (uint32_t)call.data.args[i] : 0;
    }
    read_program(call.pid, seen.program);
    note(&seen);
    (void)sys3(__NR_ioctl, witness->listener, NOTIF_SEND, &response);
}

void witness_step(struct witness *witness, struct packet *packet) {
    if (witness->listener < 0) {
        if (channel_receive(witness->receiving, packet) > 0 && packet->fd_count == 1) {
            witness->listener = packet->fds[0];
        }
        // Either it has come, or it never will.
        sys_close(witness->receiving);
        witness->receiving = -1;
        return;
    }
    struct {
        int fd;
        short events;
        short revents;
    } ready = {.fd = witness->listener, .events = POLLIN};
    const int64_t now[2] = {0, 0};
    if (sys5(__NR_ppoll, &ready, 1, now, NULL, 8) > 0 && (ready.revents & POLLIN) != 0) {
        answer(witness);
    } else if (ready.revents != 0) {
        // Nobody has the filter any more.
        sys_close(witness->listener);
        witness->listener = -1;
    }
}

int witness_send(struct witness *witness, int channel) {
    if (witness->listener >= 0) {
        sys_close(witness->listener);
        witness->listener = -1;
    }
    int error = 0;
    for (uint32_t i = 0; error == 0 && i < record_count; i++) {
        records[i].unrecorded = i + 1 == record_count ? unrecorded : 0;
        error = channel_send(channel, SBX_DENIED, &records[i], sizeof records[i], NULL, 0, -1);
    }
    return error;
}
