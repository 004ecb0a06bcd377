#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/text/settings.h"
#include "tests/unit/test.h"

static bool parse(struct settings *settings, const char *text, struct nx_err *err)
{
    settings_init(settings);
    return settings_parse(settings, "project/nexus.yaml", text, strlen(text), err);
}

static void settings_of_a_whole_file_are_read(void **state)
{
    (void)state;
    struct settings s;
    struct nx_err err;
    assert_true(parse(&s,
                      "listen: 127.0.0.1:9000\n"
                      "dags: pipelines\n"
                      "home: /var/lib/nexus\n"
                      "slots: 4\n"
                      "pools: {cpu: 2, gpu: 0}\n"
                      "vars: {region: eu, days: 60, list: [1, two]}\n"
                      "lost_after: 8s\n"
                      "log_max: 100M\n"
                      "grace: 1m30s\n"
                      "retention: {runs: 90d, keep: 5}\n",
                      &err));
    assert_string_equal(s.listen, "127.0.0.1:9000");
    assert_string_equal(s.dags, "project/pipelines");
    assert_string_equal(s.home, "/var/lib/nexus");
    assert_int_equal(s.slots, 4);
    assert_int_equal(s.n_pools, 2);
    assert_string_equal(s.pools[1].name, "gpu");
    assert_int_equal(s.pools[0].slots, 2);
    assert_int_equal(s.n_vars, 3);
    assert_string_equal(s.vars[0].json, "\"eu\"");
    assert_string_equal(s.vars[1].json, "60");
    assert_string_equal(s.vars[2].json, "[1,\"two\"]");
    assert_int_equal(s.lost_after_ms, 8000);
    assert_int_equal(s.log_max_bytes, 100 * 1024 * 1024);
    assert_int_equal(s.grace_ms, 90000);
    assert_int_equal(s.retention.runs_ms, 90ll * 86400000);
    assert_int_equal(s.retention.keep, 5);
    assert_int_equal(s.retention.logs_ms, RETENTION_UNSAID);
    settings_fini(&s);
}

static void settings_that_are_not_said_are_marked(void **state)
{
    (void)state;
    static const char *const empty[] = {"", "# nothing\n", "slots: 1\n"};
    for (size_t i = 0; i < 3; i++) {
        struct settings s;
        struct nx_err err;
        assert_true(parse(&s, empty[i], &err));
        assert_null(s.listen);
        assert_null(s.home);
        assert_int_equal(s.lost_after_ms, -1);
        assert_int_equal(s.log_max_bytes, -1);
        assert_int_equal(s.grace_ms, -1);
        assert_int_equal(s.slots, i == 2);
        settings_fini(&s);
    }
}

static void settings_name_every_mistake_with_its_place(void **state)
{
    (void)state;
    struct settings s;
    struct nx_err err;
    assert_false(parse(&s,
                       "slot: 4\n"
                       "listen: nowhere\n"
                       "slots: 0\n"
                       "pools: {CPU: 1, gpu: many}\n"
                       "vars: [1]\n"
                       "lost_after: soon\n"
                       "log_max: big\n"
                       "nonsense: 1\n",
                       &err));
    assert_int_equal(err.code, NX_E_INVALID);
    static const char *const places[] = {
        "project/nexus.yaml:1:1: ", "did you mean 'slots'",      "project/nexus.yaml:2:9: ",
        "project/nexus.yaml:3:8: ", "project/nexus.yaml:4:9: ",  "project/nexus.yaml:4:22: ",
        "project/nexus.yaml:5:7: ", "project/nexus.yaml:6:13: ", "project/nexus.yaml:7:10: ",
        "project/nexus.yaml:8:1: ",
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (!strstr(err.text, places[i]))
            fail_msg("'%s' is not in: %s", places[i], err.text);
    }
    assert_null(s.listen); /* as after settings_init */
    assert_int_equal(s.slots, 0);
    settings_fini(&s);
}

static void settings_refuse_what_is_no_mapping(void **state)
{
    (void)state;
    static const char *const texts[] = {"- a\n", "text\n", "a: 1\n---\nb: 2\n", "a: [\n",
                                        "slots: 1\nslots: 2\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct settings s;
        struct nx_err err;
        assert_false(parse(&s, texts[i], &err));
        assert_int_equal(err.code, NX_E_INVALID);
        settings_fini(&s);
    }
}

static void settings_of_the_environment_go_before_the_file(void **state)
{
    (void)state;
    char folder[] = "/tmp/settings-test-XXXXXX", path[64];
    struct settings s;
    struct nx_err err;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/nexus.yaml", folder);
    assert_true(path_write(path, "slots: 2\ngrace: 5s\n", 19, &err));
    setenv("NEXUS_SLOTS", "7", 1);
    setenv("NEXUS_HOME", "/elsewhere", 1);
    setenv("NEXUS_LISTEN", "", 1); /* empty: not said */
    settings_init(&s);
    assert_true(settings_load(&s, folder, &err));
    assert_int_equal(s.slots, 7);
    assert_int_equal(s.grace_ms, 5000);
    assert_string_equal(s.home, "/elsewhere");
    assert_null(s.listen);
    settings_fini(&s);
    setenv("NEXUS_SLOTS", "many", 1);
    settings_init(&s);
    assert_false(settings_load(&s, folder, &err));
    assert_non_null(strstr(err.text, "NEXUS_SLOTS"));
    assert_int_equal(s.grace_ms, -1);
    settings_fini(&s);
    unsetenv("NEXUS_SLOTS");
    unsetenv("NEXUS_HOME");
    unsetenv("NEXUS_LISTEN");
    settings_init(&s);
    assert_true(settings_load(&s, "/nowhere/at/all", &err)); /* no file is fine */
    settings_fini(&s);
    path_remove_tree(folder, NULL);
}

static void listen_addresses_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        int port; /* -1: wrong */
    } cases[] = {
        {"127.0.0.1:8000", "127.0.0.1", 8000},
        {":0", "127.0.0.1", 0},
        {"localhost:65535", "localhost", 65535},
        {"[::1]:80", "::1", 80},
        {"::1:80", NULL, -1},
        {"host", NULL, -1},
        {"host:", NULL, -1},
        {"host:65536", NULL, -1},
        {"host:-1", NULL, -1},
        {"host:8o", NULL, -1},
        {"", NULL, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char host[64];
        uint16_t port = 0;
        struct nx_err err;
        bool ok = settings_parse_listen(cases[i].text, host, sizeof host, &port, &err);
        assert_int_equal(ok, cases[i].port >= 0);
        if (!ok)
            continue;
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_of_a_whole_file_are_read),
        cmocka_unit_test(settings_that_are_not_said_are_marked),
        cmocka_unit_test(settings_name_every_mistake_with_its_place),
        cmocka_unit_test(settings_refuse_what_is_no_mapping),
        cmocka_unit_test(settings_of_the_environment_go_before_the_file),
        cmocka_unit_test(listen_addresses_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
