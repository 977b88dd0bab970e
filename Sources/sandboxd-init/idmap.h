// SPDX-License-Identifier: Apache-2.0
//
// Maps of ids into user namespaces (user_namespaces(7)).
#ifndef SANDBOXD_IDMAP_H
#define SANDBOXD_IDMAP_H

#include <stdint.h>

/// One line of a map: `count` ids from `inside` on are those from `outside` on.
struct id_range {
    uint32_t inside;
    uint32_t outside;
    uint32_t count;
};

/// Writes the map of process `pid`; `file` is "/uid_map" or "/gid_map". Answers 0 or a negative
/// errno. The kernel takes a map once.
int idmap_write(long pid, const char *file, const struct id_range ranges[2]);

#endif
