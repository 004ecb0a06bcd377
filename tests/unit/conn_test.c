/* Connections: URIs of every kind, what is wrong with others, and what is shown. */
#include "tests/unit/test.h"

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/text/conn.h"

static struct arena arena;

static struct conn read(const char *uri)
{
    struct conn conn;
    struct nx_err err = {0};
    if (!conn_read(uri, &arena, &conn, &err))
        fail_msg("%s: %s", uri, err.text);
    return conn;
}

static void a_uri_is_taken_apart(void **state)
{
    (void)state;
    struct conn conn = read("postgresql://et%40l:p%3Aw%2f@db.example:5433/fl%20y?sslmode=require");
    assert_int_equal(conn.kind, CONN_POSTGRES);
    assert_string_equal(conn.user, "et@l");
    assert_string_equal(conn.password, "p:w/");
    assert_string_equal(conn.host, "db.example");
    assert_int_equal(conn.port, 5433);
    assert_string_equal(conn.path, "/fl y");
    assert_string_equal(conn_option(&conn, "sslmode", &arena), "require");
    assert_null(conn_option(&conn, "ssl", &arena));
    conn = read("SMTPS://mail.example");
    assert_int_equal(conn.port, 465);
    assert_null(conn.user);
    conn = read("http://[::1]:8080");
    assert_string_equal(conn.host, "::1");
    assert_string_equal(conn_origin(&conn, &arena), "http://[::1]:8080");
    assert_string_equal(read("file:///var/data").path, "/var/data");
    assert_int_equal(read("s3://k:s@minio/b?tls=false").port, 80);
    assert_int_equal(read("s3://k:s@minio/b").port, 443);
    assert_string_equal(read("https://:token@api.example").password, "token");
}

static void what_is_secret_is_not_shown(void **state)
{
    static const struct {
        const char *uri, *shown;
        bool secret;
    } cases[] = {
        {"postgres://u:p@h/d", "postgres://u:***@h/d", true},
        {"postgres://u@h/d?sslmode=allow", "postgres://u@h/d?sslmode=allow", false},
        {"postgres://u:@h:1/d", "postgres://u:***@h:1/d", true},
        {"https://h/services/T0/token", "https://h/***", true},
        {"https://h?key=1", "https://h/***", true},
        {"https://h/", "https://h/", false},
        {"https://:t@[::1]:9", "https://:***@[::1]:9", true},
        {"smtp://a%40b:p@h:587?from=x%40y", "smtp://a%40b:***@h:587?from=x%40y", true},
        {"file:///a/b", "file:///a/b", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct conn conn = read(cases[i].uri);
        assert_string_equal(conn_shown(&conn, &arena), cases[i].shown);
        assert_int_equal(conn_is_secret(&conn), cases[i].secret);
    }
}

static void add_text(void *arg, const char *text)
{
    struct buf *all = arg;
    buf_printf(all, "%s ", text);
}

static void a_log_masks_every_form_of_it(void **state)
{
    struct buf all;
    struct conn conn = read("postgres://u:a%2Fb@h/d");
    (void)state;
    buf_init(&all);
    conn_secrets("postgres://u:a%2Fb@h/d", &conn, add_text, &all);
    assert_string_equal(buf_text(&all), "postgres://u:a%2Fb@h/d a/b a%2Fb ");
    buf_clear(&all);
    conn = read("https://h/services/token?x=123456");
    conn_secrets("https://h/services/token?x=123456", &conn, add_text, &all);
    assert_string_equal(buf_text(&all),
                        "https://h/services/token?x=123456 /services/token x=123456 ");
    buf_clear(&all);
    conn = read("postgres://u@h/d");
    conn_secrets("postgres://u@h/d", &conn, add_text, &all);
    assert_string_equal(buf_text(&all), "");
    buf_fini(&all);
}

static void a_wrong_uri_is_refused_with_the_way_out(void **state)
{
    static const struct {
        const char *uri, *message;
    } cases[] = {
        {"", "is a URI such as"},
        {"warehouse", "is a URI such as"},
        {"postgre://h/d", "did you mean 'postgres'"},
        {"mysql://h/d", "there are postgres, http"},
        {"postgres:///d", "the host is missing"},
        {"postgres://u:p@/d", "the host is missing"},
        {"postgres://h", "the database is missing"},
        {"postgres://h/", "the database is missing"},
        {"postgres://h/a/b", "has a slash"},
        {"postgres://h:0/d", "the port is not"},
        {"postgres://h:70000/d", "the port is not"},
        {"postgres://h:/d", "the port is not"},
        {"postgres://u:p/w@h/d", "in a password"},
        {"postgres://u:p%2@h/d", "%25, %40"},
        {"postgres://u:p%0a@h/d", "not well written"},
        {"postgres://u:p%ff@h/d", "not well written"},
        {"postgres://:p@h/d", "a password without a user"},
        {"postgres://h/d?sslmod=x", "no option of that name"},
        {"postgres://h/d?sslmode=maybe", "is one of: disable"},
        {"postgres://h/d?sslmode", "NAME=VALUE"},
        {"postgres://h/d#x", "there is a #"},
        {"smtp://h/inbox", "there is a path"},
        {"file://host/x", "there is a host"},
        {"file:///", "the folder is missing"},
        {"file://u@/x", "there is a user"},
        {"s3://k:s@h", "the bucket is missing"},
        {"http://h/a b", "no blanks"},
        {"http://h/\r\nX: y", "no blanks"},
        {"http://h/\xc3\xa4", "beyond ASCII"},
        {"http://[::1/x", "the host"},
        {"http://a\"b/", "quotes"},
    };
    struct conn conn;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct nx_err err = {0};
        if (conn_read(cases[i].uri, &arena, &conn, &err))
            fail_msg("%s is read", cases[i].uri);
        if (!strstr(err.text, cases[i].message))
            fail_msg("%s: %s", cases[i].uri, err.text);
    }
    char *large = mem_alloc(CONN_URI_MAX + 20);
    memset(large, 'x', CONN_URI_MAX + 10);
    memcpy(large, "http://", 7);
    struct nx_err err;
    assert_false(conn_read(large, &arena, &conn, &err));
    assert_int_equal(err.code, NX_E_LIMIT);
    mem_free(large);
}

static void an_address_below_another(void **state)
{
    static const struct {
        const char *uri, *rest, *address;
    } cases[] = {
        {"https://u:p@h/v1/", "/a/b", "https://h/v1/a/b"},
        {"https://h", "a", "https://h/a"},
        {"https://h:8443/v1?key=x", "a", "https://h:8443/v1/a?key=x"},
        {"https://h/v1?key=x", "a?b=1", "https://h/v1/a?b=1&key=x"},
        {"http://h", "", "http://h/"},
        {"http://h/a/?b", "", "http://h/a/?b"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct conn conn = read(cases[i].uri);
        assert_string_equal(conn_below(&conn, cases[i].rest, &arena), cases[i].address);
    }
}

static int open_arena(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uri_is_taken_apart),
        cmocka_unit_test(what_is_secret_is_not_shown),
        cmocka_unit_test(a_log_masks_every_form_of_it),
        cmocka_unit_test(a_wrong_uri_is_refused_with_the_way_out),
        cmocka_unit_test(an_address_below_another),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
