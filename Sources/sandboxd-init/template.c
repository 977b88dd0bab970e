// SPDX-License-Identifier: Apache-2.0
//
// A sandbox's mount namespace is a copy of this one (CLONE_NEWNS), so whatever is the same for all
// sandboxes of an image is done here once instead of in each: the read-only root, the device
// nodes, the pivot. In the copy the kernel locks these mounts: even root of the sandbox's user
// namespace can neither remove them nor lift their read-only flag.
#include "template.h"

#include <linux/fcntl.h>
#include <linux/mount.h>

#include "inherited.h"
#include "sys.h"
#include "text.h"

#define BUILD_DEV "dev"
#define DEVICE_COUNT 6
#define LINK_COUNT 5

static const char *const device_names[DEVICE_COUNT] = {"null",   "zero",    "full",
                                                       "random", "urandom", "tty"};
static const char *const links[LINK_COUNT][2] = {
    {"/proc/self/fd", "dev/fd"},        {"/proc/self/fd/0", "dev/stdin"},
    {"/proc/self/fd/1", "dev/stdout"},  {"/proc/self/fd/2", "dev/stderr"},
    {"pts/ptmx", "dev/ptmx"},
};

static int mount_at(const char *source, const char *target, const char *type, uint64_t flags,
                    const char *options) {
    return (int)sys5(__NR_mount, source, target, type, flags, options);
}

static int make_directory(const char *path, unsigned mode) {
    return (int)sys3(__NR_mkdirat, SYS_AT_FDCWD, path, mode);
}

/// Whether the root is a container's, which is there already.
static int is_inherited(const struct sbx_template *wanted) {
    return wanted->root[0] == 0;
}

/// The image, bound onto itself so that it is a mount, and made read-only.
static int make_root(const struct sbx_template *wanted) {
    int error = mount_at(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (error == 0 && is_inherited(wanted)) {
        return inherited_root_enter((wanted->layers & SBX_LAYER_READ_ONLY_ROOT) != 0);
    }
    if (error == 0) {
        error = mount_at(wanted->root, wanted->root, NULL, MS_BIND, NULL);
    }
    if (error == 0) {
        uint64_t read_only = wanted->layers & SBX_LAYER_READ_ONLY_ROOT ? MS_RDONLY : 0;
        error = mount_at(NULL, wanted->root, NULL,
                         MS_BIND | MS_REMOUNT | read_only | MS_NOSUID | MS_NODEV, NULL);
    }
    return error == 0 ? (int)sys1(__NR_chdir, wanted->root) : error;
}

/// A device node of the host's, bound onto an empty file: a user namespace cannot make nodes.
static int bind_device(const char *name) {
    char source_bytes[32];
    char target_bytes[32];
    struct text source = TEXT(source_bytes);
    struct text target = TEXT(target_bytes);
    text_add(&source, "/dev/");
    text_add(&source, name);
    text_add(&target, BUILD_DEV "/");
    text_add(&target, name);
    long fd = sys4(__NR_openat, SYS_AT_FDCWD, target_bytes,
                   SYS_O_CREAT | SYS_O_EXCL | SYS_O_WRONLY | SYS_O_CLOEXEC, 0666);
    if (fd < 0) {
        return (int)fd;
    }
    sys_close((int)fd);
    return mount_at(source_bytes, target_bytes, NULL, MS_BIND, NULL);
}

static int make_dev(const struct sbx_template *wanted) {
    if ((wanted->layers & SBX_LAYER_DEVICE_LIST) == 0) {
        return mount_at("/dev", BUILD_DEV, NULL, MS_BIND | MS_REC, NULL);
    }
    int error = mount_at("tmpfs", BUILD_DEV, "tmpfs", MS_NOSUID | MS_NOEXEC,
                         "mode=0755,size=2m,nr_inodes=256");
    for (int i = 0; error == 0 && i < DEVICE_COUNT; i++) {
        error = bind_device(device_names[i]);
    }
    for (int i = 0; error == 0 && i < LINK_COUNT; i++) {
        error = (int)sys3(__NR_symlinkat, links[i][0], SYS_AT_FDCWD, links[i][1]);
    }
    if (error == 0) {
        error = make_directory("dev/pts", 0755);
    }
    if (error == 0) {
        error = make_directory("dev/shm", 0755);
    }
    if (error == 0) {
        // Passable by name, for init, and not to be listed.
        error = make_directory("dev/.sandboxd", 0711);
    }
    if (error == 0) {
        error = make_directory("dev/.sandboxd/empty", 0555);
    }
    return error;
}

/// Writes one synthetic file below /dev.
static int make_synthetic(const struct packet *packet) {
    const struct sbx_synthetic *file = (const struct sbx_synthetic *)packet->bytes;
    const char *content = packet->bytes + sizeof *file;
    size_t length = packet->length - sizeof *file;
    char path_bytes[128];
    struct text path = TEXT(path_bytes);
    text_add(&path, "dev/.sandboxd/");
    text_add(&path, file->name);
    long fd = sys4(__NR_openat, SYS_AT_FDCWD, path_bytes,
                   SYS_O_CREAT | SYS_O_EXCL | SYS_O_WRONLY | SYS_O_CLOEXEC, 0444);
    if (fd < 0) {
        return (int)fd;
    }
    long wrote = sys3(__NR_write, fd, content, length);
    sys_close((int)fd);
    if (wrote < 0) {
        return (int)wrote;
    }
    return (size_t)wrote == length ? 0 : -SYS_EOVERFLOW;
}

/// The old root goes; what is left is the image with its own /dev and /proc.
static int enter_root(const struct sbx_template *wanted) {
    if (is_inherited(wanted)) {
        return inherited_root_finish();
    }
    // Only the owner of a PID namespace may mount its /proc.
    int is_own = (wanted->layers & SBX_LAYER_PID_NAMESPACE) != 0;
    int error = is_own ? mount_at("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)
                       : mount_at("/proc", "proc", NULL, MS_BIND | MS_REC, NULL);
    if (error == 0) {
        error = (int)sys2(__NR_pivot_root, ".", ".");
    }
    if (error == 0) {
        error = (int)sys2(__NR_umount2, ".", 2 /* MNT_DETACH */);
    }
    return error == 0 ? (int)sys1(__NR_chdir, "/") : error;
}

int template_make(int channel, struct packet *packet, int *ret_step) {
    *ret_step = SBX_STEP_PROTOCOL;
    int error = channel_expect(channel, packet, SBX_TEMPLATE, sizeof(struct sbx_template));
    if (error < 0) {
        return error;
    }
    // The packet's buffer is used again for the synthetic files.
    static struct sbx_template wanted;
    wanted = *(const struct sbx_template *)packet->bytes;
    *ret_step = SBX_STEP_ROOT;
    (void)sys1(__NR_umask, 0);
    if ((error = make_root(&wanted)) < 0) {
        return error;
    }
    *ret_step = SBX_STEP_DEV;
    if ((error = make_dev(&wanted)) < 0) {
        return error;
    }
    for (uint32_t i = 0; i < wanted.synthetic_count; i++) {
        error = channel_expect(channel, packet, SBX_SYNTHETIC, sizeof(struct sbx_synthetic));
        if (error == 0 && (wanted.layers & SBX_LAYER_DEVICE_LIST) != 0) {
            error = make_synthetic(packet);
        }
        if (error < 0) {
            return error;
        }
    }
    if ((wanted.layers & SBX_LAYER_DEVICE_LIST) != 0 &&
        (error = mount_at(NULL, BUILD_DEV, NULL,
                          MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL)) < 0) {
        return error;
    }
    *ret_step = SBX_STEP_ROOT;
    return enter_root(&wanted);
}
