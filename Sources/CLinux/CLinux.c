// SPDX-License-Identifier: Apache-2.0
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 32

int clx_memfd_create(const char *name, int allow_sealing) {
    return memfd_create(name, MFD_CLOEXEC | (allow_sealing ? MFD_ALLOW_SEALING : 0));
}

int clx_memfd_seal(int fd) {
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

int clx_pipe(int fds[2], int flags) {
    return pipe2(fds, O_CLOEXEC | flags);
}

/// Has packets carry their writer's process id, and makes room for several messages. The kernel
/// doubles the size and keeps its own book-keeping in it.
static int prepare_end(int fd, int message_bytes, int wants_writer) {
    const int room = message_bytes * 4;
    if (wants_writer &&
        setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &wants_writer, sizeof wants_writer) < 0) {
        return -1;
    }
    return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

/// Closes `fd` and keeps errno.
static int give_up(int fd) {
    const int code = errno;
    close(fd);
    errno = code;
    return -1;
}

int clx_channel_pair(int fds[2], int message_bytes) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
        return -1;
    }
    if (prepare_end(fds[0], message_bytes, 1) < 0 || prepare_end(fds[1], message_bytes, 0) < 0) {
        (void)give_up(fds[0]);
        return give_up(fds[1]);
    }
    return 0;
}

int clx_channel_listen(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0) {
        return give_up(fd);
    }
    return fd;
}

int clx_channel_accept(int listener, int message_bytes) {
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    return prepare_end(fd, message_bytes, 1) < 0 ? give_up(fd) : fd;
}

int clx_peer_of(int fd, struct clx_peer *ret_peer) {
    socklen_t length = sizeof *ret_peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret_peer, &length);
}

ssize_t clx_send(int fd, const void *first, size_t first_size, const void *second,
                 size_t second_size, const int *fds, size_t fd_count) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
    } control;
    struct iovec vectors[2] = {{(void *)(uintptr_t)first, first_size},
                               {(void *)(uintptr_t)second, second_size}};
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = second_size > 0 ? 2 : 1};
    if (fd_count > DESCRIPTORS_MAX) {
        errno = EINVAL;
        return -1;
    }
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * fd_count);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t clx_receive(int fd, void *buffer, size_t size, int *fds, size_t *ret_fd_count,
                    int32_t *ret_pid) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec vector = {buffer, size};
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    const size_t room = *ret_fd_count;
    size_t count = 0;
    int too_many = 0;
    *ret_fd_count = 0;
    *ret_pid = 0;
    const ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0) {
        return -1;
    }
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item != NULL;
         item = CMSG_NXTHDR(&message, item)) {
        if (item->cmsg_level != SOL_SOCKET) {
            continue;
        }
        if (item->cmsg_type == SCM_CREDENTIALS) {
            struct ucred credentials;
            memcpy(&credentials, CMSG_DATA(item), sizeof credentials);
            *ret_pid = credentials.pid;
        } else if (item->cmsg_type == SCM_RIGHTS) {
            const size_t received = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < received; i++) {
                int descriptor;
                memcpy(&descriptor, CMSG_DATA(item) + i * sizeof(int), sizeof descriptor);
                if (count < room) {
                    fds[count++] = descriptor;
                } else {
                    close(descriptor);
                    too_many = 1;
                }
            }
        }
    }
    if (too_many || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        for (size_t i = 0; i < count; i++) {
            close(fds[i]);
        }
        errno = EMSGSIZE;
        return -1;
    }
    *ret_fd_count = count;
    return got;
}

pid_t clx_spawn(const char *path, char *const argv[], int inherited, int also) {
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    pid_t pid = -1;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) {
        errno = error;
        return -1;
    }
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        // Both may be given as 3 or 4 themselves: each is first moved out of the other's way.
        if ((error = also < 0 ? 0 : posix_spawn_file_actions_adddup2(&actions, also, 5)) == 0 &&
            (error = posix_spawn_file_actions_adddup2(&actions, inherited, 3)) == 0 &&
            (error = also < 0 ? 0 : posix_spawn_file_actions_adddup2(&actions, 5, 4)) == 0 &&
            (error = also < 0 ? 0 : posix_spawn_file_actions_addclose(&actions, 5)) == 0 &&
            (error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0)) == 0 &&
            (error = posix_spawn_file_actions_adddup2(&actions, 0, 1)) == 0 &&
            (error = posix_spawn_file_actions_adddup2(&actions, 0, 2)) == 0 &&
            (error = posix_spawn_file_actions_addchdir_np(&actions, "/")) == 0) {
            error = posix_spawn(&pid, path, &actions, &attributes, argv, environment);
        }
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        errno = error;
        return -1;
    }
    return pid;
}

int clx_run(const char *path, char *const argv[], int output) {
    char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;
    int error = posix_spawn_file_actions_init(&actions);
    if (error == 0) {
        if ((error = posix_spawn_file_actions_adddup2(&actions, output, 1)) == 0 &&
            (error = posix_spawn_file_actions_adddup2(&actions, output, 2)) == 0) {
            error = posix_spawnp(&pid, path, &actions, NULL, argv, environment);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    if (error != 0) {
        errno = error;
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return status;
}

int clx_pidfd_kill(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

struct thread_start {
    void (*body)(void *);
    void *context;
};

static void *thread_main(void *argument) {
    struct thread_start start = *(struct thread_start *)argument;
    free(argument);
    start.body(start.context);
    return NULL;
}

int clx_thread(void (*body)(void *), void *context) {
    struct thread_start *start = malloc(sizeof *start);
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    if (start == NULL) {
        return -1;
    }
    *start = (struct thread_start){body, context};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&thread, NULL, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        free(start);
        errno = error;
        return -1;
    }
    pthread_detach(thread);
    return 0;
}

pid_t clx_gettid(void) {
    return (pid_t)syscall(SYS_gettid);
}

_Static_assert(sizeof(struct clx_peer) == sizeof(struct ucred), "clx_peer is struct ucred");

int clx_open(const char *path, int flags) {
    return open(path, flags | O_CLOEXEC, 0600);
}

int clx_append(const char *path) {
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int clx_contains(const void *bytes, size_t size, const void *needle, size_t needle_size) {
    return memmem(bytes, size, needle, needle_size) != NULL;
}

int clx_o_tmpfile(void) {
    return O_TMPFILE;
}

int clx_usable_cpus(uint8_t *bits, size_t size) {
    return sched_getaffinity(0, size, (cpu_set_t *)(void *)bits);
}

int clx_openat(int directory, const char *path, int flags) {
    return openat(directory, path, flags | O_CLOEXEC, 0600);
}
