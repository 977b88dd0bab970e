// SPDX-License-Identifier: Apache-2.0
//
// Files: what can be seen, written, made and carried over (rows F01–F16, F19; planted results are
// in results.c).
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OWN_MOUNTS (CLONE_NEWUSER | CLONE_NEWNS)
/// How deep a walk goes, and how much of one file it reads.
#define DEPTH_MOST 40
#define FILE_BYTES_MOST (64L * 1024 * 1024)

/// A walk over the files below a directory, never across an automount or into /proc and /sys.
struct walk {
    /// Called for everything but directories; `path` is valid during the call.
    void (*file)(struct walk *walk, int parent, const char *name, const char *path);
    /// Called for each directory before it is entered; may be null.
    void (*directory)(struct walk *walk, int fd, const char *path);
    /// Stays on this device when it is not 0.
    dev_t device;
    const char *needle;
    long files, hits;
    char found[PATH_MAX];
};

static void walk_directory(struct walk *walk, int parent, const char *name, const char *path,
                           int depth) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    struct stat self;
    struct statfs where;
    bool other = walk->device != 0 && (fstat(fd, &self) < 0 || self.st_dev != walk->device);
    bool virtual = fstatfs(fd, &where) == 0
        && (where.f_type == PROC_SUPER_MAGIC || where.f_type == SYSFS_MAGIC
            || where.f_type == CGROUP_SUPER_MAGIC || where.f_type == CGROUP2_SUPER_MAGIC
            || where.f_type == TRACEFS_MAGIC || where.f_type == DEBUGFS_MAGIC);
    DIR *stream = other || virtual || depth > DEPTH_MOST ? NULL : fdopendir(fd);
    if (stream == NULL) {
        close(fd);
        return;
    }
    if (walk->directory != NULL) {
        walk->directory(walk, fd, path);
    }
    struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        char below[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        int length = snprintf(
            below, sizeof below, "%s/%s", strcmp(path, "/") == 0 ? "" : path, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof below) {
            continue;
        }
        struct stat status;
        if (fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
            continue;
        }
        if (S_ISDIR(status.st_mode)) {
            walk_directory(walk, fd, entry->d_name, below, depth + 1);
        } else if (walk->file != NULL) {
            walk->file(walk, fd, entry->d_name, below);
        }
    }
    closedir(stream);
}

/// Whether an open file holds the needle; reads FILE_BYTES_MOST at most.
static bool holds(int fd, const char *needle) {
    static char buffer[256 * 1024];
    size_t length = strlen(needle), kept = 0;
    for (long total = 0; total < FILE_BYTES_MOST;) {
        ssize_t got = read(fd, buffer + kept, sizeof buffer - kept);
        if (got <= 0) {
            return false;
        }
        size_t filled = kept + (size_t)got;
        if (memmem(buffer, filled, needle, length) != NULL) {
            return true;
        }
        // The end may hold the needle's first part.
        kept = filled < length ? filled : length - 1;
        memmove(buffer, buffer + filled - kept, kept);
        total += got;
    }
    return false;
}

static void note_hit(struct walk *walk, const char *path) {
    if (walk->hits++ == 0) {
        snprintf(walk->found, sizeof walk->found, "%s", path);
    }
}

static void search_file(struct walk *walk, int parent, const char *name, const char *path) {
    // O_NONBLOCK: a FIFO must not hold the search up.
    int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        walk->files++;
        if (holds(fd, walk->needle)) {
            note_hit(walk, path);
        }
    }
    close(fd);
}

/// Looks for the token in what /proc says about every process.
static void search_proc(struct walk *walk) {
    static const char *const names[] = {
        "environ", "mountinfo", "cmdline", "maps", "cgroup", "mountstats", "status", "comm",
    };
    DIR *processes = opendir("/proc");
    if (processes == NULL) {
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(processes)) != NULL) {
        if (entry->d_name[strspn(entry->d_name, "0123456789")] != 0) {
            continue;
        }
        for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
            char path[320];
            snprintf(path, sizeof path, "/proc/%s/%s", entry->d_name, names[index]);
            int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
            if (fd >= 0) {
                walk->files++;
                if (holds(fd, walk->needle)) {
                    note_hit(walk, path);
                }
                close(fd);
            }
        }
    }
    closedir(processes);
}

static void canary_sweep(int count, char **arguments) {
    char *token = strdup(arguments[0]);
    if (token == NULL || strlen(token) < 8) {
        broken("a token has 8 bytes or more");
    }
    reverse(token);
    struct walk files = {.file = search_file, .needle = token};
    if (count == 1) {
        walk_directory(&files, AT_FDCWD, "/", "/", 0);
    }
    for (int index = 1; index < count; index++) {
        walk_directory(&files, AT_FDCWD, arguments[index], arguments[index], 0);
    }
    report(
        "find the canary in a file", files.hits == 0, 0, "%ld files read, %ld hits %s",
        files.files, files.hits, files.found);
    struct walk processes = {.needle = token};
    search_proc(&processes);
    report(
        "find the canary in /proc", processes.hits == 0, 0, "%ld files read, %ld hits %s",
        processes.files, processes.hits, processes.found);
}

static void host_paths(int count, char **arguments) {
    for (int index = 0; index < count; index++) {
        char action[PATH_MAX + 8];
        struct stat status;
        snprintf(action, sizeof action, "stat %s", arguments[index]);
        int error = lstat(arguments[index], &status) == 0 ? 0 : errno;
        // "Permission denied" would say that it is there.
        report(action, error == ENOENT || error == ENOTDIR, error, "%s", error_name(error));
    }
}

static void mountinfo(int count, char **arguments) {
    static char text[256 * 1024];
    if (slurp("/proc/self/mountinfo", text, sizeof text) < 0) {
        report("read mountinfo", true, errno, "%s", error_name(errno));
        return;
    }
    int peers = 0, mounts = 0;
    for (const char *line = text; *line != 0; line = strchrnul(line, '\n'), line += *line != 0) {
        char one[4096];
        snprintf(one, sizeof one, "%.*s", (int)strcspn(line, "\n"), line);
        mounts++;
        if (strstr(one, " shared:") != NULL || strstr(one, " master:") != NULL) {
            peers++;
        }
    }
    report("share mounts with the host", peers == 0, 0, "%d of %d mounts", peers, mounts);
    for (int index = 0; index < count; index++) {
        char action[PATH_MAX + 32];
        snprintf(action, sizeof action, "learn of %s in mountinfo", arguments[index]);
        report(action, strstr(text, arguments[index]) == NULL, 0, "%d mounts", mounts);
    }
}

/// Tries to make and remove a file in each directory of the root's device.
static void try_directory(struct walk *walk, int fd, const char *path) {
    walk->files++;
    int made = openat(fd, ".probe-write", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (made >= 0) {
        close(made);
        // It was made a moment ago; should the removal fail, the oracle sees the file.
        (void)unlinkat(fd, ".probe-write", 0);
        note_hit(walk, path);
    }
}

static long remount_root(const void *nothing) {
    (void)nothing;
    (void)unshare(OWN_MOUNTS);
    // All flags but read-only stay: taking one of the others away is refused for its own reason.
    struct statvfs now;
    unsigned long flags = MS_REMOUNT | MS_BIND;
    if (statvfs("/", &now) == 0) {
        flags |= (now.f_flag & ST_NOSUID ? MS_NOSUID : 0) | (now.f_flag & ST_NODEV ? MS_NODEV : 0)
            | (now.f_flag & ST_NOEXEC ? MS_NOEXEC : 0) | (now.f_flag & ST_NOATIME ? MS_NOATIME : 0)
            | (now.f_flag & ST_NODIRATIME ? MS_NODIRATIME : 0)
            | (now.f_flag & ST_RELATIME ? MS_RELATIME : 0);
    }
    return mount(NULL, "/", NULL, flags, NULL);
}

static void read_only_root(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const char *const targets[] = {
        "/usr/bin/env", "/bin/sh", "/etc/passwd", "/etc/ld.so.cache", "/usr/bin/python3",
    };
    char action[PATH_MAX + 64];
    for (size_t index = 0; index < sizeof targets / sizeof targets[0]; index++) {
        snprintf(action, sizeof action, "write-open %s", targets[index]);
        // No O_TRUNC: should it open, nothing changes.
        report_answer(action, open(targets[index], O_WRONLY | O_CLOEXEC));
    }
    static const char *const places[] = {"/", "/usr", "/etc", "/var/tmp", "/run/lock", "/proc"};
    for (size_t index = 0; index < sizeof places / sizeof places[0]; index++) {
        char path[PATH_MAX];
        snprintf(action, sizeof action, "make a file in %s", places[index]);
        snprintf(path, sizeof path, "%s/.probe-write", places[index]);
        int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        report_answer(action, fd);
        if (fd >= 0) {
            close(fd);
            // As above: a leftover is the oracle's to find.
            (void)unlink(path);
        }
    }
    struct stat root;
    if (stat("/", &root) == 0) {
        struct walk walk = {.directory = try_directory, .device = root.st_dev};
        walk_directory(&walk, AT_FDCWD, "/", "/", 0);
        report(
            "make a file anywhere on the root", walk.hits == 0, 0, "%ld of %ld directories %s",
            walk.hits, walk.files, walk.found);
    }
    struct statvfs flags;
    bool writable = statvfs("/", &flags) == 0 && (flags.f_flag & ST_RDONLY) == 0;
    report("see the root mounted writable", !writable, 0, "flags %#lx", flags.f_flag);
    report_outcome("remount the root writable", in_child(remount_root, NULL));
}

static void proc_sys(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const struct {
        const char *path;
        // Open to everybody here; what counts is whether it can be written to. The text is no
        // number, so that a write that gets through changes nothing.
        bool written;
    } files[] = {
        {"/proc/sys/kernel/core_pattern", false}, {"/proc/sys/kernel/hostname", false},
        {"/proc/sys/kernel/ns_last_pid", true},   {"/proc/sys/kernel/modprobe", false},
        {"/proc/sys/kernel/panic", false},        {"/proc/sys/kernel/pid_max", false},
        {"/proc/sys/vm/drop_caches", false},      {"/proc/sys/vm/overcommit_memory", false},
        {"/proc/sys/fs/file-max", false},         {"/proc/sys/net/ipv4/ip_forward", false},
        {"/proc/sys/user/max_user_namespaces", false}, {"/proc/sysrq-trigger", false},
        {"/proc/irq/default_smp_affinity", false}, {"/proc/self/uid_map", true},
        {"/proc/1/oom_score_adj", false},
    };
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        char action[128];
        snprintf(
            action, sizeof action, "%s %s", files[index].written ? "write" : "write-open",
            files[index].path);
        int fd = open(files[index].path, O_WRONLY | O_CLOEXEC);
        report_answer(action, fd < 0 || !files[index].written ? fd : write(fd, "?", 1));
        if (fd >= 0) {
            close(fd);
        }
    }
    // The kernel refuses what is below the score that the job was started with; 0 may be above it.
    for (int index = 0; index < 2; index++) {
        int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        const char *score = index == 0 ? "-1000" : "0";
        char action[64];
        snprintf(action, sizeof action, "lower the own oom_score_adj to %s", score);
        report_answer(action, fd < 0 ? fd : write(fd, score, strlen(score)));
        if (fd >= 0) {
            close(fd);
        }
    }
}

/// Reads the first bytes of a file: blocked when it does not open or holds nothing.
static void try_read(const char *path) {
    char action[PATH_MAX + 8], bytes[64];
    snprintf(action, sizeof action, "read %s", path);
    ssize_t got = slurp(path, bytes, sizeof bytes);
    int error = got < 0 ? errno : 0;
    report(
        action, got <= 0, error, "%s", got < 0 ? error_name(error) : got == 0 ? "empty" : "bytes");
}

static void masked_proc(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const char *const files[] = {
        "/proc/kcore",       "/proc/keys",          "/proc/key-users",    "/proc/kallsyms",
        "/proc/timer_list",  "/proc/sched_debug",   "/proc/latency_stats", "/proc/config.gz",
        "/proc/kmsg",        "/proc/modules",       "/proc/slabinfo",     "/proc/vmallocinfo",
        "/proc/kpagecount",  "/proc/kpageflags",    "/proc/iomem",        "/proc/ioports",
        "/proc/acpi/wakeup", "/proc/scsi/scsi",     "/proc/interrupts",   "/proc/mtrr",
        "/proc/cmdline",     "/proc/diskstats",     "/proc/locks",        "/proc/partitions",
        "/proc/swaps",       "/proc/vmstat",        "/proc/zoneinfo",     "/proc/buddyinfo",
        "/proc/softirqs",    "/proc/schedstat",     "/proc/crypto",       "/proc/pressure/cpu",
        "/sys/firmware/acpi/tables/DSDT",
    };
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        try_read(files[index]);
    }
    static const char *const directories[] = {
        "/proc/acpi", "/proc/scsi", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/driver",
        "/sys/firmware", "/sys/kernel/debug",
    };
    for (size_t index = 0; index < sizeof directories / sizeof directories[0]; index++) {
        char action[128];
        int entries = 0;
        snprintf(action, sizeof action, "list %s", directories[index]);
        DIR *stream = opendir(directories[index]);
        int error = stream == NULL ? errno : 0;
        while (stream != NULL && readdir(stream) != NULL) {
            entries++;
        }
        if (stream != NULL) {
            closedir(stream);
        }
        report(action, entries <= 2, error, "%d entries", entries > 2 ? entries - 2 : 0);
    }
}

static void sys_tree(int count, char **arguments) {
    (void)count;
    (void)arguments;
    int entries = 0;
    DIR *stream = opendir("/sys");
    int error = stream == NULL ? errno : 0;
    while (stream != NULL && readdir(stream) != NULL) {
        entries++;
    }
    if (stream != NULL) {
        closedir(stream);
    }
    report("list /sys", entries <= 2, error, "%d entries", entries > 2 ? entries - 2 : 0);
    try_read("/sys/kernel/mm/transparent_hugepage/enabled");
    try_read("/sys/devices/system/cpu/present");
    static const char *const files[] = {
        "/sys/power/state", "/sys/kernel/mm/ksm/run", "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/cgroup.procs",
    };
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        char action[128];
        snprintf(action, sizeof action, "write-open %s", files[index]);
        report_answer(action, open(files[index], O_WRONLY | O_CLOEXEC));
    }
}

static void devices(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const char *const known[] = {
        // The last one is ours: files that stand in for some of /proc's.
        ".", "..", "null", "zero", "full", "random", "urandom", "tty", "pts", "ptmx", "shm", "fd",
        "stdin", "stdout", "stderr", ".sandboxd",
    };
    char extra[512] = "";
    int strange = 0, error = 0;
    DIR *stream = opendir("/dev");
    struct dirent *entry;
    if (stream == NULL) {
        error = errno;
    }
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        bool expected = false;
        for (size_t index = 0; index < sizeof known / sizeof known[0]; index++) {
            expected |= strcmp(entry->d_name, known[index]) == 0;
        }
        if (!expected && strange++ < 12) {
            strncat(extra, entry->d_name, sizeof extra - strlen(extra) - 2);
            strncat(extra, " ", 2);
        }
    }
    if (stream != NULL) {
        closedir(stream);
    }
    report("find an unlisted entry in /dev", strange == 0, error, "%d %s", strange, extra);
    static const char *const nodes[] = {
        "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/vsock", "/dev/vhost-net",
        "/dev/vhost-vsock", "/dev/userfaultfd", "/dev/loop-control", "/dev/loop0", "/dev/vda",
        "/dev/sda", "/dev/nvme0n1", "/dev/zram0", "/dev/kmsg", "/dev/mem", "/dev/port",
        "/dev/mapper/control", "/dev/console", "/dev/tty0", "/dev/tty1", "/dev/ttyS0",
        "/dev/uinput", "/dev/hwrng", "/dev/rtc0", "/dev/cuse", "/dev/btrfs-control",
        "/dev/snapshot", "/dev/ppp", "/dev/dri", "/dev/input", "/dev/hugepages", "/dev/mqueue",
        "/dev/log",
    };
    for (size_t index = 0; index < sizeof nodes / sizeof nodes[0]; index++) {
        char action[64];
        struct stat status;
        snprintf(action, sizeof action, "stat %s", nodes[index]);
        report_answer(action, lstat(nodes[index], &status));
    }
}

/// A device node to make, for the child.
struct node {
    const char *path;
    mode_t mode;
    dev_t device;
    bool namespaced;
};

static long make_node(const void *context) {
    const struct node *node = context;
    if (node->namespaced) {
        (void)unshare(OWN_MOUNTS);
    }
    long answer = mknod(node->path, node->mode, node->device);
    if (answer < 0) {
        return answer;
    }
    int fd = open(node->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int error = errno;
    (void)unlink(node->path);
    errno = error;
    return fd;
}

static void device_nodes(int count, char **arguments) {
    const char *directory = count > 0 ? arguments[0] : "/workspace";
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/.probe-node", directory);
    const struct {
        const char *action;
        struct node node;
    } tries[] = {
        {"make and open /dev/mem's device", {path, S_IFCHR | 0600, makedev(1, 1), false}},
        {"make and open a disk's device", {path, S_IFBLK | 0600, makedev(254, 0), false}},
        {"make and open /dev/mem's device in an own namespace",
         {path, S_IFCHR | 0600, makedev(1, 1), true}},
        {"make and open an overlay whiteout", {path, S_IFCHR | 0600, makedev(0, 0), false}},
        {"make and open a FIFO", {path, S_IFIFO | 0600, 0, false}},
    };
    for (size_t index = 0; index < sizeof tries / sizeof tries[0]; index++) {
        report_outcome(tries[index].action, in_child(make_node, &tries[index].node));
    }
}

static void note_privileged(struct walk *walk, int parent, const char *name, const char *path) {
    struct stat status;
    char value[64];
    walk->files++;
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode)
        && ((status.st_mode & 06000) != 0
            || lgetxattr(path, "security.capability", value, sizeof value) > 0)) {
        note_hit(walk, path);
    }
}

static void privileged_files(int count, char **arguments) {
    const char *directory = count > 0 ? arguments[0] : "/workspace";
    struct stat root;
    if (stat("/", &root) < 0) {
        broken("stat /: %s", error_name(errno));
    }
    struct walk walk = {.file = note_privileged, .device = root.st_dev};
    walk_directory(&walk, AT_FDCWD, "/", "/", 0);
    report(
        "find a set-uid, set-gid or capable file", walk.hits == 0, 0, "%ld of %ld files %s",
        walk.hits, walk.files, walk.found);
    const char *const places[] = {"/", directory};
    for (size_t index = 0; index < 2; index++) {
        char action[PATH_MAX + 32];
        struct statvfs flags;
        const char *place = index == 0 ? "/" : "the workspace";
        snprintf(action, sizeof action, "have set-uid honoured on %s", place);
        bool honoured = statvfs(places[index], &flags) == 0 && (flags.f_flag & ST_NOSUID) == 0;
        report(action, !honoured, 0, "mount flags %#lx", flags.f_flag);
    }
    int pinned = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    report("gain privileges by execve", pinned == 1, 0, "no_new_privs is %d", pinned);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/.probe-privileged", directory);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
    // A version 2 capability set: CAP_SYS_ADMIN, effective.
    static const unsigned int capable[5] = {0x02000001, 1U << 21, 0, 0, 0};
    report_answer(
        "set a file capability",
        fd < 0 ? fd : fsetxattr(fd, "security.capability", capable, sizeof capable, 0));
    // Not ours to expect: the bit may be set, it must not be honoured.
    (void)unlink(path);
}

static void mount_calls(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const struct call calls[] = {
        {"mount(bad pointers)", SYS_mount,
         {BAD_POINTER, BAD_POINTER, BAD_POINTER, 0, BAD_POINTER}, OWN_MOUNTS},
        {"umount2(bad pointer)", SYS_umount2, {BAD_POINTER, 0}, OWN_MOUNTS},
        {"pivot_root(bad pointers)", SYS_pivot_root, {BAD_POINTER, BAD_POINTER}, OWN_MOUNTS},
        {"chroot(bad pointer)", SYS_chroot, {BAD_POINTER}, OWN_MOUNTS},
        {"fsopen(bad pointer)", SYS_fsopen, {BAD_POINTER, 0}, OWN_MOUNTS},
        {"fsconfig(bad descriptor)", SYS_fsconfig, {BAD_FD, 6, 0, 0, 0}, OWN_MOUNTS},
        {"fsmount(bad descriptor)", SYS_fsmount, {BAD_FD, 0, 0}, OWN_MOUNTS},
        {"fspick(bad pointer)", SYS_fspick, {BAD_FD, BAD_POINTER, 0}, OWN_MOUNTS},
        {"open_tree(bad pointer)", SYS_open_tree, {BAD_FD, BAD_POINTER, 0}, 0},
        {"open_tree(clone, bad pointer)", SYS_open_tree, {BAD_FD, BAD_POINTER, 1}, OWN_MOUNTS},
        {"move_mount(bad descriptors)", SYS_move_mount,
         {BAD_FD, BAD_POINTER, BAD_FD, BAD_POINTER, 0}, OWN_MOUNTS},
        {"mount_setattr(bad descriptor)", SYS_mount_setattr,
         {BAD_FD, BAD_POINTER, 0, BAD_POINTER, 32}, OWN_MOUNTS},
        {"open_tree_attr(bad descriptor)", 467, {BAD_FD, BAD_POINTER, 0, BAD_POINTER, 32},
         OWN_MOUNTS},
    };
    ATTEMPT_CALLS(calls);
}

static long own_namespace(const void *nothing) {
    (void)nothing;
    return unshare(OWN_MOUNTS);
}

/// A file system to mount in namespaces of one's own.
struct own_mount {
    const char *type, *options;
    int extra;
};

static long mount_own(const void *context) {
    const struct own_mount *wanted = context;
    if (unshare(OWN_MOUNTS | wanted->extra) < 0) {
        return -1;
    }
    // Over /dev, which every root has; only this child sees it.
    return mount("none", "/dev", wanted->type, 0, wanted->options);
}

static void nested_mounts(int count, char **arguments) {
    (void)count;
    (void)arguments;
    report_outcome("unshare(NEWUSER, NEWNS)", in_child(own_namespace, NULL));
    static const struct {
        const char *action;
        struct own_mount mount;
    } tries[] = {
        {"mount tmpfs in an own namespace", {"tmpfs", "", 0}},
        {"mount ramfs in an own namespace", {"ramfs", "", 0}},
        {"mount overlay in an own namespace", {"overlay", "lowerdir=/usr:/etc", 0}},
        {"mount mqueue in an own namespace", {"mqueue", "", CLONE_NEWIPC}},
        {"mount cgroup2 in an own namespace", {"cgroup2", "", CLONE_NEWCGROUP}},
        {"mount sysfs in an own namespace", {"sysfs", "", CLONE_NEWNET}},
    };
    for (size_t index = 0; index < sizeof tries / sizeof tries[0]; index++) {
        report_outcome(tries[index].action, in_child(mount_own, &tries[index].mount));
    }
}

static void file_handles(int count, char **arguments) {
    (void)count;
    (void)arguments;
    // `bytes` lies where head.f_handle begins.
    struct {
        struct file_handle head;
        unsigned char bytes[128];
    } handle = {.head = {.handle_bytes = 128}};
    int mount_id = 0;
    report_answer(
        "name_to_handle_at(/)", name_to_handle_at(AT_FDCWD, "/", &handle.head, &mount_id, 0));
    // ext4's root is inode 2, generation 0: no name_to_handle_at is needed to say so.
    handle.head.handle_bytes = 8;
    handle.head.handle_type = 1;
    memset(handle.bytes, 0, 8);
    handle.bytes[0] = 2;
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    report_answer(
        "open_by_handle_at(forged inode 2)", open_by_handle_at(root, &handle.head, O_RDONLY));
    static const struct call calls[] = {
        {"name_to_handle_at(bad pointer)", SYS_name_to_handle_at,
         {BAD_FD, BAD_POINTER, BAD_POINTER, BAD_POINTER, 0}, 0},
        {"open_by_handle_at(bad pointer)", SYS_open_by_handle_at, {BAD_FD, BAD_POINTER, 0}, 0},
    };
    ATTEMPT_CALLS(calls);
}

static void leaked_descriptors(int count, char **arguments) {
    (void)count;
    (void)arguments;
    int open_count = 0;
    for (int fd = 3; fd < 65536; fd++) {
        char action[64], path[64], target[PATH_MAX];
        if (fcntl(fd, F_GETFD) < 0) {
            continue;
        }
        open_count++;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        snprintf(action, sizeof action, "use descriptor %d", fd);
        int above = openat(fd, "..", O_PATH | O_CLOEXEC);
        report(action, false, 0, "%s%s", target, above >= 0 ? ", leads upwards" : "");
    }
    report("inherit a descriptor", open_count == 0, 0, "%d beyond 0, 1, 2", open_count);
    // Upwards from the working directory, until it stays where it is.
    struct stat here, root;
    int fd = open(".", O_PATH | O_CLOEXEC);
    for (int step = 0; fd >= 0 && step < 64; step++) {
        int above = openat(fd, "..", O_PATH | O_CLOEXEC);
        close(fd);
        fd = above;
    }
    bool outside = fd >= 0 && fstat(fd, &here) == 0 && stat("/", &root) == 0
        && (here.st_dev != root.st_dev || here.st_ino != root.st_ino);
    report("leave the root through the working directory", !outside, 0, "64 steps up");
    char directory[PATH_MAX] = "";
    bool reachable = getcwd(directory, sizeof directory) != NULL && directory[0] == '/';
    report("start in an unreachable directory", reachable, 0, "%s", directory);
}

static void try_open(const char *action, const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC);
    report_answer(action, fd);
    if (fd >= 0) {
        close(fd);
    }
}

static void exe_overwrite(int count, char **arguments) {
    (void)count;
    (void)arguments;
    char path[64], again[64];
    try_open("write-open /proc/1/exe", "/proc/1/exe", O_WRONLY);
    int fd = open("/proc/1/exe", O_PATH | O_CLOEXEC);
    report_answer("hold /proc/1/exe by O_PATH", fd);
    if (fd >= 0) {
        snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
        try_open("write-open it again through the descriptor", again, O_WRONLY);
        close(fd);
    }
    snprintf(path, sizeof path, "/proc/%d/exe", getppid());
    try_open("read-open the parent's exe", path, O_RDONLY);
    try_open("write-open the parent's exe", path, O_WRONLY);
    try_open("list /proc/1/fd", "/proc/1/fd", O_RDONLY | O_DIRECTORY);
    try_open("enter /proc/1/root", "/proc/1/root/", O_RDONLY | O_DIRECTORY);
    try_open("enter /proc/1/cwd", "/proc/1/cwd/", O_RDONLY | O_DIRECTORY);
}

static void hard_links(int count, char **arguments) {
    const char *directory = count > 0 ? arguments[0] : "/workspace";
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/.probe-link", directory);
    static const char *const sources[] = {
        "/usr/bin/env", "/etc/passwd", "/dev/null", "/proc/1/exe",
    };
    for (size_t index = 0; index < sizeof sources / sizeof sources[0]; index++) {
        char action[PATH_MAX + 32];
        snprintf(action, sizeof action, "link %s into the workspace", sources[index]);
        report_answer(action, linkat(AT_FDCWD, sources[index], AT_FDCWD, path, AT_SYMLINK_FOLLOW));
        // Only there when the link succeeded.
        (void)unlink(path);
    }
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    report_answer(
        "link a descriptor by AT_EMPTY_PATH", linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH));
    char through[64];
    snprintf(through, sizeof through, "/proc/self/fd/%d", fd);
    report_answer(
        "link a descriptor through /proc",
        linkat(AT_FDCWD, through, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
    int unnamed = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    snprintf(through, sizeof through, "/proc/self/fd/%d", unnamed);
    report_answer(
        "give an own unnamed file a name",
        unnamed < 0 ? -1 : linkat(AT_FDCWD, through, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
    // As above.
    (void)unlink(path);
}

const struct verb filesystem_verbs[] = {
    {"canary-sweep", "F01", "REVERSED_TOKEN [ROOT...]", canary_sweep, 1},
    {"host-paths", "F02", "PATH...", host_paths, 1},
    {"mountinfo", "F03", "FORBIDDEN_TEXT...", mountinfo, 0},
    {"read-only-root", "F04", "", read_only_root, 0},
    {"proc-sys", "F05", "", proc_sys, 0},
    {"masked-proc", "F06", "", masked_proc, 0},
    {"sys-tree", "F07", "", sys_tree, 0},
    {"devices", "F08", "", devices, 0},
    {"device-nodes", "F09", "[DIRECTORY]", device_nodes, 0},
    {"privileged-files", "F10", "[DIRECTORY]", privileged_files, 0},
    {"mount-calls", "F11", "", mount_calls, 0},
    {"nested-mounts", "F13", "", nested_mounts, 0},
    {"file-handles", "F14", "", file_handles, 0},
    {"leaked-descriptors", "F15", "", leaked_descriptors, 0},
    {"exe-overwrite", "F16", "", exe_overwrite, 0},
    {"hard-links", "F19", "[DIRECTORY]", hard_links, 0},
    {NULL, NULL, NULL, NULL, 0},
};
