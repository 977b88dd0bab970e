// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_SIGNALS_H
#define SANDBOXD_SIGNALS_H

/// Resets every signal's disposition to its default.
void signals_forget(void);

/// Has the kernel reap every child. Answers 0 or a negative errno.
int signals_leave_no_zombies(void);

#endif
