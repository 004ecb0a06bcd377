/* What the web page stands on: its own address, grids, graphs, and pieces of logs. */
#include <fcntl.h>
#include <stdlib.h>

#include "lib/wire/paths.h"
#include "nexus/web.h"
#include "tests/api_answer.h"

static const char chain[] = "tasks:\n"
                            "  last: {run: 'true', finally: true}\n"
                            "  first: {run: 'true', retries: 1, retry_delay: 0s}\n"
                            "  second: {run: 'true', needs: first}\n";
static const char chain_without_second[] = "tasks:\n"
                                           "  first: {run: 'true'}\n"
                                           "  third: {run: 'true', needs: first}\n";

static int open_world(void **state)
{
    struct world *world = *state = world_open();
    world_dag(world, "chain.yaml", chain);
    return 0;
}

static int close_world(void **state)
{
    world_close(*state);
    return 0;
}

static void trigger(struct world *world)
{
    json_decref(world_json(world, "POST", "/api/v1/dags/chain/runs", "{}", 201));
}

/* ---- The page itself ---- */

/* GET with one header or none; the body's length. */
static size_t get(struct world *world, const char *path, const char *header,
                  struct fetch_response *response)
{
    const char *headers[] = {header, NULL};
    int status;
    world_text(world, "GET", path, NULL, header ? headers : NULL, &status, response);
    return response->body.len;
}

static int status_of(struct world *world, const char *path)
{
    struct fetch_response response;
    get(world, path, NULL, &response);
    int status = response.status;
    fetch_response_fini(&response);
    return status;
}

static void the_page_is_at_its_addresses_and_404_elsewhere(void **state)
{
    struct world *world = *state;
    assert_int_equal(status_of(world, "/ui"), 200);
    assert_int_equal(status_of(world, "/ui/dags?q=tag:ml"), 200);
    assert_int_equal(status_of(world, "/ui/dags/chain/graph"), 200);
    assert_int_equal(status_of(world, "/ui/system/audit"), 200);
    assert_int_equal(status_of(world, "/ui/nothing"), 404);
    assert_int_equal(status_of(world, "/ui/dags/chian"), 404);
    assert_int_equal(status_of(world, "/ui/runs/1"), 404);
    trigger(world);
    assert_int_equal(status_of(world, "/ui/runs/1/tasks/first"), 200);
    world_problems(world, "broken.yaml", "[]");
    assert_int_equal(status_of(world, "/ui/dags/broken"), 200);
}

static void the_page_allows_no_script_of_others(void **state)
{
    struct world *world = *state;
    struct fetch_response response;
    char policy[512], tag[64], header[96];
    get(world, "/ui", NULL, &response);
    assert_true(fetch_header(&response, "Content-Security-Policy", policy, sizeof policy));
    assert_non_null(strstr(policy, "script-src 'self';"));
    assert_null(strstr(policy, "unsafe"));
    assert_true(fetch_header(&response, "ETag", tag, sizeof tag));
    assert_null(strstr(buf_text(&response.body), "<script>"));
    fetch_response_fini(&response);
    snprintf(header, sizeof header, "If-None-Match: %s", tag);
    assert_int_equal(get(world, "/ui", header, &response), 0);
    assert_int_equal(response.status, 304);
    fetch_response_fini(&response);
}

static void parts_of_the_page_are_kept_for_ever(void **state)
{
    struct world *world = *state;
    struct fetch_response response;
    char path[128], control[64];
    size_t all = 0;
    for (const struct nx_web_file *file = nx_web_files; file->name; file++) {
        snprintf(path, sizeof path, "/ui/static/%s/%s", nx_web_hash, file->name);
        assert_int_equal(status_of(world, path), 200);
        all += file->n;
    }
    assert_true(all < 200 * 1000);
    snprintf(path, sizeof path, "/ui/static/%s/app.js", nx_web_hash);
    get(world, path, NULL, &response);
    assert_true(fetch_header(&response, "Cache-Control", control, sizeof control));
    assert_non_null(strstr(control, "immutable"));
    fetch_response_fini(&response);
    assert_int_equal(status_of(world, "/ui/static/0000000000000000/app.js"), 404);
    snprintf(path, sizeof path, "/ui/static/%s/nothing.js", nx_web_hash);
    assert_int_equal(status_of(world, path), 404);
}

/* ---- Grid and graph ---- */

static void a_grid_has_one_letter_a_task(void **state)
{
    struct world *world = *state;
    trigger(world);
    json_t *grid = world_get(world, "/api/v1/dags/chain/grid");
    const json_t *tasks = json_object_get(grid, "tasks"), *run = item(grid, 0);
    has_keys(grid, "items tasks next");
    assert_int_equal(json_array_size(tasks), 3);
    assert_string_equal(json_string_value(json_array_get(tasks, 0)), "first");
    assert_string_equal(json_string_value(json_array_get(tasks, 2)), "last"); /* at the very end */
    has_keys(run, "id dag_version state cause interval_start created_at started_at finished_at "
                  "states");
    assert_string_equal(text_of(run, "states"), "qww");
    json_decref(grid);
    fails(world, "GET", "/api/v1/dags/chian/grid", NULL, 404, "not_found", "chain");
}

static void a_grid_over_versions_has_all_their_tasks(void **state)
{
    struct world *world = *state;
    trigger(world);
    world_dag(world, "chain.yaml", chain_without_second);
    trigger(world);
    json_t *grid = world_get(world, "/api/v1/dags/chain/grid");
    const json_t *tasks = json_object_get(grid, "tasks");
    assert_int_equal(json_array_size(tasks), 4); /* first third, and what there was before */
    assert_string_equal(text_of(item(grid, 0), "states"), "qw");
    assert_string_equal(text_of(item(grid, 1), "states"), "q ww");
    json_decref(grid);
    grid = world_get(world, "/api/v1/dags/chain/grid?limit=1");
    assert_string_equal(text_of(grid, "next"), "2");
    json_decref(grid);
    grid = world_get(world, "/api/v1/dags/chain/grid?cursor=2");
    assert_int_equal(n_items(grid), 1);
    json_decref(grid);
}

static void runs_are_counted_by_state(void **state)
{
    struct world *world = *state;
    json_t *counts = world_get(world, "/api/v1/runs/counts");
    has_keys(counts, "queued running stopping success failed cancelled");
    assert_int_equal(json_integer_value(json_object_get(counts, "running")), 0);
    json_decref(counts);
    trigger(world);
    trigger(world);
    counts = world_get(world, "/api/v1/runs/counts?since=1h");
    assert_int_equal(json_integer_value(json_object_get(counts, "running")), 2);
    json_decref(counts);
    counts = world_get(world, "/api/v1/runs/counts?since=2099-01-01");
    assert_int_equal(json_integer_value(json_object_get(counts, "running")), 0);
    json_decref(counts);
    fails(world, "GET", "/api/v1/runs/counts?since=never", NULL, 400, "invalid", "since");
}

static void a_graph_says_where_nodes_and_edges_are(void **state)
{
    struct world *world = *state;
    json_t *graph = world_get(world, "/api/v1/dags/chain/graph");
    has_keys(graph, "version width height node_width node_height nodes edges");
    const json_t *nodes = json_object_get(graph, "nodes");
    assert_int_equal(json_array_size(nodes), 3);
    has_keys(json_array_get(nodes, 0), "task uses group trigger_rule mapped finally x y");
    const json_t *edge = json_array_get(json_object_get(graph, "edges"), 0);
    assert_string_equal(text_of(edge, "from"), "first");
    assert_string_equal(text_of(edge, "to"), "second");
    json_decref(graph);
    fails(world, "GET", "/api/v1/dags/chain/graph?version=7", NULL, 404, "not_found", "7");
}

/* ---- Files ---- */

#define FILE_PATH "/api/v1/dags/chain/file"

static void write_file(struct world *world, const char *name, const char *text)
{
    char path[PATH_MAX_BYTES];
    struct nx_err err;
    assert_true(path_join(path, sizeof path, world->home, name));
    assert_true(path_write(path, text, strlen(text), &err));
}

/* The body of a PUT. */
static char *change(const char *text, const char *hash, bool dry_run)
{
    json_t *body = json_pack("{s:s, s:s?, s:b}", "text", text, "hash", hash, "dry_run", dry_run);
    char *dumped = json_dumps(body, 0);
    json_decref(body);
    return dumped;
}

static void a_text_is_checked_in_place_of_a_file(void **state)
{
    struct world *world = *state;
    write_file(world, "chain.yaml", chain);
    char *body = change("tasks:\n  a: {run: 'true', neeeds: b}\n", NULL, true);
    json_t *answer = world_json(world, "PUT", FILE_PATH, body, 200);
    const json_t *problem = json_array_get(json_object_get(answer, "problems"), 0);
    assert_int_equal(json_integer_value(json_object_get(problem, "line")), 2);
    assert_string_equal(text_of(problem, "hint"), "did you mean 'needs'?");
    assert_int_equal(json_array_size(json_object_get(answer, "dags")), 0);
    json_decref(answer);
    free(body);
    body = change(chain_without_second, NULL, true);
    answer = world_json(world, "PUT", FILE_PATH, body, 200);
    const json_t *dag = json_array_get(json_object_get(answer, "dags"), 0);
    assert_int_equal(json_array_size(json_object_get(json_object_get(dag, "graph"), "nodes")), 2);
    json_decref(answer);
    free(body);
    answer = world_get(world, FILE_PATH); /* nothing was saved */
    assert_string_equal(text_of(answer, "text"), chain);
    json_decref(answer);
}

static void a_file_is_saved_without_errors_and_unless_it_has_changed(void **state)
{
    struct world *world = *state;
    write_file(world, "chain.yaml", chain);
    json_t *file = world_get(world, FILE_PATH);
    const char *hash = text_of(file, "hash");
    char *body = change("tasks: {a: {}}", hash, false);
    fails(world, "PUT", FILE_PATH, body, 422, "data", "has errors");
    free(body);
    body = change(chain_without_second, hash, false);
    json_decref(world_json(world, "PUT", FILE_PATH, body, 200));
    fails(world, "PUT", FILE_PATH, body, 409, "conflict", "has changed since");
    free(body);
    json_decref(file);
    file = world_get(world, FILE_PATH);
    assert_string_equal(text_of(file, "text"), chain_without_second);
    json_decref(file);
    body = change(chain, NULL, false);
    fails(world, "PUT", FILE_PATH, body, 400, "invalid", "hash");
    free(body);
    fails(world, "GET", "/api/v1/dags/chian/file", NULL, 404, "not_found", "chain");
}

static void a_file_without_a_dag_is_read_by_its_name(void **state)
{
    struct world *world = *state;
    write_file(world, "broken.yaml", "tasks: 7\n");
    world_problems(world, "broken.yaml", "[]");
    json_t *file = world_get(world, "/api/v1/dags/broken/file");
    assert_string_equal(text_of(file, "text"), "tasks: 7\n");
    json_decref(file);
}

/* ---- Logs ---- */

#define LOG "/api/v1/runs/1/tasks/first/attempts/1/log"

static void write_log(struct world *world, const char *text, size_t n)
{
    char path[256], *slash;
    trigger(world);
    world_report(world, NULL);
    world_report(world, NULL);
    world_start(world, 1, 1, -1);
    assert_true(attempt_path(path, sizeof path, world->home, PATH_LOG, 1, "first", -1, 1));
    slash = strrchr(path, '/');
    *slash = 0;
    assert_true(path_make_folders(path, NULL));
    *slash = '/';
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0 && write(fd, text, n) == (ssize_t)n);
    close(fd);
}

static void expect_log(struct world *world, const char *query, const char *expected)
{
    struct fetch_response response;
    char path[128];
    snprintf(path, sizeof path, LOG "%s", query);
    get(world, path, NULL, &response);
    assert_int_equal(response.status, 200);
    assert_int_equal(response.body.len, strlen(expected));
    assert_memory_equal(buf_text(&response.body), expected, strlen(expected));
    fetch_response_fini(&response);
}

static void pieces_of_a_log_are_read(void **state)
{
    struct world *world = *state;
    write_log(world, "one\ntwo\nthree\n", 14);
    expect_log(world, "?offset=4&limit=3", "two");
    expect_log(world, "?limit=4", "one\n");
    expect_log(world, "?offset=-6", "three\n");
    expect_log(world, "?offset=-6&limit=2", "th");
    expect_log(world, "?offset=-600", "one\ntwo\nthree\n");
    fails(world, "GET", LOG "?limit=0", NULL, 400, "invalid", "limit");
}

static void a_log_says_where_its_lines_begin(void **state)
{
    struct world *world = *state;
    struct buf text;
    buf_init(&text);
    for (int i = 0; i < 300 * 1000; i++)
        buf_printf(&text, "line %d\n", i + 1);
    buf_str(&text, "no end");
    write_log(world, text.data, text.len);
    json_t *lines = world_get(world, LOG "/lines");
    has_keys(lines, "bytes lines every offsets groups more_groups");
    const json_t *offsets = json_object_get(lines, "offsets");
    int64_t every = json_integer_value(json_object_get(lines, "every"));
    assert_int_equal(json_integer_value(json_object_get(lines, "bytes")), text.len);
    assert_int_equal(json_integer_value(json_object_get(lines, "lines")), 300001);
    assert_true(json_array_size(offsets) <= 4096);
    assert_int_equal(json_array_size(offsets), (size_t)(300000 / every) + 1);
    for (size_t i = 0; i < json_array_size(offsets); i += 100) {
        char expected[32];
        size_t at = (size_t)json_integer_value(json_array_get(offsets, i));
        snprintf(expected, sizeof expected, "line %d\n", (int)((int64_t)i * every) + 1);
        assert_memory_equal(text.data + at, expected, strlen(expected));
    }
    json_decref(lines);
    buf_fini(&text);
}

static void a_log_is_searched(void **state)
{
    struct world *world = *state;
    static const char text[] = "begin\nWarning: a\nfine\nERROR b\nerror c";
    write_log(world, text, sizeof text - 1);
    json_t *found = world_get(world, LOG "/search?q=error%7Cwarning");
    assert_int_equal(n_items(found), 3);
    assert_int_equal(json_integer_value(json_object_get(item(found, 0), "line")), 2);
    assert_int_equal(json_integer_value(json_object_get(item(found, 1), "offset")), 22);
    assert_string_equal(text_of(item(found, 2), "text"), "error c");
    json_decref(found);
    found = world_get(world, LOG "/search?q=error&limit=1");
    assert_int_equal(n_items(found), 1);
    assert_string_equal(text_of(found, "next"), "5");
    json_decref(found);
    found = world_get(world, LOG "/search?q=error&cursor=5");
    assert_int_equal(json_integer_value(json_object_get(item(found, 0), "line")), 5);
    json_decref(found);
    fails(world, "GET", LOG "/search", NULL, 400, "invalid", "q must say");
}

/* A line that is longer than what is read at once is one line. */
static void a_line_may_be_longer_than_a_piece(void **state)
{
    struct world *world = *state;
    struct buf text;
    buf_init(&text);
    buf_str(&text, "first\n");
    for (int i = 0; i < 700 * 1000; i++)
        buf_char(&text, 'x');
    buf_str(&text, "\nthe needle\n");
    write_log(world, text.data, text.len);
    json_t *lines = world_get(world, LOG "/lines"),
           *found = world_get(world, LOG "/search?q=needle");
    assert_int_equal(json_integer_value(json_object_get(lines, "lines")), 3);
    assert_int_equal(json_integer_value(json_object_get(lines, "bytes")), text.len);
    assert_int_equal(json_integer_value(json_object_get(item(found, 0), "offset")), 700007);
    json_decref(lines);
    json_decref(found);
    buf_fini(&text);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_page_is_at_its_addresses_and_404_elsewhere),
        T(the_page_allows_no_script_of_others),
        T(parts_of_the_page_are_kept_for_ever),
        T(a_grid_has_one_letter_a_task),
        T(a_grid_over_versions_has_all_their_tasks),
        T(runs_are_counted_by_state),
        T(a_graph_says_where_nodes_and_edges_are),
        T(a_text_is_checked_in_place_of_a_file),
        T(a_file_is_saved_without_errors_and_unless_it_has_changed),
        T(a_file_without_a_dag_is_read_by_its_name),
        T(pieces_of_a_log_are_read),
        T(a_log_says_where_its_lines_begin),
        T(a_log_is_searched),
        T(a_line_may_be_longer_than_a_piece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
