// SPDX-License-Identifier: Apache-2.0
//
// For programs that the daemon runs beside itself and that must not outlive it, such as its own
// PostgreSQL server. posix_spawn cannot ask for a parent-death signal, and a program that was not
// written for it does not ask by itself. The signal is kept over execve, unless the program is
// set-user-id; it goes to this process only, which is to end its own children.
#include "tether.h"

#include <linux/prctl.h>

#include "sys.h"
#include "text.h"

#define SIGNAL_MAX 64

static int fail(const char *doing) {
    (void)sys3(__NR_write, 2, doing, text_length(doing));
    return 125;
}

int tether(int log, const char *const *arguments) {
    static const char *const environment[] = {
        "LC_ALL=C",
        "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        NULL,
    };
    uint64_t signal = text_counter(arguments[0], text_length(arguments[0]), "");
    uint64_t parent = text_counter(arguments[1], text_length(arguments[1]), "");
    if (sys3(__NR_dup3, log, 1, 0) < 0 || sys3(__NR_dup3, log, 2, 0) < 0) {
        return 125;
    }
    sys_close(log);
    if (signal == 0 || signal > SIGNAL_MAX || sys2(__NR_prctl, PR_SET_PDEATHSIG, signal) < 0) {
        return fail("tether: the signal cannot be asked for\n");
    }
    // A parent that died before the call above sends none.
    if ((uint64_t)sys0(__NR_getppid) != parent) {
        return fail("tether: the starter is gone\n");
    }
    // A terminal's signals are for the daemon.
    (void)sys0(__NR_setsid);
    (void)sys3(__NR_execve, arguments[2], arguments + 2, environment);
    (void)fail("tether: the program cannot be executed\n");
    return 127;
}
