// SPDX-License-Identifier: Apache-2.0
//
// Every system call by number, on each of the processor's three tables (rows K01–K03).
//
// A sweep prints plain lines for a golden file, `NUMBER WORD`: `skip`, `ok`, `hang`, the name of
// the errno, or the name of the signal that ended the child. Every argument is -1: a bad pointer, a
// bad descriptor and a bad flag at once.
#include "probe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LAST_NUMBER 512
#define LAST_NUMBER_32 470
#define X32_BIT 0x40000000L

/// A call that -1 would make do something, or not tell apart: other arguments, as harmless.
static const struct {
    long number;
    long arguments[6];
} adjusted[] = {
#ifdef __x86_64__
    // The kernel answers ENOSYS by itself to an operation that it does not know.
    {SYS_modify_ldt, {0, BAD_POINTER, 16}},
    {SYS_futex, {BAD_POINTER, 1, 1, 0, 0, 0}},
    // -1 has IPC_CREAT in it.
    {SYS_msgget, {-1, 0}},
    // As bad as all the others, but not everybody.
    {SYS_kill, {0x3fffffff, 0}},
#endif
    {-1, {0}},
};

/// Calls that end, suspend or duplicate their caller in ways that a sweep cannot survive, or that
/// load the whole host (`sync`).
static bool skipped(long number) {
#ifdef __x86_64__
    static const long numbers[] = {
        SYS_rt_sigreturn, SYS_pause, SYS_fork, SYS_vfork, SYS_exit, SYS_exit_group, SYS_sync,
    };
    for (size_t index = 0; index < sizeof numbers / sizeof numbers[0]; index++) {
        if (numbers[index] == number) {
            return true;
        }
    }
#else
    (void)number;
#endif
    return false;
}

/// The same for the 32-bit table: exit, fork, pause, sync, sigsuspend, sigreturn, clone,
/// rt_sigreturn, rt_sigsuspend, vfork, exit_group, msgget.
static bool skipped_32(long number) {
    static const long numbers[] = {1, 2, 29, 36, 72, 119, 120, 173, 179, 190, 252, 399};
    for (size_t index = 0; index < sizeof numbers / sizeof numbers[0]; index++) {
        if (numbers[index] == number) {
            return true;
        }
    }
    return false;
}

static void quiet_child(void) {
    // A sweep ends hundreds of children by signals: none may leave a core file.
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
}

static long sweep_body(const void *context) {
    struct call call = *(const struct call *)context;
    quiet_child();
    errno = 0;
    const long *a = call.arguments;
    return syscall(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#ifdef __x86_64__
/// One call through the 32-bit gate: a value, or -1 and errno.
static long gate_32(long number, long a, long b, long c) {
    long value;
    __asm__ volatile("int $0x80"
                     : "=a"(value)
                     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(-1L), "D"(-1L)
                     : "memory", "r8", "r9", "r10", "r11");
    int answer = (int)value;
    if (answer < 0 && answer > -4096) {
        errno = -answer;
        return -1;
    }
    return (unsigned int)answer;
}
#endif

static long sweep_body_32(const void *context) {
    quiet_child();
#ifdef __x86_64__
    return gate_32(*(const long *)context, -1, -1, -1);
#else
    (void)context;
    errno = ENOSYS;
    return -1;
#endif
}

static void print_line(long number, struct outcome outcome) {
    char line[64];
    const char *word = "ok";
    char signalled[32];
    if (outcome.ending == STUCK) {
        word = "hang";
    } else if (outcome.ending == SIGNALLED) {
        snprintf(signalled, sizeof signalled, "SIG%s", sigabbrev_np(outcome.signal));
        word = signalled;
    } else if (outcome.value < 0) {
        word = error_name(outcome.error);
    }
    int length = snprintf(line, sizeof line, "%ld %s\n", number, word);
    if (write(STDOUT_FILENO, line, (size_t)length) != length) {
        _exit(2);
    }
}

static void print_skip(long number) {
    char line[64];
    int length = snprintf(line, sizeof line, "%ld skip\n", number);
    if (write(STDOUT_FILENO, line, (size_t)length) != length) {
        _exit(2);
    }
}

static void sweep(int count, char **arguments) {
    long last = count > 0 ? number(arguments[0], 4096) : LAST_NUMBER;
    for (long nr = 0; nr <= last; nr++) {
        if (skipped(nr)) {
            print_skip(nr);
            continue;
        }
        struct call call = {"", nr, {-1, -1, -1, -1, -1, -1}, 0};
        for (size_t index = 0; adjusted[index].number >= 0; index++) {
            if (adjusted[index].number == nr) {
                memcpy(call.arguments, adjusted[index].arguments, sizeof call.arguments);
            }
        }
        print_line(nr, in_child(sweep_body, &call));
    }
}

static void sweep_32(int count, char **arguments) {
    long last = count > 0 ? number(arguments[0], 4096) : LAST_NUMBER_32;
    for (long nr = 0; nr <= last; nr++) {
        if (skipped_32(nr)) {
            print_skip(nr);
            continue;
        }
        print_line(nr, in_child(sweep_body_32, &nr));
    }
}

static void sweep_x32(int count, char **arguments) {
    long last = count > 0 ? number(arguments[0], 4096) : LAST_NUMBER;
    for (long nr = 0; nr <= last; nr++) {
        // 512 and up are x32's own execve, sigreturn and the like; the rest has x86-64's numbers.
        if (skipped(nr)) {
            print_skip(nr);
            continue;
        }
        const struct call call = {"", X32_BIT | nr, {-1, -1, -1, -1, -1, -1}, 0};
        print_line(nr, in_child(sweep_body, &call));
    }
}

#ifdef __x86_64__
static long getpid_32(const void *nothing) {
    (void)nothing;
    quiet_child();
    return gate_32(20, 0, 0, 0);
}

static long socketcall_32(const void *nothing) {
    (void)nothing;
    quiet_child();
    // SYS_SOCKET with arguments that cannot be read: EFAULT where the call exists.
    return gate_32(102, 1, -1, 0);
}

static long keyctl_32(const void *nothing) {
    (void)nothing;
    quiet_child();
    return gate_32(288, -1, -1, -1);
}

static void abi_32(int count, char **arguments) {
    (void)count;
    (void)arguments;
    report_reach("getpid through int 0x80", in_child(getpid_32, NULL));
    report_reach("socketcall through int 0x80", in_child(socketcall_32, NULL));
    report_reach("keyctl through int 0x80", in_child(keyctl_32, NULL));
}

static void abi_x32(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const struct call calls[] = {
        {"getpid through x32", X32_BIT | 39, {0}, 0},
        {"ptrace through x32", X32_BIT | 521, {BAD_FD, BAD_FD, BAD_POINTER, BAD_POINTER}, 0},
    };
    ATTEMPT_CALLS(calls);
}
#else
static void abi_32(int count, char **arguments) {
    (void)count;
    (void)arguments;
    report("call through a 32-bit table", true, 0, "this processor has none");
}
#define abi_x32 abi_32
#endif

const struct verb sweep_verbs[] = {
    {"sweep", "K01", "[LAST]", sweep, 0},
    {"sweep-32", "K02", "[LAST]", sweep_32, 0},
    {"sweep-x32", "K03", "[LAST]", sweep_x32, 0},
    {"abi-32", "K02", "", abi_32, 0},
    {"abi-x32", "K03", "", abi_x32, 0},
    {NULL, NULL, NULL, NULL, 0},
};
