// SPDX-License-Identifier: Apache-2.0
//
// libpq, and the one kernel call that keeping a server of our own takes.
#ifndef SANDBOXD_CPOSTGRES_H
#define SANDBOXD_CPOSTGRES_H

// By its folder, so that no include path is needed; Debian's libpq-dev puts it there.
#include <postgresql/libpq-fe.h>
#include <sys/types.h>

/// The field of a failed result, "" when the server did not send it. Owned by the result.
/// C, because PG_DIAG_… are character macros.
const char *_Nonnull cpq_error_sqlstate(const PGresult *_Nonnull result);
const char *_Nonnull cpq_error_message(const PGresult *_Nonnull result);
const char *_Nonnull cpq_error_detail(const PGresult *_Nonnull result);

/// Whether the server ended the session with this error (FATAL or PANIC).
int cpq_error_is_fatal(const PGresult *_Nonnull result);

/// pidfd_open(2), close-on-exec. Answers the descriptor, the caller's, or -1 and errno. By
/// syscall(2), because glibc has it only since 2.36 and syscall is variadic.
int cpq_pidfd_open(pid_t pid);

#endif
