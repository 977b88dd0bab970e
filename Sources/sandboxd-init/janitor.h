// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_JANITOR_H
#define SANDBOXD_JANITOR_H

/// Waits until `lifeline` reports its end, which is the daemon's end, then removes the cgroups
/// below each of `paths` and those directories themselves, after adding their counters to the files of
/// the same name in the directory that `--records DIR` names before them. A path that is no directory is
/// unlinked. Answers an exit status.
int janitor(int lifeline, int count, const char *const *paths);

#endif
