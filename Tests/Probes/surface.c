// SPDX-License-Identifier: Apache-2.0
//
// The kernel's surface: calls that no job needs (rows K02–K15; the sweep of K01 is in sweep.c).
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER_NAMESPACE CLONE_NEWUSER

static void *thread_body(void *nothing) {
    return nothing;
}

static void clone3_call(int count, char **arguments) {
    (void)count;
    (void)arguments;
    // Exactly ENOSYS: with EPERM, glibc would not fall back to clone and threads would break.
    static const struct call calls[] = {
        {"clone3(bad pointer, 88)", SYS_clone3, {BAD_POINTER, 88}, 0},
    };
    ATTEMPT_CALLS(calls);
    pthread_t thread;
    int error = pthread_create(&thread, NULL, thread_body, NULL);
    if (error == 0) {
        pthread_join(thread, NULL);
    }
    report("pthread_create", error != 0, error, "libc falls back to clone");
}

static const struct {
    const char *name;
    int flag;
} kinds[] = {
    {"NEWUSER", CLONE_NEWUSER}, {"NEWNS", CLONE_NEWNS},   {"NEWPID", CLONE_NEWPID},
    {"NEWNET", CLONE_NEWNET},   {"NEWIPC", CLONE_NEWIPC}, {"NEWUTS", CLONE_NEWUTS},
    {"NEWCGROUP", CLONE_NEWCGROUP}, {"NEWTIME", 0x00000080},
};

static long unshare_kind(const void *flags) {
    return unshare(*(const int *)flags);
}

static long clone_kind(const void *flags) {
    long child = syscall(SYS_clone, (long)*(const int *)flags | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        _exit(0);
    }
    if (child > 0) {
        waitpid((pid_t)child, NULL, 0);
    }
    return child;
}

static long setns_own(const void *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : syscall(SYS_setns, fd, 0);
}

static void namespaces(int count, char **arguments) {
    (void)count;
    (void)arguments;
    for (size_t index = 0; index < sizeof kinds / sizeof kinds[0]; index++) {
        char action[64];
        // All but NEWUSER need a capability in the current user namespace, which a new one gives.
        int flags = kinds[index].flag | CLONE_NEWUSER;
        snprintf(action, sizeof action, "unshare(%s)", kinds[index].name);
        report_reach(action, in_child(unshare_kind, &flags));
        snprintf(action, sizeof action, "clone(%s)", kinds[index].name);
        // clone's NEWTIME bit is part of the exit signal's byte: only unshare and clone3 have it.
        if (kinds[index].flag != 0x80) {
            report_reach(action, in_child(clone_kind, &flags));
        }
    }
    report_reach("setns(own user namespace)", in_child(setns_own, "/proc/self/ns/user"));
    report_reach("setns(own mount namespace)", in_child(setns_own, "/proc/self/ns/mnt"));
    static const struct call calls[] = {
        {"setns(bad descriptor)", SYS_setns, {BAD_FD, 0}, 0},
    };
    ATTEMPT_CALLS(calls);
}

/// An ioctl on a terminal that the child controls.
struct terminal_call {
    unsigned long command;
    const void *argument;
};

static long terminal_call(const void *context) {
    const struct terminal_call *call = context;
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0) {
        return -1;
    }
    int unlocked = 0, name = 0;
    char path[32];
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0 || ioctl(master, TIOCGPTN, &name) < 0) {
        return -1;
    }
    snprintf(path, sizeof path, "/dev/pts/%d", name);
    (void)setsid();
    int terminal = open(path, O_RDWR | O_CLOEXEC);
    if (terminal < 0) {
        return -1;
    }
    (void)ioctl(terminal, TIOCSCTTY, 0);
    errno = 0;
    // The raw call: libc would cut the command to 32 bits.
    return syscall(SYS_ioctl, terminal, call->command, call->argument);
}

static long without_terminal(const void *context) {
    const struct terminal_call *call = context;
    return syscall(SYS_ioctl, BAD_FD, call->command, call->argument);
}

static void terminal(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const char letter = 'x';
    static const int discipline = 0;
    static const unsigned long high = 0x123UL << 32;
    const struct {
        const char *action;
        struct terminal_call call;
    } tries[] = {
        {"TIOCSTI on an own terminal", {TIOCSTI, &letter}},
        {"TIOCSTI with high bits on an own terminal", {TIOCSTI | high, &letter}},
        {"TIOCLINUX on an own terminal", {TIOCLINUX, &letter}},
        {"TIOCLINUX with high bits on an own terminal", {TIOCLINUX | high, &letter}},
        {"TIOCSETD on an own terminal", {TIOCSETD, &discipline}},
    };
    for (size_t index = 0; index < sizeof tries / sizeof tries[0]; index++) {
        report_reach(tries[index].action, in_child(terminal_call, &tries[index].call));
    }
    // On a descriptor that is none the kernel says EBADF; only a filter says anything else.
    const struct terminal_call bare = {TIOCSTI, &letter}, hidden = {TIOCSTI | high, &letter};
    report_reach("TIOCSTI on a bad descriptor", in_child(without_terminal, &bare));
    report_reach("TIOCSTI with high bits on a bad descriptor", in_child(without_terminal, &hidden));
}

static void keyring(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const struct call calls[] = {
        {"keyctl(GET_KEYRING_ID, session)", SYS_keyctl,
         {KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0}, 0},
        {"keyctl(JOIN_SESSION_KEYRING)", SYS_keyctl, {KEYCTL_JOIN_SESSION_KEYRING, 0}, 0},
        {"keyctl(bad operation)", SYS_keyctl, {BAD_FD}, 0},
        {"add_key(bad pointers)", SYS_add_key, {BAD_POINTER, BAD_POINTER, BAD_POINTER, 8, -3}, 0},
        {"request_key(bad pointers)", SYS_request_key, {BAD_POINTER, BAD_POINTER, 0, -3}, 0},
    };
    ATTEMPT_CALLS(calls);
}

static void io_uring(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const struct call calls[] = {
        {"io_uring_setup(1, bad pointer)", SYS_io_uring_setup, {1, BAD_POINTER}, 0},
        {"io_uring_enter(bad descriptor)", SYS_io_uring_enter, {BAD_FD, 1, 1, 0, 0, 0}, 0},
        {"io_uring_register(bad descriptor)", SYS_io_uring_register, {BAD_FD, 0, 0, 0}, 0},
    };
    ATTEMPT_CALLS(calls);
}

static void tracing(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const struct call calls[] = {
        {"bpf(PROG_LOAD, bad pointer)", SYS_bpf, {5, BAD_POINTER, 64}, 0},
        {"bpf(MAP_CREATE, bad pointer)", SYS_bpf, {0, BAD_POINTER, 64}, 0},
        {"perf_event_open(bad pointer)", SYS_perf_event_open, {BAD_POINTER, 0, -1, -1, 0}, 0},
        {"userfaultfd(user mode only)", SYS_userfaultfd, {1 | O_CLOEXEC}, 0},
        {"userfaultfd(all faults)", SYS_userfaultfd, {O_CLOEXEC}, 0},
    };
    ATTEMPT_CALLS(calls);
    report_answer("open /dev/userfaultfd", open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
}

static const struct {
    const char *name;
    int value;
} socket_types[] = {
    {"STREAM", SOCK_STREAM}, {"DGRAM", SOCK_DGRAM}, {"RAW", SOCK_RAW}, {"SEQPACKET", SOCK_SEQPACKET}
};

static void try_socket(const char *action, int family, int type, int protocol) {
    const struct call call = {action, SYS_socket, {family, type | SOCK_CLOEXEC, protocol}, 0};
    struct outcome outcome = call_in_child(&call);
    // A family or type that this kernel lacks is as closed as one that a filter closes; the
    // caller tells them apart by the errno.
    report_outcome(action, outcome);
}

static void sockets(int count, char **arguments) {
    (void)count;
    (void)arguments;
    for (int family = 0; family <= 45; family++) {
        for (size_t type = 0; type < sizeof socket_types / sizeof socket_types[0]; type++) {
            char action[64];
            snprintf(action, sizeof action, "socket(%d, %s)", family, socket_types[type].name);
            try_socket(action, family, socket_types[type].value, 0);
        }
    }
    try_socket("socket(2, STREAM, MPTCP)", AF_INET, SOCK_STREAM, 262);
    try_socket("socket(10, STREAM, MPTCP)", AF_INET6, SOCK_STREAM, 262);
    try_socket("socket(2, STREAM, SCTP)", AF_INET, SOCK_STREAM, 132);
    try_socket("socket(2, DGRAM, UDPLITE)", AF_INET, SOCK_DGRAM, 136);
    try_socket("socket(2, DGRAM, ICMP)", AF_INET, SOCK_DGRAM, 1);
    try_socket("socket(10, DGRAM, ICMPV6)", AF_INET6, SOCK_DGRAM, 58);
    for (int protocol = 1; protocol <= 21; protocol++) {
        char action[64];
        snprintf(action, sizeof action, "socket(16, RAW, %d)", protocol);
        try_socket(action, AF_NETLINK, SOCK_RAW, protocol);
    }
    // Families past the compared 32 bits of the argument (CVE-2019-10063's class).
    const struct call high = {
        "socket(40 with high bits, STREAM)", SYS_socket, {40L | (0x123L << 32), SOCK_STREAM, 0}, 0};
    report_outcome(high.action, call_in_child(&high));
}

static void administration(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const struct call calls[] = {
        {"adjtimex(bad pointer)", SYS_adjtimex, {BAD_POINTER}, 0},
        {"clock_adjtime(bad pointer)", SYS_clock_adjtime, {0, BAD_POINTER}, 0},
        {"clock_settime(bad pointer)", SYS_clock_settime, {0, BAD_POINTER}, 0},
        {"settimeofday(bad pointer)", SYS_settimeofday, {BAD_POINTER, 0}, 0},
        {"swapon(bad pointer)", SYS_swapon, {BAD_POINTER, 0}, USER_NAMESPACE},
        {"swapoff(bad pointer)", SYS_swapoff, {BAD_POINTER}, USER_NAMESPACE},
        {"acct(bad pointer)", SYS_acct, {BAD_POINTER}, USER_NAMESPACE},
        {"quotactl(bad operation)", SYS_quotactl, {BAD_FD, BAD_POINTER, 0, BAD_POINTER}, 0},
        {"quotactl_fd(bad descriptor)", 443, {BAD_FD, 0, 0, BAD_POINTER}, 0},
        {"reboot(bad magic)", SYS_reboot, {0, 0, 0, 0}, USER_NAMESPACE | CLONE_NEWPID},
        {"sethostname(bad pointer)", SYS_sethostname, {BAD_POINTER, 1},
         USER_NAMESPACE | CLONE_NEWUTS},
        {"setdomainname(bad pointer)", SYS_setdomainname, {BAD_POINTER, 1},
         USER_NAMESPACE | CLONE_NEWUTS},
        {"syslog(SIZE_BUFFER)", SYS_syslog, {10, 0, 0}, 0},
        {"vhangup()", SYS_vhangup, {0}, USER_NAMESPACE},
#ifdef SYS_nfsservctl
        {"nfsservctl(bad operation)", SYS_nfsservctl, {BAD_FD, BAD_POINTER, BAD_POINTER}, 0},
#endif
    };
    ATTEMPT_CALLS(calls);
}

static void code_loading(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const struct call calls[] = {
        {"init_module(bad pointer)", SYS_init_module, {BAD_POINTER, 1, BAD_POINTER},
         USER_NAMESPACE},
        {"finit_module(bad descriptor)", SYS_finit_module, {BAD_FD, BAD_POINTER, 0},
         USER_NAMESPACE},
        {"delete_module(bad pointer)", SYS_delete_module, {BAD_POINTER, 0}, USER_NAMESPACE},
#ifdef SYS_kexec_load
        {"kexec_load(bad pointer)", SYS_kexec_load, {0, 1, BAD_POINTER, 0}, USER_NAMESPACE},
#endif
#ifdef SYS_kexec_file_load
        {"kexec_file_load(bad descriptor)", SYS_kexec_file_load, {BAD_FD, BAD_FD, 0, 0, 0},
         USER_NAMESPACE},
#endif
#ifdef __x86_64__
        {"iopl(3)", SYS_iopl, {3}, 0},
        {"ioperm(0x80, 1, 1)", SYS_ioperm, {0x80, 1, 1}, 0},
        {"modify_ldt(read, bad pointer)", SYS_modify_ldt, {0, BAD_POINTER, 16}, 0},
        {"modify_ldt(write, bad pointer)", SYS_modify_ldt, {1, BAD_POINTER, 16}, 0},
#endif
    };
    ATTEMPT_CALLS(calls);
}

static void personalities(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const struct call calls[] = {
        {"personality(query)", SYS_personality, {0xffffffff}, 0},
        {"personality(ADDR_NO_RANDOMIZE)", SYS_personality, {0x0040000}, 0},
        {"personality(READ_IMPLIES_EXEC)", SYS_personality, {0x0400000}, 0},
        {"personality(PER_LINUX32)", SYS_personality, {0x0008}, 0},
        {"personality(PER_SVR4)", SYS_personality, {0x0001 | 0x0100000}, 0},
    };
    ATTEMPT_CALLS(calls);
}

static void new_calls(int count, char **arguments) {
    (void)count;
    (void)arguments;
    // By number: the libc and libseccomp of Debian 12 have no name for them.
    static const struct call calls[] = {
        {"map_shadow_stack(453)", 453, {BAD_POINTER, 0, BAD_FD}, 0},
        {"statmount(457)", 457, {BAD_POINTER, BAD_POINTER, 0, 0}, 0},
        {"listmount(458)", 458, {BAD_POINTER, BAD_POINTER, 0, 0}, 0},
        {"lsm_get_self_attr(459)", 459, {BAD_FD, BAD_POINTER, BAD_POINTER, 0}, 0},
        {"lsm_set_self_attr(460)", 460, {BAD_FD, BAD_POINTER, 0, BAD_FD}, 0},
        {"lsm_list_modules(461)", 461, {BAD_POINTER, BAD_POINTER, 0}, 0},
        {"mseal(462)", 462, {BAD_POINTER, 0, BAD_FD}, 0},
        {"setxattrat(463)", 463, {BAD_FD, BAD_POINTER, 0, BAD_POINTER, BAD_POINTER, 0}, 0},
        {"getxattrat(464)", 464, {BAD_FD, BAD_POINTER, 0, BAD_POINTER, BAD_POINTER, 0}, 0},
        {"listxattrat(465)", 465, {BAD_FD, BAD_POINTER, 0, BAD_POINTER, 0}, 0},
        {"removexattrat(466)", 466, {BAD_FD, BAD_POINTER, 0, BAD_POINTER}, 0},
        {"open_tree_attr(467)", 467, {BAD_FD, BAD_POINTER, 0, 0, 0}, 0},
        {"file_getattr(468)", 468, {BAD_FD, BAD_POINTER, BAD_POINTER, 24, 0}, 0},
        {"file_setattr(469)", 469, {BAD_FD, BAD_POINTER, BAD_POINTER, 24, 0}, 0},
        {"listns(470)", 470, {BAD_POINTER, BAD_POINTER, 0, 0}, 0},
    };
    ATTEMPT_CALLS(calls);
}

/// The value of one line of /proc/self/status, without its surrounding blanks.
static void status_field(const char *status, const char *field, char *value, size_t size) {
    char key[40];
    snprintf(key, sizeof key, "\n%s:", field);
    const char *found = strstr(status, key);
    value[0] = 0;
    if (found == NULL) {
        return;
    }
    found += strlen(key);
    found += strspn(found, " \t");
    size_t length = strcspn(found, "\n");
    while (length > 0 && (found[length - 1] == ' ' || found[length - 1] == '\t')) {
        length--;
    }
    snprintf(value, size, "%.*s", (int)length, found);
}

static void status(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static const struct {
        const char *field, *wanted;
    } facts[] = {
        {"NoNewPrivs", "1"},          {"Seccomp", "2"},
        {"CapInh", "0000000000000000"}, {"CapPrm", "0000000000000000"},
        {"CapEff", "0000000000000000"}, {"CapBnd", "0000000000000000"},
        {"CapAmb", "0000000000000000"}, {"SigBlk", "0000000000000000"},
        {"Groups", ""},               {"TracerPid", "0"},
    };
    char text[8192], value[256], action[64];
    if (slurp("/proc/self/status", text, sizeof text) < 0) {
        broken("/proc/self/status: %s", error_name(errno));
    }
    for (size_t index = 0; index < sizeof facts / sizeof facts[0]; index++) {
        status_field(text, facts[index].field, value, sizeof value);
        bool exact = strcmp(value, facts[index].wanted) == 0;
        snprintf(action, sizeof action, "run with another %s", facts[index].field);
        report(action, exact, 0, "%s", value);
    }
    status_field(text, "Seccomp_filters", value, sizeof value);
    report("run with no seccomp filter", atoi(value) >= 1, 0, "%s", value);
    // Ignored signals are inherited over execve too: a job must start with none.
    status_field(text, "SigIgn", value, sizeof value);
    report("run with ignored signals", strtoull(value, NULL, 16) == 0, 0, "%s", value);
    report("run as user 0", getuid() != 0 && geteuid() != 0, 0, "uid %u", getuid());
    struct rlimit core;
    bool capped = getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0;
    report("leave a core dump", capped, 0, "hard limit %llu", (unsigned long long)core.rlim_max);
}

const struct verb surface_verbs[] = {
    {"clone3", "K04", "", clone3_call, 0},
    {"namespaces", "K05", "", namespaces, 0},
    {"terminal", "K06", "", terminal, 0},
    {"keyring", "K07", "", keyring, 0},
    {"io-uring", "K08", "", io_uring, 0},
    {"tracing", "K09", "", tracing, 0},
    {"sockets", "K10", "", sockets, 0},
    {"administration", "K11", "", administration, 0},
    {"code-loading", "K12", "", code_loading, 0},
    {"personality", "K13", "", personalities, 0},
    {"new-calls", "K14", "", new_calls, 0},
    {"status", "K15", "", status, 0},
    {NULL, NULL, NULL, NULL, 0},
};
