// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include <linux/openat2.h>

#include "sys.h"
#include "text.h"

/// Below the workspace, through no link of any kind: the kernel refuses the rest.
static long open_below(long workspace, const char *path, uint64_t flags, uint64_t mode) {
    struct open_how how = {
        .flags = flags | SYS_O_CLOEXEC | SYS_O_NOFOLLOW,
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    return sys4(__NR_openat2, workspace, path, &how, sizeof how);
}

/// Makes every directory on the way to the file.
static int make_parents(long workspace, const char *path) {
    char parent[SBX_PATH_MAX];
    for (size_t i = 0; path[i] != 0; i++) {
        if (path[i] == '/') {
            parent[i] = 0;
            long done = sys3(__NR_mkdirat, workspace, parent, 0755);
            if (done < 0 && done != -SYS_EEXIST) {
                return (int)done;
            }
            if (done == 0) {
                done = sys5(__NR_fchownat, workspace, parent, SBX_JOB_ID, SBX_JOB_ID,
                            0x100 /* AT_SYMLINK_NOFOLLOW */);
                if (done < 0) {
                    return (int)done;
                }
            }
        }
        parent[i] = path[i];
    }
    return 0;
}

static int fill(long target, int content, uint64_t bytes) {
    uint64_t offset = 0;
    while (offset < bytes) {
        uint64_t at = offset;
        long sent = sys4(__NR_sendfile, target, content, &at, bytes - offset);
        if (sent <= 0) {
            return sent == 0 ? -SYS_EPROTO : (int)sent;
        }
        offset += (uint64_t)sent;
    }
    return 0;
}

int files_place(const struct sbx_file *file, const char *path, int content) {
    size_t length = text_length(path);
    if (length == 0 || length >= SBX_PATH_MAX ||
        length != file->header.length - sizeof *file) {
        return -SYS_ENAMETOOLONG;
    }
    long workspace = sys4(__NR_openat, SYS_AT_FDCWD, "/workspace",
                          SYS_O_RDONLY | SYS_O_DIRECTORY | SYS_O_CLOEXEC, 0);
    if (workspace < 0) {
        return (int)workspace;
    }
    int error = make_parents(workspace, path);
    if (error == 0) {
        // Written with a private mode, opened to the job when it is whole.
        long target = open_below(workspace, path,
                                 SYS_O_WRONLY | SYS_O_CREAT | SYS_O_EXCL, 0600);
        error = target < 0 ? (int)target : fill(target, content, file->bytes);
        if (error == 0) {
            error = (int)sys3(__NR_fchown, target, SBX_JOB_ID, SBX_JOB_ID);
        }
        if (error == 0) {
            error = (int)sys2(__NR_fchmod, target, file->mode & 0777);
        }
        if (target >= 0) {
            sys_close((int)target);
        }
    }
    sys_close((int)workspace);
    return error;
}
