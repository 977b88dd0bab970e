// SPDX-License-Identifier: Apache-2.0
//
// init: process 1 of a sandbox, ours and trusted; the same for every engine.
//
// Theory of operation. init runs as root of the sandbox's user namespace, which is an otherwise
// unused subordinate id on the host. The job runs under another. init makes the sandbox (setup.c),
// brings the input in (files.c), forks the job (job.c), and from then on holds two capabilities:
// to kill the job's processes and to read the files they leave. When the job ends, by itself or by
// a limit, everything else in the PID namespace is killed first; only then are files opened, so
// nothing can race with the collection (artifacts.c). init's death, for whatever reason, is the
// death of the sandbox: the kernel kills the namespace.
#include "init.h"

#include <linux/close_range.h>
#include <linux/prctl.h>

#include "artifacts.h"
#include "channel.h"
#include "files.h"
#include "job.h"
#include "proxy.h"
#include "setup.h"
#include "supervise.h"
#include "sys.h"

// Static, because init's stack is the kernel's default and these are large; untouched pages of
// them cost nothing.
static struct packet packet;
static struct plan plan;
static struct command command;

/// Takes `size` bytes at `*at` of the packet's trailing part; NULL when they are not there.
static const char *take(size_t *at, size_t size) {
    if (size > packet.length - *at) {
        return NULL;
    }
    const char *bytes = packet.bytes + *at;
    *at += size;
    return bytes;
}

static void copy(void *to, const char *from, size_t size) {
    char *target = to;
    for (size_t i = 0; i < size; i++) {
        target[i] = from[i];
    }
}

static int take_meter(uint32_t bit, size_t *next, int *ret_fd) {
    *ret_fd = -1;
    if ((plan.message.meters & bit) == 0) {
        return 0;
    }
    if (*next >= packet.fd_count) {
        return -SYS_EPROTO;
    }
    *ret_fd = packet.fds[(*next)++];
    return 0;
}

static int take_plan_descriptors(void) {
    size_t next = 0;
    if (plan.message.join_count > packet.fd_count) {
        return -SYS_EPROTO;
    }
    while (next < plan.message.join_count) {
        plan.join[next] = packet.fds[next];
        next++;
    }
    int error = take_meter(SBX_METER_OOM, &next, &plan.oom_event);
    if (error == 0) {
        error = take_meter(SBX_METER_OOM, &next, &plan.oom_counter);
    }
    if (error == 0) {
        error = take_meter(SBX_METER_PIDS, &next, &plan.pids_events);
    }
    if (error == 0) {
        error = take_meter(SBX_METER_CPU, &next, &plan.cpu_stat);
    }
    return error == 0 && next != packet.fd_count ? -SYS_EPROTO : error;
}

static int receive_prepare(int channel) {
    int error = channel_expect(channel, &packet, SBX_PREPARE, sizeof(struct sbx_prepare));
    if (error < 0) {
        return error;
    }
    size_t at = sizeof(struct sbx_prepare);
    const struct sbx_prepare *message = (const struct sbx_prepare *)packet.bytes;
    size_t masked_bytes = packet.length - at;
    // One byte of each list stays 0, so that it ends whatever was sent.
    if (packet.fd_count != 0 || masked_bytes >= sizeof plan.masked) {
        packet_close(&packet);
        return -SYS_EPROTO;
    }
    plan.layers = message->layers;
    copy(plan.hostname, message->hostname, sizeof plan.hostname - 1);
    copy(plan.masked, take(&at, masked_bytes), masked_bytes);
    return 0;
}

static int receive_plan(int channel) {
    int error = channel_expect(channel, &packet, SBX_PLAN, sizeof plan.message);
    if (error < 0) {
        return error;
    }
    size_t at = sizeof plan.message;
    plan.message = *(const struct sbx_plan *)packet.bytes;
    const char *filter = take(&at, plan.message.filter_bytes);
    const char *covered = take(&at, plan.message.covered_bytes);
    if (filter == NULL || covered == NULL || at != packet.length ||
        plan.message.filter_bytes > sizeof plan.filter ||
        plan.message.covered_bytes >= sizeof plan.covered) {
        packet_close(&packet);
        return -SYS_EPROTO;
    }
    copy(plan.filter, filter, plan.message.filter_bytes);
    copy(plan.covered, covered, plan.message.covered_bytes);
    return take_plan_descriptors();
}

/// Finds the next NUL-terminated string of the command; NULL at the end.
static const char *next_string(size_t *at) {
    size_t start = *at;
    size_t end = command.message.strings_bytes;
    while (*at < end && command.strings[*at] != 0) {
        (*at)++;
    }
    return (*at)++ < end ? command.strings + start : NULL;
}

static int split_strings(void) {
    size_t at = 0;
    for (uint32_t i = 0; i < command.message.argument_count; i++) {
        command.arguments[i] = next_string(&at);
    }
    for (uint32_t i = 0; i < command.message.environment_count; i++) {
        command.environment[i] = next_string(&at);
    }
    command.working_directory = next_string(&at);
    return command.working_directory == NULL || command.message.argument_count == 0 ? -SYS_EPROTO
                                                                                    : 0;
}

static int receive_command(int channel) {
    int error = channel_expect(channel, &packet, SBX_COMMAND, sizeof command.message);
    if (error < 0) {
        return error;
    }
    command.message = *(const struct sbx_command *)packet.bytes;
    if (packet.fd_count != 3 || command.message.strings_bytes > SBX_STRINGS_MAX ||
        command.message.argument_count > SBX_STRINGS_COUNT_MAX ||
        command.message.environment_count > SBX_STRINGS_COUNT_MAX) {
        packet_close(&packet);
        return -SYS_EPROTO;
    }
    for (int i = 0; i < 3; i++) {
        command.streams[i] = packet.fds[i];
    }
    size_t have = 0;
    while (have < command.message.strings_bytes) {
        error = channel_expect(channel, &packet, SBX_BLOB, sizeof(struct sbx_blob) + 1);
        size_t piece = packet.length - sizeof(struct sbx_blob);
        if (error < 0 || piece > command.message.strings_bytes - have) {
            return error < 0 ? error : -SYS_EPROTO;
        }
        copy(command.strings + have, packet.bytes + sizeof(struct sbx_blob), piece);
        have += piece;
    }
    return split_strings();
}

/// Input files, until START. Answers -EPIPE when the daemon goes.
static int receive_files(int channel) {
    for (;;) {
        int got = channel_receive(channel, &packet);
        if (got <= 0) {
            return got == 0 ? -SYS_EPIPE : got;
        }
        if (packet.header.type == SBX_START) {
            return 0;
        }
        if (packet.header.type != SBX_FILE || packet.length <= sizeof(struct sbx_file) ||
            packet.fd_count != 1) {
            packet_close(&packet);
            return -SYS_EPROTO;
        }
        int error = files_place((const struct sbx_file *)packet.bytes,
                                packet.bytes + sizeof(struct sbx_file), packet.fds[0]);
        packet_close(&packet);
        if (error < 0) {
            return error;
        }
    }
}

/// The daemon sees the step and its errno, or nothing at all if it is the one that went away.
static int give_up(int channel, int step, int error) {
    channel_fail(channel, step, error);
    return 125;
}

/// Holds only standard streams on /dev/null and the channel, as descriptor 3.
static int keep_only_channel(int channel) {
    if (channel != 3) {
        long moved = sys3(__NR_dup3, channel, 3, SYS_O_CLOEXEC);
        if (moved < 0) {
            return (int)moved;
        }
    }
    return (int)sys3(__NR_close_range, 4, ~0u, 0);
}

int init(int inherited) {
    int channel = 3;
    int step = SBX_STEP_PARENT_DEATH;
    int error = (int)sys2(__NR_prctl, PR_SET_PDEATHSIG, 9 /* SIGKILL */);
    if (error < 0 || (error = keep_only_channel(inherited)) < 0) {
        return give_up(inherited, step, error);
    }
    if ((error = receive_prepare(channel)) < 0) {
        return give_up(channel, SBX_STEP_PROTOCOL, error);
    }
    if ((error = setup_prepare(&plan, &step)) < 0) {
        return give_up(channel, step, error);
    }
    if ((error = receive_plan(channel)) < 0) {
        return give_up(channel, SBX_STEP_PROTOCOL, error);
    }
    if ((error = setup_finish(&plan, &step)) < 0) {
        return give_up(channel, step, error);
    }
    if (plan.message.proxy_port != 0 &&
        (error = proxy_hand_out(channel, plan.message.proxy_port)) < 0) {
        return give_up(channel, SBX_STEP_PROXY, error);
    }
    if ((error = receive_command(channel)) < 0) {
        return give_up(channel, SBX_STEP_PROTOCOL, error);
    }
    if ((error = receive_files(channel)) < 0) {
        return give_up(channel, SBX_STEP_INPUT_FILE, error);
    }
    struct job job;
    struct witness witness;
    if ((error = witness_open(&witness, &plan)) < 0 ||
        (error = job_fork(channel, &plan, &command, &witness, &job)) < 0) {
        return give_up(channel, SBX_STEP_FORK, error);
    }
    if ((error = setup_shed_capabilities(&plan)) < 0) {
        return give_up(channel, SBX_STEP_CAPABILITIES, error);
    }
    error = supervise(channel, &packet, &plan, &command.message, &job, &witness);
    if (error < 0) {
        return give_up(channel, SBX_STEP_SUPERVISE, error);
    }
    error = artifacts_send(channel, &command.message);
    return error < 0 ? give_up(channel, SBX_STEP_COLLECT, error) : 0;
}
