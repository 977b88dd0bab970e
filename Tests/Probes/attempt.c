// SPDX-License-Identifier: Apache-2.0
//
// What every family shares: attempts in children, and the lines that report them.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *current_probe = "";
int report_fd = STDOUT_FILENO;

const char *error_name(int error) {
    static char unnamed[16];
    const char *name = strerrorname_np(error);
    if (name != NULL) {
        return name;
    }
    snprintf(unnamed, sizeof unnamed, "%d", error);
    return unnamed;
}

/// Copies `text` as the inside of a JSON string. What is not printable ASCII becomes \u00XX, byte
/// by byte, so that a line is valid JSON whatever a hostile name holds. Always NUL-terminated.
static void escape(const char *text, char *into, size_t size) {
    size_t used = 0;
    for (const unsigned char *byte = (const unsigned char *)text; *byte != 0; byte++) {
        if (used + 7 > size) {
            break;
        }
        if (*byte == '"' || *byte == '\\') {
            into[used++] = '\\';
            into[used++] = (char)*byte;
        } else if (*byte < 0x20 || *byte >= 0x7f) {
            used += (size_t)snprintf(into + used, size - used, "\\u%04x", *byte);
        } else {
            into[used++] = (char)*byte;
        }
    }
    into[used] = 0;
}

void report(const char *action, bool blocked, int error, const char *detail, ...) {
    char plain[1024], safe_detail[1200], safe_action[600], line[2200];
    va_list list;
    va_start(list, detail);
    vsnprintf(plain, sizeof plain, detail, list);
    va_end(list);
    escape(plain, safe_detail, sizeof safe_detail);
    escape(action, safe_action, sizeof safe_action);
    int length = snprintf(
        line, sizeof line,
        "{\"probe\":\"%s\",\"action\":\"%s\",\"result\":\"%s\",\"errno\":%d,\"detail\":\"%s\"}\n",
        current_probe, safe_action, blocked ? "blocked" : "succeeded", error, safe_detail);
    // One write a line: lines of concurrent children do not mix (PIPE_BUF is 4096).
    if (write(report_fd, line, (size_t)length) != length) {
        _exit(2);
    }
}

void report_answer(const char *action, long answer) {
    int error = answer < 0 ? errno : 0;
    report(action, answer < 0, error, "%s", answer < 0 ? error_name(error) : "");
}

void report_outcome(const char *action, struct outcome outcome) {
    switch (outcome.ending) {
    case SIGNALLED:
        report(action, true, outcome.signal, "signal %d", outcome.signal);
        return;
    case STUCK:
        report(action, true, 0, "no answer in %d ms", ATTEMPT_MS);
        return;
    case RETURNED:
        report(
            action, outcome.value < 0, outcome.error, "%s",
            outcome.value < 0 ? error_name(outcome.error) : "");
    }
}

void report_reach(const char *action, struct outcome outcome) {
    bool refused = outcome.error == EPERM || outcome.error == EACCES || outcome.error == ENOSYS;
    if (outcome.ending != RETURNED || refused || outcome.value >= 0) {
        report_outcome(action, outcome);
        return;
    }
    report(action, false, outcome.error, "reached the kernel: %s", error_name(outcome.error));
}

/// What travels from the child to its parent.
struct answer {
    long value;
    int error;
};

/// Waits for the child's answer or its death, `ATTEMPT_MS` at most.
static struct outcome await(pid_t child, int channel) {
    struct outcome outcome = {.ending = STUCK};
    struct answer answer;
    struct pollfd waiting = {.fd = channel, .events = POLLIN};
    long deadline = now_ms() + ATTEMPT_MS;
    int ready;
    do {
        long left = deadline - now_ms();
        ready = poll(&waiting, 1, left > 0 ? (int)left : 0);
    } while (ready < 0 && errno == EINTR);
    bool answered = ready > 0 && read(channel, &answer, sizeof answer) == sizeof answer;
    if (ready == 0) {
        kill(child, SIGKILL);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (answered) {
        outcome = (struct outcome){
            .ending = RETURNED, .value = answer.value, .error = answer.error};
    } else if (ready > 0 && WIFSIGNALED(status)) {
        outcome = (struct outcome){.ending = SIGNALLED, .signal = WTERMSIG(status)};
    } else if (ready > 0) {
        // It ended without a word: the call itself was an exit of some kind.
        outcome = (struct outcome){.ending = RETURNED, .value = WEXITSTATUS(status)};
    }
    return outcome;
}

struct outcome in_child(long (*body)(const void *), const void *context) {
    int channel[2];
    if (pipe2(channel, O_CLOEXEC) < 0) {
        broken("pipe2: %s", error_name(errno));
    }
    pid_t child = fork();
    if (child < 0) {
        broken("fork: %s", error_name(errno));
    }
    if (child == 0) {
        close(channel[0]);
        errno = 0;
        long value = body(context);
        struct answer answer = {.value = value, .error = value < 0 ? errno : 0};
        _exit(write(channel[1], &answer, sizeof answer) == sizeof answer ? 0 : 2);
    }
    close(channel[1]);
    struct outcome outcome = await(child, channel[0]);
    close(channel[0]);
    return outcome;
}

static long make_call(const void *context) {
    const struct call *call = context;
    if (call->namespaces != 0) {
        // Without them the call meets the kernel's own refusal, which is a fair answer too.
        (void)unshare(call->namespaces);
    }
    const long *a = call->arguments;
    errno = 0;
    return syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

struct outcome call_in_child(const struct call *call) {
    return in_child(make_call, call);
}

void attempt_calls(const struct call *calls, size_t count) {
    for (size_t index = 0; index < count; index++) {
        report_reach(calls[index].action, call_in_child(&calls[index]));
    }
}

void broken(const char *detail, ...) {
    va_list list;
    va_start(list, detail);
    fputs("probe: ", stderr);
    vfprintf(stderr, detail, list);
    fputc('\n', stderr);
    va_end(list);
    exit(2);
}

long number(const char *text, long most) {
    char *end = NULL;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || value < 0 || value > most) {
        broken("not a number from 0 to %ld: %s", most, text);
    }
    return value;
}

ssize_t slurp(const char *path, char *buffer, size_t size) {
    buffer[0] = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return -1;
    }
    size_t used = 0;
    while (used + 1 < size) {
        ssize_t got = read(fd, buffer + used, size - 1 - used);
        if (got < 0) {
            int error = errno;
            close(fd);
            buffer[0] = 0;
            errno = error;
            return -1;
        }
        if (got == 0) {
            break;
        }
        used += (size_t)got;
    }
    close(fd);
    buffer[used] = 0;
    return (ssize_t)used;
}

long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(long milliseconds) {
    struct timespec left = {
        .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

void reverse(char *text) {
    size_t length = strlen(text);
    for (size_t index = 0; index < length / 2; index++) {
        char kept = text[index];
        text[index] = text[length - 1 - index];
        text[length - 1 - index] = kept;
    }
}
