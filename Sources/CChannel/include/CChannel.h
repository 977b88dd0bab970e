// SPDX-License-Identifier: Apache-2.0
//
// The control protocol: every message between the daemon, the launcher and init.
//
// Theory of operation. Two kinds of SOCK_SEQPACKET channel exist:
//
//   launcher channel   daemon <-> `sandboxd-init launch`, one per image
//   control channel    daemon <-> init (process 1 of one sandbox), one per attempt
//
// A message is one packet: a fixed struct that starts with `sbx_header`, then `trailing` bytes
// whose meaning is stated beside the struct. `length` counts all of it and must equal the packet's
// size; a receiver drops the channel on any disagreement. Descriptors travel with the message
// (SCM_RIGHTS) in the order stated beside it. Both ends are built from this file; the header's
// `protocol` catches a daemon and an init of different builds.
//
// Order on the launcher channel:
//   MAP_ME > MAPPED, then TEMPLATE, SYNTHETIC* > TEMPLATE_READY, then LAUNCH > LAUNCHED for ever.
// Order on the control channel ('<' from init):
//   PREPARE, then, as soon as it is known what for: PLAN, COMMAND, BLOB*, FILE*, START, < READY (written by the job's own process, so that the
//   kernel's credentials name it), GATE, < [FAILED], < DENIED*, < ENDED, < ARTIFACT* / REFUSED*, < BYE.
//   KILL may come at any time after START.
//   Hello is folded into READY: a sandbox that cannot be made answers FAILED instead.
#ifndef SANDBOXD_CCHANNEL_H
#define SANDBOXD_CCHANNEL_H

#include <stdint.h>

/// Changes with every change of this file that the other side can notice.
#define SBX_PROTOCOL 2u
/// No message is larger, trailing bytes included.
#define SBX_MESSAGE_MAX 65536u
/// argv and environment together, in bytes, terminators included.
#define SBX_STRINGS_MAX (1024u * 1024u)
/// argv entries and environment entries, each.
#define SBX_STRINGS_COUNT_MAX 8192u
/// No message carries more descriptors.
#define SBX_DESCRIPTORS_MAX 16u
/// Longest path inside a sandbox that is named in a message, in bytes.
#define SBX_PATH_MAX 1024u
/// Deepest directory below /workspace/out that is looked into.
#define SBX_ARTIFACT_DEPTH_MAX 16u
/// The job's user and group id, seen from inside; init is 0.
#define SBX_JOB_ID 1000u

enum sbx_message {
    // launcher channel
    SBX_MAP_ME = 1,
    SBX_MAPPED = 2,
    SBX_SYNTHETIC = 3,
    SBX_TEMPLATE = 4,
    SBX_TEMPLATE_READY = 5,
    SBX_LAUNCH = 6,
    SBX_LAUNCHED = 7,
    // control channel, from the daemon
    SBX_PLAN = 16,
    SBX_COMMAND = 17,
    SBX_BLOB = 18,
    SBX_FILE = 19,
    SBX_START = 20,
    SBX_GATE = 21,
    SBX_KILL = 22,
    SBX_KEEP = 23,
    SBX_PREPARE = 24,
    // control channel, from init
    SBX_READY = 32,
    SBX_FAILED = 33,
    SBX_ENDED = 34,
    SBX_ARTIFACT = 35,
    SBX_REFUSED = 36,
    SBX_BYE = 37,
    SBX_LISTENER = 38,
    SBX_DENIED = 39,
};

/// What was being done when a sandbox could not be made. Swift's `Step` repeats this list; a test
/// holds the two together.
enum sbx_step {
    SBX_STEP_NONE = 0,
    SBX_STEP_PROTOCOL = 1,
    SBX_STEP_USER_NAMESPACE = 2,
    SBX_STEP_ID_MAP = 3,
    SBX_STEP_NAMESPACES = 4,
    SBX_STEP_PARENT_DEATH = 5,
    SBX_STEP_ROOT = 6,
    SBX_STEP_DEV = 7,
    SBX_STEP_CLONE = 8,
    SBX_STEP_CGROUP = 9,
    SBX_STEP_CREDENTIALS = 10,
    SBX_STEP_PROC = 11,
    SBX_STEP_PROC_MASK = 12,
    SBX_STEP_WORKSPACE = 13,
    SBX_STEP_SHARED_MEMORY = 14,
    SBX_STEP_PTS = 15,
    SBX_STEP_LOOPBACK = 16,
    SBX_STEP_HOSTNAME = 17,
    SBX_STEP_AFFINITY = 18,
    SBX_STEP_INPUT_FILE = 19,
    SBX_STEP_FORK = 20,
    SBX_STEP_STREAMS = 21,
    SBX_STEP_WORKING_DIRECTORY = 22,
    SBX_STEP_OOM_SCORE = 23,
    SBX_STEP_PRIORITY = 24,
    SBX_STEP_RLIMITS = 25,
    SBX_STEP_CAPABILITIES = 26,
    SBX_STEP_LANDLOCK = 27,
    SBX_STEP_NO_NEW_PRIVS = 28,
    SBX_STEP_DESCRIPTORS = 29,
    SBX_STEP_SECCOMP = 30,
    SBX_STEP_EXECVE = 31,
    SBX_STEP_SUPERVISE = 32,
    SBX_STEP_PROXY = 33,
    SBX_STEP_COLLECT = 34,
};

/// The layers of a sandbox. All are on; a control run of the containment tests leaves some out, to
/// show that a probe succeeds without them. A release build of the daemon always sends all.
enum sbx_layer {
    SBX_LAYER_SECCOMP = 1u << 0,
    SBX_LAYER_LANDLOCK = 1u << 1,
    SBX_LAYER_PROC_MASKS = 1u << 2,
    SBX_LAYER_READ_ONLY_ROOT = 1u << 3,
    SBX_LAYER_NETWORK_NAMESPACE = 1u << 4,
    SBX_LAYER_PID_NAMESPACE = 1u << 5,
    SBX_LAYER_IPC_NAMESPACE = 1u << 6,
    SBX_LAYER_UTS_NAMESPACE = 1u << 7,
    SBX_LAYER_CAPABILITIES = 1u << 8,
    SBX_LAYER_NO_NEW_PRIVS = 1u << 9,
    SBX_LAYER_RLIMITS = 1u << 10,
    SBX_LAYER_WORKSPACE_SIZE = 1u << 11,
    SBX_LAYER_DEVICE_LIST = 1u << 12,
    SBX_LAYER_DESCRIPTORS = 1u << 13,
    SBX_LAYER_AFFINITY = 1u << 14,
    // The daemon's own: init leaves them alone.
    SBX_LAYER_MEMORY_CGROUP = 1u << 15,
    SBX_LAYER_PIDS_CGROUP = 1u << 16,
    SBX_LAYER_CPU_CGROUP = 1u << 17,
    SBX_LAYER_OUTPUT_CAP = 1u << 18,
    SBX_LAYER_ENVIRONMENT = 1u << 19,
    SBX_LAYER_ALL = (1u << 20) - 1u,
};

/// Which calls init takes note of; `sbx_plan.witness`.
enum sbx_witness {
    SBX_WITNESS_NONE = 0,
    /// Those that the filter refuses by an errno.
    SBX_WITNESS_DENIED = 1,
    /// Those that it lets through, too, but sendmsg(2).
    SBX_WITNESS_ALL = 2,
};

/// Why init ended the job, as bits of `sbx_ended.reasons`. None: the job ended by itself.
enum sbx_reason {
    SBX_REASON_WALL_TIME = 1u << 0,
    SBX_REASON_CPU_TIME = 1u << 1,
    SBX_REASON_OOM = 1u << 2,
    SBX_REASON_PIDS = 1u << 3,
    SBX_REASON_KILLED = 1u << 4,
    SBX_REASON_LEASE = 1u << 5,
};

/// Why a file below /workspace/out is not kept.
enum sbx_refusal {
    SBX_REFUSED_SYMLINK = 1,
    SBX_REFUSED_NOT_REGULAR = 2,
    SBX_REFUSED_BYTES = 3,
    SBX_REFUSED_COUNT = 4,
    SBX_REFUSED_NAME = 5,
    SBX_REFUSED_DEPTH = 6,
    SBX_REFUSED_UNREADABLE = 7,
};

/// Starts every message. 8 bytes.
struct sbx_header {
    uint16_t protocol;
    uint16_t type;
    uint32_t length;
};

/// A file that stands in for one of the host's in every sandbox of this launcher: `/proc/cpuinfo`
/// for a number of CPUs, say. Trailing: its content.
struct sbx_synthetic {
    struct sbx_header header;
    /// A plain file name, NUL-terminated.
    char name[64];
};

/// What all sandboxes of one launcher share. `root` is the image's absolute path on the host; empty is
/// the root that the receiver has already: a container's. There it comes on the control channel,
/// before PREPARE, and has no answer but FAILED.
/// `synthetic_count` SYNTHETIC messages follow.
struct sbx_template {
    struct sbx_header header;
    uint32_t layers;
    uint32_t synthetic_count;
    char root[4096];
};

/// The launcher's answer to TEMPLATE. `error` is an errno, 0 when all is well.
struct sbx_template_ready {
    struct sbx_header header;
    int32_t step;
    int32_t error;
};

/// Makes one sandbox. Descriptors: init's end of the control channel; then, when `into_cgroup` is
/// 1, a cgroup v2 directory that it is born into. The ids are the launcher's: its 0 is the
/// daemon's user, 1 and up its subordinate range.
struct sbx_launch {
    struct sbx_header header;
    uint64_t tag;
    uint32_t init_id;
    uint32_t job_id;
    uint32_t layers;
    uint32_t into_cgroup;
};

/// The answer to LAUNCH with the same `tag`. Descriptor, when `error` is 0: init's pidfd.
struct sbx_launched {
    struct sbx_header header;
    uint64_t tag;
    int32_t step;
    int32_t error;
};

/// What every sandbox of an engine has: it does not depend on a run, so it can be made ahead.
/// Trailing: NUL-terminated paths below /proc that are hidden; a directory's ends in a slash.
struct sbx_prepare {
    struct sbx_header header;
    uint32_t layers;
    uint32_t padding;
    char hostname[64];
};

/// What init sets up for one run. Trailing: `filter_bytes` of struct sock_filter, then
/// `covered_bytes` of pairs of NUL-terminated strings: a synthetic file's name and the path below
/// /proc that it covers.
/// Descriptors, in this order: `join_count` cgroup `tasks` files that init writes itself into;
/// when the matching bit of `meters` is set: a file that reports EPOLLIN or EPOLLPRI at an
/// out-of-memory event; the file with the `oom_kill` counter (only together with the former);
/// `pids.events`; `cpu.stat`.
struct sbx_plan {
    struct sbx_header header;
    uint64_t workspace_bytes;
    uint64_t workspace_inodes;
    uint64_t shared_memory_bytes;
    uint64_t open_files;
    uint64_t file_bytes;
    uint64_t cpu_seconds;
    uint64_t affinity[16];
    uint32_t filter_bytes;
    uint32_t covered_bytes;
    uint32_t join_count;
    uint32_t meters;
    /// The port of the sandbox's loopback on which it listens for the daemon's proxy; 0 is none.
    /// LISTENER brings the socket, before READY.
    uint32_t proxy_port;
    /// `enum sbx_witness`. Other than NONE, the filter must let sendmsg(2) through.
    uint32_t witness;
    /// 1 when the job may make user namespaces of its own: it must then write their id maps, below
    /// /proc. 0 keeps it from writing there at all.
    uint32_t nested_namespaces;
    uint32_t padding;
};

/// Bits of `sbx_plan.meters`.
enum sbx_meter {
    SBX_METER_OOM = 1u << 0,
    SBX_METER_PIDS = 1u << 1,
    SBX_METER_CPU = 1u << 2,
    /// With SBX_METER_OOM: every event means a kill, which is counted a little later (a v1
    /// eventfd). Without it, the counter decides (v2 `memory.events` also reports plain reclaim).
    SBX_METER_OOM_ALWAYS = 1u << 3,
    /// With SBX_METER_CPU: the file is one number of nanoseconds (v1 `cpuacct.usage`). Without it,
    /// it has a line `usage_usec N` (v2 `cpu.stat`).
    SBX_METER_CPU_NANOSECONDS = 1u << 4,
    /// With SBX_METER_PIDS: the kernel counts without an event (v1), so init looks now and then.
    SBX_METER_PIDS_SILENT = 1u << 5,
};

/// What runs. Its strings follow in BLOB messages until `strings_bytes` have come: argv, then the
/// environment, then the working directory, each NUL-terminated. Descriptors: standard input,
/// output and error. The artifact caps are 0 when nothing is collected.
struct sbx_command {
    struct sbx_header header;
    uint64_t wall_ns;
    uint64_t cpu_ns;
    uint64_t artifact_bytes;
    uint32_t artifact_count;
    uint32_t argument_count;
    uint32_t environment_count;
    uint32_t strings_bytes;
};

/// Trailing: the next piece of the command's strings.
struct sbx_blob {
    struct sbx_header header;
};

/// One input file. Trailing: its path below /workspace, without a leading slash, `..` or NUL.
/// Descriptor: its content, read from offset 0.
struct sbx_file {
    struct sbx_header header;
    uint64_t bytes;
    uint32_t mode;
    uint32_t padding;
};

/// How long the daemon's right to this attempt lasts: a moment of CLOCK_BOOTTIME, which the sandbox
/// shares with the host. Sent before GATE and again whenever it grows; without it there is no such
/// end. init keeps to it by itself, for a daemon that is frozen cannot, and by then the task may be
/// somebody else's.
struct sbx_keep {
    struct sbx_header header;
    uint64_t until_ns;
};

/// START, GATE, KILL, MAP_ME, MAPPED and READY have nothing to add. LISTENER has a descriptor: a
/// listening TCP socket of the sandbox's network namespace.
struct sbx_signal {
    struct sbx_header header;
};

/// The sandbox could not be made, or the job could not be executed (`SBX_STEP_EXECVE`).
struct sbx_failed {
    struct sbx_header header;
    int32_t step;
    int32_t error;
};

/// Every process of the sandbox but init is dead.
struct sbx_ended {
    struct sbx_header header;
    /// As wait4 gives it; of the job's first process.
    int32_t wait_status;
    uint32_t reasons;
    /// What the workspace held at the end, and could hold.
    uint64_t workspace_bytes;
    uint64_t workspace_inodes;
    uint64_t workspace_bytes_free;
    uint64_t workspace_inodes_free;
    /// From GATE to the last process's death.
    uint64_t wall_ns;
};

/// A system call that was refused, or only seen: as often as `count` says, by programs of one name,
/// with the same `looked_at` arguments. At most 512 are sent; the last says how many calls fitted
/// into none.
struct sbx_denied {
    struct sbx_header header;
    uint64_t count;
    uint64_t unrecorded;
    /// The low halves, which are all that a filter looks at; 0 for those that it did not.
    uint64_t arguments[6];
    int32_t number;
    /// 0 when it was let through.
    int32_t error;
    /// Bit n: argument n decided.
    uint32_t looked_at;
    uint32_t padding;
    /// NUL-terminated.
    char program[16];
};

/// A regular file below /workspace/out. Trailing: its path below that, raw bytes.
/// Descriptor: the file, open for reading.
struct sbx_artifact {
    struct sbx_header header;
    uint64_t bytes;
    uint32_t mode;
    uint32_t padding;
};

/// Something below /workspace/out that is not kept. Trailing: its path. At most 64 are sent.
struct sbx_refused {
    struct sbx_header header;
    uint64_t bytes;
    uint32_t reason;
    uint32_t padding;
};

/// Nothing more follows; init exits.
struct sbx_bye {
    struct sbx_header header;
    uint32_t artifacts;
    uint32_t refused;
};

#endif
