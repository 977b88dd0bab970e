// SPDX-License-Identifier: Apache-2.0
//
// The root file system of a container that another engine made, in a mount namespace of our own.
//
// Theory of operation. Whatever the engine mounted before the user namespace was made is locked: it
// can neither be unmounted nor left behind by a bind, an overlay or a pivot, for that could reveal
// what lies beneath. It can be covered and made read-only. So the root stays where it is: `/dev`,
// `/proc`, `/sys` and the directory that this program came in get a mount of ours on top, and
// everything else that the engine mounted becomes read-only.
#ifndef SANDBOXD_INHERITED_H
#define SANDBOXD_INHERITED_H

/// Where the daemon has this program mounted in a container. Covered, it is a place to work in.
#define INHERITED_STAGE "/.sandboxd"

/// Makes the root and the engine's mounts in it read-only, and changes to a directory of ours that
/// has an empty `dev`. Answers 0 or a negative errno.
int inherited_root_enter(int is_read_only);

/// Moves the `dev` that was made since to `/dev`, covers what is the engine's, and changes to `/`.
/// Answers 0 or a negative errno.
int inherited_root_finish(void);

#endif
