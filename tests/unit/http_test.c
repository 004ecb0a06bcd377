/* The HTTP server and fetch, against each other. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/net/fetch.h"
#include "lib/net/http.h"
#include "tests/unit/test.h"

/* ---- A server with something of everything ---- */

struct feed { /* a stream: says "tick <n>\n" for each tick */
    struct world *world;
    int said;
};

struct world {
    char folder[64];
    struct http_server *server;
    struct fetch *fetch;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    struct http_token waiting[64]; /* requests to be answered later */
    size_t n_waiting;
    struct http_token stream;
    atomic_int ticks, last_tick, streams_done, produced;
};

static ssize_t produce_ticks(void *arg, char *to, size_t max)
{
    struct feed *feed = arg;
    atomic_fetch_add(&feed->world->produced, 1);
    if (feed->said == atomic_load(&feed->world->last_tick))
        return HTTP_END;
    if (feed->said == atomic_load(&feed->world->ticks))
        return HTTP_NOTHING_NOW;
    return snprintf(to, max, "tick %d\n", ++feed->said);
}

static ssize_t produce_forever(void *arg, char *to, size_t max)
{
    (void)arg;
    memset(to, 'x', max);
    return (ssize_t)max;
}

static void feed_done(void *arg)
{
    struct feed *feed = arg;
    atomic_fetch_add(&feed->world->streams_done, 1);
    mem_free(feed);
}

static void start_stream(struct world *world, struct http_request *request, bool endless)
{
    struct feed *feed = mem_alloc(sizeof *feed);
    feed->world = world;
    struct http_reply reply = {.status = 200,
                               .content_type = "text/event-stream",
                               .produce = endless ? produce_forever : produce_ticks,
                               .done = feed_done,
                               .arg = feed};
    pthread_mutex_lock(&world->lock);
    world->stream = http_token_of(request);
    pthread_mutex_unlock(&world->lock);
    http_respond(request, &reply);
}

static void echo(struct http_request *request)
{
    struct buf text;
    struct http_reply reply;
    size_t n;
    const char *value;
    buf_init(&text);
    buf_printf(&text, "%s %s", http_method(request), http_path(request));
    for (size_t i = 0; i < http_n_segments(request); i++)
        buf_printf(&text, " [%s]", http_segment(request, i));
    for (size_t i = 0; i < http_n_queries(request); i++) {
        const char *name = http_query_at(request, i, &value);
        buf_printf(&text, " {%s=%s}", name, value);
    }
    const char *body = http_body(request, &n);
    buf_printf(&text, " %zu:", n);
    buf_add(&text, body, n < 100 ? n : 100);
    http_reply_text(&reply, 200, "text/plain", buf_text(&text));
    buf_fini(&text);
    http_respond(request, &reply);
}

static void conditional(struct http_request *request)
{
    static const char *const headers[] = {"ETag", "\"v1\"", NULL};
    const char *known = http_header(request, "If-None-Match");
    struct http_reply reply = {.status = known && str_eq(known, "\"v1\"") ? 304 : 200,
                               .headers = headers};
    if (reply.status == 200) {
        reply.body = (char *)(uintptr_t) "content";
        reply.n_body = 7;
        reply.body_lives = true;
    }
    http_respond(request, &reply);
}

static void from_file(struct world *world, struct http_request *request)
{
    char path[PATH_MAX_BYTES];
    path_join(path, sizeof path, world->folder, "served");
    struct http_reply reply = {.status = 200,
                               .content_type = "application/octet-stream",
                               .from_file = true,
                               .fd = open(path, O_RDONLY | O_CLOEXEC),
                               .offset = 3,
                               .n_body = 5};
    http_respond(request, &reply);
}

static enum http_verdict handler(struct http_request *request, void *arg)
{
    struct world *world = arg;
    const char *what = http_segment(request, 0);
    struct http_reply reply;
    struct nx_err err;
    if (str_eq(what ? what : "", "later")) {
        pthread_mutex_lock(&world->lock);
        world->waiting[world->n_waiting++] = http_token_of(request);
        pthread_cond_broadcast(&world->asked);
        pthread_mutex_unlock(&world->lock);
        if (http_query(request, "slow"))
            clock_sleep_ms(50); /* the answer may come before we return */
        return HTTP_LATER;
    }
    if (str_eq(what ? what : "", "stream") || str_eq(what ? what : "", "endless")) {
        start_stream(world, request, str_eq(what, "endless"));
    } else if (str_eq(what ? what : "", "etag")) {
        conditional(request);
    } else if (str_eq(what ? what : "", "file")) {
        from_file(world, request);
    } else if (str_eq(what ? what : "", "missing")) {
        nx_fail(&err, NX_E_NOT_FOUND, "no DAG \"x\"\n; did you mean 'y'? \xff");
        http_reply_error(&reply, &err);
        http_respond(request, &reply);
    } else {
        echo(request);
    }
    return HTTP_ANSWERED;
}

static int open_world(void **state)
{
    struct world *world = mem_alloc(sizeof *world);
    static const char *const names[] = {"nexus.example", NULL};
    static const char *const raw[] = {"/raw/", NULL};
    struct http_config config = {.names = names,
                                 .raw_paths = raw,
                                 .handler = handler,
                                 .arg = world,
                                 .body_max = 1024 * 1024,
                                 .connections_max = 100,
                                 .idle_s = 1};
    struct nx_err err;
    str_copy(world->folder, sizeof world->folder, "/tmp/nexus-http-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    pthread_mutex_init(&world->lock, NULL);
    pthread_cond_init(&world->asked, NULL);
    atomic_store(&world->last_tick, -1);
    world->fetch = fetch_new();
    *state = world;
    return http_open(&config, &world->server, &err) ? 0 : -1;
}

static int close_world(void **state)
{
    struct world *world = *state;
    fetch_free(world->fetch);
    http_close(world->server);
    path_remove_tree(world->folder, NULL);
    pthread_mutex_destroy(&world->lock);
    pthread_cond_destroy(&world->asked);
    mem_free(world);
    return 0;
}

/* ---- Helpers ---- */

static const char *url(struct world *world, const char *path)
{
    static _Thread_local char text[300];
    snprintf(text, sizeof text, "http://127.0.0.1:%u%s", http_port(world->server), path);
    return text;
}

/* Runs a request that has to give an answer; its body stays until the next call. */
static const char *run(struct world *world, struct fetch_request *request, int *status)
{
    static char body[4096];
    struct fetch_response response;
    struct nx_err err = {0};
    if (!fetch_run(world->fetch, request, &response, &err))
        fail_msg("%s", err.text);
    *status = response.status;
    str_copy(body, sizeof body, buf_text(&response.body));
    fetch_response_fini(&response);
    return body;
}

static int status_of(struct world *world, const char *method, const char *path,
                     const char *const *headers, const char *body)
{
    struct fetch_request request = {.method = method,
                                    .url = url(world, path),
                                    .headers = headers,
                                    .body = body,
                                    .n_body = body ? strlen(body) : 0};
    int status;
    run(world, &request, &status);
    return status;
}

static int raw_connection(struct world *world)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(http_port(world->server)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&to, sizeof to), 0);
    return fd;
}

/* Sends text on a connection of its own and gives the first line of the answer. */
static const char *raw_request(struct world *world, const char *text)
{
    static char answer[2048];
    size_t n = 0;
    int fd = raw_connection(world);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    while (n < sizeof answer - 1) {
        ssize_t got = read(fd, answer + n, sizeof answer - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        answer[n] = 0;
        if (strstr(answer, "\r\n"))
            break;
    }
    close(fd);
    answer[n] = 0;
    answer[strcspn(answer, "\r\n")] = 0;
    return answer;
}

static size_t wait_for_waiting(struct world *world, size_t n)
{
    pthread_mutex_lock(&world->lock);
    while (world->n_waiting < n)
        pthread_cond_wait(&world->asked, &world->lock);
    n = world->n_waiting;
    pthread_mutex_unlock(&world->lock);
    return n;
}

/* ---- The server ---- */

static void a_request_has_its_path_query_and_body(void **state)
{
    struct world *world = *state;
    int status;
    struct fetch_request request = {
        .url = url(world, "/a/b%2Fc/gr%c3%bcn/?x=1&y=a+b%26&x=2&flag"), .body = "{}", .n_body = 2};
    assert_string_equal(run(world, &request, &status),
                        "POST /a/b%2Fc/gr%c3%bcn/ [a] [b/c] [gr\xc3\xbcn] {x=1} {y=a b&} {x=2} "
                        "{flag=} 2:{}");
    assert_int_equal(status, 200);
    request = (struct fetch_request){.url = url(world, "/")};
    assert_string_equal(run(world, &request, &status), "GET / 0:");
    request = (struct fetch_request){.url = url(world, "/x"), .method = "DELETE"};
    assert_string_equal(run(world, &request, &status), "DELETE /x [x] 0:");
    request = (struct fetch_request){.url = url(world, "/x"), .method = "HEAD"};
    assert_string_equal(run(world, &request, &status), "");
    assert_int_equal(status, 200);
}

static void a_malformed_address_is_refused(void **state)
{
    struct world *world = *state;
    static const char *const paths[] = {"/%",          "/%4",   "/%zz",   "/a%00b",  "/%ff",
                                        "/a/%2e%2e/b", "/a//b", "/?x=%f", "/?%c3=1", "//"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char text[200];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", paths[i]);
        assert_string_equal(raw_request(world, text), "HTTP/1.1 400 Bad Request");
    }
    assert_string_equal(raw_request(world, "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                        "HTTP/1.1 400 Bad Request");
    assert_string_equal(raw_request(world, "GET ../x HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                        "HTTP/1.1 400 Bad Request");
}

static void a_host_that_is_not_ours_is_refused(void **state)
{
    struct world *world = *state;
    char right_port[64], wrong_port[64], v6[64];
    snprintf(right_port, sizeof right_port, "Host: LocalHost:%u", http_port(world->server));
    snprintf(wrong_port, sizeof wrong_port, "Host: localhost:%u", http_port(world->server) ^ 1u);
    snprintf(v6, sizeof v6, "Host: [::1]:%u", http_port(world->server));
    const char *good[] = {right_port, v6, "Host: localhost", "Host: nexus.example", "Host: [::1]"};
    const char *bad[] = {wrong_port,         "Host: evil.example", "Host: localhost.evil.example",
                         "Host: localhost:", "Host: localhost:0",  "Host: 127.0.0.1.evil:80",
                         "Host: [::1]evil"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(status_of(world, "GET", "/", (const char *[]){good[i], NULL}, NULL), 200);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(status_of(world, "GET", "/", (const char *[]){bad[i], NULL}, NULL), 403);
    assert_string_equal(raw_request(world, "GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    assert_string_equal(
        raw_request(world, "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"),
        "HTTP/1.1 400 Bad Request");
    assert_string_equal(raw_request(world, "GET / HTTP/1.0\r\n\r\n"), "HTTP/1.1 403 Forbidden");
}

static void pages_of_other_addresses_may_not_write(void **state)
{
    struct world *world = *state;
    char own[64];
    snprintf(own, sizeof own, "Origin: http://127.0.0.1:%u", http_port(world->server));
    const char *ours[] = {own, NULL}, *other[] = {"Origin: http://evil.example", NULL};
    const char *other_port[] = {"Origin: http://127.0.0.1:1", NULL},
               *null[] = {"Origin: null", NULL};
    assert_int_equal(status_of(world, "POST", "/", ours, "{}"), 200);
    assert_int_equal(status_of(world, "POST", "/", other, "{}"), 403);
    assert_int_equal(status_of(world, "POST", "/", other_port, "{}"), 403);
    assert_int_equal(status_of(world, "DELETE", "/", null, NULL), 403);
    assert_int_equal(status_of(world, "GET", "/", other, NULL), 200);
}

static void a_body_must_be_json_except_where_it_may_be_anything(void **state)
{
    struct world *world = *state;
    const char *form[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
    const char *text[] = {"Content-Type: text/plain; application/json", NULL};
    const char *json[] = {"Content-Type: Application/JSON; charset=utf-8", NULL};
    const char *patch[] = {"Content-Type: application/merge-patch+json", NULL};
    assert_int_equal(status_of(world, "POST", "/", form, "{}"), 415);
    assert_int_equal(status_of(world, "PUT", "/", text, "{}"), 415);
    assert_int_equal(status_of(world, "PUT", "/", json, "{}"), 200);
    assert_int_equal(status_of(world, "PATCH", "/", patch, "{}"), 200);
    assert_int_equal(status_of(world, "PUT", "/raw/x", text, "{}"), 200);
    assert_int_equal(status_of(world, "POST", "/", NULL, NULL), 200);
}

static void a_body_that_is_too_large_is_refused_with_an_answer(void **state)
{
    struct world *world = *state;
    size_t max = 1024 * 1024;
    char *body = mem_alloc(9 * max);
    memset(body, 'b', 9 * max);
    int status;
    struct fetch_request request = {.url = url(world, "/"), .body = body, .n_body = max};
    assert_non_null(strstr(run(world, &request, &status), " 1048576:bbb"));
    request.n_body = max + 1;
    assert_non_null(strstr(run(world, &request, &status), "at most 1048576"));
    assert_int_equal(status, 413);
    request.n_body = 9 * max;
    run(world, &request, &status);
    assert_int_equal(status, 413);
    const char *chunked[] = {"Transfer-Encoding: chunked", NULL};
    request.headers = chunked;
    assert_non_null(strstr(run(world, &request, &status), "more than 1048576 bytes"));
    assert_int_equal(status, 413);
    mem_free(body);
    assert_string_equal(raw_request(world, "POST / HTTP/1.1\r\nHost: localhost\r\n"
                                           "Expect: 100-continue\r\n"
                                           "Content-Length: 99999999999\r\n\r\n"),
                        "HTTP/1.1 413 Content Too Large");
}

static void headers_and_addresses_that_are_too_large_are_refused(void **state)
{
    struct world *world = *state;
    char *request = mem_alloc(80000);
    int n = snprintf(request, 100, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Much: ");
    memset(request + n, 'h', 20000);
    strcpy(request + n + 20000, "\r\n\r\n");
    assert_string_equal(raw_request(world, request), "HTTP/1.1 200 OK");
    memset(request + n, 'h', 60000);
    strcpy(request + n + 60000, "\r\n\r\n");
    assert_string_equal(raw_request(world, request),
                        "HTTP/1.1 431 Request Header Fields Too Large");
    memcpy(request, "GET /", 5);
    memset(request + 5, 'u', 60000);
    strcpy(request + 60005, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_string_equal(raw_request(world, request), "HTTP/1.1 414 URI Too Long");
    mem_free(request);
}

#define CROWD 140

/* How many of them have an answer. */
static int n_answered(const int *fds)
{
    struct pollfd polls[CROWD];
    int n = 0;
    for (int i = 0; i < CROWD; i++)
        polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    poll(polls, CROWD, 0);
    for (int i = 0; i < CROWD; i++)
        n += (polls[i].revents & POLLIN) != 0;
    return n;
}

static void connections_beyond_the_bound_wait_until_others_end(void **state)
{
    struct world *world = *state;
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct http_counts counts;
    int fds[CROWD];
    for (int i = 0; i < CROWD; i++) {
        fds[i] = raw_connection(world);
        assert_int_equal(write(fds[i], request, sizeof request - 1), sizeof request - 1);
    }
    clock_sleep_ms(300);
    http_counts(world->server, &counts);
    assert_true(counts.connections <= 100 && n_answered(fds) <= 100 && n_answered(fds) > 0);
    for (int i = 0; i < 1000 && n_answered(fds) < CROWD; i++) /* idle ones are closed after 1 s */
        clock_sleep_ms(10);
    assert_int_equal(n_answered(fds), CROWD);
    for (int i = 0; i < CROWD; i++)
        close(fds[i]);
}

static void an_error_is_json_and_comes_back_as_the_same_error(void **state)
{
    struct world *world = *state;
    struct fetch_request request = {.url = url(world, "/missing")};
    struct fetch_response response;
    struct nx_err err;
    char type[64];
    assert_true(fetch_run(world->fetch, &request, &response, &err));
    assert_int_equal(response.status, 404);
    assert_true(fetch_header(&response, "content-type", type, sizeof type));
    assert_string_equal(type, "application/json");
    assert_string_equal(
        buf_text(&response.body),
        "{\"error\": {\"code\": \"not_found\", \"message\": \"no DAG \\\"x\\\"\\u000a; "
        "did you mean 'y'? ?\", \"details\": null}}\n");
    assert_false(fetch_check(&response, request.url, &err));
    assert_int_equal(err.code, NX_E_NOT_FOUND);
    assert_string_equal(err.text, "no DAG \"x\"\n; did you mean 'y'? ?");
    fetch_response_fini(&response);
}

static void part_of_a_file_is_sent(void **state)
{
    struct world *world = *state;
    char path[PATH_MAX_BYTES];
    int status;
    path_join(path, sizeof path, world->folder, "served");
    assert_true(path_write(path, "0123456789", 10, NULL));
    struct fetch_request request = {.url = url(world, "/file")};
    assert_string_equal(run(world, &request, &status), "34567");
}

/* ---- Answers from another thread ---- */

struct asker {
    struct world *world;
    const char *path;
    int status;
    char body[200];
};

static void *ask(void *arg)
{
    struct asker *asker = arg;
    struct fetch *fetch = fetch_new();
    struct fetch_request request = {.url = url(asker->world, asker->path)};
    struct fetch_response response;
    struct nx_err err;
    if (fetch_run(fetch, &request, &response, &err)) {
        asker->status = response.status;
        str_copy(asker->body, sizeof asker->body, buf_text(&response.body));
        fetch_response_fini(&response);
    } else {
        str_copy(asker->body, sizeof asker->body, err.text);
    }
    fetch_free(fetch);
    return NULL;
}

static void a_request_is_answered_later_by_another_thread(void **state)
{
    struct world *world = *state;
    enum { N = 20 };
    struct asker askers[N];
    pthread_t threads[N];
    struct http_counts counts;
    for (int i = 0; i < N; i++) {
        /* Half of the handlers return only after the answer. */
        askers[i] = (struct asker){.world = world, .path = i % 2 ? "/later" : "/later?slow"};
        pthread_create(&threads[i], NULL, ask, &askers[i]);
    }
    for (size_t done = 0; done < N; done++) {
        struct http_reply reply, twice;
        wait_for_waiting(world, done + 1);
        pthread_mutex_lock(&world->lock);
        struct http_token token = world->waiting[done];
        pthread_mutex_unlock(&world->lock);
        if (done % 3 == 0)
            clock_sleep_ms(10);
        http_reply_text(&reply, 201, NULL, "{\"done\": true}");
        http_reply_text(&twice, 500, NULL, "twice");
        assert_true(http_answer(world->server, token, &reply));
        assert_false(http_answer(world->server, token, &twice));
    }
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].status, 201);
        assert_string_equal(askers[i].body, "{\"done\": true}");
    }
    http_counts(world->server, &counts);
    assert_int_equal(counts.waiting, 0);
    assert_int_equal(counts.requests, N);
}

static void an_answer_for_a_client_that_has_gone_harms_nothing(void **state)
{
    struct world *world = *state;
    struct http_reply reply;
    int fd = raw_connection(world);
    const char *text = "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    wait_for_waiting(world, 1);
    close(fd);
    clock_sleep_ms(20);
    http_reply_text(&reply, 200, NULL, "{}");
    http_answer(world->server, world->waiting[0], &reply);
    http_reply_text(&reply, 200, NULL, "{}");
    assert_false(http_answer(world->server, (struct http_token){987654}, &reply));
    assert_int_equal(status_of(world, "GET", "/", NULL, NULL), 200);
}

static void an_answer_that_cannot_be_sent_any_more_is_freed(void **state)
{
    struct world *world = *state;
    const struct linger reset = {.l_onoff = 1};
    const char *text = "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (size_t i = 0; i < 20; i++) {
        struct feed *feed = mem_alloc(sizeof *feed);
        feed->world = world;
        struct http_reply reply = {
            .status = 200, .produce = produce_forever, .done = feed_done, .arg = feed};
        int fd = raw_connection(world);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        wait_for_waiting(world, i + 1);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        if (i % 2)
            close(fd);
        clock_sleep_ms(5);
        http_answer(world->server, world->waiting[i], &reply);
        if (i % 2 == 0)
            close(fd);
    }
    for (int tries = 0; tries < 500 && atomic_load(&world->streams_done) < 20; tries++)
        clock_sleep_ms(10);
    assert_int_equal(atomic_load(&world->streams_done), 20);
}

static void stopping_answers_what_waits_and_ends_streams(void **state)
{
    struct world *world = *state;
    struct asker waits = {.world = world, .path = "/later"};
    struct asker follows = {.world = world, .path = "/stream"};
    struct http_reply reply;
    struct http_counts counts = {0};
    pthread_t one, two;
    pthread_create(&one, NULL, ask, &waits);
    pthread_create(&two, NULL, ask, &follows);
    wait_for_waiting(world, 1);
    while (counts.waiting < 1 || counts.streams < 1)
        http_counts(world->server, &counts);
    http_stop(world->server);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    assert_int_equal(waits.status, 503);
    assert_non_null(strstr(waits.body, "stopping"));
    assert_int_equal(follows.status, 200);
    assert_int_equal(atomic_load(&world->streams_done), 1);
    http_reply_text(&reply, 200, NULL, "late");
    assert_false(http_answer(world->server, world->waiting[0], &reply));
    assert_false(http_wake(world->server, world->stream));
    http_wake_all(world->server);
    http_stop(world->server);
}

/* ---- Streams ---- */

struct follower {
    struct buf seen;
    size_t stop_at;
    atomic_int n_lines;
};

static bool follow(void *arg, const char *p, size_t n)
{
    struct follower *follower = arg;
    buf_add(&follower->seen, p, n);
    for (size_t i = 0; i < n; i++)
        atomic_fetch_add(&follower->n_lines, p[i] == '\n');
    return !follower->stop_at || follower->seen.len < follower->stop_at;
}

struct ticker {
    struct world *world;
    int n, every_ms;
    bool all;
};

static void *tick(void *arg)
{
    struct ticker *ticker = arg;
    struct world *world = ticker->world;
    struct http_counts counts = {0};
    while (!counts.streams)
        http_counts(world->server, &counts);
    for (int i = 0; i < ticker->n; i++) {
        if (ticker->every_ms)
            clock_sleep_ms(ticker->every_ms);
        atomic_fetch_add(&world->ticks, 1);
        if (ticker->all) {
            http_wake_all(world->server);
        } else {
            pthread_mutex_lock(&world->lock);
            struct http_token token = world->stream;
            pthread_mutex_unlock(&world->lock);
            http_wake(world->server, token);
        }
    }
    return NULL;
}

static void stream_ticks(struct world *world, struct ticker ticker)
{
    struct follower follower = {0};
    struct fetch_request request = {
        .url = url(world, "/stream"), .on_data = follow, .arg = &follower};
    struct fetch_response response;
    struct nx_err err = {0};
    pthread_t thread;
    ticker.world = world;
    atomic_store(&world->ticks, 0);
    atomic_store(&world->last_tick, ticker.n);
    pthread_create(&thread, NULL, tick, &ticker);
    if (!fetch_run(world->fetch, &request, &response, &err))
        fail_msg("%s", err.text);
    pthread_join(thread, NULL);
    assert_int_equal(response.status, 200);
    struct buf expected;
    buf_init(&expected);
    for (int i = 1; i <= ticker.n; i++)
        buf_printf(&expected, "tick %d\n", i);
    assert_string_equal(buf_text(&follower.seen), buf_text(&expected));
    buf_fini(&expected);
    buf_fini(&follower.seen);
    fetch_response_fini(&response);
}

static void a_stream_sends_what_happens_when_it_is_woken(void **state)
{
    struct world *world = *state;
    stream_ticks(world, (struct ticker){.n = 2000});
    stream_ticks(world, (struct ticker){.n = 20, .every_ms = 3});
    stream_ticks(world, (struct ticker){.n = 500, .all = true});
    for (int i = 0; i < 100 && atomic_load(&world->streams_done) < 3; i++)
        clock_sleep_ms(10);
    assert_int_equal(atomic_load(&world->streams_done), 3);
}

static void a_quiet_stream_outlives_the_idle_time_and_costs_nothing(void **state)
{
    struct world *world = *state;
    atomic_store(&world->produced, 0);
    stream_ticks(world, (struct ticker){.n = 2, .every_ms = 1500});
    assert_true(atomic_load(&world->produced) < 20);
}

static void a_stream_whose_client_has_gone_is_found_when_it_is_woken(void **state)
{
    struct world *world = *state;
    struct http_counts counts = {0};
    char line[4096];
    int fd = raw_connection(world);
    const char *text = "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
    atomic_store(&world->ticks, 1);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_true(read(fd, line, sizeof line) > 0);
    close(fd);
    for (int i = 0; i < 200; i++) {
        http_counts(world->server, &counts);
        if (!counts.streams)
            break;
        http_wake(world->server, world->stream);
        clock_sleep_ms(10);
    }
    assert_int_equal(counts.streams, 0);
    assert_int_equal(atomic_load(&world->streams_done), 1);
    assert_false(http_wake(world->server, world->stream));
}

static void a_stream_may_be_the_answer_given_later(void **state)
{
    struct world *world = *state;
    struct asker asker = {.world = world, .path = "/later"};
    pthread_t thread;
    pthread_create(&thread, NULL, ask, &asker);
    wait_for_waiting(world, 1);
    struct feed *feed = mem_alloc(sizeof *feed);
    feed->world = world;
    struct http_reply reply = {
        .status = 200, .produce = produce_ticks, .done = feed_done, .arg = feed};
    atomic_store(&world->ticks, 2);
    atomic_store(&world->last_tick, 2);
    assert_true(http_answer(world->server, world->waiting[0], &reply));
    pthread_join(thread, NULL);
    assert_string_equal(asker.body, "tick 1\ntick 2\n");
}

/* ---- Opening ---- */

static void a_taken_port_and_a_public_address_are_named(void **state)
{
    struct world *world = *state;
    struct http_server *server = NULL;
    struct nx_err err;
    char port[16];
    struct http_config config = {.port = http_port(world->server), .handler = handler};
    snprintf(port, sizeof port, "port %u", config.port);
    assert_false(http_open(&config, &server, &err));
    assert_int_equal(err.code, NX_E_BUSY);
    assert_non_null(strstr(err.text, port));
    config = (struct http_config){.host = "0.0.0.0", .handler = handler};
    assert_false(http_open(&config, &server, &err));
    assert_int_equal(err.code, NX_E_DENIED);
    config = (struct http_config){.host = "no.such.host.invalid", .handler = handler};
    assert_false(http_open(&config, &server, &err));
    assert_int_equal(err.code, NX_E_INVALID);
    assert_null(server);
}

/* ---- Fetch ---- */

static void a_server_that_is_not_there_is_unreachable(void **state)
{
    struct world *world = *state;
    struct fetch_request request = {.url = "http://user:secret@127.0.0.1:1/x"};
    struct fetch_response response;
    struct nx_err err;
    assert_false(fetch_run(world->fetch, &request, &response, &err));
    assert_int_equal(err.code, NX_E_UNREACHABLE);
    assert_non_null(strstr(err.text, "http://127.0.0.1:1/x"));
    assert_null(strstr(err.text, "secret"));
    request.url = "http://no.such.host.invalid/";
    assert_false(fetch_run(world->fetch, &request, &response, &err));
    assert_int_equal(err.code, NX_E_UNREACHABLE);
    request.url = "file:///etc/passwd";
    assert_false(fetch_run(world->fetch, &request, &response, &err));
    assert_int_equal(err.code, NX_E_INVALID);
}

static void a_conditional_request_brings_nothing_new(void **state)
{
    struct world *world = *state;
    struct fetch_request request = {.url = url(world, "/etag")};
    struct fetch_response response;
    char etag[64];
    int status;
    assert_true(fetch_run(world->fetch, &request, &response, NULL));
    assert_true(fetch_header(&response, "ETag", etag, sizeof etag));
    assert_false(fetch_header(&response, "ETa", etag, sizeof etag));
    assert_false(fetch_header(&response, "etag", etag, 3));
    assert_string_equal(etag, "\"v1\"");
    assert_string_equal(buf_text(&response.body), "content");
    fetch_response_fini(&response);
    request.etag = etag;
    assert_string_equal(run(world, &request, &status), "");
    assert_int_equal(status, 304);
}

static void a_file_is_written_whole_or_not_at_all(void **state)
{
    struct world *world = *state;
    char path[PATH_MAX_BYTES], content[128] = {0};
    struct nx_err err;
    struct fetch_response response;
    struct buf read_back;
    path_join(path, sizeof path, world->folder, "got");
    struct fetch_request request = {.url = url(world, "/etag"), .to_file = path};
    assert_true(fetch_run(world->fetch, &request, &response, &err));
    assert_int_equal(response.n_bytes, 7);
    assert_int_equal(response.body.len, 0);
    fetch_response_fini(&response);
    request.url = url(world, "/missing");
    assert_true(fetch_run(world->fetch, &request, &response, &err));
    assert_int_equal(response.status, 404);
    assert_non_null(strstr(buf_text(&response.body), "not_found"));
    assert_non_null(strstr(buf_text(&response.headers), "x-request-id: "));
    fetch_response_fini(&response);
    request.url = url(world, "/etag");
    request.max_bytes = 6;
    assert_false(fetch_run(world->fetch, &request, &response, &err));
    assert_int_equal(err.code, NX_E_LIMIT);
    buf_init(&read_back);
    assert_true(path_read(path, 100, &read_back, &err));
    assert_string_equal(buf_text(&read_back), "content");
    buf_fini(&read_back);
    snprintf(content, sizeof content, "ls -A %s | wc -l", world->folder);
    FILE *count = popen(content, "r");
    assert_string_equal(fgets(content, sizeof content, count), "1\n");
    pclose(count);
}

static void a_file_is_sent(void **state)
{
    struct world *world = *state;
    char path[PATH_MAX_BYTES];
    int status;
    struct nx_err err;
    struct fetch_response response;
    path_join(path, sizeof path, world->folder, "sent");
    assert_true(path_write(path, "hello", 5, NULL));
    struct fetch_request request = {.url = url(world, "/raw/x"), .from_file = path};
    assert_string_equal(run(world, &request, &status), "PUT /raw/x [raw] [x] 5:hello");
    request.from_file = "/nowhere/at/all";
    assert_false(fetch_run(world->fetch, &request, &response, &err));
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
}

static bool stop_now(void *arg)
{
    return atomic_fetch_add((atomic_int *)arg, 1) > 2;
}

static void a_request_ends_by_its_time_its_caller_or_its_receiver(void **state)
{
    struct world *world = *state;
    struct fetch_response response;
    struct nx_err err;
    atomic_int asked = 0;
    struct fetch_request request = {.url = url(world, "/later"), .timeout_ms = 100};
    assert_false(fetch_run(world->fetch, &request, &response, &err));
    assert_int_equal(err.code, NX_E_TIMEOUT);
    request =
        (struct fetch_request){.url = url(world, "/later"), .cancelled = stop_now, .arg = &asked};
    assert_false(fetch_run(world->fetch, &request, &response, &err));
    assert_int_equal(err.code, NX_E_CANCELLED);
    struct follower follower = {.stop_at = 100000};
    request =
        (struct fetch_request){.url = url(world, "/endless"), .on_data = follow, .arg = &follower};
    assert_true(fetch_run(world->fetch, &request, &response, &err));
    assert_true(response.stopped);
    assert_true(follower.seen.len >= 100000);
    fetch_response_fini(&response);
    buf_fini(&follower.seen);
    request = (struct fetch_request){.url = url(world, "/endless"), .max_bytes = 50000};
    assert_false(fetch_run(world->fetch, &request, &response, &err));
    assert_int_equal(err.code, NX_E_LIMIT);
}

static bool note_event(void *arg, const char *event, const char *id, const char *data)
{
    buf_printf(arg, "%s/%s/%s;", event, id, data);
    return true;
}

static void events_are_read_whatever_the_pieces(void **state)
{
    (void)state;
    static const char text[] = ": hello\n\nid: 1\nevent: run\ndata: {}\n\ndata:a\r\ndata: b\r\n\r\n"
                               "event: empty\n\nid: 2\rdata\rdata\r\rdata: cut";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct sse sse;
        struct buf seen;
        sse_init(&sse), buf_init(&seen);
        for (size_t i = 0; i < sizeof text - 1; i += piece) {
            size_t n = sizeof text - 1 - i < piece ? sizeof text - 1 - i : piece;
            assert_true(sse_add(&sse, text + i, n, note_event, &seen));
        }
        assert_string_equal(buf_text(&seen), "run/1/{};message/1/a\nb;message/2/\n;");
        sse_fini(&sse), buf_fini(&seen);
    }
}

static void an_event_without_end_is_refused(void **state)
{
    (void)state;
    struct sse sse;
    struct buf seen;
    char piece[4096];
    bool ok = true;
    int n = 0;
    memset(piece, 'x', sizeof piece);
    sse_init(&sse), buf_init(&seen);
    while (ok && n++ < 1000)
        ok = sse_add(&sse, piece, sizeof piece, note_event, &seen);
    assert_false(ok);
    assert_in_range(n, 256, 258);
    sse_fini(&sse), buf_fini(&seen);
}

static void expect_range(const char *text, uint64_t size, enum http_range wanted, uint64_t first,
                         uint64_t n)
{
    uint64_t got_first, got_n;
    assert_int_equal(http_range_read(text, size, &got_first, &got_n), wanted);
    assert_int_equal(got_first, first);
    assert_int_equal(got_n, n);
}

static void a_range_is_read_as_the_standard_says(void **state)
{
    (void)state;
    static const char *const others[] = {"bytes=1-2,4-5", "lines=1-2", "bytes=",    "bytes=-",
                                         "bytes=a-b",     "bytes=5-4", "bytes 1-2", "bytes=1",
                                         "bytes=+1-2",    "bytes=1- ", "bytes=--1"};
    expect_range("bytes=0-0", 10, HTTP_RANGE_PART, 0, 1);
    expect_range("bytes=2-4", 10, HTTP_RANGE_PART, 2, 3);
    expect_range("bytes=2-", 10, HTTP_RANGE_PART, 2, 8);
    expect_range("bytes=2-99999", 10, HTTP_RANGE_PART, 2, 8);
    expect_range("bytes=9-9", 10, HTTP_RANGE_PART, 9, 1);
    expect_range("bytes=-3", 10, HTTP_RANGE_PART, 7, 3);
    expect_range("bytes=-30", 10, HTTP_RANGE_PART, 0, 10);
    expect_range("bytes=10-", 10, HTTP_RANGE_NONE, 0, 10);
    expect_range("bytes=-0", 10, HTTP_RANGE_NONE, 0, 10);
    expect_range("bytes=0-", 0, HTTP_RANGE_NONE, 0, 0);
    expect_range("bytes=-1", 0, HTTP_RANGE_NONE, 0, 0);
    expect_range("bytes=99999999999999999999999999-", 10, HTTP_RANGE_ALL, 0, 10);
    expect_range(NULL, 10, HTTP_RANGE_ALL, 0, 10);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        expect_range(others[i], 10, HTTP_RANGE_ALL, 0, 10);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(a_request_has_its_path_query_and_body),
        WITH_WORLD(a_malformed_address_is_refused),
        WITH_WORLD(a_host_that_is_not_ours_is_refused),
        WITH_WORLD(pages_of_other_addresses_may_not_write),
        WITH_WORLD(a_body_must_be_json_except_where_it_may_be_anything),
        WITH_WORLD(a_body_that_is_too_large_is_refused_with_an_answer),
        WITH_WORLD(headers_and_addresses_that_are_too_large_are_refused),
        WITH_WORLD(connections_beyond_the_bound_wait_until_others_end),
        WITH_WORLD(an_error_is_json_and_comes_back_as_the_same_error),
        WITH_WORLD(part_of_a_file_is_sent),
        WITH_WORLD(a_request_is_answered_later_by_another_thread),
        WITH_WORLD(an_answer_for_a_client_that_has_gone_harms_nothing),
        WITH_WORLD(an_answer_that_cannot_be_sent_any_more_is_freed),
        WITH_WORLD(stopping_answers_what_waits_and_ends_streams),
        WITH_WORLD(a_stream_sends_what_happens_when_it_is_woken),
        WITH_WORLD(a_quiet_stream_outlives_the_idle_time_and_costs_nothing),
        WITH_WORLD(a_stream_whose_client_has_gone_is_found_when_it_is_woken),
        WITH_WORLD(a_stream_may_be_the_answer_given_later),
        WITH_WORLD(a_taken_port_and_a_public_address_are_named),
        WITH_WORLD(a_server_that_is_not_there_is_unreachable),
        WITH_WORLD(a_conditional_request_brings_nothing_new),
        WITH_WORLD(a_file_is_written_whole_or_not_at_all),
        WITH_WORLD(a_file_is_sent),
        WITH_WORLD(a_request_ends_by_its_time_its_caller_or_its_receiver),
        cmocka_unit_test(events_are_read_whatever_the_pieces),
        cmocka_unit_test(an_event_without_end_is_refused),
        cmocka_unit_test(a_range_is_read_as_the_standard_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
