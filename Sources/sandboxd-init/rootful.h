// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_ROOTFUL_H
#define SANDBOXD_ROOTFUL_H

/// How many words `rootful` takes.
#define ROOTFUL_WORDS 7

/// Process 1 of a container whose engine runs as root: becomes the daemon's user, and starts
/// `container` in a user namespace of that user's. The words are the user, the group, the first
/// subordinate user and how many there are, the same of groups, and the control socket's path.
/// Answers an exit status.
int rootful(const char *const *words);

#endif
