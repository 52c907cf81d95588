// A streaming upstream: reads a POST, then sends the events of a file one write at a time, GAP microseconds apart on
// each connection, as chunked server-sent events.  Keep-alive; any path.  usage: sse PORT GAP_US EVENTS_FILE
// The file holds the events, each ended by a byte 0x01.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FD_MAX = 65536, EVENTS_MAX = 256, REQUEST_MAX = 65536, FILE_MAX = 1 << 20 };
static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
                           "Connection: keep-alive\r\nx-request-id: req_upstream_0001\r\n\r\n";

typedef struct {
    int next_event, read_len, slot;  // slot: place in the list of active connections, -1 when resting
    int64_t due;
    char buffer[REQUEST_MAX];
} Conn;

static Conn *conns[FD_MAX];
static int active[FD_MAX], active_count;
static char *chunks[EVENTS_MAX];
static size_t chunk_len[EVENTS_MAX];
static int chunk_count;
static int64_t gap;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void load_events(const char *path) {
    static char text[FILE_MAX];
    FILE *f = fopen(path, "r");
    if (!f) {
        perror(path);
        exit(2);
    }
    size_t n = fread(text, 1, sizeof text, f), start = 0;
    fclose(f);
    for (size_t i = 0; i < n && chunk_count < EVENTS_MAX; i++) {
        if (text[i] != 1) continue;
        size_t size = i - start;
        char *out = malloc(size + 64);
        int k = sprintf(out, "%zx\r\n", size);
        memcpy(out + k, text + start, size);
        memcpy(out + k + size, "\r\n", 2);
        chunks[chunk_count] = out;
        chunk_len[chunk_count++] = k + size + 2;
        start = i + 1;
    }
    if (chunk_count < 2) {
        fprintf(stderr, "%s: expected at least two events\n", path);
        exit(2);
    }
    memcpy(chunks[chunk_count - 1] + chunk_len[chunk_count - 1], "0\r\n\r\n", 5);  // the last event ends the body
    chunk_len[chunk_count - 1] += 5;
}

static void rest(int fd) {
    Conn *c = conns[fd];
    if (c->slot < 0) return;
    int moved = active[--active_count];
    active[c->slot] = moved;
    conns[moved]->slot = c->slot;
    c->slot = -1;
}

static void hang_up(int fd) {
    rest(fd);
    close(fd);
}

static void begin(int fd) {
    static char first[sizeof HEAD + 4096];
    Conn *c = conns[fd];
    memcpy(first, HEAD, sizeof HEAD - 1);
    memcpy(first + sizeof HEAD - 1, chunks[0], chunk_len[0]);
    if (write(fd, first, sizeof HEAD - 1 + chunk_len[0]) < 0) {
        hang_up(fd);
        return;
    }
    c->next_event = 1;
    c->due = now_ns() + gap;
    if (c->slot < 0) {
        c->slot = active_count;
        active[active_count++] = fd;
    }
}

// Send what is due; the time of the next event due.
static int64_t send_due(void) {
    int64_t t = now_ns(), next = t + 1000000000LL;
    for (int i = 0; i < active_count;) {
        int fd = active[i];
        Conn *c = conns[fd];
        if (c->due <= t) {
            if (write(fd, chunks[c->next_event], chunk_len[c->next_event]) < 0) {  // gone, or megabytes behind
                hang_up(fd);
                continue;
            }
            c->due += gap;
            if (++c->next_event == chunk_count) {
                rest(fd);
                continue;
            }
        }
        if (c->due < next) next = c->due;
        i++;
    }
    return next;
}

static void accept_all(int listener, int epoll_fd) {
    int one = 1;
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        if (fd >= FD_MAX) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (!conns[fd]) conns[fd] = malloc(sizeof(Conn));
        conns[fd]->read_len = 0;
        conns[fd]->slot = -1;
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

static void readable(int fd) {
    Conn *c = conns[fd];
    ssize_t n = read(fd, c->buffer + c->read_len, sizeof c->buffer - 1 - c->read_len);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        hang_up(fd);
        return;
    }
    c->read_len += n;
    c->buffer[c->read_len] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n"), *length = strcasestr(c->buffer, "\r\ncontent-length:");
    if (!end) return;
    if (length && length < end) {
        if (c->read_len < end + 4 - c->buffer + atoi(length + 17)) return;
    } else if (strcasestr(c->buffer, "chunked") && !strstr(end + 4, "0\r\n\r\n")) {
        return;
    }
    c->read_len = 0;
    begin(fd);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: sse PORT GAP_US EVENTS_FILE\n");
        return 2;
    }
    gap = atoll(argv[2]) * 1000;
    load_events(argv[3]);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1, epoll_fd = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("listen");
        return 2;
    }
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, ready[256];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int64_t wait = send_due() - now_ns();
        if (wait < 200000) wait = active_count ? 200000 : 1000000000LL;  // batch what is due within 0.2 ms
        struct timespec timeout = {wait / 1000000000, wait % 1000000000};
        int n = epoll_pwait2(epoll_fd, ready, 256, &timeout, NULL);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd == listener) accept_all(listener, epoll_fd);
            else readable(ready[i].data.fd);
        }
    }
}
