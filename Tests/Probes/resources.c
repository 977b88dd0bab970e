// SPDX-License-Identifier: Apache-2.0
//
// Using too much: processes, memory, disk, output, processor, time (rows R01–R08).
//
// Every bomb is bounded by an argument and by the clock, so that a control run without the cap ends
// by itself. A line that says "succeeded" means that the whole amount was held at once.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES_MOST (16L * 1024 * 1024 * 1024 * 1024)
#define PROCESSES_MOST 20000
#define SECONDS_MOST 120
#define PIECE (1024L * 1024)

/// Ends every child that still lives.
static void end_children(pid_t *children, long count) {
    for (long index = 0; index < count; index++) {
        (void)kill(children[index], SIGKILL);
    }
    while (wait(NULL) > 0) {
    }
}

/// Says how many of the wanted number were held at once.
static void report_held(const char *what, long held, long wanted, int error) {
    char action[96];
    snprintf(action, sizeof action, "hold %s", what);
    report(
        action, held < wanted, held < wanted ? error : 0, "%ld of %ld %s", held, wanted,
        held < wanted ? error_name(error) : "");
}

static void fork_bomb(int count, char **arguments) {
    (void)count;
    long wanted = number(arguments[0], PROCESSES_MOST), made = 0;
    int error = 0;
    pid_t *children = calloc((size_t)wanted + 1, sizeof *children);
    // Beside the cap there is EAGAIN for ever: ten seconds of trying are enough.
    long end = now_ms() + 10000;
    while (made < wanted && now_ms() < end) {
        pid_t child = fork();
        if (child == 0) {
            pause();
            _exit(0);
        }
        if (child < 0) {
            error = errno;
            continue;
        }
        children[made++] = child;
    }
    report_held("that many processes", made, wanted, error);
    end_children(children, made);
}

static void *wait_for_ever(void *nothing) {
    (void)nothing;
    pause();
    return NULL;
}

static void thread_bomb(int count, char **arguments) {
    (void)count;
    long wanted = number(arguments[0], PROCESSES_MOST), made = 0;
    int error = 0;
    long end = now_ms() + 10000;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 * 1024);
    while (made < wanted && now_ms() < end) {
        pthread_t thread;
        error = pthread_create(&thread, &small, wait_for_ever, NULL);
        made += error == 0;
    }
    report_held("that many threads", made, wanted, error);
}

static int sleeper(void *nothing) {
    (void)nothing;
    pause();
    return 0;
}

static void clone_bomb(int count, char **arguments) {
    (void)count;
    long wanted = number(arguments[0], PROCESSES_MOST), made = 0;
    int error = 0;
    long end = now_ms() + 10000;
    pid_t *children = calloc((size_t)wanted + 1, sizeof *children);
    while (made < wanted && now_ms() < end) {
        // One memory for all: no copy-on-write cost, so only the number is capped.
        char *stack = mmap(
            NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (stack == MAP_FAILED) {
            error = errno;
            break;
        }
        pid_t child = clone(sleeper, stack + 16384, CLONE_VM | SIGCHLD, NULL);
        if (child < 0) {
            error = errno;
            munmap(stack, 16384);
            continue;
        }
        children[made++] = child;
    }
    report_held("that many processes of one memory", made, wanted, error);
    end_children(children, made);
}

/// Set by the innermost of a chain of vforks; they share one memory.
static volatile int chain_error;

/// Each child of a vfork makes the next one: a chain in which every parent waits uninterruptibly.
/// The innermost sleeps a second; then the chain ends from the inside out.
static void vfork_chain(long wanted) {
    for (volatile long made = 0; made < wanted; made++) {
        pid_t child = vfork();
        if (child != 0) {
            chain_error = child < 0 ? errno : chain_error;
            _exit(chain_error);
        }
    }
    sleep_ms(1000);
    _exit(0);
}

static void vfork_bomb(int count, char **arguments) {
    (void)count;
    long wanted = number(arguments[0], PROCESSES_MOST);
    pid_t first = fork();
    if (first == 0) {
        vfork_chain(wanted);
    }
    int status = 0;
    (void)waitpid(first, &status, 0);
    bool all = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    int error = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    report_held("that many waiting parents", all ? wanted : 0, wanted, error);
}

/// Fills a descriptor that grows: a file, a memfd, shared memory.
static long fill_descriptor(int fd, long bytes) {
    static char page[PIECE];
    memset(page, 0x5a, sizeof page);
    long done = 0;
    while (done < bytes) {
        ssize_t put = write(fd, page, sizeof page);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            break;
        }
        done += put;
    }
    return done;
}

static long touch(char *memory, long bytes) {
    for (long offset = 0; offset < bytes; offset += 4096) {
        memory[offset] = 1;
    }
    return bytes;
}

static long hold_mapping(long bytes, int flags) {
    char *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? 0 : touch(memory, bytes);
}

static long hold_resident(long bytes) {
    return hold_mapping(bytes, MAP_PRIVATE);
}

static long hold_shared(long bytes) {
    return hold_mapping(bytes, MAP_SHARED);
}

static long hold_locked(long bytes) {
    char *memory = mmap(
        NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED || mlock(memory, (size_t)bytes) < 0 ? 0 : bytes;
}

static long hold_memfd(long bytes) {
    int fd = (int)syscall(SYS_memfd_create, "probe", MFD_CLOEXEC);
    return fd < 0 ? 0 : fill_descriptor(fd, bytes);
}

/// A file that is removed while it is held, so that a control run leaves nothing.
static long hold_file(const char *path, long bytes) {
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        return 0;
    }
    (void)unlink(path);
    return fill_descriptor(fd, bytes);
}

static long hold_workspace(long bytes) {
    return hold_file("/workspace/.probe-memory", bytes);
}

static long hold_dev_shm(long bytes) {
    return hold_file("/dev/shm/.probe-memory", bytes);
}

static long hold_sysv(long bytes) {
    int id = shmget(IPC_PRIVATE, (size_t)bytes, IPC_CREAT | 0600);
    if (id < 0) {
        return 0;
    }
    char *memory = shmat(id, NULL, 0);
    // Marked now, gone with its last user: a killed control run leaves no segment.
    (void)shmctl(id, IPC_RMID, NULL);
    return memory == (void *)-1 ? 0 : touch(memory, bytes);
}

/// Many children, each with many full buffers: one process's descriptors do not suffice.
static long hold_buffers(long bytes, bool sockets) {
    static char page[65536];
    long done = 0;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        // With fewer descriptors, fewer buffers are held; the line says how many bytes.
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    while (done < bytes) {
        int pair[2];
        int made = sockets ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair)
                           : pipe2(pair, O_NONBLOCK);
        if (made < 0) {
            break;
        }
        if (sockets) {
            int size = 1 << 20;
            (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        } else {
            (void)fcntl(pair[1], F_SETPIPE_SZ, 1 << 20);
        }
        long before = done;
        ssize_t put;
        while ((put = write(pair[1], page, sizeof page)) > 0) {
            done += put;
        }
        if (done == before) {
            break;
        }
    }
    return done;
}

static long hold_pipes(long bytes) {
    return hold_buffers(bytes, false);
}

static long hold_sockets(long bytes) {
    return hold_buffers(bytes, true);
}

/// One byte read in every 2 MiB of a huge mapping: the zero page costs nothing, its page table
/// 4 KiB.
static long hold_page_tables(long bytes) {
    long span = bytes / 4096 * (2L << 20);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    volatile char *memory = mmap(NULL, (size_t)span, PROT_READ, flags, -1, 0);
    if (memory == MAP_FAILED) {
        return 0;
    }
    // A huge zero page would need no table.
    (void)madvise((void *)memory, (size_t)span, MADV_NOHUGEPAGE);
    for (long offset = 0; offset < span; offset += 2L << 20) {
        (void)memory[offset];
    }
    return bytes;
}

/// Spread over children, so that no single process is large.
static long hold_spread(long bytes) {
    enum { PARTS = 16 };
    int ready[2];
    pid_t children[PARTS];
    long parts = 0, held = 0;
    if (pipe(ready) < 0) {
        return 0;
    }
    for (; parts < PARTS; parts++) {
        children[parts] = fork();
        if (children[parts] == 0) {
            long done = hold_resident(bytes / PARTS);
            (void)!write(ready[1], &done, sizeof done);
            pause();
            _exit(0);
        }
        if (children[parts] < 0) {
            break;
        }
    }
    close(ready[1]);
    for (long part = 0, done; part < parts; part++) {
        if (read(ready[0], &done, sizeof done) != sizeof done) {
            break;
        }
        held += done;
    }
    end_children(children, parts);
    return held;
}

static void memory(int count, char **arguments) {
    (void)count;
    static const struct {
        const char *kind;
        long (*hold)(long bytes);
    } kinds[] = {
        {"resident", hold_resident}, {"shared", hold_shared},     {"locked", hold_locked},
        {"memfd", hold_memfd},       {"workspace", hold_workspace}, {"dev-shm", hold_dev_shm},
        {"sysv", hold_sysv},         {"pipes", hold_pipes},       {"sockets", hold_sockets},
        {"page-tables", hold_page_tables}, {"spread", hold_spread},
    };
    long bytes = number(arguments[1], 1L << 31);
    for (size_t index = 0; index < sizeof kinds / sizeof kinds[0]; index++) {
        if (strcmp(kinds[index].kind, arguments[0]) == 0) {
            char action[64];
            errno = 0;
            long held = kinds[index].hold(bytes);
            int error = errno;
            snprintf(action, sizeof action, "%s memory", kinds[index].kind);
            report_held(action, held, bytes, error);
            return;
        }
    }
    broken("no such kind of memory: %s", arguments[0]);
}

/// Makes a file below the directory; -1 with errno.
static int scratch(const char *directory, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    return fd;
}

static void remove_scratch(const char *directory, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    // Gone with the workspace in any case.
    (void)unlink(path);
}

static void disk_fill(int count, char **arguments) {
    const char *directory = arguments[0];
    long bytes = number(arguments[1], BYTES_MOST);
    bool keep = count > 2 && strcmp(arguments[2], "keep") == 0;
    int fd = scratch(directory, ".probe-fill");
    errno = 0;
    long done = fd < 0 ? 0 : fill_descriptor(fd, bytes);
    report_held("that many bytes of disk", done, bytes, errno);
    if (!keep) {
        remove_scratch(directory, ".probe-fill");
    }
    if (keep && done < bytes) {
        // As a program ends that could not write.
        exit(1);
    }
}

static void inode_fill(int count, char **arguments) {
    (void)count;
    long wanted = number(arguments[1], 10000000), made = 0;
    int error = 0;
    for (; made < wanted; made++) {
        char name[48];
        snprintf(name, sizeof name, ".probe-inode-%ld", made);
        int fd = scratch(arguments[0], name);
        if (fd < 0) {
            error = errno;
            break;
        }
        close(fd);
    }
    report_held("that many files", made, wanted, error);
    for (long index = 0; index < made; index++) {
        char name[48];
        snprintf(name, sizeof name, ".probe-inode-%ld", index);
        remove_scratch(arguments[0], name);
    }
}

static void disk_tricks(int count, char **arguments) {
    (void)count;
    long bytes = number(arguments[1], BYTES_MOST);
    // The default action of exceeding RLIMIT_FSIZE would end the probe before it can say so.
    (void)signal(SIGXFSZ, SIG_IGN);
    int fd = scratch(arguments[0], ".probe-trick");
    report_answer("fallocate that many bytes", fallocate(fd, 0, 0, bytes));
    (void)ftruncate(fd, 0);
    report_answer("make a sparse file of 8 EiB less one page", ftruncate(fd, 0x7ffffffffffff000));
    (void)ftruncate(fd, 0);
    bool far_away = ftruncate(fd, bytes) == 0;
    int error = errno;
    report("make a sparse file of that many bytes", !far_away, far_away ? 0 : error, "%ld", bytes);
    report_answer("write at the far end", pwrite(fd, "x", 1, bytes - 1));
    remove_scratch(arguments[0], ".probe-trick");
}

/// One stream's flood: true when all of it was taken.
static bool flood_stream(int fd, long bytes, long piece, bool lines) {
    static char block[65536];
    memset(block, 'A', sizeof block);
    for (size_t at = 79; lines && at < sizeof block; at += 80) {
        block[at] = '\n';
    }
    for (long done = 0; done < bytes;) {
        long size = piece < bytes - done ? piece : bytes - done;
        ssize_t put = write(fd, block, (size_t)size);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        done += put;
    }
    return true;
}

static void flood(int count, char **arguments) {
    long bytes = number(arguments[1], 1L << 40);
    long piece = count > 2 ? number(arguments[2], 65536) : 65536;
    bool lines = count > 3 && strcmp(arguments[3], "lines") == 0;
    bool out = strcmp(arguments[0], "stdout") == 0, both = strcmp(arguments[0], "both") == 0;
    if (piece == 0 || (!out && !both && strcmp(arguments[0], "stderr") != 0)) {
        broken("flood: stdout, stderr or both; pieces of 1 to 65536 bytes");
    }
    // The line goes to the quieter stream; when both are flooded it starts a line of its own.
    report_fd = out ? STDERR_FILENO : STDOUT_FILENO;
    (void)signal(SIGPIPE, SIG_IGN);
    bool taken = true;
    if (both) {
        pid_t child = fork();
        if (child == 0) {
            _exit(flood_stream(STDERR_FILENO, bytes, piece, lines) ? 0 : 1);
        }
        taken = flood_stream(STDOUT_FILENO, bytes, piece, lines);
        (void)waitpid(child, NULL, 0);
        (void)!write(report_fd, "\n", 1);
    } else {
        taken = flood_stream(out ? STDOUT_FILENO : STDERR_FILENO, bytes, piece, lines);
    }
    report("write that many bytes", !taken, 0, "%ld bytes", bytes);
}

static void close_output(int count, char **arguments) {
    (void)count;
    (void)arguments;
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    sleep_ms(500);
}

static void *spinner(void *milliseconds) {
    long end = now_ms() + (long)milliseconds;
    while (now_ms() < end) {
    }
    return NULL;
}

static void burn(int count, char **arguments) {
    (void)count;
    long threads = number(arguments[0], 256);
    long milliseconds = number(arguments[1], SECONDS_MOST) * 1000;
    long millicores = number(arguments[2], 256000);
    // Refused, or no gain: the quota is the same.
    (void)setpriority(PRIO_PROCESS, 0, -20);
    pthread_t ids[256];
    for (long index = 0; index < threads; index++) {
        if (pthread_create(&ids[index], NULL, spinner, (void *)milliseconds) != 0) {
            threads = index;
        }
    }
    for (long index = 0; index < threads; index++) {
        pthread_join(ids[index], NULL);
    }
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    long used = usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000
        + usage.ru_stime.tv_sec * 1000 + usage.ru_stime.tv_usec / 1000;
    long share = milliseconds == 0 ? 0 : used * 1000 / milliseconds;
    // A fifth more, for what the quota's first and last period let through.
    bool within = share <= millicores * 6 / 5;
    report("use more than the share", within, 0, "%ld of %ld millicores", share, millicores);
}

static void visible_cpus(int count, char **arguments) {
    long most = number(arguments[0], 4096);
    (void)count;
    static char text[256 * 1024];
    long counted = 0;
    if (slurp("/proc/cpuinfo", text, sizeof text) > 0) {
        for (const char *at = text; (at = strstr(at, "processor\t")) != NULL; at++) {
            counted++;
        }
    }
    report("count the host's processors in /proc/cpuinfo", counted <= most, 0, "%ld", counted);
    counted = 0;
    if (slurp("/proc/stat", text, sizeof text) > 0) {
        for (const char *at = text; (at = strstr(at, "\ncpu")) != NULL; at++) {
            counted++;
        }
    }
    report("count the host's processors in /proc/stat", counted <= most, 0, "%ld", counted);
    cpu_set_t set;
    CPU_ZERO(&set);
    (void)sched_getaffinity(0, sizeof set, &set);
    report("be allowed more processors", CPU_COUNT(&set) <= most, 0, "%d", CPU_COUNT(&set));
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    report("count the host's processors by sysconf", online <= most, 0, "%ld", online);
}

static void hang_sleep(void) {
    sleep_ms(SECONDS_MOST * 1000);
}

static void hang_select(void) {
    (void)select(0, NULL, NULL, NULL, NULL);
}

static void hang_stop(void) {
    (void)raise(SIGSTOP);
    hang_sleep();
}

static void hang_futex(void) {
    static int word;
    (void)syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void hang_read(void) {
    int ends[2];
    char byte;
    if (pipe(ends) == 0) {
        (void)!read(ends[0], &byte, 1);
    }
}

static void hang_vfork(void) {
    // The parent waits for its child and cannot be interrupted; the child sleeps.
    pid_t child = vfork();
    if (child == 0) {
        (void)syscall(SYS_pause);
        _exit(0);
    }
}

static void hang_ignoring(void) {
    for (int signal_number = 1; signal_number <= SIGRTMAX; signal_number++) {
        // SIGKILL and SIGSTOP refuse; that is the point.
        (void)signal(signal_number, SIG_IGN);
    }
    for (;;) {
        pause();
    }
}

static void hang_spin(void) {
    long end = now_ms() + SECONDS_MOST * 1000;
    while (now_ms() < end) {
    }
}

static void hang_pause(void) {
    pause();
}

static void hang(int count, char **arguments) {
    (void)count;
    static const struct {
        const char *kind;
        void (*hang)(void);
    } kinds[] = {
        {"sleep", hang_sleep}, {"pause", hang_pause}, {"select", hang_select}, {"stop", hang_stop},
        {"futex", hang_futex}, {"read", hang_read},   {"vfork", hang_vfork},   {"spin", hang_spin},
        {"ignore", hang_ignoring},
    };
    for (size_t index = 0; index < sizeof kinds / sizeof kinds[0]; index++) {
        if (strcmp(kinds[index].kind, arguments[0]) == 0) {
            kinds[index].hang();
            return;
        }
    }
    broken("no such way to hang: %s", arguments[0]);
}

static void zombies(int count, char **arguments) {
    (void)count;
    long wanted = number(arguments[0], PROCESSES_MOST), made = 0;
    int error = 0;
    long end = now_ms() + 10000;
    while (made < wanted && now_ms() < end) {
        pid_t child = fork();
        if (child == 0) {
            _exit(0);
        }
        if (child < 0) {
            error = errno;
            continue;
        }
        made++;
    }
    report_held("that many zombies", made, wanted, error);
}

static void orphans(int count, char **arguments) {
    (void)count;
    long wanted = number(arguments[0], 100000), made = 0;
    int error = 0;
    for (; made < wanted; made++) {
        pid_t child = fork();
        if (child == 0) {
            _exit(fork() < 0 ? errno : 0);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) < 0) {
            error = errno;
            break;
        }
        if (WEXITSTATUS(status) != 0) {
            error = WEXITSTATUS(status);
            break;
        }
    }
    report(
        "leave orphans one after another", made < wanted, error, "%ld of %ld %s", made, wanted,
        error_name(error));
}

const struct verb resource_verbs[] = {
    {"fork-bomb", "R01", "COUNT", fork_bomb, 1},
    {"thread-bomb", "R01", "COUNT", thread_bomb, 1},
    {"clone-bomb", "R01", "COUNT", clone_bomb, 1},
    {"vfork-bomb", "R01", "COUNT", vfork_bomb, 1},
    {"memory", "R02", "KIND BYTES", memory, 2},
    {"disk-fill", "R04", "DIRECTORY BYTES [keep]", disk_fill, 2},
    {"inode-fill", "R04", "DIRECTORY COUNT", inode_fill, 2},
    {"disk-tricks", "R04", "DIRECTORY BYTES", disk_tricks, 2},
    {"flood", "R05", "stdout|stderr|both BYTES [PIECE [lines]]", flood, 2},
    {"close-output", "R05", "", close_output, 0},
    {"burn", "R06", "THREADS SECONDS MILLICORES", burn, 3},
    {"visible-cpus", "R06", "MOST", visible_cpus, 1},
    {"hang", "R07", "KIND", hang, 1},
    {"zombies", "R08", "COUNT", zombies, 1},
    {"orphans", "R08", "COUNT", orphans, 1},
    {NULL, NULL, NULL, NULL, 0},
};
