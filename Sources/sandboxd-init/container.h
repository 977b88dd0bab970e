// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_CONTAINER_H
#define SANDBOXD_CONTAINER_H

/// Process 1 of a container that another engine made: connects to the daemon at `path`, makes the
/// one sandbox that it is asked for inside of that container, and ends with it. Answers an exit
/// status.
int container(const char *path);

#endif
