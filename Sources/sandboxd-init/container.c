// SPDX-License-Identifier: Apache-2.0
//
// The entry point of a container that a Docker engine made.
//
// Theory of operation. The container brings what an engine is good at: the image as a root file
// system, a cgroup with limits, a name to find it by. What makes a sandbox of sandboxd is made
// inside of it by the same code as natively. Two processes of this program take part:
//
//   stem    the container's process 1, root of the user namespace that the engine lives in, with
//           the capabilities to change ids and no others. It is the launcher of one sandbox: one
//           LAUNCH, one clone3, one id map (birth.c). Then it waits: for init's end, and after it
//           until the daemon lets go, because the container's cgroup goes with process 1, and with
//           it the counters that the daemon judges by.
//   init    its child, in namespaces of its own inside of the container's. It makes the template
//           for itself (template.c) and goes on as init of a native sandbox does (init.c).
//
// Lifetimes: the daemon gone, both channels close, init ends, the stem ends, and with it the
// container. The engine kills the container: everything in it is dead.
#include "container.h"

#include <asm/poll.h>
#include <linux/poll.h>
#include <linux/prctl.h>

#include "birth.h"
#include "channel.h"
#include "init.h"
#include "signals.h"
#include "sys.h"
#include "template.h"
#include "text.h"

#define FAMILY_UNIX 1
#define TYPE_SEQPACKET 5
#define UNIX_PATH_SIZE 108

/// How long a daemon that hangs keeps an empty container.
#define LET_GO_SECONDS 10

struct unix_address {
    uint16_t family;
    char path[UNIX_PATH_SIZE];
};

/// Whatever the engine connected the standard streams to is not for a sandbox.
static int use_null_streams(void) {
    long null = sys4(__NR_openat, SYS_AT_FDCWD, "/dev/null", SYS_O_RDWR | SYS_O_CLOEXEC, 0);
    for (int stream = 0; null >= 0 && stream < 3; stream++) {
        if (null != stream && sys3(__NR_dup3, null, stream, 0) < 0) {
            return -SYS_EBADF;
        }
    }
    if (null > 2) {
        sys_close((int)null);
    }
    return null < 0 ? (int)null : 0;
}

static int connect_to(const char *path) {
    struct unix_address address = {.family = FAMILY_UNIX};
    struct text text = TEXT(address.path);
    text_add(&text, path);
    if (text.overflow) {
        return -SYS_ENAMETOOLONG;
    }
    long fd = sys3(__NR_socket, FAMILY_UNIX, TYPE_SEQPACKET | SYS_O_CLOEXEC, 0);
    long done = fd < 0 ? fd : sys3(__NR_connect, fd, &address, sizeof address);
    return (int)(done < 0 ? done : fd);
}

/// In the new process: root of its user namespace first, for what is mounted by an id that is not
/// mapped belongs to nobody.
static int make_template(int control, int *ret_step) {
    static struct packet packet;
    int error;
    *ret_step = SBX_STEP_PARENT_DEATH;
    if ((error = (int)sys2(__NR_prctl, PR_SET_PDEATHSIG, 9 /* SIGKILL */)) < 0) {
        return error;
    }
    *ret_step = SBX_STEP_CREDENTIALS;
    if ((error = (int)sys2(__NR_setgroups, 0, NULL)) < 0 ||
        (error = (int)sys3(__NR_setresgid, 0, 0, 0)) < 0 ||
        (error = (int)sys3(__NR_setresuid, 0, 0, -1)) < 0) {
        return error;
    }
    return template_make(control, &packet, ret_step);
}

static int first(int control) {
    int step = SBX_STEP_NONE;
    int error = make_template(control, &step);
    if (error < 0) {
        channel_fail(control, step, error);
        return 125;
    }
    return init(control);
}

static void wait_to_be_let_go(int channel) {
    struct pollfd daemon = {.fd = channel, .events = POLLIN};
    const struct {
        int64_t seconds;
        int64_t nanoseconds;
    } limit = {LET_GO_SECONDS, 0};
    (void)sys5(__NR_ppoll, &daemon, 1, &limit, NULL, 8);
}

int container(const char *path) {
    static struct packet packet;
    int status = 0;
    signals_forget();
    if (use_null_streams() < 0 || sys2(__NR_prctl, PR_SET_DUMPABLE, 0) < 0) {
        return 125;
    }
    int channel = connect_to(path);
    if (channel < 0 || channel_receive(channel, &packet) <= 0 ||
        birth_answer(channel, &packet, first) < 0) {
        return 125;
    }
    while (sys4(__NR_wait4, -1, &status, 0, NULL) == -SYS_EINTR) {
    }
    wait_to_be_let_go(channel);
    return 0;
}
