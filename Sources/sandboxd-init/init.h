// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_INIT_H
#define SANDBOXD_INIT_H

#include <CChannel.h>
#include <linux/filter.h>
#include <stddef.h>

/// What PLAN brought, and where its descriptors are (-1: not there).
struct plan {
    struct sbx_plan message;
    struct sock_filter filter[4096];
    char masked[8192];
    char covered[2048];
    int join[SBX_DESCRIPTORS_MAX];
    int oom_event;
    int oom_counter;
    int pids_events;
    int cpu_stat;
};

/// What COMMAND and its BLOBs brought.
struct command {
    struct sbx_command message;
    int streams[3];
    char strings[SBX_STRINGS_MAX];
    const char *arguments[SBX_STRINGS_COUNT_MAX + 1];
    const char *environment[SBX_STRINGS_COUNT_MAX + 1];
    const char *working_directory;
};

/// Process 1 of a sandbox, in fresh namespaces with its ids mapped. Takes the plan from `channel`,
/// makes what is left of the sandbox, runs the job, hands the results out. Answers an exit status.
int init(int channel);

#endif
