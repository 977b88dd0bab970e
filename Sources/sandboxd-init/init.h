// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_INIT_H
#define SANDBOXD_INIT_H

#include <CChannel.h>
#include <linux/filter.h>
#include <stddef.h>

/// What PREPARE and PLAN brought, and where their descriptors are (-1: not there).
struct plan {
    /// `enum sbx_layer`.
    uint32_t layers;
    char hostname[64];
    char masked[8192];
    struct sbx_plan message;
    struct sock_filter filter[4096];
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

/// Process 1 of a sandbox, in fresh namespaces with its ids mapped. Makes what every sandbox has,
/// waits for a plan from `channel`, makes the rest, runs the job, hands the results out. Answers an
/// exit status.
int init(int channel);

#endif
