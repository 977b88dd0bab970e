// SPDX-License-Identifier: Apache-2.0
//
// Other processes: seeing, stopping and outliving them (rows P01–P14).
//
// Whoever outlives its parent here ends by itself after the seconds it was given, so that a control
// run on the host leaves nothing behind.
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/// The most seconds that a process of these verbs may live.
#define SECONDS_MOST 120

static void ignore_all_signals(void) {
    for (int signal_number = 1; signal_number <= SIGRTMAX; signal_number++) {
        if (signal_number != SIGKILL && signal_number != SIGSTOP && signal_number != SIGCHLD) {
            // The two numbers that libc keeps for itself are refused; nothing rests on them.
            (void)signal(signal_number, SIG_IGN);
        }
    }
}

static void pid_view(int count, char **arguments) {
    int strangers = 0, shown = 0;
    char names[256] = "";
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    while (processes != NULL && (entry = readdir(processes)) != NULL) {
        if (entry->d_name[strspn(entry->d_name, "0123456789")] != 0) {
            continue;
        }
        shown++;
        pid_t pid = atoi(entry->d_name);
        if (pid != 1 && pid != getpid() && pid != getppid()) {
            strangers++;
            strncat(names, entry->d_name, sizeof names - strlen(names) - 2);
            strncat(names, " ", 2);
        }
    }
    if (processes != NULL) {
        closedir(processes);
    }
    report("see a stranger in /proc", strangers == 0, 0, "%d of %d %s", strangers, shown, names);
    // Signal 0 reaches whoever a real signal would, and harms nobody.
    report_answer("signal everybody", kill(-1, 0));
    report_answer("signal process 1", kill(1, 0));
    if (count > 0 && strcmp(arguments[0], "kill") == 0) {
        report_answer("kill everybody", kill(-1, SIGKILL));
    }
}

static void pid_scan(int count, char **arguments) {
    long last = count > 0 ? number(arguments[0], 1 << 22) : 32768;
    int signalled = 0, opened = 0, first = 0;
    for (pid_t pid = 2; pid <= last; pid++) {
        if (pid == getpid() || pid == getppid()) {
            continue;
        }
        // "Operation not permitted" says that the process is there.
        if (kill(pid, 0) == 0 || errno == EPERM) {
            first = first == 0 ? pid : first;
            signalled++;
        }
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd >= 0) {
            opened++;
            close(fd);
        }
    }
    report("find a process by kill", signalled == 0, 0, "%d found, first %d", signalled, first);
    report("find a process by pidfd_open", opened == 0, 0, "%d found", opened);
}

static long trace_one(const void *pid) {
    long answer = ptrace(PTRACE_SEIZE, *(const pid_t *)pid, NULL, NULL);
    if (answer == 0) {
        (void)ptrace(PTRACE_DETACH, *(const pid_t *)pid, NULL, NULL);
    }
    return answer;
}

static long trace_me(const void *nothing) {
    (void)nothing;
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

/// A child that waits to be looked at. It dies with its parent.
static pid_t waiting_child(void) {
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        sleep_ms(10000);
        _exit(0);
    }
    return child;
}

static void end_child(pid_t child) {
    if (child > 0) {
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
    }
}

static void tracing(int count, char **arguments) {
    (void)count;
    (void)arguments;
    pid_t first = 1, parent = getppid(), child = waiting_child();
    report_outcome("ptrace process 1", in_child(trace_one, &first));
    report_outcome("ptrace the parent", in_child(trace_one, &parent));
    report_answer("ptrace an own child", ptrace(PTRACE_SEIZE, child, NULL, NULL));
    report_outcome("ask to be traced", in_child(trace_me, NULL));
    end_child(child);
}

static long read_child(const void *pid) {
    char byte, *into = &byte;
    // The child is a fork: its memory has our addresses.
    struct iovec here = {into, 1}, there = {&report_fd, 1};
    return process_vm_readv(*(const pid_t *)pid, &here, 1, &there, 1, 0);
}

static long write_child(const void *pid) {
    static char byte;
    struct iovec here = {&byte, 1}, there = {&byte, 1};
    return process_vm_writev(*(const pid_t *)pid, &here, 1, &there, 1, 0);
}

static void peek(int count, char **arguments) {
    (void)count;
    (void)arguments;
    pid_t child = waiting_child();
    report_outcome("process_vm_readv of an own child", in_child(read_child, &child));
    report_outcome("process_vm_writev of an own child", in_child(write_child, &child));
    const struct call calls[] = {
        {"process_vm_readv of process 1", SYS_process_vm_readv, {1, BAD_POINTER, 1, BAD_POINTER, 1},
         0},
        {"process_madvise(bad descriptor)", SYS_process_madvise, {BAD_FD, BAD_POINTER, 1, 4, 0}, 0},
        {"pidfd_getfd(bad descriptor)", SYS_pidfd_getfd, {BAD_FD, 0, 0}, 0},
        {"kcmp(self, self)", SYS_kcmp, {getpid(), getpid(), 0, 0, 0}, 0},
        {"kcmp(process 1, self)", SYS_kcmp, {1, getpid(), 0, 0, 0}, 0},
        {"process_mrelease(bad descriptor)", SYS_process_mrelease, {BAD_FD, 0}, 0},
    };
    ATTEMPT_CALLS(calls);
    end_child(child);
    static const char *const files[] = {"mem", "maps", "environ", "stack", "syscall", "pagemap"};
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        const pid_t owners[] = {1, getppid()};
        for (size_t owner = 0; owner < 2; owner++) {
            char path[64], action[64], byte[2];
            snprintf(path, sizeof path, "/proc/%d/%s", owners[owner], files[index]);
            snprintf(
                action, sizeof action, "read %s's %s", owner == 0 ? "process 1" : "the parent",
                files[index]);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            // Open is enough for mem: its first page is never mapped.
            bool open_only = strcmp(files[index], "mem") == 0;
            long answer = fd < 0 || open_only ? fd : read(fd, byte, 1);
            int error = answer < 0 ? errno : 0;
            bool blocked = answer < 0 || (!open_only && answer == 0);
            report(action, blocked, error, "%s", error_name(error));
            if (fd >= 0) {
                close(fd);
            }
        }
    }
}

/// Whether a process is stopped, by /proc.
static bool stopped(pid_t pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (slurp(path, text, sizeof text) <= 0) {
        return false;
    }
    const char *end = strrchr(text, ')');
    return end != NULL && strncmp(end, ") T", 3) == 0;
}

static void stop_parent(int count, char **arguments) {
    long seconds = number(arguments[0], SECONDS_MOST);
    bool own = count > 1 && strcmp(arguments[1], "own") == 0;
    if (own && fork() != 0) {
        // The control: this process plays the supervisor that is stopped.
        (void)wait(NULL);
        return;
    }
    (void)signal(SIGTERM, SIG_IGN);
    pid_t parent = getppid();
    long answer = kill(parent, SIGSTOP);
    int error = answer < 0 ? errno : 0;
    sleep_ms(200);
    bool is_stopped = stopped(parent);
    report("stop the parent", !is_stopped, error, "%s", error_name(error));
    if (is_stopped) {
        (void)kill(parent, SIGCONT);
    }
    if (!own) {
        sleep_ms(seconds * 1000);
    }
}

/// Uses the processor until `milliseconds` have passed, and says when a second of it is used.
static void burn_until_told(volatile bool *spent, long milliseconds) {
    long end = now_ms() + milliseconds;
    struct timespec used;
    while (now_ms() < end) {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        *spent = used.tv_sec >= 1;
    }
}

static void daemonise(int count, char **arguments) {
    long seconds = number(arguments[0], SECONDS_MOST);
    bool burn = count > 1 && strcmp(arguments[1], "burn") == 0;
    volatile bool *spent =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (spent == MAP_FAILED) {
        broken("mmap: %s", error_name(errno));
    }
    if (fork() == 0) {
        (void)setsid();
        if (fork() == 0) {
            ignore_all_signals();
            for (int fd = 0; fd < 1024; fd++) {
                close(fd);
            }
            if (burn) {
                burn_until_told(spent, seconds * 1000);
            } else {
                sleep_ms(seconds * 1000);
            }
        }
        _exit(0);
    }
    (void)wait(NULL);
    // On a busy machine a second of processor time takes longer than a second.
    for (int tries = 0; burn && !*spent && tries < 400; tries++) {
        sleep_ms(10);
    }
    report("leave a daemon behind", false, 0, "it lives %ld s", seconds);
}

static void hold_pipe(int count, char **arguments) {
    (void)count;
    long seconds = number(arguments[0], SECONDS_MOST);
    if (fork() == 0) {
        (void)setsid();
        ignore_all_signals();
        sleep_ms(seconds * 1000);
        _exit(0);
    }
    report("hold standard output open", false, 0, "for %ld s", seconds);
}

static void subreaper(int count, char **arguments) {
    (void)count;
    long seconds = number(arguments[0], SECONDS_MOST);
    report_answer("become a subreaper", prctl(PR_SET_CHILD_SUBREAPER, 1));
    report_answer("clear the parent-death signal", prctl(PR_SET_PDEATHSIG, 0));
    ignore_all_signals();
    for (int index = 0; index < 4; index++) {
        if (fork() == 0) {
            (void)setsid();
            sleep_ms(seconds * 1000);
            _exit(0);
        }
    }
    sleep_ms(seconds * 1000);
}

static void stop_all(int count, char **arguments) {
    (void)count;
    long seconds = number(arguments[0], SECONDS_MOST);
    // A group of its own: on the host, whoever started this goes on.
    (void)setpgid(0, 0);
    for (int index = 0; index < 3; index++) {
        if (fork() == 0) {
            sleep_ms(seconds * 1000);
            _exit(0);
        }
    }
    report("stop the whole process group", false, 0, "SIGSTOP to all");
    pid_t group = getpid(), guard = fork();
    if (guard == 0) {
        // Nothing that is stopped can end itself.
        sleep_ms(seconds * 1000);
        (void)kill(-group, SIGKILL);
        _exit(0);
    }
    // Before the signal goes out: the guard must not be stopped as well.
    (void)setpgid(guard, guard);
    (void)kill(0, SIGSTOP);
    (void)raise(SIGSTOP);
    sleep_ms(seconds * 1000);
}

static void rabbit(int count, char **arguments) {
    (void)count;
    long end = now_ms() + number(arguments[0], SECONDS_MOST) * 1000;
    ignore_all_signals();
    (void)signal(SIGCHLD, SIG_IGN);
    report("run from one pid to the next", false, 0, "until killed");
    // The first stays, so that the run goes on; its child is the rabbit.
    if (fork() == 0) {
        while (now_ms() < end) {
            pid_t child = fork();
            if (child > 0) {
                _exit(0);
            }
        }
        _exit(0);
    }
    sleep_ms(end - now_ms());
}

static void pid_churn(int count, char **arguments) {
    (void)count;
    long wanted = number(arguments[0], 200000), made = 0;
    for (; made < wanted; made++) {
        pid_t child = vfork();
        if (child == 0) {
            _exit(0);
        }
        if (child < 0) {
            break;
        }
        (void)waitpid(child, NULL, 0);
    }
    report("start processes until pids come round", made < wanted, 0, "%ld processes", made);
}

static long mount_cgroups(const void *type) {
    (void)unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP);
    return mount("none", "/dev", type, 0, strcmp(type, "cgroup") == 0 ? "pids" : "");
}

static void cgroups(int count, char **arguments) {
    (void)count;
    (void)arguments;
    static char text[64 * 1024];
    if (slurp("/proc/self/mountinfo", text, sizeof text) < 0) {
        text[0] = 0;
    }
    report("find a mounted cgroup file system", strstr(text, " - cgroup") == NULL, 0, "mountinfo");
    if (slurp("/proc/self/cgroup", text, sizeof text) < 0) {
        text[0] = 0;
    }
    int elsewhere = 0;
    char first[256] = "";
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *path = strrchr(line, ':');
        if (path != NULL && strcmp(path, ":/") != 0 && elsewhere++ == 0) {
            snprintf(first, sizeof first, "%s", line);
        }
    }
    report("learn the own cgroup's path", elsewhere == 0, 0, "%d lines %s", elsewhere, first);
    static const char *const files[] = {
        "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/tasks", "/sys/fs/cgroup/pids/tasks",
        "/sys/fs/cgroup/memory/release_agent", "/sys/fs/cgroup/unified/cgroup.procs",
    };
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        char action[96];
        struct stat status;
        snprintf(action, sizeof action, "find %s", files[index]);
        report_answer(action, stat(files[index], &status));
    }
    report_outcome("mount cgroup2", in_child(mount_cgroups, "cgroup2"));
    report_outcome("mount cgroup v1", in_child(mount_cgroups, "cgroup"));
    const struct clone_args into = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = 1 << 20};
    const struct call calls[] = {
        {"clone3(INTO_CGROUP)", SYS_clone3, {(long)&into, sizeof into}, 0},
    };
    ATTEMPT_CALLS(calls);
}

static void scheduler(int count, char **arguments) {
    (void)count;
    (void)arguments;
    const struct sched_param one = {.sched_priority = 1};
    report_answer("SCHED_FIFO", sched_setscheduler(0, SCHED_FIFO, &one));
    report_answer("SCHED_RR", sched_setscheduler(0, SCHED_RR, &one));
    errno = 0;
    report_answer("nice -20", setpriority(PRIO_PROCESS, 0, -20));
    // IOPRIO_WHO_PROCESS; class 1 is real time.
    report_answer("real-time I/O priority", syscall(SYS_ioprio_set, 1, 0, 1 << 13));
    const struct sched_param none = {0};
    report_answer("SCHED_IDLE of process 1", sched_setscheduler(1, SCHED_IDLE, &none));
    static const struct {
        const char *action;
        int resource;
    } limits[] = {
        {"raise RLIMIT_NOFILE", RLIMIT_NOFILE}, {"raise RLIMIT_NPROC", RLIMIT_NPROC},
        {"raise RLIMIT_CORE", RLIMIT_CORE},     {"raise RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
        {"raise RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"raise RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
        {"raise RLIMIT_RTPRIO", RLIMIT_RTPRIO}, {"raise RLIMIT_NICE", RLIMIT_NICE},
    };
    for (size_t index = 0; index < sizeof limits / sizeof limits[0]; index++) {
        struct rlimit old, new;
        if (getrlimit(limits[index].resource, &old) < 0 || old.rlim_max == RLIM_INFINITY) {
            report(limits[index].action, false, 0, "it is unlimited");
            continue;
        }
        new = (struct rlimit){old.rlim_cur, old.rlim_max + 1};
        report_answer(limits[index].action, setrlimit(limits[index].resource, &new));
    }
    cpu_set_t before, all, after;
    CPU_ZERO(&before);
    CPU_ZERO(&after);
    memset(&all, 0xff, sizeof all);
    (void)sched_getaffinity(0, sizeof before, &before);
    (void)sched_setaffinity(0, sizeof all, &all);
    (void)sched_getaffinity(0, sizeof after, &after);
    report(
        "run on more processors", CPU_COUNT(&after) <= CPU_COUNT(&before), 0, "%d then %d",
        CPU_COUNT(&before), CPU_COUNT(&after));
}

const struct verb process_verbs[] = {
    {"pid-view", "P01", "[kill]", pid_view, 0},
    {"pid-scan", "P02", "[LAST]", pid_scan, 0},
    {"trace-others", "P03", "", tracing, 0},
    {"peek", "P04", "", peek, 0},
    {"stop-parent", "P05", "SECONDS [own]", stop_parent, 1},
    {"daemonise", "P06", "SECONDS [burn]", daemonise, 1},
    {"hold-pipe", "P07", "SECONDS", hold_pipe, 1},
    {"subreaper", "P08", "SECONDS", subreaper, 1},
    {"stop-all", "P09", "SECONDS", stop_all, 1},
    {"rabbit", "P10", "SECONDS", rabbit, 1},
    {"pid-churn", "P11", "COUNT", pid_churn, 1},
    {"cgroups", "P13", "", cgroups, 0},
    {"scheduler", "P14", "", scheduler, 0},
    {NULL, NULL, NULL, NULL, 0},
};
