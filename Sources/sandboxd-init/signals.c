// SPDX-License-Identifier: Apache-2.0
#include "signals.h"

#include <asm/signal.h>
#include <stdint.h>

#include "sys.h"

#define KERNEL_SIGNAL_BYTES 8

/// As the kernel's rt_sigaction wants it.
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

/// An ignored signal survives every execve, and glibc's posix_spawn hands its two internal ones on
/// ignored. Nothing of the daemon's reaches a job, so all begin anew.
void signals_forget(void) {
    const struct kernel_sigaction action = {0};
    for (int number = 1; number <= 64; number++) {
        // Refused for SIGKILL and SIGSTOP, which nobody can ignore.
        (void)sys4(__NR_rt_sigaction, number, &action, NULL, KERNEL_SIGNAL_BYTES);
    }
}

/// Zombies of inits are nobody's: the daemon watches pidfds, and init says by itself how the job
/// ended. So the kernel reaps them.
int signals_leave_no_zombies(void) {
    const struct kernel_sigaction action = {.flags = SA_NOCLDWAIT};
    return (int)sys4(__NR_rt_sigaction, SIGCHLD, &action, NULL, KERNEL_SIGNAL_BYTES);
}
