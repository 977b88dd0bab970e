// SPDX-License-Identifier: Apache-2.0
//
// Things that the kernel counts per user or per process, and what outlives its maker (rows R09,
// R11, F23). `exhaust` takes all it can and holds it; `make-one` shows whether a neighbour still
// gets one.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/// The key under which two sandboxes would meet.
#define COMMON_KEY 0x5b0c
#define COMMON_QUEUE "/probe-residue"

static long one_descriptor(long serial) {
    (void)serial;
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static long one_inotify(long serial) {
    (void)serial;
    return inotify_init1(IN_CLOEXEC);
}

static long one_epoll(long serial) {
    (void)serial;
    return epoll_create1(EPOLL_CLOEXEC);
}

static long one_key(long serial) {
    char name[64];
    snprintf(name, sizeof name, "probe-%d-%ld", getpid(), serial);
    return syscall(SYS_add_key, "user", name, "x", 1, KEY_SPEC_PROCESS_KEYRING);
}

static long one_queue(long serial) {
    char name[64];
    snprintf(name, sizeof name, "/probe-%d-%ld", getpid(), serial);
    struct mq_attr small = {.mq_maxmsg = 1, .mq_msgsize = 1};
    mqd_t queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &small);
    if (queue != (mqd_t)-1) {
        // The descriptor keeps it, and the count with it.
        (void)mq_unlink(name);
    }
    return queue;
}

static long one_pipe(long serial) {
    (void)serial;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        return -1;
    }
    // Past the user's share of pipe pages this is refused, and new pipes have one page.
    return fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) < 0 ? -1 : ends[1];
}

static long one_timer(long serial) {
    (void)serial;
    timer_t timer;
    struct sigevent quiet = {.sigev_notify = SIGEV_NONE};
    return timer_create(CLOCK_MONOTONIC, &quiet, &timer);
}

static long one_signal(long serial) {
    const union sigval value = {.sival_int = (int)serial};
    return sigqueue(getpid(), SIGRTMIN + 1, value);
}

static long one_lease(long serial) {
    char name[64];
    snprintf(name, sizeof name, "/workspace/.probe-lock-%ld", serial);
    int fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : flock(fd, LOCK_EX | LOCK_NB);
}

static const struct kind {
    const char *name;
    long (*make)(long serial);
} kinds[] = {
    {"descriptors", one_descriptor}, {"inotify", one_inotify}, {"epoll", one_epoll},
    {"keys", one_key},               {"queues", one_queue},    {"pipes", one_pipe},
    {"timers", one_timer},           {"signals", one_signal},  {"locks", one_lease},
};

static const struct kind *find_kind(const char *name) {
    for (size_t index = 0; index < sizeof kinds / sizeof kinds[0]; index++) {
        if (strcmp(kinds[index].name, name) == 0) {
            return &kinds[index];
        }
    }
    broken("no such kind: %s", name);
}

/// Signals that are queued stay queued only while they are blocked.
static void block_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static void exhaust(int count, char **arguments) {
    const struct kind *kind = find_kind(arguments[0]);
    long wanted = number(arguments[1], 1000000), made = 0;
    long hold = count > 2 ? number(arguments[2], 60) : 0;
    int error = 0;
    struct rlimit files;
    block_signals();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        // Whatever the hard limit is, the loop stops at it.
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    for (; made < wanted; made++) {
        if (kind->make(made) < 0) {
            error = errno;
            break;
        }
    }
    char action[64];
    snprintf(action, sizeof action, "take that many %s", kind->name);
    report(
        action, made < wanted, error, "%ld of %ld %s", made, wanted,
        made < wanted ? error_name(error) : "");
    sleep_ms(hold * 1000);
}

static void make_one(int count, char **arguments) {
    (void)count;
    char action[64];
    block_signals();
    snprintf(action, sizeof action, "take one of %s", arguments[0]);
    report_answer(action, find_kind(arguments[0])->make(0));
}

/// Where a sandbox could leave something for the next one.
static const char *const places[] = {"/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/workspace",
                                     "/run/user", "/var/lock", "/dev/mqueue"};

static void leave_files(const char *token) {
    for (size_t index = 0; index < sizeof places / sizeof places[0]; index++) {
        char path[128], action[160];
        snprintf(path, sizeof path, "%s/probe-residue", places[index]);
        snprintf(action, sizeof action, "leave %s", path);
        int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
        report_answer(action, fd < 0 ? fd : write(fd, token, strlen(token)));
        if (fd >= 0) {
            // The umask must not hide it from another user.
            (void)fchmod(fd, 0666);
            close(fd);
        }
    }
}

static int bind_abstract(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, "probe-residue", 13);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 14;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0) {
        return -1;
    }
    return listen(fd, 4) < 0 ? -1 : fd;
}

static void leave_ipc(void) {
    report_answer("leave System V shared memory", shmget(COMMON_KEY, 4096, IPC_CREAT | 0666));
    report_answer("leave a System V semaphore", semget(COMMON_KEY, 1, IPC_CREAT | 0666));
    report_answer("leave a System V message queue", msgget(COMMON_KEY, IPC_CREAT | 0666));
    report_answer(
        "leave a POSIX message queue", mq_open(COMMON_QUEUE, O_CREAT | O_RDWR, 0666, NULL));
    report_answer(
        "leave a key",
        syscall(SYS_add_key, "user", "probe-residue", "x", 1, KEY_SPEC_USER_KEYRING));
    report_answer("leave an abstract socket", bind_abstract());
    int shared = open("/usr/bin/env", O_RDONLY | O_CLOEXEC);
    report_answer("lock a file of the image", flock(shared, LOCK_EX | LOCK_NB));
}

static void leave_residue(int count, char **arguments) {
    leave_files(arguments[0]);
    leave_ipc();
    if (count > 1) {
        sleep_ms(number(arguments[1], 60) * 1000);
    }
}

static long connect_abstract(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, "probe-residue", 13);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 14;
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, size);
}

static void find_residue(int count, char **arguments) {
    (void)count;
    for (size_t index = 0; index < sizeof places / sizeof places[0]; index++) {
        char path[128], action[160], text[256];
        snprintf(path, sizeof path, "%s/probe-residue", places[index]);
        snprintf(action, sizeof action, "find %s", path);
        ssize_t got = slurp(path, text, sizeof text);
        bool found = got > 0 && strcmp(text, arguments[0]) == 0;
        report(action, !found, got < 0 ? errno : 0, "%s", got < 0 ? error_name(errno) : text);
    }
    report_answer("find System V shared memory", shmget(COMMON_KEY, 0, 0));
    report_answer("find a System V semaphore", semget(COMMON_KEY, 0, 0));
    report_answer("find a System V message queue", msgget(COMMON_KEY, 0));
    report_answer("find a POSIX message queue", mq_open(COMMON_QUEUE, O_RDONLY));
    report_answer(
        "find a key",
        syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", "probe-residue", 0));
    report_answer("find an abstract socket", connect_abstract());
    int shared = open("/usr/bin/env", O_RDONLY | O_CLOEXEC);
    bool locked = flock(shared, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    report("see a neighbour's lock on a file of the image", !locked, locked ? EAGAIN : 0, "flock");
}

/// Removes what `leave` left where nothing is disposable: after a control run on the host.
static void remove_residue(int count, char **arguments) {
    (void)count;
    (void)arguments;
    for (size_t index = 0; index < sizeof places / sizeof places[0]; index++) {
        char path[128];
        snprintf(path, sizeof path, "%s/probe-residue", places[index]);
        // Most were never there.
        (void)unlink(path);
    }
    int id = shmget(COMMON_KEY, 0, 0);
    if (id >= 0) {
        (void)shmctl(id, IPC_RMID, NULL);
    }
    id = semget(COMMON_KEY, 0, 0);
    if (id >= 0) {
        (void)semctl(id, 0, IPC_RMID);
    }
    id = msgget(COMMON_KEY, 0);
    if (id >= 0) {
        (void)msgctl(id, IPC_RMID, NULL);
    }
    (void)mq_unlink(COMMON_QUEUE);
    long key = syscall(
        SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", "probe-residue", 0);
    if (key >= 0) {
        (void)syscall(SYS_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_USER_KEYRING);
    }
}

static void leave_and_die(int count, char **arguments) {
    (void)count;
    (void)arguments;
    leave_ipc();
    (void)raise(SIGKILL);
}

const struct verb exhaust_verbs[] = {
    {"exhaust", "R09", "KIND COUNT [SECONDS]", exhaust, 2},
    {"make-one", "R09", "KIND", make_one, 1},
    {"leave-residue", "F23", "TOKEN [SECONDS]", leave_residue, 1},
    {"find-residue", "F23", "TOKEN", find_residue, 1},
    {"remove-residue", "F23", "", remove_residue, 0},
    {"leave-and-die", "R11", "", leave_and_die, 0},
    {NULL, NULL, NULL, NULL, 0},
};
