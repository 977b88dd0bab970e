// SPDX-License-Identifier: Apache-2.0
//
// sandboxd-init: the only code of the project that runs between a user namespace's birth and the
// job's execve.
//
//   launch LAYERS          the native engine's fork server (launch.c), control on descriptor 3
//   launch-mapped LAYERS   the same, executed again once its user ids are mapped
//   container PATH         process 1 of another engine's container (container.c)
//   rootful ID… PATH       the same where the engine runs as root (rootful.c)
//   janitor PATH…          outlives the daemon and removes what it left (janitor.c)
//   tether SIGNAL PARENT PROGRAM ARG…   a program that must not outlive the daemon (tether.c)
#include "container.h"
#include "janitor.h"
#include "launch.h"
#include "rootful.h"
#include "sys.h"
#include "tether.h"
#include "text.h"

/// The descriptor that the daemon hands to `launch`, `janitor` and `tether`.
#define INHERITED_FD 3

static int run(int argc, const char *const *argv) {
    if (argc >= 3 && text_equal(argv[1], "launch")) {
        return launch(INHERITED_FD, argv[2]);
    }
    if (argc >= 3 && text_equal(argv[1], "launch-mapped")) {
        return launch_mapped(INHERITED_FD, argv[2]);
    }
    if (argc == 3 && text_equal(argv[1], "container")) {
        return container(argv[2]);
    }
    if (argc == 2 + ROOTFUL_WORDS && text_equal(argv[1], "rootful")) {
        return rootful(argv + 2);
    }
    if (argc >= 3 && text_equal(argv[1], "janitor")) {
        return janitor(INHERITED_FD, argc - 2, argv + 2);
    }
    if (argc >= 5 && text_equal(argv[1], "tether")) {
        return tether(INHERITED_FD, argv + 2);
    }
    static const char usage[] =
        "sandboxd-init is started by sandboxd, never by hand. See: sandboxd serve --help\n";
    (void)sys3(__NR_write, 2, usage, sizeof usage - 1);
    return 125;
}

/// Called by the entry point below with the stack as the kernel left it: argc, argv, NULL, envp.
__attribute__((used)) _Noreturn void start(const long *stack) {
    sys_exit(run((int)stack[0], (const char *const *)(stack + 1)));
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
#else
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n\tbl start\n");
#endif
