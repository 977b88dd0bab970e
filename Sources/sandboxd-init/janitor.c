// SPDX-License-Identifier: Apache-2.0
//
// What a killed daemon leaves behind is not processes (those die with the launcher) but names:
// cgroup directories, which hold their counters after the last process is gone, and its socket.
// The janitor is a process of the daemon's user in a session of its own that holds the reading end
// of a pipe whose writing end only the daemon has. A daemon that stops in order has removed all
// of it already, and the janitor finds nothing.
//
// A cgroup's counters go with it, and they say what the attempt in it is to be charged. The daemon
// keeps a record of each attempt, a file of the cgroup's name; the counters are added to it.
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

/// Where the records are; -1: nowhere.
static int records = -1;

/// Adds the first line of one of a cgroup's files, when it has that file.
static void add_counter(struct text *text, int cgroup, const char *file) {
    char bytes[128];
    long fd = sys4(__NR_openat, cgroup, file, SYS_O_RDONLY | SYS_O_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    long count = sys3(__NR_read, fd, bytes, sizeof bytes - 1);
    sys_close((int)fd);
    if (count <= 0) {
        return;
    }
    long length = 0;
    while (length < count && bytes[length] != '\n') {
        length++;
    }
    bytes[length] = 0;
    text_add(text, file);
    text_add(text, " ");
    text_add(text, bytes);
    text_add(text, "\n");
}

/// What is to be charged, read while the cgroup is still there.
static void read_counters(struct text *text, int cgroup) {
    static const char *const files[] = {
        "cpuacct.usage", "memory.max_usage_in_bytes", // v1
        "cpu.stat", "memory.peak",                    // v2
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        add_counter(text, cgroup, files[i]);
    }
}

/// Adds to the record of this name, if there is one.
static void write_record(const char *name, const struct text *text) {
    if (records < 0 || text->used == 0) {
        return;
    }
    long fd = sys4(__NR_openat, records, name,
                   SYS_O_WRONLY | SYS_O_APPEND | SYS_O_NOFOLLOW | SYS_O_CLOEXEC, 0);
    if (fd >= 0) {
        // A full disk leaves the charge to what the last heartbeat said.
        (void)sys3(__NR_write, fd, text->bytes, text->used);
        sys_close((int)fd);
    }
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
            char counters[1024];
            struct text text = TEXT(counters);
            if (depth < 2) {
                long below = sys4(__NR_openat, directory, entry->name,
                                  SYS_O_RDONLY | SYS_O_DIRECTORY | SYS_O_CLOEXEC, 0);
                if (below >= 0) {
                    (void)remove_below((int)below, depth + 1);
                    read_counters(&text, (int)below);
                    sys_close((int)below);
                }
            }
            // One that is not empty keeps counting; it is met again.
            if (sys3(__NR_unlinkat, directory, entry->name, SYS_AT_REMOVEDIR) < 0) {
                left++;
            } else if (depth == 0) {
                write_record(entry->name, &text);
            }
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
    if (count >= 2 && text_equal(paths[0], "--records")) {
        records = (int)sys4(__NR_openat, SYS_AT_FDCWD, paths[1],
                            SYS_O_RDONLY | SYS_O_DIRECTORY | SYS_O_CLOEXEC, 0);
        paths += 2;
        count -= 2;
    }
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
