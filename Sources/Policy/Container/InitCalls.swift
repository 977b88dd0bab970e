// SPDX-License-Identifier: Apache-2.0

/// The system calls that make a sandbox inside of another engine's container, before the job's own
/// filter is on. The container's filter lets them through as well as the job's.
///
/// What `sandboxd-init` calls is in its source, and a test holds this list to it.
enum InitCalls {
    /// Calls with why they are needed.
    struct Group: Sendable {
        let why: String
        let names: [String]
    }

    static let groups: [Group] = [
        Group(
            why: "Process 1 of the container connects to the daemon and makes the sandbox's.",
            names: [
                "clone", "clone3", "close", "connect", "dup3", "execve", "exit_group", "fcntl",
                "pipe2", "ppoll", "pread64", "read", "recvmsg", "sendmsg", "signalfd4", "socket",
                "socketpair", "wait4", "write",
            ]
        ),
        Group(
            why: "Namespaces, mounts, the sandbox's loopback and the socket of its proxy.",
            names: [
                "bind", "chdir", "fchmod", "fchown", "fchownat", "getdents64", "ioctl", "listen",
                "mkdirat", "mount", "openat", "openat2", "pivot_root", "sendfile", "sethostname",
                "statfs", "statx",
                "symlinkat", "umask", "umount2", "unlinkat", "unshare",
            ]
        ),
        Group(
            why: "The job's process loses its privileges, and is ended.",
            names: [
                "capset", "clock_gettime", "close_range", "getppid", "getpriority", "kill",
                "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
                "nanosleep", "prctl", "prlimit64", "rt_sigaction", "rt_sigprocmask",
                "sched_setaffinity", "seccomp", "setgroups", "setpriority", "setresgid",
                "setresuid", "setsid",
            ]
        ),
        Group(
            why: "What runc and crun do between loading the filter and executing process 1.",
            names: [
                "arch_prctl", "brk", "capget", "close", "epoll_ctl", "epoll_pwait", "faccessat2",
                "fstat", "fstatfs", "futex", "getpid", "gettid", "getuid", "lseek", "madvise",
                "mmap", "mprotect", "munmap", "nanosleep", "newfstatat", "readlinkat",
                "restart_syscall", "rt_sigreturn", "sched_yield", "sigaltstack", "stat", "tgkill",
            ]
        ),
    ]

    static let names = Set(groups.flatMap(\.names))
}
