// SPDX-License-Identifier: Apache-2.0
//
// The probe program: hostile actions, one verb each, that say what became of them.
//
// Theory of operation. The program is copied into a sandbox's workspace and run there as
// `probe VERB [ARGUMENT…]`; the same file runs on the bare host as the control. It links a static
// libc, needs nothing from the image, and prints one JSON object a line:
//
//   {"probe":"F04","action":"write-open /usr/bin/env","result":"blocked","errno":30,"detail":"…"}
//
// An attempt that may kill, hang or change its process is made in a forked child; the parent
// reports. Calls are made with bad pointers and bad descriptors wherever the refusal can be told
// apart from the failure, so that a call that is not stopped fails harmlessly (bubblewrap's
// try-syscall trick). What the program says is never proof: the test suite looks from the host too.
#ifndef SANDBOXD_PROBE_H
#define SANDBOXD_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/// An address that no process can read or write.
#define BAD_POINTER (-1L)
/// A descriptor that is never open.
#define BAD_FD (-1L)
/// How long a forked attempt may take before it is killed and counted as stuck, in milliseconds.
#define ATTEMPT_MS 3000

/// One verb of the command line.
struct verb {
    /// What is typed.
    const char *name;
    /// The row of the containment list that it carries out, as printed in each line.
    const char *probe;
    /// Its arguments, for the usage text.
    const char *usage;
    /// Does it. `count` arguments follow the verb; the list ends with a null pointer.
    void (*run)(int count, char **arguments);
    /// How many arguments it cannot do without.
    int needs;
};

/// The families, one file each; every list ends with an entry without a name.
extern const struct verb filesystem_verbs[];
extern const struct verb process_verbs[];
extern const struct verb surface_verbs[];
extern const struct verb sweep_verbs[];
extern const struct verb network_verbs[];
extern const struct verb resource_verbs[];
extern const struct verb exhaust_verbs[];
extern const struct verb leak_verbs[];
extern const struct verb result_verbs[];

/// How a forked attempt ended.
enum ending { RETURNED, SIGNALLED, STUCK };

/// What a forked attempt came to.
struct outcome {
    enum ending ending;
    /// What the body returned, when it returned.
    long value;
    /// Its errno when `value` is negative, else 0.
    int error;
    /// The signal that ended it, when it was signalled.
    int signal;
};

/// One system call to attempt.
struct call {
    const char *action;
    long number;
    long arguments[6];
    /// Namespaces that the child tries to make for itself first: with them an ordinary user reaches
    /// calls that the kernel otherwise refuses by itself. Failure to make them is ignored.
    int namespaces;
};

/// Where lines go: standard output, or standard error while a verb floods the former.
extern int report_fd;

/// Prints one line. `error` is an errno, or a signal's number when `detail` says so; 0 for none.
__attribute__((format(printf, 4, 5))) void report(
    const char *action, bool blocked, int error, const char *detail, ...);

/// Prints a line for a libc-style answer: negative is blocked with errno, all else succeeded.
void report_answer(const char *action, long answer);

/// Prints a line for a forked attempt. It is blocked when it was signalled, when it got stuck, or
/// when it failed at all; `report_reach` instead counts only a refusal as blocked.
void report_outcome(const char *action, struct outcome outcome);

/// As `report_outcome`, but any errno that is not a refusal (EPERM, EACCES, ENOSYS) means that the
/// kernel's own code was reached: succeeded.
void report_reach(const char *action, struct outcome outcome);

/// Runs `body` in a forked child and waits for it, `ATTEMPT_MS` at most.
struct outcome in_child(long (*body)(const void *), const void *context);

/// Makes one system call in a forked child.
struct outcome call_in_child(const struct call *call);

/// Attempts every call of a list, each in a child of its own, and reports its reach.
void attempt_calls(const struct call *calls, size_t count);
#define ATTEMPT_CALLS(list) attempt_calls(list, sizeof(list) / sizeof((list)[0]))

/// Ends the program with status 2: the probe itself is broken, nothing was proven.
__attribute__((noreturn, format(printf, 1, 2))) void broken(const char *detail, ...);

/// A number from the command line, 0 up to `most`; anything else is `broken`.
long number(const char *text, long most);

/// Reads at most `size - 1` bytes of a file and ends them with NUL.
/// The count, or -1 with errno; `buffer` is then an empty string.
ssize_t slurp(const char *path, char *buffer, size_t size);

/// The name of an errno (`EPERM`), or its number when it has none.
const char *error_name(int error);

/// Milliseconds since boot.
long now_ms(void);

/// Sleeps; interruptions do not shorten it.
void sleep_ms(long milliseconds);

/// Reverses a string in place. A canary's token travels reversed, so that a process that looks for
/// it does not find its own arguments.
void reverse(char *text);

#endif
