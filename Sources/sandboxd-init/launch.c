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

#include "birth.h"
#include "channel.h"
#include "init.h"
#include "signals.h"
#include "sys.h"
#include "template.h"
#include "text.h"

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

static int serve(int channel) {
    static struct packet packet;
    struct sbx_template_ready ready = {.step = SBX_STEP_ROOT};
    signals_forget();
    ready.error = -template_make(channel, &packet, &ready.step);
    int error =
        channel_send(channel, SBX_TEMPLATE_READY, &ready, sizeof ready, NULL, 0, -1);
    if (error < 0 || ready.error != 0 || signals_leave_no_zombies() < 0) {
        return 125;
    }
    for (;;) {
        int got = channel_receive(channel, &packet);
        if (got <= 0 || birth_answer(channel, &packet, init) < 0) {
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
    error = (int)sys1(__NR_unshare, birth_namespaces(bits) & ~(uint64_t)CLONE_NEWUSER);
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
