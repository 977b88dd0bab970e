// SPDX-License-Identifier: Apache-2.0
#include "text.h"

// gcc and clang call these four for struct copies and zeroing, also in freestanding code. The
// pattern-to-call optimisation must be off here, or each would be compiled into a call to itself.
#if defined(__clang__)
#define PLAIN_LOOP
#else
#define PLAIN_LOOP __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

PLAIN_LOOP void *memcpy(void *to, const void *from, size_t size) {
    char *target = to;
    const char *source = from;
    while (size-- > 0) {
        *target++ = *source++;
    }
    return to;
}

PLAIN_LOOP void *memmove(void *to, const void *from, size_t size) {
    char *target = to;
    const char *source = from;
    if (target <= source) {
        return memcpy(to, from, size);
    }
    while (size-- > 0) {
        target[size] = source[size];
    }
    return to;
}

PLAIN_LOOP void *memset(void *to, int value, size_t size) {
    char *target = to;
    while (size-- > 0) {
        *target++ = (char)value;
    }
    return to;
}

PLAIN_LOOP int memcmp(const void *a, const void *b, size_t size) {
    const unsigned char *left = a;
    const unsigned char *right = b;
    for (; size > 0; size--, left++, right++) {
        if (*left != *right) {
            return *left - *right;
        }
    }
    return 0;
}

size_t text_length(const char *string) {
    size_t length = 0;
    while (string[length] != 0) {
        length++;
    }
    return length;
}

int text_equal(const char *a, const char *b) {
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

void text_add(struct text *text, const char *string) {
    size_t length = text_length(string);
    if (text->overflow || length >= text->size - text->used) {
        text->overflow = 1;
        return;
    }
    for (size_t i = 0; i <= length; i++) {
        text->bytes[text->used + i] = string[i];
    }
    text->used += length;
}

void text_add_number(struct text *text, uint64_t number) {
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    text_add(text, digits + at);
}

static uint64_t leading_number(const char *bytes, size_t length) {
    uint64_t value = 0;
    for (size_t at = 0; at < length && bytes[at] >= '0' && bytes[at] <= '9'; at++) {
        value = value * 10 + (uint64_t)(bytes[at] - '0');
    }
    return value;
}

uint64_t text_counter(const char *bytes, size_t length, const char *key) {
    size_t key_length = text_length(key);
    if (key_length == 0) {
        return leading_number(bytes, length);
    }
    size_t at = 0;
    while (at + key_length < length) {
        size_t same = 0;
        while (same < key_length && bytes[at + same] == key[same]) {
            same++;
        }
        if (same == key_length && bytes[at + same] == ' ') {
            at += same + 1;
            return leading_number(bytes + at, length - at);
        }
        while (at < length && bytes[at] != '\n') {
            at++;
        }
        at++;
    }
    return 0;
}
