/* A network between namespaces, in user space: delay, jitter, loss and rate per packet.
 *
 *     switch SEED NAMESPACE...
 *
 * Node k (from 1) is the k-th name under /run/netns, which gets a TUN device "psp0" and is
 * to have the address 10.k.0.1. Says "ready", then obeys lines on standard input, each
 * answered by a line; times are in microseconds, the loss in parts of a million, rates in
 * kbit/s, and node 0 stands for all:
 *
 *     impair FROM TO DELAY LOSS JITTER RATE QUEUE
 *     counts            carried, lost, full (of a rate's queue), refused (by a device), bytes
 *
 * Ends with standard input. The n-th packet of a direction is lost or not by the seed alone.
 *
 * Devices take and give whole UDP trains (VIRTIO_NET_HDR_GSO_UDP_L4), so that a packet of
 * a train costs little; each is judged alone, and those due together stay together.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MAX_NODES = 100, MAX_PACKET = 65536, MAX_SEGMENTS = 128, IP = 20, UDP = 8 };
#define GSO_UDP 5 /* VIRTIO_NET_HDR_GSO_UDP_L4, which older headers do not name */
#define OFFLOAD_UDP (0x20 | 0x40) /* TUN_F_USO4 | TUN_F_USO6 */

typedef struct virtio_net_hdr Header;
typedef struct {
    uint64_t delay, jitter, queue; /* ns */
    double loss, ns_per_byte;
    uint64_t dice;
} Link;
typedef struct {
    uint64_t due, number;
    int to, size;
    uint8_t *bytes; /* Header, then the packet */
} Waiting;

static int nodes, device[MAX_NODES];
static Link links[MAX_NODES][MAX_NODES];
static uint64_t free_at[MAX_NODES]; /* when a sender's line is free again */
static unsigned long long carried, lost, full, refused, octets;
static Waiting *heap;
static size_t waiting, room;

static void fail(const char *what) { perror(what); exit(1); }

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static double roll(Link *link) { /* xorshift64 */
    link->dice ^= link->dice << 13, link->dice ^= link->dice >> 7, link->dice ^= link->dice << 17;
    return (link->dice >> 11) * 0x1p-53;
}

static uint64_t mix(uint64_t x) { /* splitmix64, so that like seeds give unlike dice */
    x += 0x9e3779b97f4a7c15, x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return (x ^ x >> 31) | 1;
}

/* ---- what waits, earliest first */

static int before(const Waiting *a, const Waiting *b) {
    return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void wait_until(uint64_t due, int to, const uint8_t *bytes, int size) {
    static uint64_t number;
    Waiting w = {due, number++, to, size, malloc(size)};
    if (waiting == room && !(heap = realloc(heap, (room = room * 2 + 1024) * sizeof *heap))) fail("memory");
    if (!w.bytes) fail("memory");
    memcpy(w.bytes, bytes, size);
    size_t at = waiting++;
    for (; at && before(&w, &heap[(at - 1) / 2]); at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = w;
}

static Waiting earliest(void) {
    Waiting first = heap[0], last = heap[--waiting];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < waiting) {
        child += child + 1 < waiting && before(&heap[child + 1], &heap[child]);
        if (!before(&heap[child], &last)) break;
        heap[at] = heap[child], at = child;
    }
    if (waiting) heap[at] = last;
    return first;
}

/* ---- packets */

static void put16(uint8_t *at, unsigned value) { at[0] = value >> 8, at[1] = value; }

static unsigned sum16(const uint8_t *bytes, int size) {
    unsigned sum = 0;
    for (int i = 0; i < size; i += 2) sum += bytes[i] << 8 | bytes[i + 1];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* Write the lengths and checksums of `count` datagrams that follow their IP and UDP header. */
static void seal(uint8_t *bytes, int size, int count) {
    Header *header = (Header *)bytes;
    uint8_t *ip = bytes + sizeof *header, *udp = ip + IP, pseudo[12];
    int length = size - sizeof *header;
    put16(ip + 2, length), put16(ip + 10, 0);
    put16(ip + 10, ~sum16(ip, IP));
    put16(udp + 4, length - IP);
    memcpy(pseudo, ip + 12, 8), pseudo[8] = 0, pseudo[9] = 17, put16(pseudo + 10, length - IP);
    put16(udp + 6, sum16(pseudo, 12)); /* the kernel completes it, or believes us */
    header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, header->csum_start = IP, header->csum_offset = 6;
    if (count == 1) header->gso_type = VIRTIO_NET_HDR_GSO_NONE, header->gso_size = 0;
}

static void deliver(int to, const uint8_t *bytes, int size, int count) {
    if (write(device[to], bytes, size) == size) carried += count, octets += size - sizeof(Header);
    else refused += count;
}

/* Return when a packet that arrives at `at` is due, or 0 if it is lost. */
static uint64_t judge(int from, Link *link, int size, uint64_t at) {
    if (link->loss > 0 && roll(link) < link->loss) { lost++; return 0; }
    if (link->ns_per_byte > 0) {
        uint64_t start = free_at[from] > at ? free_at[from] : at;
        if (start - at > link->queue) { full++; return 0; }
        at = free_at[from] = start + (uint64_t)(size * link->ns_per_byte);
    }
    return at + link->delay + (link->jitter ? (uint64_t)(roll(link) * link->jitter) : 0);
}

static void take(int from, uint8_t *bytes, int size) {
    static uint8_t train[sizeof(Header) + MAX_PACKET];
    Header *header = (Header *)bytes;
    const uint8_t *ip = bytes + sizeof *header;
    int length = size - sizeof *header, to = ip[17] - 1, head = IP + UDP;
    if (length < head || ip[0] != 0x45 || ip[16] != 10 || to < 0 || to >= nodes || to == from) return;
    Link *link = &links[from][to];
    uint64_t at = now();
    if (header->gso_type != GSO_UDP) {
        uint64_t due = judge(from, link, length, at);
        if (due) wait_until(due, to, bytes, size);
        return;
    }
    int segment = header->gso_size, used = 0, count = 0, prefix = sizeof *header + head;
    uint64_t train_due = 0;
    memcpy(train, bytes, prefix);
    for (int i = head; i < length; i += segment) {
        int part = length - i < segment ? length - i : segment;
        uint64_t due = judge(from, link, head + part, at);
        if (!due) continue;
        if (count && due != train_due) {
            seal(train, prefix + used, count), wait_until(train_due, to, train, prefix + used);
            used = count = 0;
            memcpy(train, bytes, prefix);
        }
        memcpy(train + prefix + used, ip + i, part);
        used += part, count++, train_due = due;
    }
    if (count) seal(train, prefix + used, count), wait_until(train_due, to, train, prefix + used);
}

static void deliver_due(void) {
    for (uint64_t at = now(); waiting && heap[0].due <= at;) {
        Waiting w = earliest();
        Header *header = (Header *)w.bytes;
        int payload = w.size - (int)sizeof *header - IP - UDP;
        int count = header->gso_type == GSO_UDP ? (payload + header->gso_size - 1) / header->gso_size : 1;
        deliver(w.to, w.bytes, w.size, count);
        free(w.bytes);
    }
}

/* ---- commands and devices */

static void obey(const char *line) {
    int from, to;
    double delay, loss, jitter, rate, queue;
    if (sscanf(line, "impair %d %d %lf %lf %lf %lf %lf", &from, &to, &delay, &loss, &jitter, &rate, &queue) == 7
        && from >= 0 && from <= nodes && to >= 0 && to <= nodes) {
        for (int i = 0; i < nodes; i++)
            for (int j = 0; j < nodes; j++) {
                if ((from && from != i + 1) || (to && to != j + 1)) continue;
                Link *link = &links[i][j];
                link->delay = delay * 1e3, link->jitter = jitter * 1e3, link->queue = queue * 1e3;
                link->loss = loss / 1e6, link->ns_per_byte = rate > 0 ? 8e6 / rate : 0;
            }
        puts("ok");
    } else if (!strncmp(line, "counts", 6)) {
        printf("%llu %llu %llu %llu %llu\n", carried, lost, full, refused, octets);
    } else puts("?");
    fflush(stdout);
}

static void listen_for_commands(void) {
    static char line[4096];
    static size_t used;
    ssize_t got = read(0, line + used, sizeof line - 1 - used);
    if (got <= 0) exit(0);
    used += got, line[used] = 0;
    for (char *end; (end = strchr(line, '\n'));) {
        *end = 0, obey(line);
        used -= end + 1 - line;
        memmove(line, end + 1, used + 1);
    }
}

static int open_device(const char *name) {
    char path[256];
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, .ifr_name = "psp0"};
    snprintf(path, sizeof path, "/run/netns/%s", name);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWNET)) fail(path);
    close(namespace);
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tun < 0 || ioctl(tun, TUNSETIFF, &request)) fail("/dev/net/tun");
    if (ioctl(tun, TUNSETOFFLOAD, TUN_F_CSUM | OFFLOAD_UDP)) /* kernels before 6.2: no trains */
        if (ioctl(tun, TUNSETOFFLOAD, TUN_F_CSUM)) fail("TUNSETOFFLOAD");
    return tun;
}

int main(int argc, char **argv) {
    static uint8_t packet[sizeof(Header) + MAX_PACKET];
    struct sched_param soon = {.sched_priority = 1};
    prctl(PR_SET_TIMERSLACK, 1);
    sched_setscheduler(0, SCHED_RR, &soon); /* where we may: a wire waits for no processor */
    nodes = argc - 2;
    if (nodes < 1 || nodes > MAX_NODES) return 2;
    int poller = epoll_create1(EPOLL_CLOEXEC);
    for (int i = -1; i < nodes; i++) {
        int source = i < 0 ? 0 : (device[i] = open_device(argv[2 + i]));
        struct epoll_event event = {.events = EPOLLIN, .data.fd = i};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, source, &event)) fail("epoll");
        for (int j = 0; i >= 0 && j < nodes; j++)
            links[i][j].dice = mix(mix(strtoull(argv[1], NULL, 10)) + (uint64_t)i * MAX_NODES + j);
    }
    puts("ready"), fflush(stdout);
    for (;;) {
        struct epoll_event events[MAX_NODES + 1];
        struct timespec pause = {3600, 0};
        if (waiting) {
            uint64_t at = now(), left = heap[0].due > at ? heap[0].due - at : 0;
            pause.tv_sec = left / 1000000000, pause.tv_nsec = left % 1000000000;
        }
        int ready = epoll_pwait2(poller, events, MAX_NODES + 1, &pause, NULL);
        if (ready < 0 && errno != EINTR) fail("epoll");
        for (int k = 0; k < ready; k++) {
            int i = events[k].data.fd, size;
            if (i < 0) { listen_for_commands(); continue; }
            for (int n = 0; n < 64 && (size = read(device[i], packet, sizeof packet)) > 0; n++)
                take(i, packet, size);
        }
        deliver_due();
    }
}
