// SPDX-License-Identifier: Apache-2.0
//
// The entry point of a container that an engine of root's made.
//
// Theory of operation. Root of such a container is root of the host. So process 1 stops being root
// at once: it becomes the daemon's user, and keeps nothing but the right to change ids. With that it
// gives a child the user namespace that a rootless engine of the same user would have made, and the
// child executes itself again in there, as `container`. From then on nothing differs, and what the
// sandbox is made of belongs to the daemon's user, who reads it back.
#include "rootful.h"

#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/sched.h>

#include "idmap.h"
#include "sys.h"
#include "text.h"

enum { USER, GROUP, FIRST_USER, USERS, FIRST_GROUP, GROUPS, SOCKET };

static uint32_t number(const char *word) {
    return (uint32_t)text_counter(word, text_length(word), "");
}

/// Keeps SETUID and SETGID, which the kernel takes away from who stops being root.
static int become(uint32_t user, uint32_t group) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    uint32_t ids = 1u << CAP_SETUID | 1u << CAP_SETGID;
    struct __user_cap_data_struct kept[2] = {{.effective = ids, .permitted = ids}, {0}};
    int error;
    if ((error = (int)sys2(__NR_prctl, PR_SET_KEEPCAPS, 1)) < 0 ||
        (error = (int)sys2(__NR_setgroups, 0, NULL)) < 0 ||
        (error = (int)sys3(__NR_setresgid, group, group, group)) < 0 ||
        (error = (int)sys3(__NR_setresuid, user, user, user)) < 0 ||
        (error = (int)sys2(__NR_capset, &header, kept)) < 0) {
        return error;
    }
    // The child's id maps are nobody's to write while its memory is undumpable.
    return (int)sys2(__NR_prctl, PR_SET_DUMPABLE, 1);
}

/// Maps the namespace's 0 to `owner`, and what follows to the subordinate ids.
static int map(long pid, const char *file, uint32_t owner, uint32_t first, uint32_t count) {
    const struct id_range ranges[2] = {{0, owner, 1}, {1, first, count}};
    return idmap_write(pid, file, ranges);
}

/// In the child: waits until its ids are mapped, and executes itself as root of its namespace.
static _Noreturn void go_on(int mapped, const char *socket) {
    char byte;
    const char *const arguments[] = {"sandboxd-init", "container", socket, NULL};
    static const char *const environment[] = {NULL};
    if (sys3(__NR_read, mapped, &byte, 1) == 1 && sys3(__NR_setresgid, 0, 0, 0) == 0 &&
        sys3(__NR_setresuid, 0, 0, 0) == 0) {
        (void)sys3(__NR_execve, "/proc/self/exe", arguments, environment);
    }
    sys_exit(125);
}

int rootful(const char *const *words) {
    uint32_t user = number(words[USER]);
    uint32_t group = number(words[GROUP]);
    int mapped[2];
    int status = 0;
    if (user == 0 || group == 0 || become(user, group) < 0 ||
        sys2(__NR_pipe2, mapped, SYS_O_CLOEXEC) < 0) {
        return 125;
    }
    long pid = sys5(__NR_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        sys_close(mapped[1]);
        go_on(mapped[0], words[SOCKET]);
    }
    // Were it left open here, a child that waits would not see us fail.
    sys_close(mapped[0]);
    if (pid < 0 ||
        map(pid, "/uid_map", user, number(words[FIRST_USER]), number(words[USERS])) < 0 ||
        map(pid, "/gid_map", group, number(words[FIRST_GROUP]), number(words[GROUPS])) < 0 ||
        sys3(__NR_write, mapped[1], "x", 1) != 1) {
        return 125;
    }
    sys_close(mapped[1]);
    // When it ends, so do we, and the kernel kills whatever else is in here.
    while (sys4(__NR_wait4, pid, &status, 0, NULL) == -SYS_EINTR) {
    }
    return 0;
}
