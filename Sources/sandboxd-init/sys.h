// SPDX-License-Identifier: Apache-2.0
//
// The kernel, and nothing between. This program links no libc: what runs after clone3 may only make
// kernel calls, and without a libc it cannot do anything else. It also keeps the fork server at a
// few pages, which is what makes its clone3 cheap.
//
// Every call answers a value of 0 or more, or a negative errno. There is no `errno` variable.
#ifndef SANDBOXD_SYS_H
#define SANDBOXD_SYS_H

#include <asm/unistd.h>
#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
static inline long sys6(long nr, long a, long b, long c, long d, long e, long f) {
    long value;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(value)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return value;
}
#elif defined(__aarch64__)
static inline long sys6(long nr, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#else
#error "sandboxd-init knows x86_64 and aarch64"
#endif

#define SYS_ARG(x) ((long)(x))
#define sys0(n) sys6(n, 0, 0, 0, 0, 0, 0)
#define sys1(n, a) sys6(n, SYS_ARG(a), 0, 0, 0, 0, 0)
#define sys2(n, a, b) sys6(n, SYS_ARG(a), SYS_ARG(b), 0, 0, 0, 0)
#define sys3(n, a, b, c) sys6(n, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), 0, 0, 0)
#define sys4(n, a, b, c, d) sys6(n, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), 0, 0)
#define sys5(n, a, b, c, d, e) \
    sys6(n, SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), SYS_ARG(e), 0)

/// Ends this process; kernel resources go with it.
static inline _Noreturn void sys_exit(int status) {
    for (;;) {
        sys1(__NR_exit_group, status);
    }
}

/// The descriptor's number is free afterwards whatever the answer, so there is none.
static inline void sys_close(int fd) {
    (void)sys1(__NR_close, fd);
}

// errno values that are acted on. <errno.h> would bring a libc.
#define SYS_EPERM 1
#define SYS_ENOENT 2
#define SYS_EINTR 4
#define SYS_EBADF 9
#define SYS_ECHILD 10
#define SYS_EAGAIN 11
#define SYS_ENOMEM 12
#define SYS_EACCES 13
#define SYS_EEXIST 17
#define SYS_ENOTDIR 20
#define SYS_EINVAL 22
#define SYS_EPIPE 32
#define SYS_ENAMETOOLONG 36
#define SYS_ENOSYS 38
#define SYS_ELOOP 40
#define SYS_EPROTO 71
#define SYS_EOVERFLOW 75
#define SYS_EMSGSIZE 90
#define SYS_ESRCH 3
#define SYS_EOPNOTSUPP 95

#define SYS_AT_FDCWD (-100)
#define SYS_AT_EMPTY_PATH 0x1000
#define SYS_AT_REMOVEDIR 0x200
#define SYS_O_RDONLY 00
#define SYS_O_WRONLY 01
#define SYS_O_RDWR 02
#define SYS_O_CREAT 0100
#define SYS_O_EXCL 0200
#define SYS_O_APPEND 02000
#define SYS_O_NONBLOCK 04000
#define SYS_O_CLOEXEC 02000000
#if defined(__aarch64__)
#define SYS_O_DIRECTORY 040000
#define SYS_O_NOFOLLOW 0100000
#else
#define SYS_O_DIRECTORY 0200000
#define SYS_O_NOFOLLOW 0400000
#endif

#endif
