// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_JANITOR_H
#define SANDBOXD_JANITOR_H

/// Waits until `lifeline` reports its end, which is the daemon's end, then removes the cgroups
/// below each of `paths` and those directories themselves; a path that is not a directory is
/// unlinked. Answers an exit status.
int janitor(int lifeline, int count, const char *const *paths);

#endif
