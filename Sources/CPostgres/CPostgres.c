// SPDX-License-Identifier: Apache-2.0
#include "CPostgres.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *field(const PGresult *result, int code) {
    const char *text = PQresultErrorField(result, code);
    return text != NULL ? text : "";
}

const char *cpq_error_sqlstate(const PGresult *result) {
    return field(result, PG_DIAG_SQLSTATE);
}

const char *cpq_error_message(const PGresult *result) {
    // An error that libpq made up itself has no fields, only a message.
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return text != NULL ? text : PQresultErrorMessage(result);
}

const char *cpq_error_detail(const PGresult *result) {
    return field(result, PG_DIAG_MESSAGE_DETAIL);
}

int cpq_error_is_fatal(const PGresult *result) {
    const char *severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
}

int cpq_pidfd_open(pid_t pid) {
    // The kernel sets O_CLOEXEC by itself.
    return (int)syscall(SYS_pidfd_open, pid, 0);
}
