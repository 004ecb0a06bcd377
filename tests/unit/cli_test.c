#include <fcntl.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/tail.h"
#include "cli/trigger.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "tests/unit/test.h"

/* Parses "nexus <line>" split at spaces; what it prints goes to /dev/null. */
static int parse(struct cli *cli, const char *line)
{
    static char text[512];
    static char *argv[32];
    int argc = 0, kept = dup(STDERR_FILENO), kept_out = dup(STDOUT_FILENO);
    str_copy(text, sizeof text, line);
    argv[argc++] = (char *)(uintptr_t) "nexus";
    for (char *at = text; *at;) {
        size_t n = strcspn(at, " ");
        argv[argc++] = at;
        at += n;
        if (*at)
            *at++ = 0;
    }
    cli_init(cli);
    fflush(NULL);
    assert_non_null(freopen("/dev/null", "w", stderr));
    int null_fd = open("/dev/null", O_WRONLY);
    dup2(null_fd, STDOUT_FILENO);
    int status = cli_parse(cli, argc, argv);
    fflush(NULL);
    dup2(kept, STDERR_FILENO);
    dup2(kept_out, STDOUT_FILENO);
    close(kept);
    close(kept_out);
    close(null_fd);
    return status;
}

static void parser_finds_command_options_and_arguments(void **state)
{
    (void)state;
    struct cli cli;
    assert_int_equal(
        parse(&cli, "trigger hello -p a=1 --param b=2 -pc=3 --wait -o json --note=x --home /h"),
        CLI_DONE);
    assert_string_equal(cli.command->name, "trigger");
    assert_int_equal(cli.n_args, 1);
    assert_string_equal(cli_arg(&cli, 0), "hello");
    assert_null(cli_arg(&cli, 1));
    assert_true(cli_given(&cli, "wait"));
    assert_false(cli_given(&cli, "date"));
    assert_string_equal(cli_get(&cli, "note"), "x");
    assert_string_equal(cli_get(&cli, "home"), "/h");
    assert_int_equal(cli.format, CLI_JSON);
    json_t *params;
    assert_int_equal(trigger_params(&cli, &params), CLI_DONE);
    assert_int_equal(json_object_size(params), 3);
    assert_int_equal(js_get_int(params, "c", 0), 3);
    json_decref(params);
    cli_fini(&cli);
}

static void parser_takes_common_options_before_the_command(void **state)
{
    (void)state;
    struct cli cli;
    assert_int_equal(parse(&cli, "--home /h -o id runs list -n 5"), CLI_DONE);
    assert_string_equal(cli.command->name, "runs list");
    assert_int_equal(cli.format, CLI_ID);
    assert_int_equal(cli_number(&cli, "limit", 20), 5);
    assert_int_equal(cli_number(&cli, "nothing", 20), 20);
    cli_fini(&cli);
}

static void parser_takes_everything_after_two_dashes_as_arguments(void **state)
{
    (void)state;
    struct cli cli;
    assert_int_equal(parse(&cli, "logs -- --follow -x"), CLI_DONE);
    assert_int_equal(cli.n_args, 2);
    assert_string_equal(cli_arg(&cli, 0), "--follow");
    assert_false(cli_given(&cli, "follow"));
    cli_fini(&cli);
}

static void parser_prefers_the_longer_name_and_passes_on_what_a_part_takes(void **state)
{
    (void)state;
    struct cli cli;
    assert_int_equal(parse(&cli, "worker list"), CLI_DONE);
    assert_string_equal(cli.command->name, "worker list");
    cli_fini(&cli);
    assert_int_equal(parse(&cli, "--home /h worker --slots 3 -h -- x"), CLI_DONE);
    assert_string_equal(cli.command->name, "worker");
    assert_int_equal(cli.n_args, 5);
    assert_string_equal(cli_arg(&cli, 0), "--slots");
    assert_string_equal(cli_get(&cli, "home"), "/h");
    cli_fini(&cli);
}

static void parser_answers_wrong_usage_with_status_2(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "trigerr hello",
        "dag lst",
        "worker lst",
        "dag",
        "trigger",
        "trigger a b",
        "trigger a --wiat",
        "trigger a -z",
        "trigger a --wait=yes",
        "trigger a --date",
        "runs list -n x",
        "runs list -n -5",
        "runs list --limit=",
        "dag list -o xml",
        "trigger a --note x --note y",
        "status extra",
        "-o json",
        "--nonsense",
        "",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines - 1; i++) {
        struct cli cli;
        if (parse(&cli, lines[i]) != CLI_USAGE)
            fail_msg("'%s' was taken", lines[i]);
        cli_fini(&cli);
    }
}

static void parser_answers_help_wherever_it_stands(void **state)
{
    (void)state;
    static const char *const lines[] = {"",
                                        "-h",
                                        "--help",
                                        "trigger -h",
                                        "--help trigger",
                                        "dag --help",
                                        "trigger --wait --help",
                                        "dag list -h"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct cli cli;
        if (parse(&cli, lines[i]) != CLI_OVER)
            fail_msg("'%s' was not answered", lines[i]);
        cli_fini(&cli);
    }
}

static void every_command_is_described_and_its_options_are_not_ambiguous(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_n_commands; i++) {
        const struct cli_command *c = cli_commands[i];
        assert_non_null(c->name);
        assert_non_null(c->arguments);
        assert_non_null(c->run);
        assert_true(c->summary && !str_ends(c->summary, "."));
        assert_true(c->help || c->flags & CLI_HIDDEN);
        for (size_t k = 0; k < i; k++)
            assert_false(str_eq(cli_commands[k]->name, c->name));
        for (const struct cli_option *o = c->options; o && o->name; o++) {
            for (const struct cli_option *p = c->options; p < o; p++) {
                assert_false(str_eq(p->name, o->name));
                assert_false(o->letter && p->letter == o->letter);
            }
            for (const struct cli_option *p = cli_common; p->name; p++) {
                assert_false(str_eq(p->name, o->name));
                bool own = o->letter == 'o' && c->flags & CLI_OWN_O;
                assert_false(o->letter && p->letter == o->letter && !own);
            }
        }
    }
}

static struct out_table make_table(void)
{
    static const char *const titles[] = {"id", "state", ">n", "what"};
    struct out_table table;
    out_table_init(&table, 4, titles);
    out_cell(&table, "first");
    out_cell(&table, "success");
    out_cell(&table, "7");
    out_cell(&table, "a long description of it");
    out_cell(&table, "é漢");
    out_cell(&table, "failed");
    out_cell(&table, "1234");
    out_cell(&table, NULL);
    return table;
}

static void table_aligns_by_columns_shown(void **state)
{
    (void)state;
    struct out_table table = make_table();
    struct buf text = {0};
    out_table_text(&table, 0, false, &text);
    assert_string_equal(buf_text(&text), "id       state       n  what\n"
                                         "first  ✓ success     7  a long description of it\n"
                                         "é漢    ✕ failed   1234  -\n");
    buf_fini(&text);
    out_table_fini(&table);
}

static void table_cuts_the_last_column_then_drops_columns_and_never_ids_or_states(void **state)
{
    (void)state;
    struct out_table table = make_table();
    struct buf text = {0};
    out_table_text(&table, 40, false, &text);
    assert_string_equal(buf_text(&text), "id       state       n  what\n"
                                         "first  ✓ success     7  a long descript…\n"
                                         "é漢    ✕ failed   1234  -\n");
    buf_clear(&text);
    out_table_text(&table, 30, false, &text);
    assert_string_equal(buf_text(&text), "id       state       n\n"
                                         "first  ✓ success     7\n"
                                         "é漢    ✕ failed   1234\n");
    buf_clear(&text);
    out_table_text(&table, 3, false, &text);
    assert_string_equal(buf_text(&text), "id\nfirst\né漢\n");
    buf_fini(&text);
    out_table_fini(&table);
}

static void table_colours_only_when_told(void **state)
{
    (void)state;
    struct out_table table = make_table();
    struct buf text = {0};
    out_table_text(&table, 0, true, &text);
    assert_non_null(strstr(buf_text(&text), "\033[32m✓ success"));
    buf_clear(&text);
    out_table_text(&table, 0, false, &text);
    assert_null(strchr(buf_text(&text), '\033'));
    buf_fini(&text);
    out_table_fini(&table);
}

static void text_from_outside_cannot_steer_the_terminal(void **state)
{
    (void)state;
    struct buf text = {0};
    const char bytes[] = "a\033[2J\r\tb\xc2\x9b\xff\xe2\x82\xac\xe2\x82\x7f";
    out_safe(&text, bytes, sizeof bytes - 1);
    assert_string_equal(buf_text(&text), "a\\x1b[2J\\x0d\tb\\xc2\\x9b\\xff€\\xe2\\x82\\x7f");
    buf_fini(&text);
}

static void durations_and_times_read_as_people_say_them(void **state)
{
    (void)state;
    char text[40];
    static const struct {
        int64_t ms;
        const char *text;
    } spans[] = {{-1, "-"},
                 {0, "0 ms"},
                 {850, "850 ms"},
                 {1500, "1.5 s"},
                 {12000, "12 s"},
                 {185000, "3 min 05 s"},
                 {8040000, "2 h 14 min"},
                 {90000000, "1 d 1 h"}};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        assert_string_equal(out_duration(text, sizeof text, spans[i].ms), spans[i].text);
    assert_string_equal(out_size(text, sizeof text, 0), "0 B");
    assert_string_equal(out_size(text, sizeof text, 1023), "1023 B");
    assert_string_equal(out_size(text, sizeof text, 1536), "1.5 KiB");
    assert_string_equal(out_size(text, sizeof text, 1048575), "1.0 MiB");
    assert_string_equal(out_size(text, sizeof text, 5ll << 40), "5.0 TiB");
    const int64_t now = 1000000000000; /* 2001-09-09T01:46:40Z */
    assert_string_equal(out_ago(text, sizeof text, "2001-09-09T01:43:30.000Z", now), "3 min ago");
    assert_string_equal(out_ago(text, sizeof text, "2001-09-09T01:58:40Z", now), "in 12 min");
    assert_string_equal(out_ago(text, sizeof text, "2001-09-01T01:30:00Z", now), "1 Sep 01:30");
    assert_string_equal(out_ago(text, sizeof text, "1969-12-31T23:59:00Z", now), "31 Dec 1969");
    assert_string_equal(out_ago(text, sizeof text, "2001-10-14T03:00:00Z", now), "in 35 d");
    assert_string_equal(out_ago(text, sizeof text, "2008-02-29T00:00:00Z", now), "in 6 years");
    assert_string_equal(out_ago(text, sizeof text, NULL, now), "-");
    assert_int_equal(out_span_ms("2001-09-09T01:46:30Z", NULL, now), 10000);
    assert_int_equal(out_span_ms(NULL, NULL, now), -1);
}

static void values_are_printed_as_json_and_yaml(void **state)
{
    (void)state;
    struct nx_err err;
    const char *source = "{\"id\":\"a b\",\"none\":null,\"list\":[1,{\"x\":[\"yes\",\"1\",\"ok\"],"
                         "\"y\":{}}],\"f\":0.1,\"e\":[]}";
    json_t *value = js_read(source, strlen(source), "test", &err);
    struct buf text = {0};
    out_yaml(value, &text);
    assert_string_equal(buf_text(&text), "id: \"a b\"\n"
                                         "none: null\n"
                                         "list:\n"
                                         "- 1\n"
                                         "- x:\n"
                                         "  - \"yes\"\n"
                                         "  - \"1\"\n"
                                         "  - ok\n"
                                         "  \"y\": {}\n"
                                         "f: 0.1\n"
                                         "e: []\n");
    buf_clear(&text);
    out_json(value, &text);
    json_t *again = js_read(buf_text(&text), text.len, "again", &err);
    assert_true(json_equal(value, again));
    assert_non_null(strstr(buf_text(&text), "\n  \"f\": 0.1,\n"));
    json_decref(again);
    json_decref(value);
    buf_fini(&text);
}

static void names_in_paths_are_percent_encoded(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    assert_string_equal(api_path(&arena, "/runs/%s/tasks/%s/attempts/%lld", "1", "load[3]", 2ll),
                        "/runs/1/tasks/load%5B3%5D/attempts/2");
    assert_string_equal(api_path(&arena, "/dags/%s", "../a b?c#d&e%f/é"),
                        "/dags/..%2Fa%20b%3Fc%23d%26e%25f%2F%C3%A9");
    assert_string_equal(api_path(&arena, "/dags/%s", ".."), "/dags/%2E%2E");
    arena_fini(&arena);
}

static void log_lines_are_put_together_from_pieces(void **state)
{
    (void)state;
    struct tail tail;
    struct buf lines = {0};
    tail_init(&tail, "t");
    tail_add(&tail, "ab", 2, &lines);
    tail_add(&tail, "c\r\n\nde", 6, &lines);
    assert_string_equal(buf_text(&lines), "t | abc\nt |\n");
    tail_finish(&tail, &lines);
    tail_finish(&tail, &lines);
    assert_string_equal(buf_text(&lines), "t | abc\nt |\nt | de\n");
    buf_fini(&lines);
    tail_fini(&tail);
}

static void the_last_lines_of_a_log_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *lines;
    } cases[] = {
        {"a\nb\nc\n", 2, ">b\n>c\n"},
        {"a\nb\nc", 2, ">b\n>c\n"},
        {"a\nb\n", 10, ">a\n>b\n"},
        {"", 3, ""},
        {"\n", 3, ">\n"},
        {"a\n\n\n", 2, ">\n>\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf to = {0};
        tail_lines(cases[i].text, strlen(cases[i].text), cases[i].n, ">", &to);
        assert_string_equal(buf_text(&to), cases[i].lines);
        buf_fini(&to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parser_finds_command_options_and_arguments),
        cmocka_unit_test(parser_takes_common_options_before_the_command),
        cmocka_unit_test(parser_takes_everything_after_two_dashes_as_arguments),
        cmocka_unit_test(parser_prefers_the_longer_name_and_passes_on_what_a_part_takes),
        cmocka_unit_test(parser_answers_wrong_usage_with_status_2),
        cmocka_unit_test(parser_answers_help_wherever_it_stands),
        cmocka_unit_test(every_command_is_described_and_its_options_are_not_ambiguous),
        cmocka_unit_test(table_aligns_by_columns_shown),
        cmocka_unit_test(table_cuts_the_last_column_then_drops_columns_and_never_ids_or_states),
        cmocka_unit_test(table_colours_only_when_told),
        cmocka_unit_test(text_from_outside_cannot_steer_the_terminal),
        cmocka_unit_test(durations_and_times_read_as_people_say_them),
        cmocka_unit_test(values_are_printed_as_json_and_yaml),
        cmocka_unit_test(names_in_paths_are_percent_encoded),
        cmocka_unit_test(log_lines_are_put_together_from_pieces),
        cmocka_unit_test(the_last_lines_of_a_log_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
