// SPDX-License-Identifier: Apache-2.0
//
// One loop that waits for whichever comes first: the daemon's word, a child's end, a limit. It
// sleeps until something happens; only CPU time, for which the kernel has no event, is looked at
// again at the earliest moment at which it could be used up.
#include "supervise.h"

#include <asm/signal.h>
#include <linux/time.h>
#include <asm/poll.h>
#include <linux/poll.h>

#include "sys.h"
#include "text.h"

#define NANOSECONDS 1000000000ull
/// CPU time is never looked at more often than this.
#define CPU_LOOK_NS_MIN 2000000ull
/// How often `pids.events` is looked at where the kernel changes it without telling (v1).
#define PIDS_LOOK_NS 250000000ull
/// How long, and how often, init waits for the kernel's count of an out-of-memory kill.
#define OOM_LOOKS 200
#define OOM_LOOK_NS 500000
#define WATCHED 5

struct signal_info {
    uint32_t bytes[32];
};

struct supervision {
    int channel;
    int children;
    const struct plan *plan;
    const struct sbx_command *command;
    const struct job *job;
    struct witness *witness;
    uint64_t started_ns;
    uint64_t cpu_look_ns;
    /// 0 without a lease.
    uint64_t lease_ns;
    uint32_t reasons;
    int wait_status;
    int gate_open;
    int over;
};

struct kernel_statfs {
    long type;
    long block_size;
    uint64_t blocks;
    uint64_t blocks_free;
    uint64_t blocks_available;
    uint64_t files;
    uint64_t files_free;
    long rest[16];
};

/// CLOCK_BOOTTIME: goes on while the machine sleeps, and nobody can set it.
static uint64_t now_ns(void) {
    struct {
        int64_t seconds;
        int64_t nanoseconds;
    } time = {0};
    (void)sys2(__NR_clock_gettime, CLOCK_BOOTTIME, &time);
    return (uint64_t)time.seconds * NANOSECONDS + (uint64_t)time.nanoseconds;
}

static uint64_t read_counter(int fd, const char *key) {
    char bytes[1024];
    long got = sys4(__NR_pread64, fd, bytes, sizeof bytes, 0);
    return got > 0 ? text_counter(bytes, (size_t)got, key) : 0;
}

static void end_for(struct supervision *state, uint32_t reason) {
    state->reasons |= reason;
    state->over = 1;
}

/// Reaps what has ended; `wait_options` 0 waits for all of it.
static void reap(struct supervision *state, int wait_options) {
    for (;;) {
        int status = 0;
        long pid = sys4(__NR_wait4, -1, &status, wait_options, NULL);
        if (pid == -SYS_EINTR) {
            continue;
        }
        if (pid <= 0) {
            return;
        }
        if (pid == state->job->pid) {
            state->wait_status = status;
            state->over = 1;
        }
    }
}

static int take_message(struct supervision *state, struct packet *packet) {
    int got = channel_receive(state->channel, packet);
    if (got <= 0) {
        return got == 0 ? -SYS_EPIPE : got;
    }
    packet_close(packet);
    if (packet->header.type == SBX_GATE && !state->gate_open) {
        state->gate_open = 1;
        state->started_ns = now_ns();
        state->cpu_look_ns = state->started_ns + state->command->cpu_ns;
        long wrote = sys3(__NR_write, state->job->gate, "x", 1);
        sys_close(state->job->gate);
        return wrote < 0 ? (int)wrote : 0;
    }
    if (packet->header.type == SBX_KEEP && packet->length >= sizeof(struct sbx_keep)) {
        state->lease_ns = ((const struct sbx_keep *)(const void *)packet->bytes)->until_ns;
        return 0;
    }
    if (packet->header.type == SBX_KILL) {
        end_for(state, SBX_REASON_KILLED);
        return 0;
    }
    return -SYS_EPROTO;
}

/// How many CPUs' worth of time can pass in one nanosecond.
static uint64_t cpu_count(const struct plan *plan) {
    uint64_t count = 0;
    for (size_t i = 0; i < sizeof plan->message.affinity / sizeof plan->message.affinity[0]; i++) {
        for (uint64_t bits = plan->message.affinity[i]; bits != 0; bits &= bits - 1) {
            count++;
        }
    }
    return count > 0 ? count : 1;
}

static void look_at_cpu(struct supervision *state, uint64_t now) {
    int is_nanoseconds = (state->plan->message.meters & SBX_METER_CPU_NANOSECONDS) != 0;
    uint64_t used = is_nanoseconds ? read_counter(state->plan->cpu_stat, "")
                                   : read_counter(state->plan->cpu_stat, "usage_usec") * 1000;
    if (used >= state->command->cpu_ns) {
        end_for(state, SBX_REASON_CPU_TIME);
        return;
    }
    uint64_t wait = (state->command->cpu_ns - used) / cpu_count(state->plan);
    state->cpu_look_ns = now + (wait > CPU_LOOK_NS_MIN ? wait : CPU_LOOK_NS_MIN);
}

static void look_at_pids(struct supervision *state) {
    if (read_counter(state->plan->pids_events, "max") > 0) {
        end_for(state, SBX_REASON_PIDS);
    }
}

/// Acts on the clocks; answers how long to sleep at most, or UINT64_MAX.
static uint64_t look_at_clocks(struct supervision *state) {
    if (!state->gate_open) {
        return UINT64_MAX;
    }
    uint64_t now = now_ns();
    uint64_t deadline = state->started_ns + state->command->wall_ns;
    if (now >= deadline) {
        end_for(state, SBX_REASON_WALL_TIME);
        return 0;
    }
    uint64_t next = deadline;
    if (state->lease_ns != 0) {
        if (now >= state->lease_ns) {
            end_for(state, SBX_REASON_LEASE);
            return 0;
        }
        next = state->lease_ns < next ? state->lease_ns : next;
    }
    if (state->plan->cpu_stat >= 0) {
        if (now >= state->cpu_look_ns) {
            look_at_cpu(state, now);
        }
        next = state->cpu_look_ns < next ? state->cpu_look_ns : next;
    }
    if ((state->plan->message.meters & SBX_METER_PIDS_SILENT) != 0) {
        look_at_pids(state);
        next = now + PIDS_LOOK_NS < next ? now + PIDS_LOOK_NS : next;
    }
    return next > now ? next - now : 0;
}

static void sleep_ns(int64_t nanoseconds) {
    const struct {
        int64_t seconds;
        int64_t nanoseconds;
    } time = {0, nanoseconds};
    (void)sys2(__NR_nanosleep, &time, NULL);
}

/// v1 tells of the event before it kills, and counts after. The count is the verdict's evidence, so
/// init gives it a moment; the processes concerned stand still meanwhile.
static void look_at_memory(struct supervision *state) {
    int is_kill = (state->plan->message.meters & SBX_METER_OOM_ALWAYS) != 0;
    uint64_t kills = read_counter(state->plan->oom_counter, "oom_kill");
    for (int look = 0; is_kill && kills == 0 && look < OOM_LOOKS; look++) {
        sleep_ns(OOM_LOOK_NS);
        kills = read_counter(state->plan->oom_counter, "oom_kill");
    }
    if (is_kill || kills > 0) {
        end_for(state, SBX_REASON_OOM);
    }
}

static int wait_for_something(struct supervision *state, struct packet *packet) {
    struct pollfd watched[WATCHED] = {
        {.fd = state->channel, .events = POLLIN},
        {.fd = state->children, .events = POLLIN},
        {.fd = state->plan->oom_event, .events = POLLIN | POLLPRI},
        {.fd = state->plan->pids_events, .events = POLLPRI},
    };
    // kernfs files are always readable; only POLLPRI says that something changed.
    if ((state->plan->message.meters & SBX_METER_OOM_ALWAYS) == 0) {
        watched[2].events = POLLPRI;
    }
    watched[4].fd = witness_watched(state->witness);
    watched[4].events = POLLIN;
    uint64_t sleep_ns = look_at_clocks(state);
    if (state->over) {
        return 0;
    }
    const struct {
        int64_t seconds;
        int64_t nanoseconds;
    } timeout = {(int64_t)(sleep_ns / NANOSECONDS), (int64_t)(sleep_ns % NANOSECONDS)};
    long ready = sys5(__NR_ppoll, watched, WATCHED,
                      sleep_ns == UINT64_MAX ? NULL : &timeout, NULL, 8);
    if (ready <= 0) {
        return ready == -SYS_EINTR ? 0 : (int)ready;
    }
    if (watched[1].revents != 0) {
        struct signal_info info;
        (void)sys3(__NR_read, state->children, &info, sizeof info);
        reap(state, 1 /* WNOHANG */);
    }
    if (watched[2].revents != 0) {
        look_at_memory(state);
    }
    if (watched[3].revents != 0) {
        look_at_pids(state);
    }
    if (watched[4].revents != 0) {
        witness_step(state->witness, packet);
    }
    return watched[0].revents != 0 ? take_message(state, packet) : 0;
}

static int send_ended(struct supervision *state) {
    struct kernel_statfs space = {0};
    long done = sys2(__NR_statfs, "/workspace", &space);
    struct sbx_ended ended = {.wait_status = state->wait_status, .reasons = state->reasons};
    if (state->gate_open) {
        ended.wall_ns = now_ns() - state->started_ns;
    }
    if (done == 0) {
        uint64_t block = (uint64_t)space.block_size;
        ended.workspace_bytes = (space.blocks - space.blocks_free) * block;
        ended.workspace_inodes = space.files - space.files_free;
        ended.workspace_bytes_free = space.blocks_free * block;
        ended.workspace_inodes_free = space.files_free;
    }
    return channel_send(state->channel, SBX_ENDED, &ended, sizeof ended, NULL, 0, -1);
}

int supervise(int channel, struct packet *packet, const struct plan *plan,
              const struct sbx_command *command, const struct job *job,
              struct witness *witness) {
    uint64_t child = 1ull << (SIGCHLD - 1);
    long children = sys4(__NR_signalfd4, -1, &child, sizeof child, SYS_O_CLOEXEC);
    if (children < 0) {
        return (int)children;
    }
    struct supervision state = {
        .channel = channel,
        .children = (int)children,
        .plan = plan,
        .command = command,
        .job = job,
        .witness = witness,
    };
    int error = 0;
    while (!state.over && error == 0) {
        error = wait_for_something(&state, packet);
    }
    if (error < 0) {
        return error;
    }
    // -1 is everybody but init. The kernel walks the namespace under the lock that fork takes, so
    // not even a process that forks without end gets past it.
    if ((plan->layers & SBX_LAYER_PID_NAMESPACE) != 0) {
        (void)sys2(__NR_kill, -1, SIGKILL);
    } else {
        (void)sys2(__NR_kill, job->pid, SIGKILL);
    }
    reap(&state, 0);
    sys_close(state.children);
    error = witness_send(witness, channel);
    return error < 0 ? error : send_ended(&state);
}
