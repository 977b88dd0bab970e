// SPDX-License-Identifier: Apache-2.0
//
// The fork server of the native engine.
//
// Theory of operation. Four processes of this program take part:
//
//   outer      the daemon's child. Makes the user namespace, asks the daemon to map the
//              subordinate ids into it (newuidmap is privileged; this program never is), executes
//              itself again, and then only waits. The second execve matters: a process image
//              belongs to the user namespace it was executed in, and only in one that the daemon
//              owns may the daemon read back /proc/PID/ns.
//   launcher   its child, process 1 of a PID namespace and alone with a mount namespace in which
//              nothing exists but the image, /dev and /proc (template.c). Single-threaded. For
//              each LAUNCH it makes one clone3 and maps two ids.
//   init       each clone's child (init.c), in seven namespaces of its own.
//   job        init's child (job.c), which becomes what the caller asked for.
//
// Lifetimes: daemon's thread ends -> outer gets SIGKILL -> launcher gets SIGKILL -> the kernel
// kills everything in its PID namespace. No process has to do anything for that.
#include "launch.h"

#include <CChannel.h>
#include <asm/signal.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "channel.h"
#include "init.h"
#include "sys.h"
#include "template.h"
#include "text.h"

#define KERNEL_SIGNAL_BYTES 8

/// As the kernel's rt_sigaction wants it.
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

/// Dies with the parent; refuses to go on when the parent died first. The signal is lost at every
/// change of credentials, so this comes again after each.
static int die_with_parent(long parent) {
    long done = sys2(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL);
    if (done < 0) {
        return (int)done;
    }
    return sys0(__NR_getppid) == parent ? 0 : -SYS_ESRCH;
}

static int fail(int channel, int step, int error) {
    channel_fail(channel, step, error);
    return 125;
}

int launch(int channel, const char *layers) {
    static struct packet packet;
    struct sbx_signal map_me;
    long parent = sys0(__NR_getppid);
    int error = die_with_parent(parent);
    if (error < 0) {
        return fail(channel, SBX_STEP_PARENT_DEATH, error);
    }
    error = (int)sys1(__NR_unshare, CLONE_NEWUSER);
    if (error < 0) {
        return fail(channel, SBX_STEP_USER_NAMESPACE, error);
    }
    error = channel_send(channel, SBX_MAP_ME, &map_me, sizeof map_me, NULL, 0, -1);
    if (error == 0) {
        error = channel_expect(channel, &packet, SBX_MAPPED, sizeof(struct sbx_signal));
    }
    if (error < 0) {
        return fail(channel, SBX_STEP_ID_MAP, error);
    }
    if ((error = (int)sys2(__NR_setgroups, 0, NULL)) < 0 ||
        (error = (int)sys3(__NR_setresgid, 0, 0, 0)) < 0 ||
        (error = (int)sys3(__NR_setresuid, 0, 0, 0)) < 0) {
        return fail(channel, SBX_STEP_CREDENTIALS, error);
    }
    const char *const arguments[] = {"sandboxd-init", "launch-mapped", layers, NULL};
    static const char *const environment[] = {NULL};
    error = (int)sys3(__NR_execve, "/proc/self/exe", arguments, environment);
    return fail(channel, SBX_STEP_EXECVE, error);
}

static int write_file(const char *path, const char *bytes, size_t length) {
    long fd = sys4(__NR_openat, SYS_AT_FDCWD, path, SYS_O_WRONLY | SYS_O_CLOEXEC, 0);
    if (fd < 0) {
        return (int)fd;
    }
    long wrote = sys3(__NR_write, fd, bytes, length);
    sys_close((int)fd);
    return wrote < 0 ? (int)wrote : 0;
}

/// Maps the child's 0 to `init_id` and its job id to `job_id`, both of this launcher's namespace.
static int map_ids(long pid, const char *which, uint32_t init_id, uint32_t job_id) {
    char path_bytes[64];
    char map_bytes[64];
    struct text path = TEXT(path_bytes);
    struct text map = TEXT(map_bytes);
    text_add(&path, "/proc/");
    text_add_number(&path, (uint64_t)pid);
    text_add(&path, which);
    text_add(&map, "0 ");
    text_add_number(&map, init_id);
    text_add(&map, " 1\n");
    text_add_number(&map, SBX_JOB_ID);
    text_add(&map, " ");
    text_add_number(&map, job_id);
    text_add(&map, " 1\n");
    return path.overflow || map.overflow ? -SYS_EOVERFLOW
                                         : write_file(path_bytes, map_bytes, map.used);
}

static uint64_t namespaces(uint32_t layers) {
    uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS;
    flags |= layers & SBX_LAYER_PID_NAMESPACE ? CLONE_NEWPID : 0;
    flags |= layers & SBX_LAYER_NETWORK_NAMESPACE ? CLONE_NEWNET : 0;
    flags |= layers & SBX_LAYER_IPC_NAMESPACE ? CLONE_NEWIPC : 0;
    flags |= layers & SBX_LAYER_UTS_NAMESPACE ? CLONE_NEWUTS : 0;
    return flags;
}

/// In the new process: keeps only the control channel, waits until the ids are mapped, and
/// becomes init.
static _Noreturn void become_init(int channel, int mapped) {
    char byte;
    long got = sys3(__NR_read, mapped, &byte, 1);
    if (got != 1) {
        sys_exit(125);
    }
    sys_close(mapped);
    sys_exit(init(channel));
}

/// Makes one sandbox's process 1. On success `*ret_pidfd` is the caller's.
static int make_sandbox(const struct sbx_launch *request, int channel, int cgroup, int *ret_pidfd,
                        int *ret_step) {
    int mapped[2];
    int pidfd = -1;
    *ret_step = SBX_STEP_CLONE;
    long done = sys2(__NR_pipe2, mapped, SYS_O_CLOEXEC);
    if (done < 0) {
        return (int)done;
    }
    struct clone_args arguments = {
        .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND | namespaces(request->layers) |
                 (cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
    };
    long pid = sys2(__NR_clone3, &arguments, sizeof arguments);
    if (pid == 0) {
        become_init(channel, mapped[0]);
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

static int answer_launch(int channel, struct packet *packet) {
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
        -make_sandbox(request, packet->fds[0], cgroup, &pidfd, &launched.step);
    packet_close(packet);
    int error = channel_send(channel, SBX_LAUNCHED, &launched, sizeof launched, NULL, 0, pidfd);
    if (pidfd >= 0) {
        sys_close(pidfd);
    }
    return error;
}

/// An ignored signal survives every execve, and glibc's posix_spawn hands its two internal ones on
/// ignored. Nothing of the daemon's reaches a job, so all begin anew.
static void forget_signals(void) {
    const struct kernel_sigaction action = {0};
    for (int number = 1; number <= 64; number++) {
        // Refused for SIGKILL and SIGSTOP, which nobody can ignore.
        (void)sys4(__NR_rt_sigaction, number, &action, NULL, KERNEL_SIGNAL_BYTES);
    }
}

/// Zombies of inits are nobody's: the daemon watches pidfds, and init says by itself how the job
/// ended. So the kernel reaps them.
static int leave_no_zombies(void) {
    const struct kernel_sigaction action = {.flags = SA_NOCLDWAIT};
    return (int)sys4(__NR_rt_sigaction, SIGCHLD, &action, NULL, KERNEL_SIGNAL_BYTES);
}

static int serve(int channel) {
    static struct packet packet;
    struct sbx_template_ready ready = {.step = SBX_STEP_ROOT};
    forget_signals();
    ready.error = -template_make(channel, &packet, &ready.step);
    int error =
        channel_send(channel, SBX_TEMPLATE_READY, &ready, sizeof ready, NULL, 0, -1);
    if (error < 0 || ready.error != 0 || leave_no_zombies() < 0) {
        return 125;
    }
    for (;;) {
        int got = channel_receive(channel, &packet);
        if (got <= 0 || answer_launch(channel, &packet) < 0) {
            return got == 0 ? 0 : 125;
        }
    }
}

int launch_mapped(int channel, const char *layers) {
    uint32_t bits = (uint32_t)text_counter(layers, text_length(layers), "");
    long parent = sys0(__NR_getppid);
    int error = die_with_parent(parent);
    if (error < 0 || (error = (int)sys2(__NR_prctl, PR_SET_DUMPABLE, 0)) < 0) {
        return fail(channel, SBX_STEP_PARENT_DEATH, error);
    }
    // What a control run leaves out it leaves out here too, or its sandboxes would only be in the
    // launcher's namespaces and never in the host's.
    error = (int)sys1(__NR_unshare, namespaces(bits) & ~(uint64_t)CLONE_NEWUSER);
    if (error < 0) {
        return fail(channel, SBX_STEP_NAMESPACES, error);
    }
    long pid = sys5(__NR_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        // The parent is in another PID namespace, so getppid answers 0 for as long as it lives
        // and also when it is gone: the signal alone must do. The outer process cannot have died
        // unnoticed, as the channel's other end would be the daemon's, which dies first.
        (void)sys2(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL);
        sys_exit(serve(channel));
    }
    if (pid < 0) {
        return fail(channel, SBX_STEP_FORK, (int)pid);
    }
    // Only the launcher itself may hold the channel: its end must mean the launcher's end.
    sys_close(channel);
    int status = 0;
    while (sys4(__NR_wait4, pid, &status, 0, NULL) == -SYS_EINTR) {
    }
    return 0;
}
