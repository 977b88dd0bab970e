// SPDX-License-Identifier: Apache-2.0
#include "setup.h"

#include <linux/capability.h>
#include <linux/if.h>
#include <linux/in.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/sockios.h>

#include "sys.h"
#include "template.h"
#include "text.h"

#define OPTIONS_SIZE 160

static int layer(const struct plan *plan, uint32_t bit) {
    return (plan->layers & bit) != 0;
}

static int mount_at(const char *source, const char *target, const char *type, uint64_t flags,
                    const char *options) {
    return (int)sys5(__NR_mount, source, target, type, flags, options);
}

/// Moves init, and with it all that it will fork, into its v1 cgroups. "0" in `tasks` means the
/// caller's thread; only that form spares the kernel's global fork lock, which costs milliseconds.
/// v1 lets a process be moved only by its own user; init's saved id still is the daemon's.
static int step_cgroup(const struct plan *plan) {
    for (uint32_t i = 0; i < plan->message.join_count; i++) {
        long wrote = sys3(__NR_write, plan->join[i], "0", 1);
        if (wrote < 0) {
            return (int)wrote;
        }
        sys_close(plan->join[i]);
    }
    // Only now, so that what the sandbox sees as the root of every hierarchy is its own cgroup.
    return (int)sys1(__NR_unshare, CLONE_NEWCGROUP);
}

/// Root of this user namespace: another id than the daemon's, the job's and every other sandbox's.
/// It must come before the mounts: a tmpfs whose owner is unmapped refuses to be written to.
static int step_credentials(const struct plan *plan) {
    (void)plan;
    int error;
    // The saved user id stays the daemon's until the cgroups are joined (step_saved_id).
    if ((error = (int)sys2(__NR_setgroups, 0, NULL)) < 0 ||
        (error = (int)sys3(__NR_setresgid, 0, 0, 0)) < 0 ||
        (error = (int)sys3(__NR_setresuid, 0, 0, -1)) < 0) {
        return error;
    }
    (void)sys0(__NR_setsid);
    (void)sys1(__NR_umask, 022);
    return (int)sys2(__NR_prctl, PR_SET_DUMPABLE, 0);
}

static int step_saved_id(const struct plan *plan) {
    (void)plan;
    return (int)sys3(__NR_setresuid, 0, 0, 0);
}

/// A change of credentials clears the parent-death signal.
static int step_parent_death(const struct plan *plan) {
    (void)plan;
    return (int)sys2(__NR_prctl, PR_SET_PDEATHSIG, 9 /* SIGKILL */);
}

static int step_proc(const struct plan *plan) {
    // hidepid: the job sees its own processes; init, which is another user's, does not exist. gid: init
    // itself sees all, to name the programs that were refused something.
    const char *options = layer(plan, SBX_LAYER_PROC_MASKS) ? "hidepid=invisible,gid=0" : NULL;
    if (!layer(plan, SBX_LAYER_PID_NAMESPACE)) {
        return 0;
    }
    return mount_at("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, options);
}

/// Covers one path; what this kernel does not have needs no cover.
static int cover(const char *source, const char *target) {
    int error = mount_at(source, target, NULL, MS_BIND, NULL);
    return error == -SYS_ENOENT ? 0 : error;
}

/// A file is covered by /dev/null, a directory (its path ends in a slash) by an empty one.
static int mask(const char *path) {
    int is_directory = path[text_length(path) - 1] == '/';
    return cover(is_directory ? TEMPLATE_SYNTHETIC "empty" : "/dev/null", path);
}

static int step_proc_cover(const struct plan *plan) {
    const char *pairs = plan->covered;
    int error = 0;
    if (!layer(plan, SBX_LAYER_PROC_MASKS)) {
        return 0;
    }
    while (error == 0 && *pairs != 0) {
        char source_bytes[128];
        struct text source = TEXT(source_bytes);
        text_add(&source, TEMPLATE_SYNTHETIC);
        text_add(&source, pairs);
        pairs += text_length(pairs) + 1;
        error = source.overflow ? -SYS_ENAMETOOLONG : cover(source_bytes, pairs);
        pairs += text_length(pairs) + 1;
    }
    return error;
}

/// inotify instances of all sandboxes count against the one user who owns their namespaces, the
/// daemon's: each gets a small share, so that one cannot use up what the others need.
static int step_user_limits(const struct plan *plan) {
    if (!layer(plan, SBX_LAYER_RLIMITS)) {
        return 0;
    }
    long fd = sys4(__NR_openat, SYS_AT_FDCWD, "/proc/sys/user/max_inotify_instances",
                   SYS_O_WRONLY | SYS_O_CLOEXEC, 0);
    if (fd < 0) {
        return fd == -SYS_ENOENT ? 0 : (int)fd;
    }
    long wrote = sys3(__NR_write, fd, "16", 2);
    sys_close((int)fd);
    return wrote < 0 ? (int)wrote : 0;
}

static int step_proc_mask(const struct plan *plan) {
    if (!layer(plan, SBX_LAYER_PROC_MASKS)) {
        return 0;
    }
    int error = 0;
    for (const char *path = plan->masked; error == 0 && *path != 0;
         path += text_length(path) + 1) {
        error = mask(path);
    }
    if (error == 0) {
        error = mount_at("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL);
    }
    if (error == 0) {
        error = mount_at(NULL, "/proc/sys", NULL,
                         MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    }
    return error;
}

/// An empty directory of the job's below the workspace.
static int make_own(const char *path, unsigned mode) {
    int error = (int)sys3(__NR_mkdirat, SYS_AT_FDCWD, path, mode);
    return error < 0 ? error
                     : (int)sys5(__NR_fchownat, SYS_AT_FDCWD, path, SBX_JOB_ID, SBX_JOB_ID, 0);
}

static int step_workspace(const struct plan *plan) {
    char bytes[OPTIONS_SIZE];
    struct text options = TEXT(bytes);
    text_add(&options, "mode=0755,uid=1000,gid=1000");
    if (layer(plan, SBX_LAYER_WORKSPACE_SIZE)) {
        text_add(&options, ",size=");
        text_add_number(&options, plan->message.workspace_bytes);
        text_add(&options, ",nr_inodes=");
        text_add_number(&options, plan->message.workspace_inodes);
    }
    int error = mount_at("tmpfs", "/workspace", "tmpfs", MS_NOSUID | MS_NODEV, bytes);
    if (error == 0) {
        error = make_own("/workspace/.tmp", 0700);
    }
    return error == 0 ? make_own("/workspace/out", 0755) : error;
}

static int step_shared_memory(const struct plan *plan) {
    char bytes[OPTIONS_SIZE];
    struct text options = TEXT(bytes);
    text_add(&options, "mode=1777,nr_inodes=1024,size=");
    text_add_number(&options, plan->message.shared_memory_bytes);
    return mount_at("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, bytes);
}

static int step_pts(const struct plan *plan) {
    if (!layer(plan, SBX_LAYER_DEVICE_LIST)) {
        return 0;
    }
    return mount_at("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                    "newinstance,ptmxmode=0666,mode=0620,max=64");
}

/// Loopback is the only network there is.
static int step_loopback(const struct plan *plan) {
    if (!layer(plan, SBX_LAYER_NETWORK_NAMESPACE)) {
        return 0;
    }
    struct ifreq request = {.ifr_name = "lo"};
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    long fd = sys3(__NR_socket, 2 /* AF_INET */, 2 /* SOCK_DGRAM */ | SYS_O_CLOEXEC, 0);
    if (fd < 0) {
        return (int)fd;
    }
    long done = sys3(__NR_ioctl, fd, SIOCSIFFLAGS, &request);
    sys_close((int)fd);
    return (int)done;
}

static int step_hostname(const struct plan *plan) {
    if (!layer(plan, SBX_LAYER_UTS_NAMESPACE)) {
        return 0;
    }
    const char *name = plan->hostname;
    return (int)sys2(__NR_sethostname, name, text_length(name));
}

/// The job sees, and is scheduled on, these CPUs only; its filter refuses to widen them.
static int step_affinity(const struct plan *plan) {
    if (!layer(plan, SBX_LAYER_AFFINITY)) {
        return 0;
    }
    return (int)sys3(__NR_sched_setaffinity, 0, sizeof plan->message.affinity,
                     plan->message.affinity);
}

struct setup_step {
    int step;
    int (*run)(const struct plan *plan);
};

static const struct setup_step prepare_steps[] = {
    {SBX_STEP_CREDENTIALS, step_credentials},
    {SBX_STEP_PARENT_DEATH, step_parent_death},
    {SBX_STEP_PROC, step_proc},
    {SBX_STEP_RLIMITS, step_user_limits},
    {SBX_STEP_PROC_MASK, step_proc_mask},
    {SBX_STEP_PTS, step_pts},
    {SBX_STEP_LOOPBACK, step_loopback},
    {SBX_STEP_HOSTNAME, step_hostname},
};

static const struct setup_step finish_steps[] = {
    {SBX_STEP_CGROUP, step_cgroup},
    {SBX_STEP_CREDENTIALS, step_saved_id},
    {SBX_STEP_PROC_MASK, step_proc_cover},
    {SBX_STEP_WORKSPACE, step_workspace},
    {SBX_STEP_SHARED_MEMORY, step_shared_memory},
    {SBX_STEP_AFFINITY, step_affinity},
};

static int run_steps(const struct setup_step *steps, size_t count, const struct plan *plan,
                     int *ret_step) {
    for (size_t i = 0; i < count; i++) {
        int error = steps[i].run(plan);
        if (error < 0) {
            *ret_step = steps[i].step;
            return error;
        }
    }
    return 0;
}

int setup_prepare(const struct plan *plan, int *ret_step) {
    return run_steps(prepare_steps, sizeof prepare_steps / sizeof prepare_steps[0], plan,
                     ret_step);
}

int setup_finish(const struct plan *plan, int *ret_step) {
    return run_steps(finish_steps, sizeof finish_steps / sizeof finish_steps[0], plan, ret_step);
}

int setup_shed_capabilities(const struct plan *plan) {
    if (!layer(plan, SBX_LAYER_CAPABILITIES)) {
        return 0;
    }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const uint32_t kept = (1u << CAP_KILL) | (1u << CAP_DAC_READ_SEARCH);
    struct __user_cap_data_struct data[2] = {{.effective = kept, .permitted = kept}};
    return (int)sys2(__NR_capset, &header, data);
}
