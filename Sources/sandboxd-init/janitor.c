// SPDX-License-Identifier: Apache-2.0
//
// What a killed daemon leaves behind is not processes (those die with the launcher) but names:
// cgroup directories, which hold their counters after the last process is gone, and its socket.
// The janitor is a process of the daemon's user in a session of its own that holds the reading end
// of a pipe whose writing end only the daemon has. A daemon that stops in order has removed all
// of it already, and the janitor finds nothing.
#include "janitor.h"

#include "sys.h"
#include "text.h"

#define ATTEMPTS_MAX 3000
#define ATTEMPT_PAUSE_NS 10000000

struct directory_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

#define TYPE_DIRECTORY 4

static void pause_briefly(void) {
    const struct {
        int64_t seconds;
        int64_t nanoseconds;
    } time = {0, ATTEMPT_PAUSE_NS};
    (void)sys2(__NR_nanosleep, &time, NULL);
}

/// On v2 (and the v2 side of a hybrid) one write ends whatever is still inside.
static void kill_cgroup(int directory) {
    long fd = sys4(__NR_openat, directory, "cgroup.kill", SYS_O_WRONLY | SYS_O_CLOEXEC, 0);
    if (fd >= 0) {
        (void)sys3(__NR_write, fd, "1", 1);
        sys_close((int)fd);
    }
}

/// Removes every directory below `directory`, two levels deep, which is as deep as we make them.
/// Answers how many are still there.
static int remove_below(int directory, int depth) {
    static union {
        char bytes[4096];
        uint64_t align;
    } buffers[3];
    int left = 0;
    long have;
    while ((have = sys3(__NR_getdents64, directory, buffers[depth].bytes, 4096)) > 0) {
        for (long at = 0; at < have;) {
            struct directory_entry *entry =
                (struct directory_entry *)(buffers[depth].bytes + at);
            at += entry->length;
            if (entry->type != TYPE_DIRECTORY || entry->name[0] == '.') {
                continue;
            }
            if (depth < 2) {
                long below = sys4(__NR_openat, directory, entry->name,
                                  SYS_O_RDONLY | SYS_O_DIRECTORY | SYS_O_CLOEXEC, 0);
                if (below >= 0) {
                    (void)remove_below((int)below, depth + 1);
                    sys_close((int)below);
                }
            }
            left += sys3(__NR_unlinkat, directory, entry->name, SYS_AT_REMOVEDIR) < 0;
        }
    }
    return left;
}

/// Answers 1 when nothing is left of `path`.
static int remove_path(const char *path) {
    long directory = sys4(__NR_openat, SYS_AT_FDCWD, path,
                          SYS_O_RDONLY | SYS_O_DIRECTORY | SYS_O_NOFOLLOW | SYS_O_CLOEXEC, 0);
    if (directory == -SYS_ENOENT) {
        return 1;
    }
    if (directory < 0) {
        (void)sys3(__NR_unlinkat, SYS_AT_FDCWD, path, 0);
        return 1;
    }
    kill_cgroup((int)directory);
    int left = remove_below((int)directory, 0);
    sys_close((int)directory);
    return left == 0 && sys3(__NR_unlinkat, SYS_AT_FDCWD, path, SYS_AT_REMOVEDIR) == 0;
}

int janitor(int lifeline, int count, const char *const *paths) {
    char byte;
    // A terminal's signals are for the daemon.
    (void)sys0(__NR_setsid);
    while (sys3(__NR_read, lifeline, &byte, 1) == -SYS_EINTR) {
    }
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        int left = 0;
        for (int i = 0; i < count; i++) {
            left += !remove_path(paths[i]);
        }
        if (left == 0) {
            return 0;
        }
        pause_briefly();
    }
    return 1;
}
