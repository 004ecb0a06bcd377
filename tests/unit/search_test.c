/* Searches among runs: what is found is what SQL finds that looks at every run, whatever way the
 * search takes. */
#include "lib/base/path.h"
#include "lib/base/vec.h"
#include "lib/sql/sql.h"
#include "scheduler/store/query.h"
#include "scheduler/store/schema.h"
#include "scheduler/store/search.h"
#include "tests/unit/test.h"

#define NOW 100000000ll /* the last run was created then, one each second before */

/* 300 DAGs of some runs each, one of them only of old runs and one that has most; a note at every
 * seventh. */
static const char filling[] =
    "insert into dag_version (version, dag, number, file, hash, source_hash, catalog, source, "
    "info, created_at)"
    " with recursive n(i) as (select 1 union all select i + 1 from n where i < 300)"
    " select i, 'dag_' || i, 1, 'f', '', '', '', '', json_object('tags', json_array('g' || (i % "
    "3)), 'tasks',"
    " json_array(json_object('id', 't' || (i % 7), 'uses', case when i = 300 then 'ml.old' when i "
    "% 2 then 'flow.noop' end))), 0"
    " from n;"
    "insert into run (run, dag, version, state, cause, reason, backfill, params, note, created_at, "
    "counts, late_at)"
    " with recursive n(i) as (select 1 union all select i + 1 from n where i < 70000),"
    " d(i, v) as (select i, case when i < 2000 then 300 when i % 4 then 1 else i / 4 % 299 + 1 end "
    "from n)"
    " select i, 'dag_' || v, v, case when i % 1000 = 1 then 1 when i % 50 = 3 then 4 when i % 400 "
    "= 7 then 5 else 3 end,"
    " case when i % 10000 = 5 then 0 else 1 end, 0, 0, '{}', case when i = 13 then 'The Needle' "
    "when i % 7 = 0 then 'n' || i end,"
    " 100000000 - (70000 - i) * 1000, '', case when i % 5000 = 9 then 1 end from d;";

struct fixture {
    char folder[64], path[128];
    struct sql *sql;
    struct query_pool *pool;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct nx_err err;
    strcpy(f.folder, "/tmp/search_test.XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    snprintf(f.path, sizeof f.path, "%s/nexus.db", f.folder);
    assert_true(sql_open_writer(f.path, &f.sql, &err));
    assert_true(sql_migrate(f.sql, store_migrations, store_n_migrations, &err));
    if (!sql_exec(f.sql, filling, &err))
        fail_msg("%s", err.text);
    f.pool = query_pool_new(f.path, 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    query_pool_free(f->pool);
    sql_close(f->sql);
    return path_remove_tree(f->folder, NULL) ? 0 : 1;
}

struct found {
    VEC(uint64_t) ids;
    size_t page, n_page;
};

static bool keep(void *arg, const struct query_run *run)
{
    struct found *found = arg;
    if (found->n_page++ == found->page)
        return false;
    vec_push(&found->ids, run->id.v);
    return true;
}

/* All pages; how many calls it took. */
static size_t find_all(struct fixture *f, struct query_runs which, const char *text, size_t page,
                       struct found *found)
{
    struct arena arena;
    struct search search;
    struct nx_err err;
    size_t calls = 0;
    uint64_t next = 0;
    arena_init(&arena);
    assert_true(search_read(&arena, text, NOW, &search, &err));
    *found = (struct found){.page = page};
    which.limit = page + 1;
    do {
        struct query *query = query_begin(f->pool, &err);
        size_t had = found->ids.n;
        found->n_page = 0;
        if (!query_search(query, &which, &search, keep, found, &next, &err))
            fail_msg("%s: %s", text, err.text);
        query_end(query);
        bool full = found->n_page > page;
        assert_true(full || !next || next < which.before || !which.before);
        which.before = full ? found->ids.at[found->ids.n - 1] : next;
        assert_true(found->ids.n - had <= page);
        assert_true(++calls < 1000);
    } while (which.before);
    arena_fini(&arena);
    return calls;
}

static void compare(struct fixture *f, struct query_runs which, const char *text,
                    const char *condition, size_t page)
{
    struct found found;
    struct sql_stmt *stmt;
    struct nx_err err;
    char sql[1024];
    bool row;
    size_t n = 0;
    find_all(f, which, text, page, &found);
    snprintf(sql, sizeof sql, "select run from run r where %s order by run desc", condition);
    assert_true(sql_prepare(f->sql, sql, &stmt, &err));
    while (sql_step(stmt, &row, &err) && row) {
        if (n >= found.ids.n || found.ids.at[n] != (uint64_t)sql_int(stmt, 0))
            fail_msg("'%s' by pages of %zu: the run %zu is not %lld", text, page, n,
                     (long long)sql_int(stmt, 0));
        n++;
    }
    sql_stmt_free(stmt);
    if (n != found.ids.n)
        fail_msg("'%s' by pages of %zu: %zu runs, not %zu", text, page, found.ids.n, n);
    vec_fini(&found.ids);
}

static const char *const cases[][2] = {
    {"state:failed", "state = 4"},
    {"state:failed,cancelled", "state in (4, 5)"},
    {"-state:success,failed", "state not in (3, 4)"},
    {"state:failed -state:failed", "false"},
    {"dag:dag_300", "dag = 'dag_300'"},
    {"dag:dag_30*", "dag glob 'dag_30*'"},
    {"dag:dag_3* state:cancelled", "dag glob 'dag_3*' and state = 5"},
    {"-dag:dag_1", "dag <> 'dag_1'"},
    {"-dag:dag_*", "false"},
    {"operator:ml.*", "version = 300"},
    {"operator:flow.noop note:n1 state:failed",
     "version % 2 = 1 and note like '%n1%' and state = 4"},
    {"-operator:flow.noop", "version % 2 = 0"},
    {"task:t3 tag:g1", "version % 7 = 3 and version % 3 = 1"},
    {"tag:none", "false"},
    {"cause:manual", "cause = 0"},
    {"-cause:schedule late:false", "cause <> 1 and late_at is null"},
    {"note:NEEDLE", "run = 13"},
    {"note:n6999", "note like '%n6999%'"},
    {"-note:n", "note is null"},
    {"needle", "run = 13"},
    {"69999", "run = 69999 or note like '%69999%'"},
    {"ag_29", "dag like '%ag\\_29%' escape '\\'"},
    {"n69 dag:dag_1", "(note like '%n69%') and dag = 'dag_1'"},
    {"-dag_1", "dag not like '%dag\\_1%' escape '\\'"},
    {"nothing", "false"},
    {"late:true", "late_at is not null"},
    {"late:true dag:dag_1", "late_at is not null and dag = 'dag_1'"},
    {"since:100s", "created_at >= 99900000"},
    {"-since:60000s", "created_at < 40000000"},
    {"until:60000s state:failed", "created_at < 40000000 and state = 4"},
    {"since:60000s until:59000s", "created_at >= 40000000 and created_at < 41000000"},
    {"since:100s,50s", "created_at >= 99900000"},
};

static void a_search_finds_what_all_of_the_runs_say(void **state)
{
    struct query_runs all = {.state = -1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        compare(*state, all, cases[i][0], cases[i][1], 1000);
        compare(*state, all, cases[i][0], cases[i][1], 997);
    }
}

static void other_conditions_hold_as_well(void **state)
{
    struct query_runs of_dag = {.state = -1, .dag = "dag_1"}, failed = {.state = 4},
                      late = {.state = -1, .late = true},
                      fresh = {.state = -1, .since_ms = NOW - 5000 * 1000};
    compare(*state, of_dag, "note:n6", "dag = 'dag_1' and note like '%n6%'", 100);
    compare(*state, of_dag, "operator:ml.*", "false", 100);
    compare(*state, of_dag, "dag:dag_*", "dag = 'dag_1'", 1000);
    compare(*state, failed, "note:n6", "state = 4 and note like '%n6%'", 100);
    compare(*state, failed, "state:success", "false", 100);
    compare(*state, late, "dag:dag_1", "late_at is not null and dag = 'dag_1'", 1);
    compare(*state, fresh, "-note:n6",
            "created_at >= 95000000 and ifnull(note, '') not like '%n6%'", 1000);
}

static void one_call_looks_at_a_bounded_number_of_runs(void **state)
{
    struct found found;
    struct query_runs all = {.state = -1};
    /* Every seventh run has a note: 10,000 of them. */
    assert_in_range(find_all(*state, all, "note:nothing", 100, &found), 2, 4);
    assert_int_equal(found.ids.n, 0);
    /* Nothing narrows: the table, by windows. */
    assert_in_range(find_all(*state, all, "late:false -dag_ -note:n", 100, &found), 3, 4);
    assert_int_equal(found.ids.n, 0);
    /* What an index says alone takes one call. */
    assert_int_equal(find_all(*state, all, "operator:ml.old state:cancelled", 100, &found), 1);
    vec_fini(&found.ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_search_finds_what_all_of_the_runs_say),
        cmocka_unit_test(other_conditions_hold_as_well),
        cmocka_unit_test(one_call_looks_at_a_bounded_number_of_runs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
