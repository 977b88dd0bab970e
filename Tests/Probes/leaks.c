// SPDX-License-Identifier: Apache-2.0
//
// What a job can learn without breaking anything (rows I01–I05).
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

/// Reads an environment block and says which of its names are not expected.
static void check_environment(int count, char **expected) {
    char strange[512] = "";
    int extra = 0, all = 0;
    for (char **entry = environ; *entry != NULL; entry++, all++) {
        size_t length = strcspn(*entry, "=");
        bool known = false;
        for (int index = 0; index < count; index++) {
            known |= strlen(expected[index]) == length
                && strncmp(expected[index], *entry, length) == 0;
        }
        if (!known) {
            extra++;
            strncat(strange, *entry, length < 60 ? length : 60);
            strncat(strange, " ", 2);
        }
        if (strlen(strange) > sizeof strange - 70) {
            break;
        }
    }
    report("find an unexpected variable", extra == 0, 0, "%d of %d: %s", extra, all, strange);
}

static void environment(int count, char **arguments) {
    check_environment(count, arguments);
    int readable = 0, processes = 0;
    DIR *stream = opendir("/proc");
    struct dirent *entry;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        char path[320], text[256];
        if (entry->d_name[strspn(entry->d_name, "0123456789")] != 0
            || atoi(entry->d_name) == getpid()) {
            continue;
        }
        processes++;
        snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
        readable += slurp(path, text, sizeof text) > 0;
    }
    if (stream != NULL) {
        closedir(stream);
    }
    report(
        "read another process's environment", readable == 0, 0, "%d of %d", readable, processes);
}

static void descriptors(int count, char **arguments) {
    (void)count;
    (void)arguments;
    DIR *stream = opendir("/proc/self/fd");
    char names[512] = "";
    int extra = 0, listed = 0;
    struct dirent *entry;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(stream)) {
            continue;
        }
        listed++;
        if (atoi(entry->d_name) > 2) {
            extra++;
            strncat(names, entry->d_name, sizeof names - strlen(names) - 2);
            strncat(names, " ", 2);
        }
    }
    if (stream != NULL) {
        closedir(stream);
    }
    report("find a fourth descriptor", extra == 0, 0, "%d of %d: %s", extra, listed, names);
    for (int fd = 0; fd <= 2; fd++) {
        struct stat status;
        char action[64];
        bool pipe_or_null = fstat(fd, &status) == 0
            && (S_ISFIFO(status.st_mode)
                || (S_ISCHR(status.st_mode) && status.st_rdev == ((1 << 8) | 3)));
        snprintf(action, sizeof action, "find descriptor %d to be more than a pipe", fd);
        report(action, pipe_or_null, 0, "mode %o", status.st_mode);
    }
    char line[64];
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    snprintf(line, sizeof line, "session %d", getsid(0));
    report("have a controlling terminal", terminal < 0, terminal < 0 ? errno : 0, "%s", line);
}

/// Whether a text of `length` bytes, NULs in it, holds one of the forbidden words.
static const char *forbidden_word(const char *text, size_t length, int count, char **words) {
    for (int index = 0; index < count; index++) {
        if (memmem(text, length, words[index], strlen(words[index])) != NULL) {
            return words[index];
        }
    }
    return NULL;
}

static void init_view(int count, char **arguments) {
    static const char *const links[] = {"exe", "cwd", "root", "ns/mnt", "ns/user", "fd/0"};
    for (size_t index = 0; index < sizeof links / sizeof links[0]; index++) {
        char path[64], action[96], target[512];
        snprintf(path, sizeof path, "/proc/1/%s", links[index]);
        snprintf(action, sizeof action, "read the link %s", path);
        ssize_t length = readlink(path, target, sizeof target - 1);
        int error = length < 0 ? errno : 0;
        target[length > 0 ? length : 0] = 0;
        report(action, length < 0, error, "%s", length < 0 ? error_name(error) : target);
    }
    static const char *const files[] = {
        "cmdline", "comm", "status", "mounts", "cgroup", "mountinfo",
    };
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        static char text[128 * 1024];
        char path[64], action[96];
        snprintf(path, sizeof path, "/proc/1/%s", files[index]);
        snprintf(action, sizeof action, "learn of the host from %s", path);
        ssize_t got = slurp(path, text, sizeof text);
        int error = got < 0 ? errno : 0;
        const char *word = got <= 0 ? NULL : forbidden_word(text, (size_t)got, count, arguments);
        report(action, word == NULL, error, "%zd bytes %s", got, word == NULL ? "" : word);
    }
}

/// Compares a file's first line with the host's.
static void compare(const char *what, const char *path, const char *of_host) {
    char text[256], action[96];
    ssize_t got = slurp(path, text, sizeof text);
    text[strcspn(text, "\n")] = 0;
    snprintf(action, sizeof action, "learn the host's %s", what);
    bool same = got > 0 && strcmp(text, of_host) == 0;
    report(action, !same, got < 0 ? errno : 0, "%s", got < 0 ? error_name(errno) : text);
}

static void identity(int count, char **arguments) {
    (void)count;
    struct utsname names;
    if (uname(&names) < 0) {
        broken("uname: %s", error_name(errno));
    }
    report(
        "learn the host's name", strcmp(names.nodename, arguments[0]) != 0, 0, "%s",
        names.nodename);
    compare("name from /proc", "/proc/sys/kernel/hostname", arguments[0]);
    compare("name from /etc", "/etc/hostname", arguments[0]);
    compare("machine id", "/etc/machine-id", arguments[1]);
    compare("machine id from dbus", "/var/lib/dbus/machine-id", arguments[1]);
    compare("boot id", "/proc/sys/kernel/random/boot_id", arguments[2]);
    static char text[64 * 1024];
    char user[128], map[256];
    (void)slurp("/etc/passwd", text, sizeof text);
    snprintf(user, sizeof user, "%s:", arguments[3]);
    report("find the host's user in /etc/passwd", strstr(text, user) == NULL, 0, "%s", user);
    (void)slurp("/proc/self/uid_map", map, sizeof map);
    unsigned long inside = 0, outside = 0, length = 0;
    bool whole = sscanf(map, "%lu %lu %lu", &inside, &outside, &length) == 3
        && inside == 0 && outside == 0 && length == 4294967295UL;
    report("run without an id map", !whole, 0, "%lu %lu %lu", inside, outside, length);
}

static void kernel_info(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static char text[256 * 1024];
    int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    report_answer("open /dev/kmsg", fd);
    static const struct call calls[] = {
        {"syslog(READ_ALL, bad pointer)", SYS_syslog, {3, BAD_POINTER, 16}, 0},
    };
    ATTEMPT_CALLS(calls);
    // Read as addresses: the file may exist as long as every address in it is zero.
    ssize_t got = slurp("/proc/kallsyms", text, sizeof text);
    bool told = false;
    for (char *line = text; got > 0 && line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        told |= strtoull(line, NULL, 16) != 0;
    }
    int error = got < 0 ? errno : 0;
    report("learn kernel addresses from /proc/kallsyms", !told, error, "%zd bytes", got);
    uint64_t page = 0;
    fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    off_t at = (off_t)((uintptr_t)&page / 4096 * 8);
    uint64_t entry = 0;
    ssize_t read_bytes = fd < 0 ? -1 : pread(fd, &entry, sizeof entry, at);
    bool frame = read_bytes == sizeof entry && (entry & ((1ULL << 55) - 1)) != 0;
    report("learn physical addresses from pagemap", !frame, fd < 0 ? errno : 0, "%zd", read_bytes);
    static const char *const files[] = {
        "/proc/self/stack", "/proc/modules", "/proc/kpagecount", "/proc/slabinfo",
        "/proc/vmallocinfo", "/proc/cmdline",
    };
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        char action[96];
        snprintf(action, sizeof action, "read %s", files[index]);
        got = slurp(files[index], text, sizeof text);
        error = got < 0 ? errno : 0;
        report(action, got <= 0, error, "%zd bytes", got);
    }
}

const struct verb leak_verbs[] = {
    {"environment", "I01", "EXPECTED_NAME...", environment, 0},
    {"descriptors", "I02", "", descriptors, 0},
    {"init-view", "I03", "FORBIDDEN_TEXT...", init_view, 0},
    {"identity", "I04", "HOST_NAME MACHINE_ID BOOT_ID USER", identity, 4},
    {"kernel-info", "I05", "", kernel_info, 0},
    {NULL, NULL, NULL, NULL, 0},
};
