// SPDX-License-Identifier: Apache-2.0
//
// The way out. The daemon opens no path inside a sandbox; it gets descriptors of regular files.
// Nothing here follows a link or can block: names are opened one directory at a time with
// O_NOFOLLOW and O_NONBLOCK (a FIFO without a writer would hang otherwise), then judged by fstat.
#include "artifacts.h"

#include <linux/stat.h>

#include "channel.h"
#include "sys.h"
#include "text.h"

#define REFUSED_SENT_MAX 64u
/// Entries that are looked at, whatever they are: a million files cost a million look-ups.
#define LOOKED_AT_MAX 65536u

struct directory_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

struct collection {
    int channel;
    uint64_t bytes_left;
    uint32_t count_left;
    uint32_t looked_at;
    uint32_t sent;
    uint32_t refused;
    int error;
    /// The entry's path below /workspace/out.
    char path_bytes[SBX_PATH_MAX];
    struct text path;
};

/// One directory being read, and how much of the path is above its entries.
struct level {
    int fd;
    size_t path_used;
    long have;
    long at;
    union {
        char bytes[4096];
        uint64_t align;
    };
};

static void refuse(struct collection *state, uint32_t reason, uint64_t bytes) {
    struct sbx_refused refused = {.bytes = bytes, .reason = reason};
    if (state->refused++ < REFUSED_SENT_MAX) {
        state->error = channel_send(state->channel, SBX_REFUSED, &refused, sizeof refused,
                                    state->path.bytes, state->path.used, -1);
    }
}

static void send_file(struct collection *state, int fd, uint64_t bytes, uint32_t mode) {
    if (state->count_left == 0) {
        refuse(state, SBX_REFUSED_COUNT, bytes);
        return;
    }
    if (bytes > state->bytes_left) {
        refuse(state, SBX_REFUSED_BYTES, bytes);
        return;
    }
    struct sbx_artifact artifact = {.bytes = bytes, .mode = mode & 0777};
    state->error = channel_send(state->channel, SBX_ARTIFACT, &artifact, sizeof artifact,
                                state->path.bytes, state->path.used, fd);
    state->bytes_left -= bytes;
    state->count_left--;
    state->sent++;
}

/// Opens `name` in `directory` as what it is. Answers a descriptor of a directory to go into, or -1.
static int take_entry(struct collection *state, int directory, const char *name) {
    long fd = sys4(__NR_openat, directory, name,
                   SYS_O_RDONLY | SYS_O_NOFOLLOW | SYS_O_NONBLOCK | SYS_O_CLOEXEC, 0);
    if (fd < 0) {
        refuse(state, fd == -SYS_ELOOP ? SBX_REFUSED_SYMLINK
                      : fd == -SYS_EACCES || fd == -SYS_EPERM ? SBX_REFUSED_UNREADABLE
                                                              : SBX_REFUSED_NOT_REGULAR,
               0);
        return -1;
    }
    struct statx status;
    long done = sys5(__NR_statx, fd, "", SYS_AT_EMPTY_PATH, STATX_TYPE | STATX_MODE | STATX_SIZE,
                     &status);
    if (done == 0 && (status.stx_mode & S_IFMT) == S_IFDIR) {
        return (int)fd;
    }
    if (done == 0 && (status.stx_mode & S_IFMT) == S_IFREG) {
        send_file(state, (int)fd, status.stx_size, status.stx_mode);
    } else {
        refuse(state, SBX_REFUSED_NOT_REGULAR, 0);
    }
    sys_close((int)fd);
    return -1;
}

static int is_dot(const char *name) {
    return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

/// The next entry's name, or NULL at the directory's end.
static const char *next_name(struct level *level) {
    for (;;) {
        if (level->at >= level->have) {
            level->have = sys3(__NR_getdents64, level->fd, level->bytes, sizeof level->bytes);
            level->at = 0;
            if (level->have <= 0) {
                return NULL;
            }
        }
        struct directory_entry *entry = (struct directory_entry *)(level->bytes + level->at);
        level->at += entry->length;
        if (!is_dot(entry->name)) {
            return entry->name;
        }
    }
}

static void open_level(struct level *level, int fd, size_t path_used) {
    level->fd = fd;
    level->path_used = path_used;
    level->have = 0;
    level->at = 0;
}

static void walk(struct collection *state, struct level *levels, int root) {
    size_t depth = 0;
    open_level(&levels[0], root, 0);
    for (;;) {
        struct level *level = &levels[depth];
        const char *name = state->error < 0 || state->looked_at >= LOOKED_AT_MAX ? NULL
                                                                                 : next_name(level);
        if (name == NULL) {
            sys_close(level->fd);
            if (depth-- == 0) {
                return;
            }
            continue;
        }
        state->looked_at++;
        state->path.used = level->path_used;
        state->path.overflow = 0;
        text_add(&state->path, name);
        if (state->path.overflow) {
            // Its directory is named instead; a name by itself always fits.
            state->path.used = level->path_used - 1;
            refuse(state, SBX_REFUSED_NAME, 0);
            continue;
        }
        int directory = take_entry(state, level->fd, name);
        if (directory < 0) {
            continue;
        }
        if (depth + 1 >= SBX_ARTIFACT_DEPTH_MAX || state->path.used + 1 >= SBX_PATH_MAX) {
            refuse(state, SBX_REFUSED_DEPTH, 0);
            sys_close(directory);
            continue;
        }
        text_add(&state->path, "/");
        open_level(&levels[++depth], directory, state->path.used);
    }
}

int artifacts_send(int channel, const struct sbx_command *command) {
    static struct collection state;
    static struct level levels[SBX_ARTIFACT_DEPTH_MAX];
    state.channel = channel;
    state.bytes_left = command->artifact_bytes;
    state.count_left = command->artifact_count;
    state.path = TEXT(state.path_bytes);
    if (command->artifact_count > 0) {
        // `out` itself may have been replaced by anything.
        long root = sys4(__NR_openat, SYS_AT_FDCWD, "/workspace/out",
                         SYS_O_RDONLY | SYS_O_DIRECTORY | SYS_O_NOFOLLOW | SYS_O_CLOEXEC, 0);
        if (root >= 0) {
            walk(&state, levels, (int)root);
        }
    }
    if (state.error < 0) {
        return state.error;
    }
    struct sbx_bye bye = {.artifacts = state.sent, .refused = state.refused};
    return channel_send(channel, SBX_BYE, &bye, sizeof bye, NULL, 0, -1);
}
