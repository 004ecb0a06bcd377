#include <pthread.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "scheduler/dag/loader.h"
#include "tests/unit/test.h"

/* Events as lines: "version a x.yaml", "removed a x.yaml", "errors x.yaml 2", "scanned". */
struct world {
    char folder[64];
    struct loader *loader;
    pthread_mutex_t mutex;
    VEC(char *) lines;
    size_t taken;
    VEC(struct loader_known) known; /* the versions told, as a store would have them */
    char first_problem[512];
    char last_file[64]; /* content of the first file of the last version */
};

static void remember(struct world *w, const struct loader_event *event)
{
    struct loader_known known = {mem_strdup(event->file), mem_strdup(event->id),
                                 mem_strdup(event->hash), mem_strdup(event->source_hash)};
    vec_push(&w->known, known);
    if (event->n_files)
        snprintf(w->last_file, sizeof w->last_file, "%s=%s", event->files[0].path,
                 event->files[0].data);
    must(event->spec != NULL && event->graph->n_tasks == event->spec->n_tasks);
    must(event->source.len > 0);
}

static void on_event(void *arg, struct loader_event *event)
{
    struct world *w = arg;
    char line[256];
    struct buf text;
    pthread_mutex_lock(&w->mutex);
    switch (event->kind) {
    case LOADER_VERSION:
        snprintf(line, sizeof line, "version %s %s", event->id, event->file);
        remember(w, event);
        break;
    case LOADER_REMOVED:
        snprintf(line, sizeof line, "removed %s %s", event->id, event->file);
        break;
    case LOADER_ERRORS:
        snprintf(line, sizeof line, "errors %s %zu", event->file, event->problems.n);
        buf_init(&text);
        if (event->problems.n)
            problem_text(&event->problems.at[0], &text);
        str_copy(w->first_problem, sizeof w->first_problem, buf_text(&text));
        buf_fini(&text);
        break;
    case LOADER_SCANNED:
        snprintf(line, sizeof line, "scanned");
        break;
    }
    vec_push(&w->lines, mem_strdup(line));
    pthread_mutex_unlock(&w->mutex);
    loader_event_free(event);
}

static void start(struct world *w)
{
    struct nx_err err;
    if (!loader_start(w->folder, NULL, w->known.at, w->known.n, on_event, w, &w->loader, &err))
        fail_msg("%s", err.text);
}

static void stop(struct world *w)
{
    loader_stop(w->loader);
    w->loader = NULL;
}

static void begin(struct world *w)
{
    *w = (struct world){.folder = "/tmp/loader_test.XXXXXX"};
    assert_non_null(mkdtemp(w->folder));
    pthread_mutex_init(&w->mutex, NULL);
}

static void end(struct world *w)
{
    struct nx_err err;
    stop(w);
    for (size_t i = 0; i < w->lines.n; i++)
        mem_free(w->lines.at[i]);
    for (size_t i = 0; i < w->known.n; i++) {
        mem_free((char *)(uintptr_t)w->known.at[i].file);
        mem_free((char *)(uintptr_t)w->known.at[i].id);
        mem_free((char *)(uintptr_t)w->known.at[i].hash);
        mem_free((char *)(uintptr_t)w->known.at[i].source_hash);
    }
    vec_fini(&w->lines);
    vec_fini(&w->known);
    assert_true(path_remove_tree(w->folder, &err));
    pthread_mutex_destroy(&w->mutex);
}

static void put(struct world *w, const char *name, const char *text)
{
    char path[256], folder[256];
    struct nx_err err;
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    assert_true(path_make_folders(folder, &err));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void take_away(struct world *w, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    assert_int_equal(remove(path), 0);
}

/* The next event is this; it comes before the next scan by the clock. */
static void expect(struct world *w, const char *line)
{
    int64_t until = clock_mono_ms() + LOADER_SCAN_MS - 500;
    for (;;) {
        pthread_mutex_lock(&w->mutex);
        char *next = w->taken < w->lines.n ? w->lines.at[w->taken] : NULL;
        pthread_mutex_unlock(&w->mutex);
        if (next) {
            assert_string_equal(next, line);
            w->taken++;
            return;
        }
        if (clock_mono_ms() > until)
            fail_msg("no '%s' came", line);
        clock_sleep_ms(2);
    }
}

/* Nothing comes, also not by a scan that is asked for. */
static void expect_silence(struct world *w)
{
    loader_scan(w->loader);
    clock_sleep_ms(250);
    pthread_mutex_lock(&w->mutex);
    char *next = w->taken < w->lines.n ? w->lines.at[w->taken] : NULL;
    pthread_mutex_unlock(&w->mutex);
    if (next)
        fail_msg("'%s' came", next);
}

#define DAG(id) "id: " id "\ntasks: {t: {run: echo}}\n"

static void a_new_changed_broken_mended_and_removed_file_is_told(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    put(&w, "a.yaml", DAG("a"));
    put(&w, ".hidden.yaml", DAG("hidden"));
    put(&w, "notes.txt", "x");
    start(&w);
    expect(&w, "version a a.yaml");
    expect(&w, "scanned");
    put(&w, "team/deep/b.yml", DAG("b"));
    expect(&w, "version b team/deep/b.yml");
    put(&w, "a.yaml", "id: a\ntasks: {t: {run: echo 2}}\n");
    expect(&w, "version a a.yaml");
    put(&w, "a.yaml", "id: a\ntasks: {t: {rum: echo 2}}\n");
    expect(&w, "errors a.yaml 2");
    put(&w, "a.yaml", "id: a\ntasks: {t: {run: echo 2}}\n"); /* as it was: no new version */
    expect(&w, "errors a.yaml 0");
    put(&w, "a.yaml", "id: a2\ntasks: {t: {run: echo 2}}\n");
    expect(&w, "version a2 a.yaml");
    expect(&w, "removed a a.yaml");
    take_away(&w, "a.yaml");
    expect(&w, "removed a2 a.yaml");
    take_away(&w, "team/deep/b.yml");
    expect(&w, "removed b team/deep/b.yml");
    expect_silence(&w);
    end(&w);
}

#define LUA(id) "local d = nexus.dag{ id = '" id "' }\nd:task('t', { run = 'echo' })\nreturn d\n"

static void a_lua_file_is_told_like_any_other(void **state)
{
    (void)state;
    struct world w;
    char own[PATH_MAX_BYTES], folder[PATH_MAX_BYTES];
    assert_true(path_of_program(own, sizeof own));
    assert_true(path_join(folder, sizeof folder, own, "../../bin"));
    setenv("NEXUS_LIBEXEC", folder, 1);
    begin(&w);
    put(&w, "a.lua", LUA("a"));
    start(&w);
    expect(&w, "version a a.lua");
    expect(&w, "scanned");
    put(&w, "a.lua", "local x = nothing.there\n");
    expect(&w, "errors a.lua 1");
    assert_non_null(strstr(w.first_problem, "a.lua:1:1: error: 'nothing' is not set"));
    put(&w, "b.yaml", DAG("a")); /* broken, a.lua keeps what it claimed */
    expect(&w, "errors b.yaml 1");
    take_away(&w, "b.yaml");
    expect(&w, "errors b.yaml 0");
    put(&w, "a.lua", LUA("a") "-- changed\n");
    expect(&w, "version a a.lua");
    expect(&w, "errors a.lua 0");
    stop(&w);
    start(&w); /* known: it is not run again */
    expect(&w, "scanned");
    put(&w, "b.lua", LUA("a"));
    expect(&w, "errors b.lua 1");
    expect(&w, "errors a.lua 1");
    assert_non_null(strstr(w.first_problem, "the DAG 'a' is in b.lua too"));
    take_away(&w, "b.lua");
    expect(&w, "errors a.lua 0");
    expect(&w, "errors b.lua 0");
    take_away(&w, "a.lua");
    expect(&w, "removed a a.lua");
    end(&w);
    unsetenv("NEXUS_LIBEXEC");
}

static void what_is_known_is_not_told_again_after_a_restart(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    put(&w, "a.yaml", DAG("a") "---\n" DAG("b"));
    put(&w, "broken.yaml", DAG("c"));
    put(&w, "gone.yaml", DAG("gone"));
    start(&w);
    expect(&w, "version a a.yaml");
    expect(&w, "version b a.yaml");
    expect(&w, "version c broken.yaml");
    expect(&w, "version gone gone.yaml");
    expect(&w, "scanned");
    stop(&w);
    put(&w, "broken.yaml", "id: c\ntasks: 3\n");
    take_away(&w, "gone.yaml");
    start(&w);
    expect(&w, "errors broken.yaml 1");
    expect(&w, "removed gone gone.yaml");
    expect(&w, "scanned");
    expect_silence(&w);
    end(&w);
}

static void an_id_in_two_files_is_an_error_of_both_and_the_running_version_stays(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    put(&w, "x.yaml", DAG("twin"));
    put(&w, "y.yaml", "id: twin\ntasks: {t: {run: other}}\n");
    start(&w);
    expect(&w, "errors x.yaml 1");
    expect(&w, "errors y.yaml 1");
    assert_non_null(
        strstr(w.first_problem, "/y.yaml:1:1: error: the DAG 'twin' is in x.yaml too (neither is"));
    expect(&w, "scanned");
    expect_silence(&w);
    take_away(&w, "y.yaml");
    expect(&w, "version twin x.yaml");
    expect(&w, "errors x.yaml 0");
    expect(&w, "errors y.yaml 0");
    put(&w, "z.yaml", "id: twin\ntasks: {t: {run: third}}\n");
    expect(&w, "errors z.yaml 1");
    expect(&w, "errors x.yaml 1");
    assert_non_null(strstr(w.first_problem, "(the version of x.yaml stays)"));
    expect_silence(&w);
    take_away(&w, "x.yaml");
    expect(&w, "version twin z.yaml");
    end(&w);
}

static void the_good_documents_of_a_broken_file_are_told_and_its_errors_after_them(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    put(&w, "a.yaml", DAG("good") "---\nid: bad\ntasks: 3\n");
    start(&w);
    expect(&w, "version good a.yaml");
    expect(&w, "errors a.yaml 1");
    expect(&w, "scanned");
    put(&w, "a.yaml", "id: good\ntasks: {t: {run: two}}\n---\nid: bad\ntasks: 3\n");
    expect(&w, "version good a.yaml");
    expect(&w, "errors a.yaml 1"); /* the same, told again */
    put(&w, "a.yaml", "id: good\ntasks: {t: {run: two}}\n---\n" DAG("bad"));
    expect(&w, "version good a.yaml"); /* a version is of its whole file */
    expect(&w, "version bad a.yaml");
    expect(&w, "errors a.yaml 0");
    put(&w, "a.yaml", DAG("bad") "---\nid: good\ntasks: {t: {rum: x}}\n");
    expect(&w, "version bad a.yaml");
    expect(&w, "errors a.yaml 2"); /* good is not removed: it is in the file, but broken */
    expect_silence(&w);
    end(&w);
}

static void a_changed_file_of_a_dag_is_a_new_version(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    put(&w, "sql/q.sql", "select 1");
    put(&w, "a.yaml", "id: a\nfiles: sql/\ntasks: {t: {run: echo}}\n");
    start(&w);
    expect(&w, "version a a.yaml");
    expect(&w, "scanned");
    assert_string_equal(w.last_file, "sql/q.sql=select 1");
    expect_silence(&w);
    put(&w, "sql/q.sql", "select 2");
    expect(&w, "version a a.yaml");
    assert_string_equal(w.last_file, "sql/q.sql=select 2");
    assert_string_not_equal(w.known.at[0].hash, w.known.at[1].hash);
    assert_string_equal(w.known.at[0].source_hash, w.known.at[1].source_hash);
    put(&w, "sql/q.sql", "select 1");
    expect(&w, "version a a.yaml");
    assert_string_equal(w.known.at[0].hash, w.known.at[2].hash);
    take_away(&w, "sql/q.sql"); /* the folder is empty now */
    expect(&w, "version a a.yaml");
    end(&w);
}

#define WITH_FILES(files) "id: a\nfiles: " files "\ntasks: {t: {run: echo}}\n"

static void files_that_went_and_came_again_mend_their_dag(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    put(&w, "lb/x", "1");
    put(&w, "a.yaml", WITH_FILES("[lb/]"));
    start(&w);
    expect(&w, "version a a.yaml");
    expect(&w, "scanned");
    take_away(&w, "lb/x");
    expect(&w, "version a a.yaml"); /* the folder is empty, and stays looked at */
    put(&w, "lb/y", "2");
    expect(&w, "version a a.yaml");
    assert_string_equal(w.last_file, "lb/y=2");
    take_away(&w, "lb/y");
    expect(&w, "version a a.yaml");
    take_away(&w, "lb");
    expect(&w, "errors a.yaml 1");
    put(&w, "lb/x", "1");
    expect(&w, "version a a.yaml");
    expect(&w, "errors a.yaml 0");
    assert_string_equal(w.known.at[0].hash, w.known.at[w.known.n - 1].hash);
    expect_silence(&w);
    end(&w);
}

static void a_missing_file_is_looked_for_also_when_there_was_never_a_version(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    put(&w, "a.yaml", WITH_FILES("later.txt"));
    start(&w);
    expect(&w, "errors a.yaml 1");
    expect(&w, "scanned");
    put(&w, "later.txt", "here");
    expect(&w, "version a a.yaml");
    expect(&w, "errors a.yaml 0");
    stop(&w);
    take_away(&w, "later.txt"); /* and while nobody looks */
    start(&w);
    expect(&w, "errors a.yaml 1");
    expect(&w, "scanned");
    end(&w);
}

static void know_errors(struct world *w, const char *file)
{
    struct loader_known known = {.file = mem_strdup(file)};
    vec_push(&w->known, known);
}

static void errors_of_before_a_restart_go_with_their_file_or_cause(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    put(&w, "mended.yaml", DAG("mended"));
    start(&w);
    expect(&w, "version mended mended.yaml");
    expect(&w, "scanned");
    stop(&w);
    put(&w, "broken.yaml", "id: c\ntasks: 3\n");
    know_errors(&w, "mended.yaml");
    know_errors(&w, "gone.yaml");
    know_errors(&w, "broken.yaml");
    start(&w);
    expect(&w, "errors broken.yaml 1");
    expect(&w, "errors mended.yaml 0");
    expect(&w, "errors gone.yaml 0");
    expect(&w, "scanned");
    expect_silence(&w);
    end(&w);
}

static void a_folder_may_come_later_and_go_without_harm(void **state)
{
    (void)state;
    struct world w;
    char real[64], away[64];
    begin(&w);
    str_copy(real, sizeof real, w.folder);
    snprintf(w.folder, sizeof w.folder, "%.40s/dags", real);
    start(&w);
    expect(&w, "scanned");
    put(&w, "a.yaml", DAG("a"));
    loader_scan(w.loader);
    expect(&w, "version a a.yaml");
    snprintf(away, sizeof away, "%.40s/away", real);
    assert_int_equal(rename(w.folder, away), 0);
    expect_silence(&w);
    assert_int_equal(rename(away, w.folder), 0);
    expect_silence(&w);
    stop(&w);
    str_copy(w.folder, sizeof w.folder, real);
    end(&w);
}

static void a_file_is_read_when_it_has_been_written(void **state)
{
    (void)state;
    struct world w;
    char path[256];
    begin(&w);
    start(&w);
    expect(&w, "scanned");
    snprintf(path, sizeof path, "%s/slow.yaml", w.folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    setbuf(file, NULL);
    fputs(DAG("slow"), file);
    fputs("# one comment after the other: each is a valid file\n", file);
    for (int i = 0; i < 20; i++) { /* 200 ms: longer than changes are left to settle */
        clock_sleep_ms(10);
        fprintf(file, "# %d\n", i);
    }
    fclose(file);
    expect(&w, "version slow slow.yaml");
    expect_silence(&w);
    end(&w);
}

static void many_files_load_fast_and_are_skipped_when_known(void **state)
{
    (void)state;
    struct world w;
    enum { N = 1000 };
    begin(&w);
    for (int i = 0; i < N; i++) {
        struct buf text;
        char name[32];
        buf_init(&text);
        buf_printf(&text, "id: dag%d\ntasks:\n  t0: {run: echo}\n", i);
        for (int k = 1; k < 10; k++)
            buf_printf(&text, "  t%d: {run: echo, needs: t%d}\n", k, k - 1);
        snprintf(name, sizeof name, "d%d.yaml", i);
        put(&w, name, text.data);
        buf_fini(&text);
    }
    for (int round = 0; round < 2; round++) {
        size_t lines = round ? w.lines.n + 1 : N + 1;
        int64_t start_ms = clock_mono_ms(), n = 0;
        start(&w);
        while (n < (int64_t)lines && clock_mono_ms() < start_ms + 20000) {
            clock_sleep_ms(1);
            pthread_mutex_lock(&w.mutex);
            n = (int64_t)w.lines.n;
            pthread_mutex_unlock(&w.mutex);
        }
        assert_int_equal(n, lines);
        assert_string_equal(w.lines.at[w.lines.n - 1], "scanned");
        print_message("%d files, round %d: %d ms\n", N, round, (int)(clock_mono_ms() - start_ms));
        stop(&w);
    }
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_changed_broken_mended_and_removed_file_is_told),
        cmocka_unit_test(a_lua_file_is_told_like_any_other),
        cmocka_unit_test(what_is_known_is_not_told_again_after_a_restart),
        cmocka_unit_test(an_id_in_two_files_is_an_error_of_both_and_the_running_version_stays),
        cmocka_unit_test(the_good_documents_of_a_broken_file_are_told_and_its_errors_after_them),
        cmocka_unit_test(a_changed_file_of_a_dag_is_a_new_version),
        cmocka_unit_test(files_that_went_and_came_again_mend_their_dag),
        cmocka_unit_test(a_missing_file_is_looked_for_also_when_there_was_never_a_version),
        cmocka_unit_test(errors_of_before_a_restart_go_with_their_file_or_cause),
        cmocka_unit_test(a_folder_may_come_later_and_go_without_harm),
        cmocka_unit_test(a_file_is_read_when_it_has_been_written),
        cmocka_unit_test(many_files_load_fast_and_are_skipped_when_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
