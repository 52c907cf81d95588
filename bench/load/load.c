// HTTP/1.1 load generator with an honest clock.
//
// Open loop (--rate R): request k is due at start + k/R whatever the server does; its latency runs from that due
// time, so a server that stalls is charged for everyone who had to wait (no coordinated omission).
// Closed loop (--rate 0): every connection keeps one request under way; used for streams.
// What counts: open loop, the requests due after --warm; closed loop, those that end after it.  At the end nothing new
// starts, and what is under way may finish within --drain; what has not finished by then is reported as unfinished,
// never left out.
// Server-sent events are counted one by one; a stream is whole when its end came (a finish reason, "data: [DONE]",
// "event: response.completed" or "event: message_stop") and its body ended cleanly; a silence of more than --stall milliseconds between two events of one stream is a stall.
// Prints one JSON object; times are milliseconds.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, LINE_MAX_KEPT = 2048, READ_MAX = 262144, REQUEST_MAX = 1 << 20 };

typedef enum { SIZE_LINE, CHUNK, CHUNK_END, TRAILER } ChunkState;

typedef struct {
    int fd;
    bool busy, head_done, chunked, close_after, retried, saw_done, is_stream;
    int status, head_len, events;
    int64_t length, received;  // body bytes announced (-1: until close) and read
    ChunkState chunk_state;
    int64_t chunk_left;
    int trailer_len;
    int line_len;  // of the current line of the stream, and its first bytes
    char line[LINE_MAX_KEPT];
    int64_t due, first, last_event;  // ns; first: first body byte
    char head[HEAD_MAX + 1];
} Conn;

typedef struct {
    double *items;
    size_t count, room;
} Series;

static struct {
    int port, connections;
    const char *path, *body_file, *header_file;
    double rate, seconds, warm, drain, stagger, stall_ms;
    char extra[8192];
} opt = {.connections = 64, .path = "/", .seconds = 5, .warm = 1, .drain = 5, .stall_ms = 100};

static char request[REQUEST_MAX];
static size_t request_len;
static Conn *conns;
static int epoll_fd;
static int *idle, idle_count;
static int64_t *waiting;  // due times of requests that found no idle connection (ring)
static size_t wait_head, wait_tail, wait_room = 1 << 20;
static int64_t t_start, t_measure, t_end;
static Series latency, first_chunk;
static long started, finished, bad_status, broken, reconnects, events, streams_whole, streams_cut, stalls, under_way, in_window;
static int first_bad_status;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(2);
}

static void push(Series *s, double value) {
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 4096;
        if (!(s->items = realloc(s->items, s->room * sizeof(double)))) die("memory");
    }
    s->items[s->count++] = value;
}

static void open_connection(Conn *c) {
    int one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(opt.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if ((c->fd = socket(AF_INET, SOCK_STREAM, 0)) < 0) die("socket");
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

static void reopen(Conn *c) {
    close(c->fd);
    open_connection(c);
}

// Write the whole request; false when the connection is dead.
static bool send_request(Conn *c) {
    for (size_t sent = 0; sent < request_len;) {
        ssize_t n = write(c->fd, request + sent, request_len - sent);
        if (n >= 0) {
            sent += n;
        } else if (errno == EAGAIN) {
            struct pollfd p = {.fd = c->fd, .events = POLLOUT};
            poll(&p, 1, 1000);
        } else {
            return false;
        }
    }
    return true;
}

static void reset(Conn *c) {
    c->busy = true;
    c->head_done = c->chunked = c->close_after = c->saw_done = c->is_stream = false;
    c->status = c->head_len = c->events = c->line_len = c->trailer_len = 0;
    c->length = -1;
    c->received = c->chunk_left = 0;
    c->chunk_state = SIZE_LINE;
    c->first = c->last_event = 0;
}

static void fire(Conn *c, int64_t due) {
    reset(c);
    c->due = due;
    c->retried = false;
    started++;
    under_way++;
    if (!send_request(c)) {
        reopen(c);
        reconnects++;
        c->retried = true;
        if (!send_request(c)) die("write on a fresh connection");
    }
}

static bool counts(const Conn *c, int64_t t) { return (opt.rate > 0 ? c->due : t) >= t_measure && c->due < t_end; }

// The connection is free again: take the next request due, or rest.
static void release(Conn *c) {
    c->busy = false;
    under_way--;
    int64_t t = now_ns();
    if (opt.rate > 0 && wait_head != wait_tail) {
        fire(c, waiting[wait_head++ % wait_room]);
    } else if (opt.rate == 0 && t < t_end) {
        fire(c, t);
    } else {
        idle[idle_count++] = c - conns;
    }
}

static void complete(Conn *c) {
    int64_t t = now_ns();
    bool good = c->status / 100 == 2;
    if (counts(c, t)) {
        finished++;
        if (!good) {
            bad_status++;
            if (!first_bad_status) first_bad_status = c->status;
        } else {
            if (t >= t_measure && t < t_end) in_window++;
            push(&latency, (t - c->due) / 1e6);
            push(&first_chunk, ((c->first ? c->first : t) - c->due) / 1e6);
            if (c->is_stream) *(c->saw_done ? &streams_whole : &streams_cut) += 1;
        }
    }
    if (c->close_after) reopen(c);
    release(c);
}

// The connection died.  A request that a reused connection swallowed whole is sent once more, as clients do.
static void lost(Conn *c) {
    bool was_busy = c->busy, untouched = c->head_len == 0;
    if (was_busy && c->head_done && c->length < 0 && !c->chunked) {  // body delimited by close
        c->close_after = true;
        complete(c);
        return;
    }
    reopen(c);
    reconnects++;
    if (!was_busy) return;
    if (untouched && !c->retried) {
        c->retried = true;
        if (send_request(c)) return;
    }
    if (counts(c, now_ns())) {
        finished++;
        broken++;
        if (c->is_stream) streams_cut++;
    }
    release(c);
}

static bool says_done(const char *line, size_t n) {
    static const char *const last[] = {"data: [DONE]", "event: response.completed", "event: message_stop"};
    static const char reason[] = "\"finish_reason\":";
    for (size_t i = 0; i < sizeof last / sizeof *last; i++)
        if (n == strlen(last[i]) && !memcmp(line, last[i], n)) return true;
    const char *at = memmem(line, n, reason, sizeof reason - 1), *end = line + n;
    if (!at) return false;
    for (at += sizeof reason - 1; at < end && *at == ' ';) at++;
    return at < end && *at == '"';  // a word, not null
}

static void end_of_line(Conn *c, int64_t t) {
    if (c->line_len == 0) {  // a blank line ends an event
        if (c->last_event && t - c->last_event > opt.stall_ms * 1e6 && t >= t_measure) stalls++;
        c->last_event = t;
        c->events++;
        if (t >= t_measure && t < t_end) events++;
    } else if (says_done(c->line, c->line_len < LINE_MAX_KEPT ? c->line_len : LINE_MAX_KEPT)) {
        c->saw_done = true;
    }
    c->line_len = 0;
}

static void payload(Conn *c, const char *p, size_t n, int64_t t) {
    if (!c->first && n) c->first = t;
    if (!c->is_stream) return;
    for (const char *end = p + n; p < end;) {
        const char *newline = memchr(p, '\n', end - p);
        const char *stop = newline ? newline : end;
        size_t len = stop - p;
        if (newline && len && stop[-1] == '\r') len--;
        if (c->line_len < LINE_MAX_KEPT) {
            size_t room = LINE_MAX_KEPT - c->line_len;
            memcpy(c->line + c->line_len, p, len < room ? len : room);
        }
        c->line_len += len;
        if (newline) end_of_line(c, t);
        p = stop + 1;
    }
}

static int hex(char ch) { return ch >= '0' && ch <= '9' ? ch - '0' : (ch | 32) >= 'a' && (ch | 32) <= 'f' ? (ch | 32) - 'a' + 10 : -1; }

// Feed body bytes; true when the message is complete.
static bool body(Conn *c, const char *p, size_t n, int64_t t) {
    if (!c->chunked) {
        payload(c, p, n, t);
        c->received += n;
        return c->length >= 0 && c->received >= c->length;
    }
    for (const char *end = p + n; p < end;) {
        switch (c->chunk_state) {
        case SIZE_LINE:
            if (*p == '\n') c->chunk_state = c->chunk_left ? CHUNK : TRAILER;
            else if (hex(*p) >= 0) c->chunk_left = c->chunk_left * 16 + hex(*p);
            p++;
            break;
        case CHUNK: {
            size_t take = end - p < c->chunk_left ? (size_t)(end - p) : (size_t)c->chunk_left;
            payload(c, p, take, t);
            p += take;
            if (!(c->chunk_left -= take)) c->chunk_state = CHUNK_END;
            break;
        }
        case CHUNK_END:
            if (*p++ == '\n') c->chunk_state = SIZE_LINE;
            break;
        case TRAILER:
            if (*p == '\n' && c->trailer_len == 0) return true;
            c->trailer_len = *p == '\n' ? 0 : *p == '\r' ? c->trailer_len : c->trailer_len + 1;
            p++;
            break;
        }
    }
    return false;
}

// Collect and read the response head; the number of bytes of ``p`` that belong to it, or -1 while it is incomplete.
static ssize_t head(Conn *c, const char *p, size_t n) {
    int before = c->head_len, take = n < (size_t)(HEAD_MAX - before) ? (int)n : HEAD_MAX - before;
    memcpy(c->head + before, p, take);
    c->head_len += take;
    c->head[c->head_len] = 0;
    char *end = memmem(c->head, c->head_len, "\r\n\r\n", 4), *field;
    if (!end) {
        if (c->head_len == HEAD_MAX) die("response head too large");
        return -1;
    }
    ssize_t used = end + 4 - c->head - before;
    *end = 0;
    c->head_done = true;
    c->status = atoi(c->head + 9);
    if ((field = strcasestr(c->head, "\r\ncontent-length:"))) c->length = atoll(field + 17);
    c->chunked = strcasestr(c->head, "transfer-encoding: chunked") != NULL;
    c->close_after = strcasestr(c->head, "\r\nconnection: close") != NULL;
    c->is_stream = strcasestr(c->head, "text/event-stream") != NULL;
    return used;
}

static void readable(Conn *c) {
    static char buffer[READ_MAX];
    ssize_t n = read(c->fd, buffer, sizeof buffer);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        lost(c);
        return;
    }
    if (!c->busy) return;
    int64_t t = now_ns();
    const char *p = buffer;
    if (!c->head_done) {
        ssize_t used = head(c, p, n);
        if (used < 0) return;
        p += used;
        n -= used;
        if (c->length == 0) {
            complete(c);
            return;
        }
    }
    if (body(c, p, n, t)) complete(c);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at(const Series *s, double share) {
    if (!s->count) return 0;
    size_t i = share * s->count;
    return s->items[i < s->count ? i : s->count - 1];
}

static void build_request(void) {
    static char content[REQUEST_MAX / 2];
    FILE *f = fopen(opt.body_file, "r");
    if (!f) die(opt.body_file);
    size_t n = fread(content, 1, sizeof content, f);
    fclose(f);
    if (opt.header_file) {
        char line[1024];
        if (!(f = fopen(opt.header_file, "r"))) die(opt.header_file);
        while (fgets(line, sizeof line, f)) {
            line[strcspn(line, "\r\n")] = 0;
            if (*line && strlen(opt.extra) + strlen(line) + 3 < sizeof opt.extra) strcat(strcat(opt.extra, line), "\r\n");
        }
        fclose(f);
    }
    request_len = snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%sContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                           opt.path, opt.port, opt.extra, n);
    memcpy(request + request_len, content, n);
    request_len += n;
}

static void parse(int argc, char **argv) {
    static const struct option names[] = {
        {"port", 1, 0, 'p'}, {"path", 1, 0, 'P'}, {"body", 1, 0, 'b'}, {"headers", 1, 0, 'F'}, {"connections", 1, 0, 'c'},
        {"rate", 1, 0, 'r'}, {"seconds", 1, 0, 'd'}, {"warm", 1, 0, 'w'}, {"drain", 1, 0, 'D'}, {"stagger", 1, 0, 's'},
        {"stall", 1, 0, 'S'}, {0}};
    for (int o; (o = getopt_long(argc, argv, "", names, NULL)) != -1;) switch (o) {
        case 'p': opt.port = atoi(optarg); break;
        case 'P': opt.path = optarg; break;
        case 'b': opt.body_file = optarg; break;
        case 'F': opt.header_file = optarg; break;
        case 'c': opt.connections = atoi(optarg); break;
        case 'r': opt.rate = atof(optarg); break;
        case 'd': opt.seconds = atof(optarg); break;
        case 'w': opt.warm = atof(optarg); break;
        case 'D': opt.drain = atof(optarg); break;
        case 's': opt.stagger = atof(optarg); break;
        case 'S': opt.stall_ms = atof(optarg); break;
        default: exit(2);
        }
    if (!opt.port || !opt.body_file || opt.connections < 1) {
        fprintf(stderr, "usage: load --port N --body FILE [--path P] [--headers FILE] [--connections N] [--rate R] [--seconds S] "
                        "[--warm S] [--drain S] [--stagger S] [--stall MS]\n");
        exit(2);
    }
}

static void run(void) {
    struct epoll_event ready[256];
    int64_t k = 0, give_up = t_end + (int64_t)(opt.drain * 1e9);
    for (int64_t t; (t = now_ns()) < t_end || (under_way && t < give_up);) {
        int64_t wake = t < t_end ? t_end : give_up;
        if (opt.rate > 0) {
            for (int64_t due; (due = t_start + (int64_t)(k * 1e9 / opt.rate)) < t_end; k++) {
                if (due > t) {
                    if (due < wake) wake = due;
                    break;
                }
                if (idle_count) fire(&conns[idle[--idle_count]], due);
                else waiting[wait_tail++ % wait_room] = due;
            }
        } else {  // start the connections one after another over --stagger seconds
            for (; k < opt.connections; k++) {
                int64_t due = t_start + (int64_t)(k * opt.stagger * 1e9 / opt.connections);
                if (due > t) {
                    if (due < wake) wake = due;
                    break;
                }
                fire(&conns[k], t);
            }
        }
        int64_t sleep = wake > t ? wake - t : 0;
        struct timespec timeout = {sleep / 1000000000, sleep % 1000000000};
        int n = epoll_pwait2(epoll_fd, ready, 256, &timeout, NULL);
        for (int i = 0; i < n; i++) readable(ready[i].data.ptr);
    }
}

int main(int argc, char **argv) {
    parse(argc, argv);
    build_request();
    epoll_fd = epoll_create1(0);
    conns = calloc(opt.connections, sizeof *conns);
    idle = malloc(opt.connections * sizeof *idle);
    waiting = malloc(wait_room * sizeof *waiting);
    if (!conns || !idle || !waiting) die("memory");
    for (int i = 0; i < opt.connections; i++) open_connection(&conns[i]);
    for (int i = opt.connections; opt.rate > 0 && i > 0;) idle[idle_count++] = --i;
    t_start = now_ns();
    t_measure = t_start + (int64_t)(opt.warm * 1e9);
    t_end = t_measure + (int64_t)(opt.seconds * 1e9);
    run();

    long unfinished = 0;
    for (int i = 0; i < opt.connections; i++) unfinished += conns[i].busy && counts(&conns[i], t_end);
    for (size_t i = wait_head; i < wait_tail; i++) unfinished += waiting[i % wait_room] >= t_measure;
    qsort(latency.items, latency.count, sizeof(double), ascending);
    qsort(first_chunk.items, first_chunk.count, sizeof(double), ascending);
    printf("{\"good\":%zu,\"finished\":%ld,\"unfinished\":%ld,\"bad_status\":%ld,\"first_bad_status\":%d,\"broken\":%ld,\"reconnects\":%ld,"
           "\"seconds\":%.3f,\"per_second\":%.1f,\"p50\":%.4f,\"p90\":%.4f,\"p99\":%.4f,\"max\":%.4f,\"first_p50\":%.4f,\"first_p99\":%.4f,"
           "\"events_per_second\":%.1f,\"streams_whole\":%ld,\"streams_cut\":%ld,\"stalls\":%ld}\n",
           latency.count, finished, unfinished, bad_status, first_bad_status, broken, reconnects, opt.seconds,
           in_window / opt.seconds, at(&latency, .5), at(&latency, .9), at(&latency, .99), at(&latency, 1), at(&first_chunk, .5),
           at(&first_chunk, .99), events / opt.seconds, streams_whole, streams_cut, stalls);
    return 0;
}
