// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_LAUNCH_H
#define SANDBOXD_LAUNCH_H

/// Enters a user namespace, has the daemon map its ids, and executes itself as `launch-mapped` with
/// the same `layers`, a number as text. Answers an exit status, and only when something failed.
int launch(int channel, const char *layers);

/// Enters the namespaces that `layers` has, becomes process 1 of the PID namespace, makes the template that all sandboxes share, and serves
/// LAUNCH messages until the daemon goes. Answers an exit status.
int launch_mapped(int channel, const char *layers);

#endif
