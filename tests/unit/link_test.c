/* The link's two ends, against each other. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/crypt/certificate.h"
#include "lib/net/link.h"
#include "nexus/limits.h"
#include "tests/unit/test.h"

enum { CONTEXTS = 8, SLOTS = 4 };

/* What both ends' callbacks note, as an owner's inbox would. */
struct world {
    char folder[64], url[100];
    bool is_tls;
    struct certificate certificate;
    struct link_server *server;
    struct link_client *client;
    bool answer_at_once, ask_again;
    int asked_again;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {
        unsigned context;
        size_t n;
        char text[64];
    } requests[64];
    size_t n_requests;
    struct {
        unsigned slot;
        enum nx_code code;
        size_t n;
        char text[64];
    } replies[64];
    size_t n_replies;
};

static void on_request(void *arg, unsigned context, const void *bytes, size_t n)
{
    struct world *world = arg;
    if (world->answer_at_once)
        link_reply(world->server, context, bytes, n);
    pthread_mutex_lock(&world->lock);
    size_t i = world->n_requests++ % 64;
    world->requests[i].context = context;
    world->requests[i].n = n;
    memcpy(world->requests[i].text, bytes, n < 63 ? n : 63);
    world->requests[i].text[n < 63 ? n : 63] = 0;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->lock);
}

static void on_reply(void *arg, unsigned slot, enum nx_code code, const void *bytes, size_t n)
{
    struct world *world = arg;
    pthread_mutex_lock(&world->lock);
    size_t i = world->n_replies++ % 64;
    world->replies[i].slot = slot;
    world->replies[i].code = code;
    world->replies[i].n = n;
    if (n)
        memcpy(world->replies[i].text, bytes, n < 63 ? n : 63);
    world->replies[i].text[n < 63 ? n : 63] = 0;
    bool again = world->ask_again && code == NX_OK && ++world->asked_again < 500;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->lock);
    if (again)
        link_request(world->client, slot, "again", 5);
}

static bool is_known(void *arg, const void *bytes, size_t n)
{
    (void)arg;
    return n < 8 || memcmp(bytes, "stranger", 8) != 0;
}

static void listen_now(struct world *world)
{
    struct nx_err err = {0};
    const struct link_tls tls = {world->certificate.text, world->certificate.key, NULL};
    if (!(world->is_tls
              ? link_listen_tls(world->url, &tls, CONTEXTS, on_request, is_known, world,
                                &world->server, &err)
              : link_listen(world->url, CONTEXTS, on_request, world, &world->server, &err)))
        fail_msg("%s", err.text);
}

static void dial_now(struct world *world)
{
    struct nx_err err = {0};
    const struct link_tls tls = {world->certificate.text, NULL, CERTIFICATE_NAME};
    if (!(world->is_tls
              ? link_dial_tls(world->url, &tls, SLOTS, on_reply, world, &world->client, &err)
              : link_dial(world->url, SLOTS, on_reply, world, &world->client, &err)))
        fail_msg("%s", err.text);
}

static int open_world(void **state)
{
    struct world *world = mem_alloc(sizeof *world);
    str_copy(world->folder, sizeof world->folder, "/tmp/nexus-link-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->url, sizeof world->url, "ipc://%s/socket", world->folder);
    pthread_mutex_init(&world->lock, NULL);
    pthread_cond_init(&world->changed, NULL);
    *state = world;
    return 0;
}

/* A port that nobody has. */
static unsigned free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    close(fd);
    return ntohs(at.sin_port);
}

static int open_tls_world(void **state)
{
    struct nx_err err;
    char path[100];
    open_world(state);
    struct world *world = *state;
    world->is_tls = true;
    snprintf(world->url, sizeof world->url, "tls+tcp://127.0.0.1:%u", free_port());
    snprintf(path, sizeof path, "%s/workers.pem", world->folder);
    if (!certificate_open(path, &world->certificate, &err))
        fail_msg("%s", err.text);
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    link_client_close(world->client);
    link_server_close(world->server);
    path_remove_tree(world->folder, NULL);
    pthread_mutex_destroy(&world->lock);
    pthread_cond_destroy(&world->changed);
    mem_free(world);
    return 0;
}

/* Waits until so many requests and replies have come; fails after 10 s. */
static void wait_for(struct world *world, size_t n_requests, size_t n_replies)
{
    int64_t until = clock_mono_ms() + 10000;
    for (;;) {
        pthread_mutex_lock(&world->lock);
        bool done = world->n_requests >= n_requests && world->n_replies >= n_replies;
        pthread_mutex_unlock(&world->lock);
        if (done)
            return;
        if (clock_mono_ms() > until)
            fail_msg("waited for %zu requests and %zu replies in vain: %zu and %zu came",
                     n_requests, n_replies, world->n_requests, world->n_replies);
        clock_sleep_ms(1);
    }
}

static void a_request_is_answered(void **state)
{
    struct world *world = *state;
    listen_now(world);
    dial_now(world);
    link_request(world->client, 2, "hello", 5);
    wait_for(world, 1, 0);
    assert_string_equal(world->requests[0].text, "hello");
    link_reply(world->server, world->requests[0].context, "you", 3);
    wait_for(world, 1, 1);
    assert_int_equal(world->replies[0].slot, 2);
    assert_int_equal(world->replies[0].code, NX_OK);
    assert_string_equal(world->replies[0].text, "you");
    assert_true(link_connected(world->client));
}

static void a_request_may_be_answered_at_once_and_the_slot_used_inside(void **state)
{
    struct world *world = *state;
    world->answer_at_once = world->ask_again = true;
    snprintf(world->url, sizeof world->url, "tcp://127.0.0.1:0");
    listen_now(world);
    assert_true(link_port(world->server) > 0);
    snprintf(world->url, sizeof world->url, "tcp://127.0.0.1:%u", link_port(world->server));
    dial_now(world);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        link_request(world->client, slot, "", 0);
    wait_for(world, 500, 500);
}

static void parked_requests_are_answered_in_any_order(void **state)
{
    struct world *world = *state;
    listen_now(world);
    dial_now(world);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        link_request(world->client, slot, (char[]){(char)('a' + slot)}, 1);
    wait_for(world, SLOTS, 0);
    clock_sleep_ms(50);
    for (size_t i = SLOTS; i-- > 0;) {
        link_reply(world->server, world->requests[i].context, world->requests[i].text, 1);
        wait_for(world, SLOTS, SLOTS - i);
        size_t last = world->n_replies - 1;
        assert_int_equal(world->replies[last].text[0], 'a' + (int)world->replies[last].slot);
        assert_string_equal(world->replies[last].text, world->requests[i].text);
    }
}

static void a_released_request_gets_an_empty_reply(void **state)
{
    struct world *world = *state;
    listen_now(world);
    dial_now(world);
    link_request(world->client, 0, "listen", 6);
    wait_for(world, 1, 0);
    link_release(world->server, world->requests[0].context);
    wait_for(world, 1, 1);
    assert_int_equal(world->replies[0].code, NX_OK);
    assert_int_equal(world->replies[0].n, 0);
}

static void a_request_waits_for_a_server_that_is_not_there_yet(void **state)
{
    struct world *world = *state;
    world->answer_at_once = true;
    dial_now(world);
    link_request(world->client, 0, "early", 5);
    clock_sleep_ms(100);
    assert_false(link_connected(world->client));
    listen_now(world);
    wait_for(world, 1, 1);
    assert_string_equal(world->replies[0].text, "early");
}

static void a_parked_request_is_sent_again_to_a_server_that_starts_again(void **state)
{
    struct world *world = *state;
    listen_now(world);
    dial_now(world);
    link_request(world->client, 0, "parked", 6);
    link_request(world->client, 1, "report", 6);
    wait_for(world, 2, 0);
    link_server_close(world->server);
    world->server = NULL;
    clock_sleep_ms(30);
    assert_int_equal(world->n_replies, 0);
    listen_now(world);
    wait_for(world, 4, 0);
    for (size_t i = 2; i < 4; i++)
        link_reply(world->server, world->requests[i].context, world->requests[i].text, 6);
    wait_for(world, 4, 2);
    assert_string_not_equal(world->replies[0].text, world->replies[1].text);
}

static void a_socket_left_by_a_killed_server_is_replaced(void **state)
{
    struct world *world = *state;
    char path[100];
    struct stat st;
    path_join(path, sizeof path, world->folder, "socket");
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    str_copy(at.sun_path, sizeof at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&at, sizeof at), 0);
    close(fd);
    assert_true(path_exists(path));
    listen_now(world);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    struct link_server *second = NULL;
    struct nx_err err;
    assert_false(link_listen(world->url, 1, on_request, world, &second, &err));
    assert_int_equal(err.code, NX_E_BUSY);
    assert_non_null(strstr(err.text, path));
    assert_null(second);
}

static void a_cancelled_request_ends_and_the_slot_can_ask_again(void **state)
{
    struct world *world = *state;
    dial_now(world);
    link_request(world->client, 0, "to nobody", 9);
    link_cancel(world->client, 0);
    wait_for(world, 0, 1);
    assert_int_equal(world->replies[0].code, NX_E_CANCELLED);
    listen_now(world);
    link_request(world->client, 0, "parked", 6);
    wait_for(world, 1, 1);
    link_cancel(world->client, 0);
    wait_for(world, 1, 2);
    assert_int_equal(world->replies[1].code, NX_E_CANCELLED);
    link_request(world->client, 0, "second", 6);
    wait_for(world, 2, 2);
    /* The late answer to the first is nobody's. */
    link_reply(world->server, world->requests[0].context, "late", 4);
    link_reply(world->server, world->requests[1].context, "right", 5);
    wait_for(world, 2, 3);
    assert_string_equal(world->replies[2].text, "right");
}

static void cancelling_at_any_moment_ends_every_request_once(void **state)
{
    struct world *world = *state;
    world->answer_at_once = true;
    listen_now(world);
    dial_now(world);
    for (size_t i = 0; i < 300; i++) {
        link_request(world->client, 0, "x", 1);
        if (i % 3)
            link_cancel(world->client, 0);
        wait_for(world, 0, i + 1);
    }
    clock_sleep_ms(20);
    assert_int_equal(world->n_replies, 300);
}

static void an_answer_to_a_client_that_has_gone_frees_the_context(void **state)
{
    struct world *world = *state;
    listen_now(world);
    for (size_t round = 0; round < 2 * CONTEXTS; round++) {
        dial_now(world);
        link_request(world->client, 0, "hello", 5);
        wait_for(world, round + 1, 0);
        link_client_close(world->client);
        world->client = NULL;
        link_reply(world->server, world->requests[round].context, "nobody", 6);
    }
    assert_int_equal(world->n_replies, 0);
}

static void the_largest_message_goes_both_ways(void **state)
{
    struct world *world = *state;
    char *bytes = mem_alloc(NX_MESSAGE_MAX);
    memset(bytes, 'm', NX_MESSAGE_MAX);
    world->answer_at_once = true;
    listen_now(world);
    dial_now(world);
    link_request(world->client, 0, bytes, NX_MESSAGE_MAX);
    wait_for(world, 1, 1);
    assert_int_equal(world->requests[0].n, NX_MESSAGE_MAX);
    assert_int_equal(world->replies[0].n, NX_MESSAGE_MAX);
    mem_free(bytes);
}

static void a_message_that_is_too_large_ends_the_sender(void **state)
{
    struct world *world = *state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fclose(stderr);
        char *bytes = mem_alloc(NX_MESSAGE_MAX + 1);
        listen_now(world);
        dial_now(world);
        link_request(world->client, 0, bytes, NX_MESSAGE_MAX + 1);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Speaks the protocol by hand: the head of a frame that says how long a message will be. */
static bool server_hangs_up(struct world *world, const char *magic, uint32_t n)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)link_port(world->server)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    uint8_t head[16] = {0}, byte;
    struct timeval wait = {.tv_usec = 300000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&to, sizeof to), 0);
    memcpy(head, magic, 4);
    for (int i = 0; i < 4; i++)
        head[4 + i] = (uint8_t)(n >> 8 * i);
    assert_int_equal(write(fd, head, 16), 16);
    ssize_t got = recv(fd, &byte, 1, 0);
    close(fd);
    return got == 0;
}

static void a_peer_that_announces_too_much_or_talks_otherwise_loses_its_connection(void **state)
{
    struct world *world = *state;
    snprintf(world->url, sizeof world->url, "tcp://127.0.0.1:0");
    listen_now(world);
    assert_false(server_hangs_up(world, "XLK1", NX_RECEIVE_MAX));
    assert_true(server_hangs_up(world, "XLK1", NX_RECEIVE_MAX + 1));
    assert_true(server_hangs_up(world, "XLK1", UINT32_MAX));
    assert_true(server_hangs_up(world, "GET ", 5));
}

/* A peer of our own that sends n requests and reads nothing. */
static int flood(struct world *world, size_t n, size_t n_bytes)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)link_port(world->server)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    uint8_t *frame = mem_alloc(16 + n_bytes);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&to, sizeof to), 0);
    memcpy(frame, "XLK1", 4);
    for (int i = 0; i < 4; i++)
        frame[4 + i] = (uint8_t)(n_bytes >> 8 * i);
    for (size_t i = 0; i < n; i++) {
        frame[8] = (uint8_t)i;
        if (send(fd, frame, 16 + n_bytes, MSG_NOSIGNAL) < 0)
            break;
    }
    mem_free(frame);
    return fd;
}

static void requests_beyond_the_contexts_wait_and_are_not_lost(void **state)
{
    struct world *world = *state;
    snprintf(world->url, sizeof world->url, "tcp://127.0.0.1:0");
    listen_now(world);
    int one = flood(world, 30, 5), two = flood(world, 30, 70000);
    wait_for(world, CONTEXTS, 0);
    clock_sleep_ms(50);
    assert_int_equal(world->n_requests, CONTEXTS);
    for (size_t i = 0; i < 60; i++) {
        wait_for(world, i + 1, 0);
        link_reply(world->server, world->requests[i].context, "ok", 2);
    }
    wait_for(world, 60, 0);
    close(one), close(two);
}

static void a_peer_that_does_not_read_its_replies_loses_its_connection(void **state)
{
    struct world *world = *state;
    world->answer_at_once = true;
    snprintf(world->url, sizeof world->url, "tcp://127.0.0.1:0");
    listen_now(world);
    int fd = flood(world, 400, 200000);
    pthread_mutex_lock(&world->lock);
    assert_true(world->n_requests < 400);
    pthread_mutex_unlock(&world->lock);
    close(fd);
    snprintf(world->url, sizeof world->url, "tcp://127.0.0.1:%u", link_port(world->server));
    dial_now(world);
    link_request(world->client, 0, "still there", 11);
    wait_for(world, 0, 1);
}

static void closing_while_requests_are_parked_calls_nobody(void **state)
{
    struct world *world = *state;
    listen_now(world);
    dial_now(world);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        link_request(world->client, slot, "parked", 6);
    wait_for(world, SLOTS, 0);
    link_client_close(world->client);
    link_server_close(world->server);
    world->client = NULL;
    world->server = NULL;
    assert_int_equal(world->n_replies, 0);
}

static void closing_in_the_middle_of_traffic_is_clean(void **state)
{
    struct world *world = *state;
    world->answer_at_once = world->ask_again = true;
    for (int round = 0; round < 20; round++) {
        pthread_mutex_lock(&world->lock);
        world->asked_again = 0;
        pthread_mutex_unlock(&world->lock);
        listen_now(world);
        dial_now(world);
        for (unsigned slot = 0; slot < SLOTS; slot++)
            link_request(world->client, slot, "x", 1);
        clock_sleep_ms(round % 7);
        if (round % 2) {
            link_client_close(world->client);
            link_server_close(world->server);
        } else {
            link_server_close(world->server);
            link_client_close(world->client);
        }
        world->server = NULL;
        world->client = NULL;
    }
}

static void an_address_that_cannot_be_is_refused(void **state)
{
    struct world *world = *state;
    struct nx_err err;
    struct link_server *server = NULL;
    char far[300];
    memset(far, 'x', sizeof far - 1);
    far[sizeof far - 1] = 0;
    memcpy(far, "ipc:///tmp/", 11);
    static const struct {
        const char *url;
        enum nx_code code;
    } bad[] = {
        {"tcp://0.0.0.0:5000", NX_E_DENIED},     {"tls+tcp://127.0.0.1:5000", NX_E_INVALID},
        {"tcp://127.0.0.1.evil:1", NX_E_DENIED}, {"nonsense", NX_E_INVALID},
        {"ipc://relative", NX_E_INVALID},        {"ipc:///no/such/folder/socket", NX_E_IO},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(link_listen(bad[i].url, 1, on_request, world, &server, &err));
        if (i < 5)
            assert_int_equal(err.code, bad[i].code);
        assert_non_null(strstr(err.text, bad[i].url));
    }
    assert_false(link_listen(far, 1, on_request, world, &server, &err));
    assert_int_equal(err.code, NX_E_LIMIT);
    assert_false(link_dial(far, 1, on_reply, world, &world->client, &err));
    assert_int_equal(err.code, NX_E_LIMIT);
    assert_null(server);
    assert_null(world->client);
}

/* ---- TLS ---- */

static void a_client_that_trusts_another_certificate_is_never_answered(void **state)
{
    struct world *world = *state;
    struct certificate own = world->certificate, other;
    char path[100];
    struct nx_err err;
    snprintf(path, sizeof path, "%s/other.pem", world->folder);
    assert_true(certificate_open(path, &other, &err));
    world->answer_at_once = true;
    listen_now(world);
    world->certificate = other;
    dial_now(world);
    link_request(world->client, 0, "hello", 5);
    clock_sleep_ms(300);
    assert_int_equal(world->n_requests, 0);
    assert_int_equal(world->n_replies, 0);
    link_client_close(world->client);
    world->client = NULL;
    world->certificate = own;
    dial_now(world);
    link_request(world->client, 0, "hello", 5);
    wait_for(world, 1, 1);
}

static void the_name_of_the_certificate_is_checked(void **state)
{
    struct world *world = *state;
    struct nx_err err;
    const struct link_tls tls = {world->certificate.text, NULL, "another-name"};
    world->answer_at_once = true;
    listen_now(world);
    assert_true(link_dial_tls(world->url, &tls, SLOTS, on_reply, world, &world->client, &err));
    link_request(world->client, 0, "hello", 5);
    clock_sleep_ms(300);
    assert_int_equal(world->n_requests, 0);
}

static void a_peer_without_tls_gets_nothing_and_harms_nobody(void **state)
{
    struct world *world = *state;
    world->answer_at_once = true;
    listen_now(world);
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)link_port(world->server)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    static const char bytes[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    dial_now(world);
    link_request(world->client, 0, "hello", 5);
    wait_for(world, 1, 1);
    close(fd);
}

enum { CROWD = 300 };

/* A connection from that address of this machine; -1: refused. */
static int come_from(struct world *world, const char *address)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)link_port(world->server)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, address, &from.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static size_t count_open(const int *fds, size_t n)
{
    size_t n_open = 0;
    char byte;
    for (size_t i = 0; i < n; i++)
        n_open += recv(fds[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
    return n_open;
}

static void a_crowd_of_strangers_holds_little_and_keeps_nobody_out(void **state)
{
    struct world *world = *state;
    int crowd[CROWD], other;
    size_t n_answers = 7;
    world->answer_at_once = true;
    listen_now(world);
    dial_now(world);
    link_request(world->client, 0, "before", 6);
    wait_for(world, 0, 1);
    other = come_from(world, "127.0.0.3");
    int64_t begin_ms = clock_mono_ms();
    for (size_t i = 0; i < CROWD; i++)
        crowd[i] = come_from(world, "127.0.0.2");
    for (int i = 0; i < 100 && count_open(crowd, CROWD) > LINK_STRANGERS_MAX; i++)
        clock_sleep_ms(20);
    assert_in_range(count_open(crowd, CROWD), 1, LINK_STRANGERS_MAX);
    assert_int_equal(count_open(&other, 1), 1); /* the crowd goes first */
    assert_int_equal(count_open(crowd, CROWD / 2), 0);
    link_request(world->client, 1, "known", 5);
    wait_for(world, 0, 2);
    for (int i = 0; i < 5; i++) { /* who comes anew finds a place */
        link_redial(world->client);
        link_request(world->client, 2, "again", 5);
        wait_for(world, 0, 3 + (size_t)i);
        crowd[i] = (close(crowd[i]), come_from(world, "127.0.0.2"));
    }
    /* They are closed, also one that goes on talking; who is known stays. */
    while (count_open(crowd, CROWD) && clock_mono_ms() - begin_ms < 2 * LINK_STRANGE_MS) {
        (void)!send(other, "\x16\x03\x01\x02\x00", 1, MSG_NOSIGNAL);
        link_request(world->client, 3, "at work", 7);
        wait_for(world, 0, ++n_answers);
        clock_sleep_ms(250);
    }
    assert_int_equal(count_open(crowd, CROWD), 0);
    assert_int_equal(count_open(&other, 1), 0);
    assert_true(link_connected(world->client));
    assert_true(clock_mono_ms() - begin_ms < LINK_STRANGE_MS + 5000);
    for (size_t i = 0; i < CROWD; i++)
        close(crowd[i]);
    close(other);
}

static void a_strangers_message_is_small(void **state)
{
    struct world *world = *state;
    char *large = mem_alloc(NX_MESSAGE_MAX);
    world->answer_at_once = true;
    listen_now(world);
    dial_now(world);
    link_request(world->client, 0, "stranger", 8);
    wait_for(world, 1, 1); /* the owner says what it thinks of it */
    memcpy(large, "stranger", 8);
    link_request(world->client, 1, large, LINK_STRANGE_MAX + 1);
    clock_sleep_ms(500);
    assert_int_equal(world->n_requests, 1);
    link_cancel(world->client, 1);
    wait_for(world, 1, 2);
    memcpy(large, "a friend", 8);
    link_request(world->client, 2, large, NX_MESSAGE_MAX);
    wait_for(world, 2, 3);
    assert_int_equal(world->requests[1].n, NX_MESSAGE_MAX);
    for (size_t i = 0; i < 30; i++) { /* cut in the middle of a send, again and again */
        memcpy(large, "stranger", 8);
        link_request(world->client, 1, large, NX_MESSAGE_MAX);
        clock_sleep_ms((int64_t)i);
        link_cancel(world->client, 1);
        wait_for(world, 0, 4 + 2 * i);
        link_request(world->client, 2, "a friend", 8);
        wait_for(world, 0, 5 + 2 * i);
    }
    mem_free(large);
}

static void a_client_that_is_told_to_redials_and_asks_again(void **state)
{
    struct world *world = *state;
    listen_now(world);
    dial_now(world);
    link_request(world->client, 0, "one", 3);
    wait_for(world, 1, 0);
    link_redial(world->client);
    wait_for(world, 2, 0);
    link_reply(world->server, world->requests[0].context, "lost", 4);
    link_reply(world->server, world->requests[1].context, "came", 4);
    wait_for(world, 2, 1);
    assert_string_equal(world->replies[0].text, "came");
}

static void a_host_that_does_not_answer_is_dialled_anew(void **state)
{
    struct world *world = *state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fds[5], one = 1;
    at.sin_port = htons((uint16_t)strtoul(strrchr(world->url, ':') + 1, NULL, 10));
    for (size_t i = 0; i < 5; i++) /* a queue of connections that is full, and nobody takes any */
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (i ? SOCK_NONBLOCK : 0), 0);
    setsockopt(fds[0], SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(fds[0], (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fds[0], 0), 0);
    for (size_t i = 1; i < 5; i++)
        (void)!connect(fds[i], (struct sockaddr *)&at, sizeof at);
    dial_now(world);
    link_request(world->client, 0, "hello", 5);
    for (int i = 0; i < 14; i++) {
        clock_sleep_ms(500);
        link_redial(world->client);
    }
    for (size_t i = 0; i < 5; i++)
        close(fds[i]);
    world->answer_at_once = true;
    listen_now(world);
    wait_for(world, 1, 1);
}

static void a_certificate_is_made_once_and_kept_from_others(void **state)
{
    struct world *world = *state;
    struct certificate again;
    struct nx_err err;
    struct stat st;
    char path[100];
    snprintf(path, sizeof path, "%s/workers.pem", world->folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(certificate_open(path, &again, &err));
    assert_string_equal(again.text, world->certificate.text);
    assert_string_equal(again.key, world->certificate.key);
    chmod(path, 0644);
    assert_false(certificate_open(path, &again, &err));
    assert_int_equal(err.code, NX_E_DENIED);
    assert_true(path_write(path, "nonsense", 8, &err));
    chmod(path, 0600);
    assert_false(certificate_open(path, &again, &err));
    assert_int_equal(err.code, NX_E_DATA);
}

#define WITH_TLS(test) \
    { \
#test "_over_tls", test, open_tls_world, close_world, NULL \
    }
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: it forks, and NNG has no threads yet. */
        WITH_WORLD(a_message_that_is_too_large_ends_the_sender),
        WITH_WORLD(a_request_is_answered),
        WITH_WORLD(a_request_may_be_answered_at_once_and_the_slot_used_inside),
        WITH_WORLD(parked_requests_are_answered_in_any_order),
        WITH_WORLD(a_released_request_gets_an_empty_reply),
        WITH_WORLD(a_request_waits_for_a_server_that_is_not_there_yet),
        WITH_WORLD(a_parked_request_is_sent_again_to_a_server_that_starts_again),
        WITH_WORLD(a_socket_left_by_a_killed_server_is_replaced),
        WITH_WORLD(a_cancelled_request_ends_and_the_slot_can_ask_again),
        WITH_WORLD(cancelling_at_any_moment_ends_every_request_once),
        WITH_WORLD(an_answer_to_a_client_that_has_gone_frees_the_context),
        WITH_WORLD(the_largest_message_goes_both_ways),
        WITH_WORLD(a_peer_that_announces_too_much_or_talks_otherwise_loses_its_connection),
        WITH_WORLD(requests_beyond_the_contexts_wait_and_are_not_lost),
        WITH_WORLD(a_peer_that_does_not_read_its_replies_loses_its_connection),
        WITH_WORLD(closing_while_requests_are_parked_calls_nobody),
        WITH_WORLD(closing_in_the_middle_of_traffic_is_clean),
        WITH_WORLD(an_address_that_cannot_be_is_refused),
        WITH_TLS(a_request_is_answered),
        WITH_TLS(parked_requests_are_answered_in_any_order),
        WITH_TLS(a_released_request_gets_an_empty_reply),
        WITH_TLS(a_request_waits_for_a_server_that_is_not_there_yet),
        WITH_TLS(a_parked_request_is_sent_again_to_a_server_that_starts_again),
        WITH_TLS(a_cancelled_request_ends_and_the_slot_can_ask_again),
        WITH_TLS(cancelling_at_any_moment_ends_every_request_once),
        WITH_TLS(an_answer_to_a_client_that_has_gone_frees_the_context),
        WITH_TLS(the_largest_message_goes_both_ways),
        WITH_TLS(closing_while_requests_are_parked_calls_nobody),
        WITH_TLS(closing_in_the_middle_of_traffic_is_clean),
        WITH_TLS(a_client_that_trusts_another_certificate_is_never_answered),
        WITH_TLS(the_name_of_the_certificate_is_checked),
        WITH_TLS(a_peer_without_tls_gets_nothing_and_harms_nobody),
        WITH_TLS(a_crowd_of_strangers_holds_little_and_keeps_nobody_out),
        WITH_TLS(a_strangers_message_is_small),
        WITH_TLS(a_client_that_is_told_to_redials_and_asks_again),
        WITH_TLS(a_host_that_does_not_answer_is_dialled_anew),
        WITH_TLS(a_certificate_is_made_once_and_kept_from_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
