/* Clients of a scheduler, cheap enough to share its processors: streams of events, of which every
 * id is checked, and clients that ask one thing after the other, with a pause between: 60% reads,
 * 20% logs, 20% triggers and clears of their own runs.
 *
 *   peer_clients HOST:PORT STREAMS CLIENTS PAUSE_MS LOGGED_RUN
 *
 * Runs of the DAG `small` are triggered; `load` is looked at; the log is that of the task `says` of
 * LOGGED_RUN. Prints "ready" when all are connected; when its input ends it lets the streams come
 * to rest and prints what it saw as JSON. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "tests/bench/bench.h"

#define KEPT 1024        /* bytes of an answer that are looked at */
#define REST_US 1000000  /* streams without a byte for so long have come to rest */
#define CLEAR_US 3000000 /* a run is cleared so long after it was triggered */

enum kind { READ, LOG, TRIGGER, CLEAR, KINDS };
static const char *const kind_names[KINDS] = {"reads", "logs", "triggers", "clears"};

/* A stream's way through chunks and lines. */
struct stream {
    size_t chunk;     /* bytes that are left of it */
    int gap;          /* bytes of line ends before the next one's size */
    struct buf line;  /* that has not ended */
    bool begun, task; /* an id was seen; the event is of a task */
    uint64_t last;    /* place of the last event */
};

struct connection {
    int fd;
    bool is_stream, busy, in_head;
    enum kind kind;
    int64_t sent_us, due_us; /* due: the next request */
    size_t left;             /* bytes of the body */
    int status;
    struct buf in; /* the head, then the body's beginning */
    uint64_t run;  /* triggered, not cleared yet */
    int64_t run_us;
    struct stream stream;
    uint64_t n_events, n_ended; /* of a stream */
};

static struct sockaddr_in address;
static char host[64];
static const char *logged_run;
static int poller, pause_ms;
static uint64_t seed = 88172645463325252ull;
static struct samples took[KINDS], all;
static uint64_t n_errors, n_refused, n_lost, n_resets, n_bytes;
static char first_error[256];

static uint32_t dice(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

static void note_error(const char *what, const struct connection *c)
{
    if (!n_errors++)
        snprintf(first_error, sizeof first_error, "%s, status %d: %.100s", what, c->status,
                 buf_text(&c->in));
}

static void dial(struct connection *c)
{
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(c->fd >= 0 && connect(c->fd, (struct sockaddr *)&address, sizeof address) == 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    must(epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) == 0);
}

/* ---- Requests ---- */

static void send_request(struct connection *c, const char *method, const char *path,
                         const char *body)
{
    char text[1024];
    int n =
        snprintf(text, sizeof text, "%s /api/v1%s HTTP/1.1\r\nHost: %s\r\n", method, path, host);
    if (body)
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                      strlen(body), body);
    else
        n += snprintf(text + n, sizeof text - (size_t)n, "%s\r\n",
                      c->is_stream ? "" : "Accept-Encoding: gzip\r\n");
    must(send(c->fd, text, (size_t)n, MSG_NOSIGNAL) == n);
    c->sent_us = clock_mono_us();
    c->busy = c->in_head = true;
    buf_clear(&c->in);
}

static void read_something(struct connection *c)
{
    static const char *const paths[] = {"/runs?limit=50",
                                        "/dags/load/grid?limit=20",
                                        "/dags/load/runs?limit=20",
                                        "/runs?q=state%3Afailed%20since%3A1h",
                                        "/runs?state=running&limit=100",
                                        "/dags"};
    char path[128];
    uint32_t what = dice(8);
    if (what < 6) {
        send_request(c, "GET", paths[what], NULL);
        return;
    }
    snprintf(path, sizeof path, "/runs/%u%s", dice(100) + 2,
             what == 6 ? "" : "/tasks?state=success&limit=50");
    send_request(c, "GET", path, NULL);
}

static void read_log(struct connection *c)
{
    char path[128];
    static const char *const parts[] = {"?offset=-3000", "/lines", "/search?q=line%20777"};
    snprintf(path, sizeof path, "/runs/%s/tasks/says/attempts/1/log%s", logged_run, parts[dice(3)]);
    send_request(c, "GET", path, NULL);
}

static void write_something(struct connection *c)
{
    char path[64];
    if (c->run && clock_mono_us() > c->run_us + CLEAR_US) {
        snprintf(path, sizeof path, "/runs/%llu/clear", (unsigned long long)c->run);
        c->kind = CLEAR;
        c->run = 0;
        send_request(c, "POST", path, "{}");
        return;
    }
    c->kind = TRIGGER;
    send_request(c, "POST", "/dags/small/runs", "{}");
}

static void ask(struct connection *c)
{
    uint32_t what = dice(10);
    c->kind = what < 6 ? READ : what < 8 ? LOG : TRIGGER;
    if (c->kind == READ)
        read_something(c);
    else if (c->kind == LOG)
        read_log(c);
    else
        write_something(c);
}

/* ---- Answers ---- */

static void take_answer(struct connection *c)
{
    int64_t now = clock_mono_us();
    double us = (double)(now - c->sent_us);
    vec_push(&took[c->kind].us, us);
    vec_push(&all.us, us);
    c->busy = false;
    c->due_us = now + (pause_ms ? (int64_t)dice((uint32_t)pause_ms * 2) * 1000 : 0);
    if (c->kind == CLEAR && c->status == 409)
        n_refused++; /* it has not ended yet */
    else if (c->status < 200 || c->status > 299)
        note_error(kind_names[c->kind], c);
    const char *id = strstr(buf_text(&c->in), "\"id\":\"");
    if (c->kind == TRIGGER && id && !c->run) {
        c->run = strtoull(id + 6, NULL, 10);
        c->run_us = now;
    }
}

/* Where the body begins; 0: the head is not whole yet. */
static size_t read_head(struct connection *c)
{
    const char *text = buf_text(&c->in), *end = strstr(text, "\r\n\r\n"), *length;
    if (!end)
        return 0;
    c->status = atoi(text + 9);
    length = strcasestr(text, "\r\nContent-Length:");
    c->left = length && length < end ? strtoull(length + 17, NULL, 10) : 0;
    if (!c->is_stream && !length)
        note_error("an answer without a length", c);
    c->in_head = false;
    return (size_t)(end - text) + 4;
}

/* ---- Events ---- */

static void take_line(struct connection *c, const char *line, size_t n)
{
    struct stream *s = &c->stream;
    if (n > 4 && memcmp(line, "id: ", 4) == 0) {
        const char *dot = memrchr(line, '.', n);
        uint64_t place = strtoull(dot + 1, NULL, 10);
        if (s->begun && place != s->last + 1)
            n_lost++;
        s->begun = true;
        s->last = place;
        c->n_events++;
    } else if (n > 7 && memcmp(line, "event: ", 7) == 0) {
        s->task = n == 11 && memcmp(line + 7, "task", 4) == 0;
        n_resets += n == 12 && memcmp(line + 7, "reset", 5) == 0;
    } else if (s->task && n > 6) {
        c->n_ended +=
            memmem(line, n, "\"dag\":\"load\"", 12) && memmem(line, n, "\"state\":\"success\"", 17);
    }
}

static void take_text(struct connection *c, const char *p, size_t n)
{
    struct buf *line = &c->stream.line;
    while (n) {
        const char *end = memchr(p, '\n', n);
        size_t part = end ? (size_t)(end - p) : n;
        if (end && !line->len) {
            take_line(c, p, part);
        } else {
            buf_add(line, p, part);
            if (end) {
                take_line(c, line->data, line->len);
                buf_clear(line);
            }
        }
        part += end != NULL;
        p += part;
        n -= part;
    }
}

/* Bytes as they came: sizes of chunks, and what is in them. The size's line is kept in `in`. */
static void take_chunks(struct connection *c, const char *p, size_t n)
{
    struct stream *s = &c->stream;
    while (n) {
        if (s->chunk) {
            size_t part = n < s->chunk ? n : s->chunk;
            take_text(c, p, part);
            s->chunk -= part;
            s->gap = s->chunk ? 0 : 2;
            p += part;
            n -= part;
        } else if (s->gap) {
            s->gap--;
            p++;
            n--;
        } else {
            buf_char(&c->in, *p);
            n--;
            if (*p++ == '\n') {
                s->chunk = strtoull(c->in.data, NULL, 16);
                buf_clear(&c->in);
            }
        }
    }
}

static void take_bytes(struct connection *c, const char *p, size_t n)
{
    if (c->in_head) {
        size_t had = c->in.len;
        buf_add(&c->in, p, n);
        size_t body = read_head(c);
        if (!body)
            return;
        p += body - had;
        n -= body - had;
        buf_clear(&c->in);
    }
    if (c->is_stream) {
        take_chunks(c, p, n);
        return;
    }
    if (c->in.len < KEPT)
        buf_add(&c->in, p, n < KEPT - c->in.len ? n : KEPT - c->in.len);
    c->left -= n < c->left ? n : c->left;
    if (!c->left)
        take_answer(c);
}

static void receive(struct connection *c)
{
    static char bytes[256 * 1024];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        n_bytes += (uint64_t)n;
        take_bytes(c, bytes, (size_t)n);
        return;
    }
    if (c->busy) /* a stream is for ever, an answer whole */
        note_error("a connection that was closed", c);
    close(c->fd);
    if (c->is_stream)
        c->fd = -1;
    else
        dial(c);
    c->busy = false;
}

/* ---- The round ---- */

/* How long until the next client asks; those whose time has come do. */
static int64_t ask_all(struct connection *clients, size_t n)
{
    int64_t now = clock_mono_us(), next = now + 100000;
    for (size_t i = 0; i < n; i++) {
        struct connection *c = &clients[i];
        if (c->busy)
            continue;
        if (c->due_us <= now)
            ask(c);
        else if (c->due_us < next)
            next = c->due_us;
    }
    return next - now;
}

static void look_around(int64_t us)
{
    struct epoll_event events[256];
    int n = epoll_wait(poller, events, 256, (int)((us + 999) / 1000));
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr)
            receive(events[i].data.ptr);
    }
}

static bool input_ended(void)
{
    char c;
    struct timeval none = {0};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(0, &set);
    return select(1, &set, NULL, NULL, &none) == 1 && read(0, &c, 1) <= 0;
}

static void tell_kind(const char *name, struct samples *s)
{
    samples_sort(s);
    if (s->us.n)
        printf("\"%s\":{\"n\":%zu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f},", name, s->us.n,
               samples_at(s, 0.5) / 1000, samples_at(s, 0.99) / 1000, samples_at(s, 1) / 1000);
}

static void tell(const struct connection *streams, size_t n)
{
    uint64_t least = UINT64_MAX, most = 0, events = 0;
    for (size_t i = 0; i < n; i++) {
        least = streams[i].n_ended < least ? streams[i].n_ended : least;
        most = streams[i].n_ended > most ? streams[i].n_ended : most;
        events += streams[i].n_events;
    }
    printf("{");
    for (int i = 0; i < KINDS; i++)
        tell_kind(kind_names[i], &took[i]);
    tell_kind("all", &all);
    for (char *p = first_error; *p; p++)
        *p = *p == '"' || *p == '\\' || (unsigned char)*p < ' ' ? '.' : *p;
    printf("\"errors\":%llu,\"first_error\":\"%s\",\"refused\":%llu,\"events\":%llu,\"lost\":%llu,"
           "\"resets\":%llu,"
           "\"ended_least\":%llu,\"ended_most\":%llu,\"mb\":%.0f,\"cpu_s\":%.2f}\n",
           (unsigned long long)n_errors, first_error, (unsigned long long)n_refused,
           (unsigned long long)events, (unsigned long long)n_lost, (unsigned long long)n_resets,
           (unsigned long long)(n ? least : 0), (unsigned long long)most, (double)n_bytes / 1e6,
           bench_cpu_us() / 1e6);
}

int main(int argc, char **argv)
{
    must(argc == 6);
    char *port = strchr(argv[1], ':');
    size_t n_streams = strtoull(argv[2], NULL, 10), n = strtoull(argv[3], NULL, 10);
    must(port && strlen(argv[1]) < sizeof host);
    snprintf(host, sizeof host, "%s", argv[1]);
    pause_ms = atoi(argv[4]);
    logged_run = argv[5];
    address = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)atoi(port + 1)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must((poller = epoll_create1(EPOLL_CLOEXEC)) >= 0);
    struct connection *streams = mem_alloc_array(n_streams + 1, sizeof *streams);
    struct connection *clients = mem_alloc_array(n + 1, sizeof *clients);
    for (size_t i = 0; i < n_streams; i++) {
        streams[i].is_stream = true;
        dial(&streams[i]);
        send_request(&streams[i], "GET", "/events", NULL);
    }
    for (size_t i = 0; i < n; i++) {
        dial(&clients[i]);
        clients[i].due_us = clock_mono_us() + (int64_t)dice((uint32_t)pause_ms * 2 + 1) * 1000;
    }
    for (size_t i = 0; i < n_streams;) {
        look_around(10000);
        while (i < n_streams && streams[i].stream.begun)
            i++;
    }
    puts("ready");
    fflush(stdout);
    while (!input_ended())
        look_around(ask_all(clients, n));
    uint64_t seen = 0;
    for (int64_t rest = clock_mono_us(); clock_mono_us() - rest < REST_US; look_around(50000)) {
        rest = n_bytes != seen ? clock_mono_us() : rest;
        seen = n_bytes;
    }
    tell(streams, n_streams);
    return 0;
}
