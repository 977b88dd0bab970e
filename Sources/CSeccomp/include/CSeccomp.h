// SPDX-License-Identifier: Apache-2.0
#ifndef SBX_CSECCOMP_H
#define SBX_CSECCOMP_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// One test of a system call's argument: does `argument & mask` equal `value`?
///
/// Only the low 32 bits of an argument are looked at, because that is what the kernel looks at in
/// every call we judge by its arguments. A test of all 64 bits can be walked around by setting a
/// high bit that the kernel throws away (CVE-2019-10063).
struct sbx_comparison {
    uint32_t argument; ///< Which argument, 0 to 5.
    uint32_t mask;     ///< The bits to look at.
    uint32_t value;    ///< What they must be.
};

/// What happens to a system call whose comparisons all hold.
struct sbx_rule {
    int32_t number;            ///< The call's number on the filter's architecture.
    uint32_t action;           ///< A `SECCOMP_RET_` value (seccomp(2)), its data included.
    uint32_t first_comparison; ///< Where this rule's comparisons start in the filter's array.
    uint32_t comparison_count; ///< How many they are; with none, the rule always holds.
};

/// A filter to compile. It borrows its arrays for the length of the call.
struct sbx_filter {
    uint32_t architecture;             ///< An `AUDIT_ARCH_` value (linux/audit.h).
    uint32_t default_action;           ///< For a call that no rule speaks of.
    uint32_t foreign_action;           ///< For a call made through another ABI.
    uint32_t rule_count;               ///< How many rules there are.
    const struct sbx_rule *_Nullable rules;             ///< The rules, in any order.
    const struct sbx_comparison *_Nullable comparisons; ///< What the rules' indices point into.
    uint32_t comparison_count;                          ///< How many comparisons there are.
};

/// Compiles a filter to an array of `struct sock_filter`, which it writes to `buffer`.
///
/// Two rules for one call must have the same action. Returns the number of bytes, `-ENOBUFS` when
/// they are more than `capacity`, or another `-errno`; on failure `buffer` is untouched.
///
/// This is the judge of our own compiler: tests hold the two against each other. It is in C,
/// because libseccomp 2.5.4 exports to a descriptor only, and its contexts must be released on
/// every way out.
long sbx_filter_compile(const struct sbx_filter *filter, void *buffer, size_t capacity);

/// The number of the system call called `name`.
///
/// Returns `-ENOENT` when nobody knows the name, and `-EOPNOTSUPP` when the call exists but not on
/// this architecture (an `AUDIT_ARCH_` value). libseccomp 2.5.4 knows names up to Linux 5.16.
int32_t sbx_syscall_number(uint32_t architecture, const char *name);

/// Writes the name of system call `number`, NUL included, to `buffer`.
///
/// Returns the length of the name, `-ENOENT` when libseccomp does not know it, or `-ENOBUFS`; on
/// failure `buffer` is untouched.
long sbx_syscall_name(uint32_t architecture, int32_t number, char *buffer, size_t capacity);

/// The bit of the capability called `name` (`cap_net_raw`), or `-ENOENT`.
int32_t sbx_capability_bit(const char *name);

/// Writes the name of the capability with this `bit`, NUL included, to `buffer`.
///
/// Returns the length of the name, `-ENOENT` or `-ENOBUFS`; on failure `buffer` is untouched.
long sbx_capability_name(int32_t bit, char *buffer, size_t capacity);

#pragma clang assume_nonnull end

#endif
