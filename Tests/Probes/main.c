// SPDX-License-Identifier: Apache-2.0
//
// Finds the verb and runs it. Exit status: 0 when the verb was carried out, whatever came of it; 2
// when the program was called wrongly or could not do its own part.
#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct verb *const families[] = {
    filesystem_verbs, process_verbs,  surface_verbs, sweep_verbs,  network_verbs,
    resource_verbs,   exhaust_verbs, leak_verbs,    result_verbs,
};

/// The row whose verb is running; `report` prints it.
extern const char *current_probe;

static void usage(void) {
    fputs("usage: probe [--child] VERB [ARGUMENT...]\n", stderr);
    for (size_t family = 0; family < sizeof families / sizeof families[0]; family++) {
        for (const struct verb *verb = families[family]; verb->name != NULL; verb++) {
            fprintf(stderr, "  %-4s %s %s\n", verb->probe, verb->name, verb->usage);
        }
    }
}

static const struct verb *find(const char *name) {
    for (size_t family = 0; family < sizeof families / sizeof families[0]; family++) {
        for (const struct verb *verb = families[family]; verb->name != NULL; verb++) {
            if (strcmp(verb->name, name) == 0) {
                return verb;
            }
        }
    }
    return NULL;
}

/// Runs the verb in a child, so that its parent is a process of the same user: what a control run
/// needs for the verbs that reach for their parent. Ends as the child does.
static void become_parent(void) {
    pid_t child = fork();
    int status = 0;
    if (child < 0) {
        broken("fork: %s", error_name(errno));
    }
    if (child > 0) {
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
    }
}

int main(int count, char **arguments) {
    if (count > 2 && strcmp(arguments[1], "--child") == 0) {
        become_parent();
        count--;
        arguments++;
    }
    const struct verb *verb = count < 2 ? NULL : find(arguments[1]);
    if (verb == NULL) {
        usage();
        return 2;
    }
    if (count - 2 < verb->needs) {
        broken("%s needs: %s", verb->name, verb->usage);
    }
    current_probe = verb->probe;
    verb->run(count - 2, arguments + 2);
    return 0;
}
