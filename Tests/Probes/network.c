// SPDX-License-Identifier: Apache-2.0
//
// Ways out of the sandbox by socket (rows N01–N10).
//
// A control run on the host must not send a packet beyond the loopback: addresses elsewhere are
// tried with a datagram socket's connect, which looks a route up and sends nothing.
#include "probe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/// An address of either family, ready for connect.
struct address {
    struct sockaddr_storage storage;
    socklen_t size;
};

/// Reads `text` as an IPv6 address when it has a colon (with `%interface`, if it has one), else as
/// inet_aton does: dotted, or one number.
static struct address parse_address(const char *text, long port) {
    struct address address = {.size = 0};
    if (strchr(text, ':') != NULL) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address.storage;
        char plain[64];
        snprintf(plain, sizeof plain, "%.*s", (int)strcspn(text, "%"), text);
        const char *scope = strchr(text, '%');
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        six->sin6_scope_id = scope == NULL ? 0 : if_nametoindex(scope + 1);
        if (inet_pton(AF_INET6, plain, &six->sin6_addr) != 1) {
            broken("not an address: %s", text);
        }
        address.size = sizeof *six;
        return address;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)&address.storage;
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t)port);
    if (inet_aton(text, &four->sin_addr) == 0) {
        broken("not an address: %s", text);
    }
    address.size = sizeof *four;
    return address;
}

/// Whether a TCP socket is its own peer. A connect to a free port of the ephemeral range may be
/// given that very port as its own, and then answers itself.
static bool connected_to_itself(int fd) {
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t here_size = sizeof here, there_size = sizeof there;
    return getsockname(fd, (struct sockaddr *)&here, &here_size) == 0
        && getpeername(fd, (struct sockaddr *)&there, &there_size) == 0
        && here_size == there_size && memcmp(&here, &there, here_size) == 0;
}

/// Connects, waiting `wait_ms` at most. 0, or -1 with errno (ETIMEDOUT when nothing answered).
static int connect_within(int type, const struct address *address, int wait_ms) {
    int fd = socket(address->storage.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    int answer = connect(fd, (const struct sockaddr *)&address->storage, address->size);
    int error = answer < 0 ? errno : 0;
    if (error == EINPROGRESS) {
        struct pollfd waiting = {.fd = fd, .events = POLLOUT};
        socklen_t size = sizeof error;
        if (poll(&waiting, 1, wait_ms) <= 0) {
            error = ETIMEDOUT;
        } else {
            (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        }
    }
    if (error == 0 && type == SOCK_STREAM && connected_to_itself(fd)) {
        error = ECONNREFUSED;
    }
    close(fd);
    errno = error;
    return error == 0 ? 0 : -1;
}

static void try_connect(const char *action, int type, const char *text, long port) {
    struct address address = parse_address(text, port);
    report_answer(action, connect_within(type, &address, 1000));
}

/// Counts the lines of a /proc/net file below its heading, and keeps the first.
static int table_lines(const char *path, char *first, size_t size) {
    static char text[128 * 1024];
    int lines = 0;
    first[0] = 0;
    if (slurp(path, text, sizeof text) <= 0) {
        return 0;
    }
    for (char *line = strchr(text, '\n'); line != NULL && line[1] != 0;
         line = strchr(line + 1, '\n')) {
        if (lines++ == 0) {
            snprintf(first, size, "%.*s", (int)strcspn(line + 1, "\n"), line + 1);
        }
    }
    return lines;
}

static void inventory(int count, char **arguments) {
    (void)count;
    (void)arguments;
    struct if_nameindex *interfaces = if_nameindex();
    int others = 0;
    char names[256] = "";
    for (struct if_nameindex *one = interfaces; one != NULL && one->if_index != 0; one++) {
        if (strcmp(one->if_name, "lo") != 0) {
            others++;
            strncat(names, one->if_name, sizeof names - strlen(names) - 2);
            strncat(names, " ", 2);
        }
    }
    report("find an interface beside lo", others == 0, interfaces == NULL ? errno : 0, "%s", names);
    static const char *const tables[] = {
        "/proc/net/route", "/proc/net/arp", "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp",
        "/proc/net/unix", "/proc/net/packet",
    };
    for (size_t index = 0; index < sizeof tables / sizeof tables[0]; index++) {
        char action[64], first[200];
        int lines = table_lines(tables[index], first, sizeof first);
        snprintf(action, sizeof action, "read entries of %s", tables[index]);
        report(action, lines == 0, 0, "%d lines %s", lines, first);
    }
}

static void connect_all(int count, char **arguments) {
    long from = count > 0 ? number(arguments[0], 65535) : 1;
    long to = count > 1 ? number(arguments[1], 65535) : 65535;
    // The last is the first by another name, so some of its ports are enough: all would be too much for
    // a job's processor time on a machine that is emulated.
    static const struct {
        const char *name;
        long step;
    } hosts[] = {{"127.0.0.1", 1}, {"::1", 1}, {"0.0.0.0", 16}};
    for (size_t index = 0; index < sizeof hosts / sizeof hosts[0]; index++) {
        char action[64];
        long reached = 0, first = 0;
        for (long port = from; port <= to; port += hosts[index].step) {
            struct address address = parse_address(hosts[index].name, port);
            if (connect_within(SOCK_STREAM, &address, 100) == 0) {
                first = reached++ == 0 ? port : first;
            }
        }
        snprintf(action, sizeof action, "connect to a port of %s", hosts[index].name);
        report(action, reached == 0, 0, "%ld reached, first %ld", reached, first);
    }
}

/// Connects to a Unix socket; an abstract one when `abstract`.
static long connect_unix(const char *name, int type, bool abstract) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    if (length + 2 > sizeof address.sun_path) {
        broken("name too long: %s", name);
    }
    memcpy(address.sun_path + (abstract ? 1 : 0), name, length);
    size_t size = offsetof(struct sockaddr_un, sun_path) + length + 1;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    int answer = connect(fd, (const struct sockaddr *)&address, (socklen_t)size);
    int error = errno;
    if (answer == 0 && type == SOCK_DGRAM) {
        answer = (int)send(fd, "probe", 5, 0);
        error = errno;
    }
    close(fd);
    errno = error;
    return answer;
}

static void abstract_sockets(int count, char **arguments) {
    (void)count;
    char name[128];
    report_answer("connect to an abstract stream", connect_unix(arguments[0], SOCK_STREAM, true));
    snprintf(name, sizeof name, "%s-datagram", arguments[0]);
    report_answer("send to an abstract datagram socket", connect_unix(name, SOCK_DGRAM, true));
}

static void path_sockets(int count, char **arguments) {
    for (int index = 0; index < count; index++) {
        char action[256];
        snprintf(action, sizeof action, "connect to %s", arguments[index]);
        report_answer(action, connect_unix(arguments[index], SOCK_STREAM, false));
    }
}

static void metadata(int count, char **arguments) {
    bool send = count > 0 && strcmp(arguments[0], "connect") == 0;
    static const char *const hosts[] = {
        "169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254", "1.1.1.1",
        "192.0.2.1", "2001:db8::1",
    };
    for (size_t index = 0; index < sizeof hosts / sizeof hosts[0]; index++) {
        char action[64];
        snprintf(action, sizeof action, "find a route to %s", hosts[index]);
        try_connect(action, SOCK_DGRAM, hosts[index], 80);
        if (send) {
            long start = now_ms();
            struct address address = parse_address(hosts[index], 80);
            int answer = connect_within(SOCK_STREAM, &address, 1000);
            int error = answer < 0 ? errno : 0;
            long took = now_ms() - start;
            snprintf(action, sizeof action, "connect to %s", hosts[index]);
            // A refusal that takes its time has left the sandbox.
            report(
                action, answer < 0 && took < 500, error, "%s in %ld ms", error_name(error), took);
        }
    }
}

/// A DNS query for `canary.invalid`, type A.
static const unsigned char query[] = {
    0x5b, 0xb5, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 6, 'c', 'a', 'n', 'a', 'r', 'y',
    7, 'i', 'n', 'v', 'a', 'l', 'i', 'd', 0, 0, 1, 0, 1,
};

static void ask(const char *host, long port) {
    char action[128], reply[512];
    struct address address = parse_address(host, port);
    int fd = socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int error = 0;
    bool delivered = false;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address.storage, address.size) < 0
        || send(fd, query, sizeof query, 0) < 0) {
        error = errno;
    } else {
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        int ready = poll(&waiting, 1, 300);
        // Silence counts as delivered: a closed port of the own loopback answers at once.
        delivered = ready == 0 || (ready > 0 && recv(fd, reply, sizeof reply, 0) >= 0);
        error = delivered ? 0 : errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    snprintf(action, sizeof action, "ask %s for a name by UDP", host);
    report(action, !delivered, error, "%s", error_name(error));
    snprintf(action, sizeof action, "ask %s for a name by TCP", host);
    try_connect(action, SOCK_STREAM, host, port);
}

static void resolve(int count, char **arguments) {
    ask("127.0.0.1", number(arguments[0], 65535));
    ask("127.0.0.53", number(arguments[0], 65535));
    if (count > 1 && strcmp(arguments[1], "everywhere") == 0) {
        // Not in a control run: on the host these would leave the machine.
        ask("127.0.0.53", 53);
        ask("192.0.2.1", 53);
        ask("8.8.8.8", 53);
        static char text[4096];
        (void)slurp("/etc/resolv.conf", text, sizeof text);
        report(
            "find a resolver in /etc/resolv.conf", strstr(text, "nameserver") == NULL, 0,
            "%zu bytes", strlen(text));
    }
}

static void spellings(int count, char **arguments) {
    long port = number(arguments[0], 65535);
    static const char *const hosts[] = {
        "::ffff:127.0.0.1", "0.0.0.0", "2130706433", "127.1", "0x7f.1", "127.255.255.254", "::",
        "::ffff:0:0",
    };
    for (size_t index = 0; index < sizeof hosts / sizeof hosts[0]; index++) {
        char action[64];
        snprintf(action, sizeof action, "connect to %s", hosts[index]);
        try_connect(action, SOCK_STREAM, hosts[index], port);
    }
    // Off the loopback: routes only. The arguments are the host's own addresses.
    static const char *const routes[] = {
        "172.17.0.1", "10.0.2.2", "192.168.0.1", "224.0.0.1", "255.255.255.255",
    };
    for (size_t index = 0; index < sizeof routes / sizeof routes[0]; index++) {
        char action[64];
        snprintf(action, sizeof action, "find a route to %s", routes[index]);
        try_connect(action, SOCK_DGRAM, routes[index], port);
    }
    for (int index = 1; index < count; index++) {
        char action[128];
        snprintf(action, sizeof action, "connect to the host's %s", arguments[index]);
        try_connect(action, SOCK_STREAM, arguments[index], port);
    }
}

static void vsock(int count, char **arguments) {
    bool connecting = count > 0 && strcmp(arguments[0], "connect") == 0;
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    static const char *const names[] = {"STREAM", "DGRAM", "SEQPACKET"};
    for (size_t index = 0; index < 3; index++) {
        char action[64];
        snprintf(action, sizeof action, "socket(AF_VSOCK, %s)", names[index]);
        int fd = socket(AF_VSOCK, types[index] | SOCK_CLOEXEC, 0);
        report_answer(action, fd);
        if (fd >= 0) {
            close(fd);
        }
    }
    static const unsigned int contexts[] = {0, 1, 2, 3};
    static const unsigned int ports[] = {22, 1024, 52, 9999};
    for (size_t index = 0; connecting && index < 16; index++) {
        char action[64];
        struct address address = {.size = sizeof(struct sockaddr_vm)};
        struct sockaddr_vm *vm = (struct sockaddr_vm *)&address.storage;
        vm->svm_family = AF_VSOCK;
        vm->svm_cid = contexts[index / 4];
        vm->svm_port = ports[index % 4];
        snprintf(action, sizeof action, "connect to vsock %u:%u", vm->svm_cid, vm->svm_port);
        report_answer(action, connect_within(SOCK_STREAM, &address, 500));
    }
    static const struct call calls[] = {
        {"make a ring for its OP_SOCKET", SYS_io_uring_setup, {1, BAD_POINTER}, 0},
    };
    ATTEMPT_CALLS(calls);
}

static void bind_port(int count, char **arguments) {
    (void)count;
    long port = number(arguments[0], 65535);
    const char *token = arguments[1];
    long end = now_ms() + number(arguments[2], 60) * 1000;
    struct address address = parse_address("127.0.0.1", port);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int answer = bind(listener, (struct sockaddr *)&address.storage, address.size);
    if (answer == 0) {
        answer = listen(listener, 8);
    }
    report_answer("bind the port", answer);
    // Talk to whoever answers on the port; it must be this process.
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char heard[128] = "";
    if (connect(client, (struct sockaddr *)&address.storage, address.size) == 0) {
        int accepted = answer == 0 ? accept(listener, NULL, NULL) : -1;
        if (accepted >= 0) {
            (void)send(accepted, token, strlen(token), MSG_NOSIGNAL);
            close(accepted);
        }
        struct pollfd waiting = {.fd = client, .events = POLLIN};
        if (poll(&waiting, 1, 1000) > 0) {
            ssize_t got = recv(client, heard, sizeof heard - 1, 0);
            heard[got > 0 ? got : 0] = 0;
        }
    }
    close(client);
    report("hear somebody else's token", strcmp(heard, token) == 0, 0, "heard %s", heard);
    // Serve until the end, so that a neighbour has time to reach this port.
    while (answer == 0 && now_ms() < end) {
        struct pollfd waiting = {.fd = listener, .events = POLLIN};
        long left = end - now_ms();
        if (poll(&waiting, 1, left > 0 ? (int)left : 0) > 0) {
            int accepted = accept(listener, NULL, NULL);
            if (accepted >= 0) {
                (void)send(accepted, token, strlen(token), MSG_NOSIGNAL);
                close(accepted);
            }
        }
    }
}

const struct verb network_verbs[] = {
    {"inventory", "N01", "", inventory, 0},
    {"connect-all", "N02", "[FROM [TO]]", connect_all, 0},
    {"abstract-sockets", "N03", "NAME", abstract_sockets, 1},
    {"path-sockets", "N04", "PATH...", path_sockets, 1},
    {"metadata", "N05", "[connect]", metadata, 0},
    {"resolve", "N06", "PORT [everywhere]", resolve, 1},
    {"spellings", "N07", "PORT [ADDRESS...]", spellings, 1},
    {"vsock", "N09", "[connect]", vsock, 0},
    {"bind-port", "N10", "PORT TOKEN SECONDS", bind_port, 3},
    {NULL, NULL, NULL, NULL, 0},
};
