// SPDX-License-Identifier: Apache-2.0
//
// The little text this program needs: mount options and numbers for /proc.
#ifndef SANDBOXD_TEXT_H
#define SANDBOXD_TEXT_H

#include <stddef.h>
#include <stdint.h>

/// A text being built in place. `overflow` is set, and nothing more is written, once it is full.
struct text {
    char *bytes;
    size_t size;
    size_t used;
    int overflow;
};

/// Starts an empty text in `array`.
#define TEXT(array) ((struct text){.bytes = (array), .size = sizeof(array)})

size_t text_length(const char *string);
int text_equal(const char *a, const char *b);
/// Appends and keeps the text NUL-terminated.
void text_add(struct text *text, const char *string);
void text_add_number(struct text *text, uint64_t number);
/// The number after `key` and one blank in `bytes`, a file of `key value` lines; 0 when not there.
/// An empty key is the number that `bytes` begins with.
uint64_t text_counter(const char *bytes, size_t length, const char *key);

#endif
