// SPDX-License-Identifier: Apache-2.0
//
// The job's process, from its fork to its execve. Everything it may lose it loses here, in an order
// in which each step still has what it needs; the system call filter comes last, and after it only
// sendmsg (where the filter has a witness), write, read and execve are called.
#include "job.h"

#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/landlock.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>

#include "channel.h"
#include "sys.h"
#include "text.h"

struct confinement {
    const struct plan *plan;
    const struct command *command;
    const struct witness *witness;
};

static int layer(const struct confinement *job, uint32_t bit) {
    return (job->plan->layers & bit) != 0;
}

static int step_streams(const struct confinement *job) {
    for (int i = 0; i < 3; i++) {
        long done = sys3(__NR_dup3, job->command->streams[i], i, 0);
        if (done < 0) {
            return (int)done;
        }
    }
    // A session of its own, so there is no controlling terminal.
    long session = sys0(__NR_setsid);
    return session < 0 ? (int)session : 0;
}

static int step_oom_score(const struct confinement *job) {
    (void)job;
    // The kernel picks the job, never init. Below what it was raised from, the kernel lets nobody go;
    // Landlock keeps the job from going back to that. The file belongs to nobody in here while the
    // process is undumpable, so it is dumpable for this one call.
    int error = (int)sys2(__NR_prctl, PR_SET_DUMPABLE, 1);
    if (error < 0) {
        return error;
    }
    long fd = sys4(__NR_openat, SYS_AT_FDCWD, "/proc/self/oom_score_adj",
                   SYS_O_WRONLY | SYS_O_CLOEXEC, 0);
    if (fd < 0) {
        return (int)fd;
    }
    long wrote = sys3(__NR_write, fd, "1000", 4);
    sys_close((int)fd);
    error = (int)sys2(__NR_prctl, PR_SET_DUMPABLE, 0);
    return wrote < 0 ? (int)wrote : error;
}

static int step_priority(const struct confinement *job) {
    (void)job;
    // The kernel answers 20 - nice.
    if (sys2(__NR_getpriority, 0, 0) == 20) {
        return 0;
    }
    return (int)sys3(__NR_setpriority, 0, 0, 0);
}

static int set_limit(int resource, uint64_t soft, uint64_t hard) {
    struct rlimit64 limit = {.rlim_cur = soft, .rlim_max = hard};
    return (int)sys4(__NR_prlimit64, 0, resource, &limit, NULL);
}

static int step_rlimits(const struct confinement *job) {
    const struct sbx_plan *limits = &job->plan->message;
    if (!layer(job, SBX_LAYER_RLIMITS)) {
        return 0;
    }
    const struct {
        int resource;
        uint64_t value;
    } wanted[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_NOFILE, limits->open_files},
        {RLIMIT_FSIZE, limits->file_bytes},
        {RLIMIT_CPU, limits->cpu_seconds},
        {RLIMIT_RTPRIO, 0},
        {RLIMIT_NICE, 0},
        {RLIMIT_MEMLOCK, 8u << 20},
        {RLIMIT_MSGQUEUE, 800u << 10},
        {RLIMIT_SIGPENDING, 4096},
    };
    int error = set_limit(RLIMIT_STACK, 8u << 20, 64u << 20);
    for (size_t i = 0; error == 0 && i < sizeof wanted / sizeof wanted[0]; i++) {
        error = set_limit(wanted[i].resource, wanted[i].value, wanted[i].value);
    }
    return error;
}

static int step_credentials(const struct confinement *job) {
    int error = 0;
    if (layer(job, SBX_LAYER_CAPABILITIES)) {
        for (int capability = 0; error >= 0 && capability < 64; capability++) {
            error = (int)sys2(__NR_prctl, PR_CAPBSET_DROP, capability);
        }
        // EINVAL is the first number that this kernel does not know.
        if (error < 0 && error != -SYS_EINVAL) {
            return error;
        }
        error = (int)sys2(__NR_prctl, PR_SET_SECUREBITS,
                          SECURE_ALL_BITS | SECURE_ALL_LOCKS);
        if (error < 0) {
            return error;
        }
    }
    error = (int)sys3(__NR_setresgid, SBX_JOB_ID, SBX_JOB_ID, SBX_JOB_ID);
    return error < 0 ? error
                     : (int)sys3(__NR_setresuid, SBX_JOB_ID, SBX_JOB_ID, SBX_JOB_ID);
}

/// Whatever the ids say, nothing is left in any set.
static int step_capabilities(const struct confinement *job) {
    if (!layer(job, SBX_LAYER_CAPABILITIES)) {
        return 0;
    }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    return (int)sys2(__NR_capset, &header, none);
}

static int step_working_directory(const struct confinement *job) {
    // As the job itself, so that it cannot start where it could not go.
    return (int)sys1(__NR_chdir, job->command->working_directory);
}

static int step_no_new_privs(const struct confinement *job) {
    if (!layer(job, SBX_LAYER_NO_NEW_PRIVS)) {
        return 0;
    }
    return (int)sys5(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/// One path the job may do `access` below. What is not there is not allowed.
static int landlock_allow(int ruleset, const char *path, uint64_t access) {
    long fd = sys4(__NR_openat, SYS_AT_FDCWD, path, 010000000 /* O_PATH */ | SYS_O_CLOEXEC, 0);
    if (fd < 0) {
        return fd == -SYS_ENOENT ? 0 : (int)fd;
    }
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = (int)fd};
    long done = sys4(__NR_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    sys_close((int)fd);
    return (int)done;
}

// Newer than Debian 12's headers (ABI 2 to 6).
#define LANDLOCK_REFER (1ull << 13)
#define LANDLOCK_TRUNCATE (1ull << 14)
#define LANDLOCK_IOCTL_DEV (1ull << 15)
#define LANDLOCK_SCOPES 3ull
#define LANDLOCK_READ \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define LANDLOCK_FIRST_ABI 0x1fffull

struct landlock_request {
    uint64_t handled_fs;
    uint64_t handled_net;
    uint64_t scoped;
};

/// A second wall behind the read-only root: writing only below the places meant for it; and no
/// signal or abstract socket crosses the sandbox's edge.
static int step_landlock(const struct confinement *job) {
    long abi = layer(job, SBX_LAYER_LANDLOCK)
                   ? sys3(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)
                   : 0;
    if (abi <= 0) {
        return abi == -SYS_ENOSYS || abi == -SYS_EOPNOTSUPP ? 0 : (int)abi;
    }
    // What an older kernel does not know is left out: it is a further layer, not the only one.
    uint64_t all = LANDLOCK_FIRST_ABI | (abi >= 2 ? LANDLOCK_REFER : 0) |
                   (abi >= 3 ? LANDLOCK_TRUNCATE : 0) | (abi >= 5 ? LANDLOCK_IOCTL_DEV : 0);
    struct landlock_request request = {.handled_fs = all,
                                       .scoped = abi >= 6 ? LANDLOCK_SCOPES : 0};
    size_t size = abi >= 6 ? sizeof request : abi >= 4 ? 16 : 8;
    long ruleset = sys3(__NR_landlock_create_ruleset, &request, size, 0);
    if (ruleset < 0) {
        return (int)ruleset;
    }
    const uint64_t device = LANDLOCK_READ | LANDLOCK_ACCESS_FS_WRITE_FILE |
                            (abi >= 3 ? LANDLOCK_TRUNCATE : 0) |
                            (abi >= 5 ? LANDLOCK_IOCTL_DEV : 0);
    int error = landlock_allow((int)ruleset, "/", LANDLOCK_READ);
    if (error == 0) {
        error = landlock_allow((int)ruleset, "/workspace", all);
    }
    if (error == 0) {
        error = landlock_allow((int)ruleset, "/dev/shm", all);
    }
    if (error == 0) {
        error = landlock_allow((int)ruleset, "/dev", device);
    }
    if (error == 0 && job->plan->message.nested_namespaces != 0) {
        // Who makes a user namespace writes its id maps. Nobody else has anything to write there.
        error = landlock_allow((int)ruleset, "/proc", LANDLOCK_READ | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                                          (abi >= 3 ? LANDLOCK_TRUNCATE : 0));
    }
    if (error == 0) {
        error = (int)sys2(__NR_landlock_restrict_self, ruleset, 0);
    }
    sys_close((int)ruleset);
    return error;
}

static int step_descriptors(const struct confinement *job) {
    if (!layer(job, SBX_LAYER_DESCRIPTORS)) {
        // For a control run: a descriptor of init's that survives the execve. 3 is its channel.
        long leaked = sys3(__NR_fcntl, 3, 0 /* F_DUPFD */, 64);
        return leaked < 0 ? (int)leaked : 0;
    }
    return (int)sys3(__NR_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
}

static int step_signals(const struct confinement *job) {
    (void)job;
    uint64_t none = 0;
    return (int)sys4(__NR_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

static int step_seccomp(const struct confinement *job) {
    if (!layer(job, SBX_LAYER_SECCOMP)) {
        return 0;
    }
    const struct plan *plan = job->plan;
    if (plan->message.witness != SBX_WITNESS_NONE) {
        return witness_install(job->witness);
    }
    const struct {
        unsigned short length;
        const struct sock_filter *filter;
    } program = {
        .length = (unsigned short)(plan->message.filter_bytes / sizeof(struct sock_filter)),
        .filter = plan->filter,
    };
    return (int)sys3(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static const struct {
    int step;
    int (*run)(const struct confinement *job);
} steps[] = {
    {SBX_STEP_STREAMS, step_streams},
    {SBX_STEP_OOM_SCORE, step_oom_score},
    {SBX_STEP_PRIORITY, step_priority},
    {SBX_STEP_RLIMITS, step_rlimits},
    {SBX_STEP_CREDENTIALS, step_credentials},
    {SBX_STEP_CAPABILITIES, step_capabilities},
    {SBX_STEP_WORKING_DIRECTORY, step_working_directory},
    {SBX_STEP_NO_NEW_PRIVS, step_no_new_privs},
    {SBX_STEP_LANDLOCK, step_landlock},
    {SBX_STEP_DESCRIPTORS, step_descriptors},
    {SBX_STEP_SUPERVISE, step_signals},
    {SBX_STEP_SECCOMP, step_seccomp},
};

/// The value of PATH in the job's environment.
static const char *search_path(const struct command *command) {
    for (uint32_t i = 0; i < command->message.environment_count; i++) {
        const char *entry = command->environment[i];
        if (entry[0] == 'P' && entry[1] == 'A' && entry[2] == 'T' && entry[3] == 'H' &&
            entry[4] == '=') {
            return entry + 5;
        }
    }
    return "/usr/local/bin:/usr/bin:/bin";
}

static int has_slash(const char *name) {
    while (*name != 0) {
        if (*name++ == '/') {
            return 1;
        }
    }
    return 0;
}

static int execute(const struct command *command, const char *path) {
    return (int)sys3(__NR_execve, path, command->arguments, command->environment);
}

/// As execvpe does: the first place that has it. Answers the errno to report.
static int execute_found(const struct command *command) {
    const char *name = command->arguments[0];
    if (has_slash(name)) {
        return execute(command, name);
    }
    int answer = -SYS_ENOENT;
    const char *path = search_path(command);
    while (*path != 0) {
        char bytes[SBX_PATH_MAX];
        size_t length = 0;
        while (path[length] != 0 && path[length] != ':' && length < sizeof bytes - 1) {
            bytes[length] = path[length];
            length++;
        }
        struct text candidate = {.bytes = bytes, .size = sizeof bytes, .used = length};
        text_add(&candidate, "/");
        text_add(&candidate, name);
        int error = candidate.overflow ? -SYS_ENAMETOOLONG : execute(command, bytes);
        if (error != -SYS_ENOENT && error != -SYS_ENOTDIR) {
            answer = error;
            if (error != -SYS_EACCES) {
                break;
            }
        }
        path += length;
        path += *path == ':';
    }
    return answer;
}

/// The forked process. Never comes back.
static _Noreturn void become_job(int channel, int gate, const struct plan *plan,
                                 const struct command *command, const struct witness *witness) {
    const struct confinement job = {.plan = plan, .command = command, .witness = witness};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int error = steps[i].run(&job);
        if (error < 0) {
            channel_fail(channel, steps[i].step, error);
            sys_exit(125);
        }
    }
    const struct sbx_signal ready = {{SBX_PROTOCOL, SBX_READY, sizeof ready}};
    char byte;
    if (sys3(__NR_write, channel, &ready, sizeof ready) < 0 ||
        sys3(__NR_read, gate, &byte, 1) != 1) {
        sys_exit(125);
    }
    int error = execute_found(command);
    channel_fail(channel, SBX_STEP_EXECVE, error);
    sys_exit(error == -SYS_ENOENT ? 127 : 126);
}

int job_fork(int channel, const struct plan *plan, struct command *command,
             struct witness *witness, struct job *ret_job) {
    int gate[2];
    int error = (int)sys2(__NR_pipe2, gate, SYS_O_CLOEXEC);
    if (error < 0) {
        return error;
    }
    // init must not be told twice: its child's end comes through a descriptor (supervise.c).
    uint64_t child = 1ull << (SIGCHLD - 1);
    error = (int)sys4(__NR_rt_sigprocmask, SIG_BLOCK, &child, NULL, sizeof child);
    long pid = error < 0 ? error : sys5(__NR_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        sys_close(gate[1]);
        become_job(channel, gate[0], plan, command, witness);
    }
    sys_close(gate[0]);
    if (witness->sending >= 0) {
        sys_close(witness->sending);
        witness->sending = -1;
    }
    for (int i = 0; i < 3; i++) {
        sys_close(command->streams[i]);
    }
    if (pid < 0) {
        sys_close(gate[1]);
        return (int)pid;
    }
    ret_job->pid = (int)pid;
    ret_job->gate = gate[1];
    return 0;
}
