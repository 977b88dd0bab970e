// SPDX-License-Identifier: Apache-2.0
//
// A command beside which this process stands without being noticed: it hands on the signals that it
// gets, and goes when the command goes.
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/// What a handler can see: the command's process id, once there is one.
static volatile sig_atomic_t command;

static const int forwarded[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};

static void forward(int signal_number, siginfo_t *info, void *context) {
    (void)context;
    // What the terminal sends goes to the whole group: the command has it already.
    if (info->si_code != SI_KERNEL && command > 0) {
        const int code = errno;
        (void)kill((pid_t)command, signal_number);
        errno = code;
    }
}

pid_t clx_fork(void) {
    return fork();
}

int clx_pidfd_open(pid_t pid) {
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

int clx_packet_pipe(int fds[2]) {
    return pipe2(fds, O_CLOEXEC | O_DIRECT);
}

int clx_close_from(int first) {
    return close_range((unsigned)first, ~0U, 0);
}

pid_t clx_start_beside(char *const argv[], int output) {
    int told[2];
    if (clx_pipe(told, 0) < 0) {
        return -1;
    }
    const pid_t own = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        // Killed without warning, this process takes the command with it, as if it were the command.
        int code = 0;
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != own ||
            (output >= 0 && dup2(output, STDOUT_FILENO) < 0)) {
            code = errno;
        } else {
            (void)execvp(argv[0], argv);
            code = errno;
        }
        (void)!write(told[1], &code, sizeof code);
        _exit(127);
    }
    int code = pid < 0 ? errno : 0;
    close(told[1]);
    if (pid > 0) {
        // End of file: the command has begun.
        while (read(told[0], &code, sizeof code) < 0 && errno == EINTR) {
        }
    }
    close(told[0]);
    if (code != 0) {
        errno = code;
        return -1;
    }
    command = pid;
    struct sigaction action = {.sa_sigaction = forward, .sa_flags = SA_SIGINFO | SA_RESTART};
    for (size_t index = 0; index < sizeof forwarded / sizeof *forwarded; index++) {
        struct sigaction before;
        // What the caller ignores, the command ignores, too.
        if (sigaction(forwarded[index], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            (void)sigaction(forwarded[index], &action, NULL);
        }
    }
    return pid;
}

void clx_stand_alone(void) {
    for (size_t index = 0; index < sizeof forwarded / sizeof *forwarded; index++) {
        struct sigaction now;
        if (sigaction(forwarded[index], NULL, &now) == 0 && now.sa_sigaction == forward) {
            now = (struct sigaction){.sa_handler = SIG_DFL};
            (void)sigaction(forwarded[index], &now, NULL);
        }
    }
    command = 0;
}

void clx_die_of(int signal_number) {
    const struct rlimit none = {0, 0};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t only;
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)sigaction(signal_number, &action, NULL);
    (void)sigemptyset(&only);
    (void)sigaddset(&only, signal_number);
    (void)sigprocmask(SIG_UNBLOCK, &only, NULL);
    (void)kill(getpid(), signal_number);
}
