// SPDX-License-Identifier: Apache-2.0
#include "idmap.h"

#include "sys.h"
#include "text.h"

static int write_file(const char *path, const char *bytes, size_t length) {
    long fd = sys4(__NR_openat, SYS_AT_FDCWD, path, SYS_O_WRONLY | SYS_O_CLOEXEC, 0);
    if (fd < 0) {
        return (int)fd;
    }
    long wrote = sys3(__NR_write, fd, bytes, length);
    sys_close((int)fd);
    return wrote < 0 ? (int)wrote : 0;
}

int idmap_write(long pid, const char *file, const struct id_range ranges[2]) {
    char path_bytes[64];
    char map_bytes[96];
    struct text path = TEXT(path_bytes);
    struct text map = TEXT(map_bytes);
    text_add(&path, "/proc/");
    text_add_number(&path, (uint64_t)pid);
    text_add(&path, file);
    for (int i = 0; i < 2; i++) {
        text_add_number(&map, ranges[i].inside);
        text_add(&map, " ");
        text_add_number(&map, ranges[i].outside);
        text_add(&map, " ");
        text_add_number(&map, ranges[i].count);
        text_add(&map, "\n");
    }
    return path.overflow || map.overflow ? -SYS_EOVERFLOW
                                         : write_file(path_bytes, map_bytes, map.used);
}
