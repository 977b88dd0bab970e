// SPDX-License-Identifier: Apache-2.0
//
// The kernel calls that Swift's Glibc module hides, that are variadic, or that need control data.
// Each answers as the call does: -1 and errno on failure.
#ifndef SANDBOXD_CLINUX_H
#define SANDBOXD_CLINUX_H

#include <stddef.h>
#include <stdint.h>
// Glibc's module leaves these two out.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/types.h>

/// memfd_create(2); Glibc's module hides it behind _GNU_SOURCE.
int clx_memfd_create(const char *_Nonnull name, int allow_sealing);

/// Makes a memfd unchangeable for good: no write, no resize, no further seal.
int clx_memfd_seal(int fd);

/// What SO_PEERCRED answers: struct ucred, which Glibc's module hides.
struct clx_peer {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};

/// pipe2(2) with O_CLOEXEC, plus `flags`.
int clx_pipe(int fds[_Nonnull 2], int flags);

/// A SOCK_SEQPACKET pair, close-on-exec. Packets that arrive at the first end carry the writer's
/// process id (SO_PASSCRED). Both ends take whole messages of up to `message_bytes`.
int clx_channel_pair(int fds[_Nonnull 2], int message_bytes);

/// A SOCK_SEQPACKET socket that listens at `path` for one connection, close-on-exec, non-blocking.
int clx_channel_listen(const char *_Nonnull path);

/// Takes the connection that is waiting: an end like the first of `clx_channel_pair`. EAGAIN when
/// nobody is there.
int clx_channel_accept(int listener, int message_bytes);

/// Who connected a Unix socket (SO_PEERCRED), as this process sees it.
int clx_peer_of(int fd, struct clx_peer *_Nonnull ret_peer);

/// Sends one packet made of two pieces, with descriptors, without waiting (EAGAIN when full).
ssize_t clx_send(int fd, const void *_Nonnull first, size_t first_size,
                 const void *_Nullable second, size_t second_size, const int *_Nullable fds,
                 size_t fd_count);

/// Receives one packet without waiting. `*ret_fd_count` holds the room in `fds` before and the
/// number received after; the descriptors are close-on-exec and the caller's. `*ret_pid` is the
/// writer's process id as this process sees it, 0 when it was not sent. A packet that did not fit
/// fails with EMSGSIZE, and its descriptors are closed. A Unix socket's control data needs CMSG
/// macros, which Swift does not import.
ssize_t clx_receive(int fd, void *_Nonnull buffer, size_t size, int *_Nonnull fds,
                    size_t *_Nonnull ret_fd_count, int32_t *_Nonnull ret_pid);

/// Starts the program at `path` with an empty environment, its standard streams on /dev/null,
/// `inherited` as descriptor 3 and, unless it is -1, `also` as descriptor 4. Answers the process id, or -1 and errno. The child gets a parent-
/// death signal only by its own doing. posix_spawn, because the caller has threads.
pid_t clx_spawn(const char *_Nonnull path, char *_Nullable const argv[_Nonnull], int inherited,
                int also);

/// Runs `path` to its end with standard output and error going to `output`. Answers the wait
/// status, or -1 and errno.
int clx_run(const char *_Nonnull path, char *_Nullable const argv[_Nonnull], int output);

/// fork(2). Only for a process with one thread, which Swift cannot promise and `main` can.
pid_t clx_fork(void);

/// pidfd_open(2): readable when the process has ended. Close-on-exec.
int clx_pidfd_open(pid_t pid);

/// pipe2(2) with O_CLOEXEC and O_DIRECT, which Glibc's module hides: each write of up to a page is
/// a packet of its own, and a read gets one packet. What a read has no room for is thrown away.
int clx_packet_pipe(int fds[_Nonnull 2]);

/// Closes `first` and every descriptor above it: close_range(2), which Glibc's module hides.
int clx_close_from(int first);

/// Starts a command by execvp(3) with everything this process has, but `output` as its standard
/// output unless it is -1. It dies with this process, which from here on hands on the signals that
/// it gets, and must have one thread. Answers the process id, or -1 and errno, also when the
/// command cannot be executed.
pid_t clx_start_beside(char *_Nullable const argv[_Nonnull], int output);

/// Ends the handing on of signals: they are this process's own again. To be called before the
/// command is waited for, for afterwards its process id may be another's.
void clx_stand_alone(void);

/// Ends this process by a signal, without a core: as one that waited for who died of it.
void clx_die_of(int signal_number);

/// pidfd_send_signal(2).
int clx_pidfd_kill(int pidfd, int signal);

/// A thread that runs `body(context)` with all signals blocked, detached.
int clx_thread(void (*_Nonnull body)(void *_Nullable), void *_Nullable context);

/// gettid(2).
pid_t clx_gettid(void);

/// open(2) without its variadic mode: O_CLOEXEC is added.
int clx_open(const char *_Nonnull path, int flags);

/// open(2) to append, which makes the file when it is missing (0600) and follows no link.
int clx_append(const char *_Nonnull path);

/// Whether `needle` is somewhere in `bytes`: memmem(3), which Glibc's module hides.
int clx_contains(const void *_Nonnull bytes, size_t size, const void *_Nonnull needle,
                 size_t needle_size);

/// O_TMPFILE, a composed macro that Swift does not import.
int clx_o_tmpfile(void);

/// The CPUs that this process may use: bit n of byte n/8. Answers 0, or -1 and errno.
int clx_usable_cpus(uint8_t *_Nonnull bits, size_t size);

/// openat(2), likewise.
int clx_openat(int directory, const char *_Nonnull path, int flags);

#endif
