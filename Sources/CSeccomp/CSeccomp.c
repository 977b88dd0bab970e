// SPDX-License-Identifier: Apache-2.0
#include "CSeccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_COMPARISONS = 6 };

/// libseccomp's token for an `AUDIT_ARCH_` value, or 0. They are equal today, by no promise.
static uint32_t token(uint32_t architecture) {
    switch (architecture) {
    case AUDIT_ARCH_X86_64:
        return SCMP_ARCH_X86_64;
    case AUDIT_ARCH_AARCH64:
        return SCMP_ARCH_AARCH64;
    default:
        return 0;
    }
}

/// Makes `context` speak of one architecture only, whichever this machine has.
static int choose_architecture(scmp_filter_ctx context, uint32_t architecture) {
    if (architecture == seccomp_arch_native())
        return 0;
    int error = seccomp_arch_add(context, architecture);
    return error ? error : seccomp_arch_remove(context, SCMP_ARCH_NATIVE);
}

static int add(scmp_filter_ctx context, const struct sbx_rule *rule,
               const struct sbx_comparison *_Nullable comparisons) {
    struct scmp_arg_cmp tests[MOST_COMPARISONS];
    if (rule->comparison_count > MOST_COMPARISONS)
        return -EINVAL;
    for (uint32_t i = 0; i < rule->comparison_count; i++) {
        const struct sbx_comparison *comparison = &comparisons[rule->first_comparison + i];
        tests[i] = (struct scmp_arg_cmp){
            .arg = comparison->argument,
            .op = SCMP_CMP_MASKED_EQ,
            .datum_a = comparison->mask,
            .datum_b = comparison->value,
        };
    }
    // The exact form: without it libseccomp may weaken a rule that an architecture cannot hold.
    return seccomp_rule_add_exact_array(context, rule->action, rule->number,
                                        rule->comparison_count, tests);
}

static int fill(scmp_filter_ctx context, const struct sbx_filter *filter, uint32_t architecture) {
    int error = choose_architecture(context, architecture);
    if (!error)
        error = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, filter->foreign_action);
    // 2 makes it a binary tree. A new filter costs the kernel one walk per call number, so a
    // list of some three hundred calls shows in the time to start a sandbox.
    if (!error)
        error = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (uint32_t i = 0; !error && i < filter->rule_count; i++) {
        const struct sbx_rule *rule = &filter->rules[i];
        if ((uint64_t)rule->first_comparison + rule->comparison_count > filter->comparison_count)
            return -EINVAL;
        error = add(context, rule, filter->comparisons);
    }
    return error;
}

/// Copies all of `fd` to `buffer` and returns its length.
static long read_back(int fd, void *buffer, size_t capacity) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -errno;
    if ((size_t)status.st_size > capacity)
        return -ENOBUFS;
    const ssize_t count = pread(fd, buffer, (size_t)status.st_size, 0);
    if (count < 0)
        return -errno;
    return count == status.st_size ? count : -EIO;
}

static long export(scmp_filter_ctx context, void *buffer, size_t capacity) {
    const int fd = memfd_create("sandboxd-filter", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    long result = seccomp_export_bpf(context, fd);
    if (result == 0)
        result = read_back(fd, buffer, capacity);
    close(fd);
    return result;
}

long sbx_filter_compile(const struct sbx_filter *filter, void *buffer, size_t capacity) {
    const uint32_t architecture = token(filter->architecture);
    if (architecture == 0)
        return -EOPNOTSUPP;
    scmp_filter_ctx context = seccomp_init(filter->default_action);
    if (context == NULL)
        return -EINVAL;
    long result = fill(context, filter, architecture);
    if (result == 0)
        result = export(context, buffer, capacity);
    seccomp_release(context);
    return result;
}

int32_t sbx_syscall_number(uint32_t architecture, const char *name) {
    const int number = seccomp_syscall_resolve_name_arch(token(architecture), name);
    if (number == __NR_SCMP_ERROR)
        return -ENOENT;
    // libseccomp gives calls of other architectures negative numbers of its own.
    return number < 0 ? -EOPNOTSUPP : number;
}

static long hand_out(const char *_Nullable name, char *buffer, size_t capacity) {
    if (name == NULL)
        return -ENOENT;
    const size_t length = strlen(name);
    if (length >= capacity)
        return -ENOBUFS;
    memcpy(buffer, name, length + 1);
    return (long)length;
}

long sbx_syscall_name(uint32_t architecture, int32_t number, char *buffer, size_t capacity) {
    char *name = seccomp_syscall_resolve_num_arch(token(architecture), number);
    const long result = hand_out(name, buffer, capacity);
    free(name);
    return result;
}

int32_t sbx_capability_bit(const char *name) {
    cap_value_t bit;
    return cap_from_name(name, &bit) == 0 ? bit : -ENOENT;
}

long sbx_capability_name(int32_t bit, char *buffer, size_t capacity) {
    // libcap answers numbers it has no name for with the number, which is no name.
    if (bit < 0 || bit > CAP_LAST_CAP)
        return -ENOENT;
    char *name = cap_to_name(bit);
    const long result = hand_out(name, buffer, capacity);
    cap_free(name);
    return result;
}
