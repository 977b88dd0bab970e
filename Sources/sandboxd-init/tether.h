// SPDX-License-Identifier: Apache-2.0
#ifndef SANDBOXD_TETHER_H
#define SANDBOXD_TETHER_H

/// Becomes `arguments[2]`, a program's path, with the arguments after it; `arguments` ends with
/// NULL. The program gets the signal `arguments[0]` when the thread that started this process ends,
/// writes to `log`, and has a session and an environment of its own. `arguments[1]` is the process
/// id of the starter. Comes back only with an exit status: 125, or 127 without the program.
int tether(int log, const char *const *arguments);

#endif
