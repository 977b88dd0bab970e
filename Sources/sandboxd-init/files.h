// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_FILES_H
#define SANDBOXD_FILES_H

#include <CChannel.h>

/// Writes one input file below /workspace, owned by the job, its directories made as needed.
/// `path` is NUL-terminated. A name that leaves the workspace, or that is there already, is
/// refused. The descriptor stays the caller's.
int files_place(const struct sbx_file *file, const char *path, int content);

#endif
