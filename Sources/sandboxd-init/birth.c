// SPDX-License-Identifier: Apache-2.0
#include "birth.h"

#include <asm/signal.h>
#include <linux/sched.h>

#include "idmap.h"
#include "sys.h"

/// Maps the child's 0 to `init_id` and its job id to `job_id`, both of this launcher's namespace.
static int map_ids(long pid, const char *which, uint32_t init_id, uint32_t job_id) {
    const struct id_range ranges[2] = {{0, init_id, 1}, {SBX_JOB_ID, job_id, 1}};
    return idmap_write(pid, which, ranges);
}

uint64_t birth_namespaces(uint32_t layers) {
    uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS;
    flags |= layers & SBX_LAYER_PID_NAMESPACE ? CLONE_NEWPID : 0;
    flags |= layers & SBX_LAYER_NETWORK_NAMESPACE ? CLONE_NEWNET : 0;
    flags |= layers & SBX_LAYER_IPC_NAMESPACE ? CLONE_NEWIPC : 0;
    flags |= layers & SBX_LAYER_UTS_NAMESPACE ? CLONE_NEWUTS : 0;
    return flags;
}

/// In the new process: waits until the ids are mapped, and becomes what it was made for.
static _Noreturn void become_first(int channel, int mapped, int (*first)(int)) {
    char byte;
    long got = sys3(__NR_read, mapped, &byte, 1);
    if (got != 1) {
        sys_exit(125);
    }
    sys_close(mapped);
    sys_exit(first(channel));
}

/// Makes one sandbox's process 1. On success `*ret_pidfd` is the caller's.
static int make_sandbox(const struct sbx_launch *request, int channel, int cgroup,
                        int (*first)(int), int *ret_pidfd, int *ret_step) {
    int mapped[2];
    int pidfd = -1;
    *ret_step = SBX_STEP_CLONE;
    long done = sys2(__NR_pipe2, mapped, SYS_O_CLOEXEC);
    if (done < 0) {
        return (int)done;
    }
    struct clone_args arguments = {
        .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND | birth_namespaces(request->layers) |
                 (cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
    };
    long pid = sys2(__NR_clone3, &arguments, sizeof arguments);
    if (pid == 0) {
        become_first(channel, mapped[0], first);
    }
    sys_close(mapped[0]);
    int error = (int)pid;
    if (pid > 0) {
        *ret_step = SBX_STEP_ID_MAP;
        error = map_ids(pid, "/gid_map", request->init_id, request->job_id);
        if (error == 0) {
            error = map_ids(pid, "/uid_map", request->init_id, request->job_id);
        }
        if (error == 0) {
            (void)sys3(__NR_write, mapped[1], "x", 1);
            *ret_pidfd = pidfd;
        } else {
            (void)sys2(__NR_kill, pid, SIGKILL);
            sys_close(pidfd);
        }
    }
    sys_close(mapped[1]);
    return error < 0 ? error : 0;
}

int birth_answer(int channel, struct packet *packet, int (*first)(int)) {
    const struct sbx_launch *request = (const struct sbx_launch *)packet->bytes;
    struct sbx_launched launched = {.tag = request->tag};
    int pidfd = -1;
    size_t wanted = request->into_cgroup == 1 ? 2 : 1;
    if (packet->header.type != SBX_LAUNCH || packet->length != sizeof *request ||
        packet->fd_count != wanted) {
        packet_close(packet);
        return -SYS_EPROTO;
    }
    int cgroup = wanted == 2 ? packet->fds[1] : -1;
    launched.error =
        -make_sandbox(request, packet->fds[0], cgroup, first, &pidfd, &launched.step);
    packet_close(packet);
    int error = channel_send(channel, SBX_LAUNCHED, &launched, sizeof launched, NULL, 0, pidfd);
    if (pidfd >= 0) {
        sys_close(pidfd);
    }
    return error;
}
