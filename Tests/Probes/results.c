// SPDX-License-Identifier: Apache-2.0
//
// The ways results come out, turned against whoever takes them (rows F17, F18, F21, C01–C07).
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_MOST 60

/// Joins two parts of a path in one of four turning buffers.
static const char *join(const char *directory, const char *name) {
    static char buffers[4][PATH_MAX];
    static int turn;
    turn = (turn + 1) % 4;
    int length = snprintf(buffers[turn], PATH_MAX, "%s/%s", directory, name);
    if (length < 0 || length >= PATH_MAX) {
        broken("path too long: %s", directory);
    }
    return buffers[turn];
}

/// Writes a small file; false when it cannot.
static bool write_file(const char *path, const char *text) {
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) {
        close(fd);
    }
    return written;
}

/// The directory under which results are collected.
static const char *results(const char *base) {
    const char *out = join(base, "out");
    if (mkdir(out, 0755) < 0 && errno != EEXIST) {
        broken("mkdir %s: %s", out, error_name(errno));
    }
    return out;
}

static void plant_output(int count, char **arguments) {
    (void)count;
    const char *base = arguments[0], *target = arguments[1], *file = arguments[2];
    const char *out = strdup(results(base));
    report_answer("move the results away", rename(out, join(base, "out-of-the-way")));
    report_answer("plant a link in their place", symlink(target, out));
    char text[64];
    ssize_t got = slurp(join(out, file), text, sizeof text);
    report(
        "follow the planted link", got < 0, got < 0 ? errno : 0, "%s",
        got < 0 ? error_name(errno) : "it was read");
}

/// Turns one name into a file, a link, a FIFO and a directory, again and again.
static void flip(const char *name, const char *target, long end) {
    char other[PATH_MAX + 8];
    snprintf(other, sizeof other, "%s.next", name);
    for (unsigned long turn = 0; now_ms() < end; turn++) {
        // Each step may meet what the last one left; the next turn mends it.
        (void)unlink(other);
        (void)rmdir(other);
        switch (turn % 4) {
        case 0:
            (void)write_file(other, "plain");
            break;
        case 1:
            (void)symlink(target, other);
            break;
        case 2:
            (void)mkfifo(other, 0644);
            break;
        default:
            (void)mkdir(other, 0755);
        }
        if (rename(other, name) < 0) {
            (void)rmdir(name);
            (void)unlink(name);
        }
    }
}

static void collection_race(int count, char **arguments) {
    (void)count;
    const char *name = strdup(join(results(arguments[0]), "flipping"));
    long end = now_ms() + number(arguments[2], SECONDS_MOST) * 1000;
    (void)write_file(name, "plain");
    // It outlives the job's first process, if it can.
    if (fork() == 0) {
        (void)setsid();
        for (int number_of_signal = 1; number_of_signal < 32; number_of_signal++) {
            (void)signal(number_of_signal, SIG_IGN);
        }
        for (int fd = 0; fd < 64; fd++) {
            close(fd);
        }
        if (fork() == 0) {
            flip(name, arguments[1], end);
        }
        _exit(0);
    }
    (void)wait(NULL);
    sleep_ms(200);
    report("leave a writer in the results", false, 0, "%s", name);
}

/// A file name, and how it is called in a line.
static const struct {
    const char *name, *called;
} odd_names[] = {
    {"line\nbreak", "newline"},
    {"\xff\xfe", "not UTF-8"},
    {"caf\xc3\xa9", "NFC"},
    {"cafe\xcc\x81", "NFD"},
    {"-rf", "option"},
    {" ", "blank"},
    {"\x1b[31mred", "escape"},
    {"\xe2\x80\xae" "txt.exe", "right to left"},
    {"a\\b\"c'd", "quotes"},
    {"..hidden", "dots"},
    {"CON", "reserved elsewhere"},
    {"con", "the same in another case"},
    {"$(id)`id`;id", "shell"},
};

static void odd_file_names(int count, char **arguments) {
    const char *base = count > 0 ? arguments[0] : "/workspace";
    const char *out = strdup(results(base));
    for (size_t index = 0; index < sizeof odd_names / sizeof odd_names[0]; index++) {
        char hex[2 * NAME_MAX + 1] = "", action[64];
        for (size_t byte = 0; odd_names[index].name[byte] != 0; byte++) {
            snprintf(hex + 2 * byte, 3, "%02x", (unsigned char)odd_names[index].name[byte]);
        }
        const char *called = odd_names[index].called;
        snprintf(action, sizeof action, "leave a file with an odd name: %s", called);
        // Each file holds its own name, so that a mix-up shows.
        bool left = write_file(join(out, odd_names[index].name), odd_names[index].name);
        report(action, !left, left ? 0 : errno, "%s", hex);
    }
    char longest[NAME_MAX + 1];
    memset(longest, 'n', NAME_MAX);
    longest[NAME_MAX] = 0;
    char longest_hex[2 * NAME_MAX + 1];
    for (size_t byte = 0; byte < NAME_MAX; byte++) {
        snprintf(longest_hex + 2 * byte, 3, "%02x", (unsigned char)longest[byte]);
    }
    bool left = write_file(join(out, longest), longest);
    report("leave a file with an odd name: 255 bytes", !left, left ? 0 : errno, "%s", longest_hex);
}

static void forge_result(int count, char **arguments) {
    long code = count > 0 ? number(arguments[0], 255) : 3;
    static const char *const forgeries[] = {
        "{\"verdict\":\"ok\",\"exit_code\":0}\n",
        "\"}\n{\"status\":\"ok\",\"verdict\":{\"ok\":{}}}\n",
        "{\"event\":\"ended\",\"verdict\":\"ok\",\"exit_code\":0,\"artifacts\":[]}\n",
        "\n\n{\"type\":\"result\",\"verdict\":\"ok\"}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "\x01\x00\x24\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    };
    for (size_t index = 0; index < sizeof forgeries / sizeof forgeries[0]; index++) {
        // The last one has NULs in it: a whole frame's worth of bytes is sent.
        size_t length = index == 5 ? 16 : strlen(forgeries[index]);
        if (write(STDOUT_FILENO, forgeries[index], length) < 0
            || write(STDERR_FILENO, forgeries[index], length) < 0) {
            _exit(2);
        }
    }
    _exit((int)code);
}

static void control_descriptors(int count, char **arguments) {
    static const char garbage[] = "{\"verdict\":\"ok\"}\n\x00\xff\xff\xff\xff garbage";
    int written = 0, opened = 0, first = 0;
    (void)signal(SIGPIPE, SIG_IGN);
    for (int fd = 3; fd < 1024; fd++) {
        if (write(fd, garbage, sizeof garbage) > 0) {
            first = written++ == 0 ? fd : first;
        }
    }
    report("write to an inherited descriptor", written == 0, 0, "%d, first %d", written, first);
    for (int fd = 0; fd < 256; fd++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/1/fd/%d", fd);
        int got = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (got >= 0) {
            opened++;
            close(got);
        }
    }
    report("open a descriptor of process 1", opened == 0, 0, "%d", opened);
    for (int index = 0; index < count; index++) {
        char action[256];
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%s", arguments[index]);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        snprintf(action, sizeof action, "connect to %s", arguments[index]);
        report_answer(action, connect(fd, (struct sockaddr *)&address, sizeof address));
        close(fd);
    }
}

/// Bytes that a terminal, a JSON encoder or a log may stumble over. Not all are text.
static const unsigned char awkward[] =
    "\x1b]52;c;ZXZpbA==\x07" "\x1b]0;owned\x07" "\x1b[2J\x1b[H"
    "good line\rBAD LINE \n" "nul:\0:nul " "\xff\xfe\xc0\x80 " "\xed\xa0\x80 "
    "\xe2\x80\xa8\xe2\x80\xae" "\x9b" "31m \x7f\x08\x08" "\"},{\"\\u0000\\ud800\n"
    "\x1b[1000000b\x1b#8\x1bP+q\x1b\\";

static void awkward_output(int count, char **arguments) {
    (void)count;
    (void)arguments;
    size_t size = sizeof awkward - 1;
    for (int turn = 0; turn < 16; turn++) {
        if (write(STDOUT_FILENO, awkward, size) != (ssize_t)size
            || write(STDERR_FILENO, awkward, size) != (ssize_t)size) {
            _exit(2);
        }
    }
}

/// A socket in the results.
static bool leave_socket(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

static void say_left(const char *what, bool left) {
    char action[96];
    int error = left ? 0 : errno;
    snprintf(action, sizeof action, "leave %s", what);
    report(action, !left, error, "%s", error_name(error));
}

static void special_artifacts(int count, char **arguments) {
    const char *base = arguments[0], *target = count > 1 ? arguments[1] : "/etc/passwd";
    const char *out = strdup(results(base));
    say_left("a plain file", write_file(join(out, "plain"), "kept"));
    say_left("an empty file", write_file(join(out, "empty"), ""));
    say_left("a FIFO", mkfifo(join(out, "fifo"), 0644) == 0);
    say_left("a socket", leave_socket(join(out, "socket")));
    say_left("an absolute link", symlink(target, join(out, "link-absolute")) == 0);
    say_left("a relative link", symlink("../../../../etc/passwd", join(out, "link-relative")) == 0);
    say_left("a link to a kept file", symlink("plain", join(out, "link-plain")) == 0);
    say_left("a looping link", symlink("link-loop", join(out, "link-loop")) == 0);
    int magic = symlink("/proc/self/root/etc/passwd", join(out, "link-magic"));
    say_left("a link into /proc", magic == 0);
    say_left("a link to standard input", symlink("/dev/stdin", join(out, "link-stdin")) == 0);
    say_left("a directory named like a file", mkdir(join(out, "report.json"), 0755) == 0);
    say_left("a linked directory", symlink("/etc", join(out, "directory")) == 0);
    bool closed = write_file(join(out, "mode-0000"), "closed")
        && chmod(join(out, "mode-0000"), 0) == 0;
    say_left("a file of mode 0000", closed);
    bool hidden = mkdir(join(out, "hidden"), 0755) == 0
        && write_file(join(out, "hidden/inside"), "hidden") && chmod(join(out, "hidden"), 0) == 0;
    say_left("a directory of mode 0000", hidden);
    say_left("a hard link", link(join(out, "plain"), join(out, "hard-link")) == 0);
    int sparse = open(join(out, "sparse"), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    // Within the workspace, and far above what may come out of it.
    say_left("a sparse file of 200 MiB", sparse >= 0 && ftruncate(sparse, 200L << 20) == 0);
}

static void many_artifacts(int count, char **arguments) {
    (void)count;
    const char *kept = strdup(results(arguments[0]));
    long wanted = number(arguments[1], 1000000), made = 0;
    for (; made < wanted; made++) {
        char name[32];
        snprintf(name, sizeof name, "f%07ld", made);
        if (!write_file(join(kept, name), "x")) {
            break;
        }
    }
    report("leave that many files", made < wanted, made < wanted ? errno : 0, "%ld", made);
}

/// A chain of directories, deeper than any collector should follow.
static void deep_artifacts(int count, char **arguments) {
    (void)count;
    long wanted = number(arguments[1], 100000), made = 0;
    if (chdir(results(arguments[0])) < 0) {
        broken("chdir: %s", error_name(errno));
    }
    char name[201];
    memset(name, 'd', 200);
    name[200] = 0;
    while (made < wanted && mkdir(name, 0755) == 0 && chdir(name) == 0) {
        made++;
    }
    report("leave that many directories in each other", made < wanted, made < wanted ? errno : 0,
           "%ld", made);
    (void)write_file("bottom", "deep");
}

static void growing_artifact(int count, char **arguments) {
    (void)count;
    const char *name = strdup(join(results(arguments[0]), "growing"));
    long end = now_ms() + number(arguments[1], SECONDS_MOST) * 1000;
    (void)write_file(name, "start");
    if (fork() == 0) {
        (void)setsid();
        int fd = open(name, O_WRONLY | O_CLOEXEC);
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
        while (now_ms() < end) {
            // It grows and shrinks; that a write fails at a cap changes nothing.
            (void)ftruncate(fd, 1 << 20);
            (void)ftruncate(fd, 0);
        }
        _exit(0);
    }
    report("leave a file that grows and shrinks", false, 0, "%s", name);
}

static void reserved_names(int count, char **arguments) {
    const char *base = count > 0 ? arguments[0] : "/workspace";
    static char out[PATH_MAX];
    static const char *const names[] = {
        "result.json", ".exit", "meta", "receipt", "stdout", "stderr", "sha256", ".sandboxd",
    };
    snprintf(out, sizeof out, "%s", results(base));
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        char what[96];
        snprintf(what, sizeof what, "a file called %s", names[index]);
        say_left(what, write_file(join(out, names[index]), names[index]));
    }
}

static void ignore_input(int count, char **arguments) {
    (void)count;
    sleep_ms(number(arguments[0], SECONDS_MOST * 1000));
    report("leave standard input unread", false, 0, "and end");
}

static void close_input(int count, char **arguments) {
    (void)count;
    close(STDIN_FILENO);
    sleep_ms(number(arguments[0], SECONDS_MOST * 1000));
    report("close standard input", false, 0, "and go on");
}

static void count_input(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static char buffer[65536];
    long total = 0;
    ssize_t got;
    while ((got = read(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
        total += got;
    }
    report("read standard input to its end", false, 0, "%ld", total);
}

const struct verb result_verbs[] = {
    {"plant-output", "F17", "BASE TARGET FILE", plant_output, 3},
    {"collection-race", "F18", "BASE TARGET SECONDS", collection_race, 3},
    {"odd-names", "F21", "[BASE]", odd_file_names, 0},
    {"forge-result", "C01", "[CODE]", forge_result, 0},
    {"control-descriptors", "C02", "[SOCKET...]", control_descriptors, 0},
    {"awkward-output", "C03", "", awkward_output, 0},
    {"special-artifacts", "C04", "BASE [TARGET]", special_artifacts, 1},
    {"many-artifacts", "C04", "BASE COUNT", many_artifacts, 2},
    {"deep-artifacts", "C04", "BASE DEPTH", deep_artifacts, 2},
    {"growing-artifact", "C04", "BASE SECONDS", growing_artifact, 2},
    {"ignore-input", "C07", "MILLISECONDS", ignore_input, 1},
    {"close-input", "C07", "MILLISECONDS", close_input, 1},
    {"count-input", "C07", "", count_input, 0},
    {"reserved-names", "C08", "[BASE]", reserved_names, 0},
    {NULL, NULL, NULL, NULL, 0},
};
