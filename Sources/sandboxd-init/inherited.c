// SPDX-License-Identifier: Apache-2.0
#include "inherited.h"

#include <linux/mount.h>

#include "sys.h"
#include "template.h"
#include "text.h"

#define TABLE_SIZE 65536
/// The place in a line of mountinfo that holds the path, counted in blanks before it.
#define BLANKS_BEFORE_PATH 4

#define READ_ONLY (MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)
#define COVER (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static int mount_at(const char *source, const char *target, const char *type, uint64_t flags,
                    const char *options) {
    return (int)sys5(__NR_mount, source, target, type, flags, options);
}

static int is_below(const char *path, const char *directory) {
    size_t length = text_length(directory);
    for (size_t i = 0; i < length; i++) {
        if (path[i] != directory[i]) {
            return 0;
        }
    }
    return path[length] == 0 || path[length] == '/';
}

/// What a cover or another mount of ours will hide, and the root, which may execute.
static int is_ours_to_hide(const char *path) {
    return text_equal(path, "/") || is_below(path, "/proc") || is_below(path, "/sys") ||
           is_below(path, "/dev") || is_below(path, INHERITED_STAGE);
}

/// Ends the path that begins at `line`'s fifth field with a NUL, and answers it; NULL when the line
/// is none, or has a path of other than plain characters, which the kernel writes with backslashes.
static char *path_of(char *line) {
    int blanks = 0;
    while (*line != 0 && blanks < BLANKS_BEFORE_PATH) {
        blanks += *line++ == ' ';
    }
    char *end = line;
    while (*end != 0 && *end != ' ' && *end != '\\') {
        end++;
    }
    if (*end != ' ' || *line != '/') {
        return NULL;
    }
    *end = 0;
    return line;
}

static long read_table(char *table) {
    long fd = sys4(__NR_openat, SYS_AT_FDCWD, "/proc/self/mountinfo",
                   SYS_O_RDONLY | SYS_O_CLOEXEC, 0);
    if (fd < 0) {
        return fd;
    }
    long used = 0;
    long got;
    while ((got = sys3(__NR_read, fd, table + used, TABLE_SIZE - 1 - used)) > 0) {
        used += got;
    }
    sys_close((int)fd);
    table[used] = 0;
    return got < 0 ? got : used == TABLE_SIZE - 1 ? -SYS_EOVERFLOW : used;
}

/// What engines write into `/etc` tells about the host: its addresses, its resolver. A sandbox has
/// its own loopback and no more. What is not in the image needs no cover.
static int cover_names(void) {
    static const char *const names[][2] = {
        {TEMPLATE_SYNTHETIC "hosts", "/etc/hosts"},
        {TEMPLATE_SYNTHETIC "hostname", "/etc/hostname"},
        {TEMPLATE_SYNTHETIC "resolv.conf", "/etc/resolv.conf"},
    };
    int error = 0;
    for (size_t i = 0; error == 0 && i < sizeof names / sizeof names[0]; i++) {
        error = mount_at(names[i][0], names[i][1], NULL, MS_BIND, NULL);
        if (error == 0) {
            error = mount_at(NULL, names[i][1], NULL, READ_ONLY | MS_NOEXEC, NULL);
        } else if (error == -SYS_ENOENT) {
            error = 0;
        }
    }
    return error;
}

/// Files of the engine's in the root, such as `/etc/hosts`: they stay, and cannot be written.
static int freeze_mounts(void) {
    static char table[TABLE_SIZE];
    long length = read_table(table);
    int error = length < 0 ? (int)length : 0;
    for (char *line = table; error == 0 && *line != 0;) {
        char *next = line;
        while (*next != 0 && *next != '\n') {
            next++;
        }
        char *following = *next == 0 ? next : next + 1;
        *next = 0;
        const char *path = path_of(line);
        if (path == NULL) {
            return -SYS_EINVAL;
        }
        if (!is_ours_to_hide(path)) {
            error = mount_at(NULL, path, NULL, READ_ONLY | MS_NOEXEC, NULL);
        }
        line = following;
    }
    return error;
}

int inherited_root_enter(int is_read_only) {
    int error = is_read_only ? mount_at(NULL, "/", NULL, READ_ONLY, NULL) : 0;
    if (error == 0) {
        error = freeze_mounts();
    }
    if (error == 0) {
        error = mount_at("tmpfs", INHERITED_STAGE, "tmpfs", COVER, "mode=0711,size=64k,nr_inodes=8");
    }
    if (error == 0) {
        error = (int)sys1(__NR_chdir, INHERITED_STAGE);
    }
    return error == 0 ? (int)sys3(__NR_mkdirat, SYS_AT_FDCWD, "dev", 0755) : error;
}

int inherited_root_finish(void) {
    int error = mount_at("dev", "/dev", NULL, MS_MOVE, NULL);
    if (error == 0) {
        error = (int)sys1(__NR_chdir, "/");
    }
    if (error == 0) {
        error = (int)sys3(__NR_unlinkat, SYS_AT_FDCWD, INHERITED_STAGE "/dev", SYS_AT_REMOVEDIR);
    }
    if (error == 0) {
        error = mount_at(NULL, INHERITED_STAGE, NULL, READ_ONLY | MS_NOEXEC, NULL);
    }
    if (error == 0) {
        error = mount_at("tmpfs", "/sys", "tmpfs", COVER | MS_RDONLY, "mode=0555,size=4k,nr_inodes=1");
    }
    if (error == 0) {
        error = mount_at("proc", "/proc", "proc", COVER, NULL);
    }
    return error == 0 ? cover_names() : error;
}
