/* Runs that are searched for, however many there are: by the index that has the fewest runs to look
 * at, and a bounded number of them at a time. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/str.h"
#include "scheduler/store/query_internal.h"
#include "scheduler/store/search.h"

#define SOURCES_MAX 256   /* lists of runs that are merged: with more the table itself is read */
#define PROBE 30          /* runs of a list that tell how dense it is */
#define DENSE 0.3         /* a larger share of all runs: the table itself is read */
#define LOOKED_MAX 4000   /* runs that one search looks at one by one */
#define WINDOW_RUNS 30000 /* ids of the table that one search reads */
#define BATCH_MAX 1000

/* ---- Lists of ids, newest first ---- */

enum source_kind { OF_DAG, OF_DAG_STATE, OF_STATE, OF_CAUSE, LATE, OF_DAG_LATE, NOTED, ITSELF };

/* Of an index whose entries are in the order of ids. */
#define LIST(index, condition) \
    "select run from run indexed by " index " where " condition \
    " and run < ?1 and run >= ?2 order by run desc limit 1 offset ?3"

static const char *const lists[] = {
    [OF_DAG] = LIST("run_of_dag", "dag = ?4"),
    [OF_DAG_STATE] = LIST("run_of_dag_state", "dag = ?4 and state = ?5"),
    [OF_STATE] = LIST("run_of_state", "state = ?4"),
    [OF_CAUSE] = LIST("run_of_cause", "cause = ?4"),
    [LATE] = LIST("run_late", "late_at is not null"),
    [OF_DAG_LATE] = LIST("run_of_dag_late", "dag = ?4 and late_at is not null"),
    [NOTED] = LIST("run_noted", "note is not null"),
    [ITSELF] = "select run from run where run = ?4 and run < ?1 and run >= ?2 limit 1 offset ?3",
};

struct source {
    enum source_kind kind;
    const char *dag; /* of the kinds of one */
    int64_t number;  /* state, cause, id */
    int64_t at;      /* the newest that was not taken; 0: none */
};

struct sources {
    VEC(struct source) list;
    double density; /* runs of it among all */
};

typedef VEC(const char *) dag_list;

/* What is looked for. */
struct searching {
    struct query *query;
    const struct query_runs *which;
    const struct search *search;
    struct arena arena;
    int64_t floor, before;   /* ids in [floor, before) */
    uint32_t states, causes; /* by bits */
    bool late, noted;
    const char *word;
    bool by_version;     /* it must be one of */
    struct buf versions; /* JSON list of ids */
    bool by_dag;         /* and the DAG one of */
    dag_list dags;
    struct sources best;
    query_run_fn *fn;
    void *arg;
    bool stopped; /* fn has said that it is enough */
};

/* ---- What the terms say ---- */

static uint32_t set_of(const struct search_term *term, uint32_t all)
{
    uint32_t set = 0;
    for (size_t i = 0; i < term->n; i++)
        set |= 1u << term->values[i].number;
    return term->not ? all & ~set : set;
}

static const uint32_t all_states = (1u << NX_RUN_STATES) - 1,
                      all_causes = (1u << NX_RUN_CAUSES) - 1;

/* since_ms, until_ms: raised, lowered. */
static void take_term(struct searching *s, const struct search_term *term, int64_t *since_ms,
                      int64_t *until_ms)
{
    const struct search_value *value = term->values;
    switch (term->key) {
    case SEARCH_STATE:
        s->states &= set_of(term, all_states);
        break;
    case SEARCH_CAUSE:
        s->causes &= set_of(term, all_causes);
        break;
    case SEARCH_LATE:
        s->late = s->late || (term->n == 1 && (value->number != 0) != term->not );
        break;
    case SEARCH_NOTE:
        s->noted = s->noted || !term->not ;
        break;
    case SEARCH_WORD:
        s->word = s->word || term->not ? s->word : value->text;
        break;
    case SEARCH_SINCE:
    case SEARCH_UNTIL:
        if (term->n > 1)
            break;
        if ((term->key == SEARCH_SINCE) != term->not )
            *since_ms = value->number > *since_ms ? value->number : *since_ms;
        else
            *until_ms = value->number < *until_ms ? value->number : *until_ms;
        break;
    default:
        break;
    }
}

/* The ids between which all is that can fit. */
static bool find_range(struct searching *s, int64_t since_ms, int64_t until_ms, struct nx_err *err)
{
    bool row;
    int64_t end = INT64_MAX;
    struct sql_stmt *last = query_prepare(s->query, "select coalesce(max(run), 0) from run", err);
    if (!last || !sql_step(last, &row, err))
        return false;
    s->floor = 1;
    s->before = sql_int(last, 0) + 1;
    sql_reset(last);
    if (s->which->before && (int64_t)s->which->before < s->before)
        s->before = (int64_t)s->which->before;
    if ((since_ms && !query_first_since(s->query, since_ms, &s->floor, err)) ||
        (until_ms < INT64_MAX && !query_first_since(s->query, until_ms, &end, err)))
        return false;
    s->before = end < s->before ? end : s->before;
    return true;
}

static bool take_terms(struct searching *s, struct nx_err *err)
{
    int64_t since_ms = s->which->since_ms, until_ms = INT64_MAX;
    s->states = s->which->state >= 0 ? 1u << s->which->state : all_states;
    s->causes = all_causes;
    s->late = s->which->late;
    for (size_t i = 0; i < s->search->n; i++)
        take_term(s, &s->search->terms[i], &since_ms, &until_ms);
    return find_range(s, since_ms, until_ms, err);
}

/* ---- Versions and DAGs ---- */

static bool read_dags(struct searching *s, struct sql_stmt *stmt, dag_list *dags,
                      struct nx_err *err)
{
    bool row, ok;
    const char *last = "";
    while ((ok = sql_step(stmt, &row, err)) && row) {
        const char *dag = sql_text(stmt, 0);
        if (!str_eq(dag, last)) {
            last = arena_strdup(&s->arena, dag);
            vec_push(dags, last);
        }
        if (dags == &s->dags && s->by_version)
            buf_printf(&s->versions, "%s%lld", s->versions.len > 1 ? "," : "",
                       (long long)sql_int(stmt, 1));
    }
    return ok;
}

/* Which versions the terms about them allow, and so which DAGs. */
static bool find_versions(struct searching *s, struct nx_err *err)
{
    struct buf text = {0};
    struct sql_stmt *stmt;
    const char *dag = s->which->dag;
    buf_printf(&text, "select v.dag, v.version from dag_version v where %s",
               dag ? "v.dag = ?1" : "true");
    s->by_version = search_sql(s->search, SEARCH_OF_VERSION, 2, &text) > 0;
    s->by_dag = s->by_version || dag;
    buf_str(&text, " order by v.dag");
    if (!s->by_version && dag)
        vec_push(&s->dags, dag);
    bool ok = !s->by_version || sql_prepare(s->query->sql, buf_text(&text), &stmt, err);
    buf_fini(&text);
    if (!ok || !s->by_version)
        return ok;
    if (dag)
        sql_bind_text(stmt, 1, dag);
    search_bind(s->search, SEARCH_OF_VERSION, 2, stmt);
    buf_char(&s->versions, '[');
    ok = read_dags(s, stmt, &s->dags, err);
    buf_char(&s->versions, ']');
    sql_stmt_free(stmt);
    return ok;
}

/* ---- The best list ---- */

/* The run that is `skip` below the newest before that id, or 0. */
static bool look_up(const struct searching *s, const struct source *source, int64_t before,
                    int64_t skip, int64_t *id, struct nx_err *err)
{
    bool row;
    int next = 4;
    struct sql_stmt *stmt = query_prepare(s->query, lists[source->kind], err);
    if (!stmt)
        return false;
    sql_bind_int(stmt, 1, before);
    sql_bind_int(stmt, 2, s->floor);
    sql_bind_int(stmt, 3, skip);
    if (source->dag)
        sql_bind_text(stmt, next++, source->dag);
    if (source->kind == OF_DAG_STATE || source->kind == OF_STATE || source->kind == OF_CAUSE ||
        source->kind == ITSELF)
        sql_bind_int(stmt, next, source->number);
    if (!sql_step(stmt, &row, err))
        return false;
    *id = row ? sql_int(stmt, 0) : 0;
    sql_reset(stmt);
    return true;
}

/* Keeps the lists when they are the sparsest so far; theirs is the memory. */
static bool consider(struct searching *s, struct sources *sources, struct nx_err *err)
{
    bool ok = true;
    sources->density = 0;
    for (size_t i = 0; ok && i < sources->list.n; i++) {
        int64_t id, span = s->before - s->floor;
        ok = look_up(s, &sources->list.at[i], s->before, PROBE, &id, err);
        sources->density += PROBE / (double)(id ? s->before - id : span > PROBE ? span : PROBE);
    }
    if (ok && sources->density < s->best.density) {
        struct sources worse = s->best;
        s->best = *sources;
        *sources = worse;
    }
    vec_fini(&sources->list);
    return ok;
}

static void add(struct sources *sources, enum source_kind kind, const char *dag, int64_t number)
{
    struct source source = {.kind = kind, .dag = dag, .number = number};
    vec_push(&sources->list, source);
}

static bool consider_one(struct searching *s, enum source_kind kind, struct nx_err *err)
{
    struct sources sources = {0};
    add(&sources, kind, NULL, 0);
    return consider(s, &sources, err);
}

static bool consider_set(struct searching *s, enum source_kind kind, uint32_t set,
                         struct nx_err *err)
{
    struct sources sources = {0};
    for (int i = 0; i < 32; i++) {
        if (set & 1u << i)
            add(&sources, kind, NULL, i);
    }
    return consider(s, &sources, err);
}

static bool consider_dags(struct searching *s, struct nx_err *err)
{
    struct sources sources = {0};
    bool states = s->states != all_states && !s->late &&
                  s->dags.n * (size_t)__builtin_popcount(s->states) <= SOURCES_MAX;
    for (size_t i = 0; i < s->dags.n; i++) {
        if (!states)
            add(&sources, s->late ? OF_DAG_LATE : OF_DAG, s->dags.at[i], 0);
        for (int k = 0; states && k < NX_RUN_STATES; k++) {
            if (s->states & 1u << k)
                add(&sources, OF_DAG_STATE, s->dags.at[i], k);
        }
    }
    return consider(s, &sources, err);
}

/* A word is in the DAG's id, or in the note, or the run's id. */
static bool consider_word(struct searching *s, struct nx_err *err)
{
    dag_list dags = {0};
    int64_t id;
    struct sql_stmt *stmt = query_prepare(s->query,
                                          "select distinct dag from dag_version"
                                          " where instr(lower(dag), lower(?1)) order by dag",
                                          err);
    if (!stmt)
        return false;
    sql_bind_text(stmt, 1, s->word);
    bool ok = read_dags(s, stmt, &dags, err);
    if (ok && dags.n < SOURCES_MAX) {
        struct sources sources = {0};
        for (size_t i = 0; i < dags.n; i++)
            add(&sources, OF_DAG, dags.at[i], 0);
        add(&sources, NOTED, NULL, 0);
        if (str_parse_int(s->word, &id) && id > 0)
            add(&sources, ITSELF, NULL, id);
        ok = consider(s, &sources, err);
    }
    vec_fini(&dags);
    return ok;
}

static bool choose(struct searching *s, struct nx_err *err)
{
    s->best.density = DENSE;
    return (!s->late || consider_one(s, LATE, err)) && (!s->noted || consider_one(s, NOTED, err)) &&
           (!s->by_dag || s->dags.n > SOURCES_MAX || consider_dags(s, err)) &&
           (s->states == all_states || consider_set(s, OF_STATE, s->states, err)) &&
           (s->causes == all_causes || consider_set(s, OF_CAUSE, s->causes, err)) &&
           (!s->word || consider_word(s, err));
}

/* ---- The runs ---- */

static bool take_run(void *arg, const struct query_run *run)
{
    struct searching *s = arg;
    s->stopped = !s->fn(s->arg, run);
    return !s->stopped;
}

/* All that is asked for of the runs that `where` names by ?1 and ?2. */
static bool prepare(const struct searching *s, const char *where, struct sql_stmt **stmt,
                    struct nx_err *err)
{
    struct buf text = {0};
    buf_str(&text, QUERY_RUN_COLUMNS QUERY_RUN_NUMBER " where ");
    buf_str(&text, where);
    if (s->by_version)
        buf_str(&text, " and r.version in (select value from json_each(?3))");
    if (s->which->dag)
        buf_str(&text, " and r.dag = ?4");
    if (s->which->state >= 0)
        buf_printf(&text, " and r.state = %d", s->which->state);
    if (s->which->late)
        buf_str(&text, " and r.late_at is not null");
    if (s->which->since_ms)
        buf_printf(&text, " and r.created_at >= %lld", (long long)s->which->since_ms);
    search_sql(s->search, SEARCH_OF_RUN, 5, &text);
    buf_str(&text, " order by r.run desc");
    bool ok = sql_prepare(s->query->sql, buf_text(&text), stmt, err);
    buf_fini(&text);
    return ok;
}

static void bind(const struct searching *s, struct sql_stmt *stmt)
{
    if (s->by_version)
        sql_bind_text_n(stmt, 3, s->versions.data, s->versions.len);
    if (s->which->dag)
        sql_bind_text(stmt, 4, s->which->dag);
    search_bind(s->search, SEARCH_OF_RUN, 5, stmt);
}

/* The table itself, a part at a time. */
static bool read_window(struct searching *s, uint64_t *next, struct nx_err *err)
{
    struct sql_stmt *stmt;
    int64_t from = s->before - WINDOW_RUNS;
    from = from > s->floor ? from : s->floor;
    if (!prepare(s, "r.run < ?1 and r.run >= ?2", &stmt, err))
        return false;
    sql_bind_int(stmt, 1, s->before);
    sql_bind_int(stmt, 2, from);
    bind(s, stmt);
    bool ok = query_each_run(stmt, 0, take_run, s, err);
    sql_stmt_free(stmt);
    *next = from > s->floor ? (uint64_t)from : 0;
    return ok;
}

/* The newest id of all lists that was not taken, as a JSON list of at most n; how many. */
static bool collect(struct searching *s, size_t n, struct buf *ids, size_t *n_ids, int64_t *last,
                    struct nx_err *err)
{
    buf_clear(ids);
    buf_char(ids, '[');
    for (*n_ids = 0; *n_ids < n; ++*n_ids) {
        int64_t newest = 0;
        for (size_t i = 0; i < s->best.list.n; i++) {
            if (s->best.list.at[i].at > newest)
                newest = s->best.list.at[i].at;
        }
        if (!newest)
            break;
        buf_printf(ids, "%s%lld", *n_ids ? "," : "", (long long)newest);
        *last = newest;
        for (size_t i = 0; i < s->best.list.n; i++) { /* a run may be in several */
            struct source *source = &s->best.list.at[i];
            if (source->at == newest && !look_up(s, source, newest, 0, &source->at, err))
                return false;
        }
    }
    buf_char(ids, ']');
    return true;
}

static bool read_batches(struct searching *s, struct sql_stmt *stmt, struct buf *ids,
                         uint64_t *next, struct nx_err *err)
{
    size_t n = s->which->limit, n_ids, looked = 0;
    int64_t last = 0;
    for (size_t i = 0; i < s->best.list.n; i++) {
        struct source *source = &s->best.list.at[i];
        if (!look_up(s, source, s->before, 0, &source->at, err))
            return false;
    }
    while (!s->stopped) {
        n = n < BATCH_MAX ? n : BATCH_MAX;
        if (!collect(s, n, ids, &n_ids, &last, err))
            return false;
        if (!n_ids)
            return true;
        sql_bind_text_n(stmt, 1, ids->data, ids->len);
        bind(s, stmt);
        if (!query_each_run(stmt, 0, take_run, s, err))
            return false;
        sql_reset(stmt);
        looked += n_ids;
        n *= 2;
        if (looked >= LOOKED_MAX) {
            *next = (uint64_t)last;
            return true;
        }
    }
    return true;
}

static bool read_sources(struct searching *s, uint64_t *next, struct nx_err *err)
{
    struct sql_stmt *stmt;
    struct buf ids = {0};
    if (!prepare(s, "r.run in (select value from json_each(?1))", &stmt, err))
        return false;
    bool ok = read_batches(s, stmt, &ids, next, err);
    sql_stmt_free(stmt);
    buf_fini(&ids);
    return ok;
}

static bool find(struct searching *s, uint64_t *next, struct nx_err *err)
{
    if (!take_terms(s, err) || !find_versions(s, err))
        return false;
    if (s->floor >= s->before || !s->states || !s->causes || (s->by_dag && !s->dags.n))
        return true; /* nothing can fit */
    if (!choose(s, err))
        return false;
    return s->best.list.n ? read_sources(s, next, err) : read_window(s, next, err);
}

bool query_search(struct query *query, const struct query_runs *which, const struct search *search,
                  query_run_fn *fn, void *arg, uint64_t *next, struct nx_err *err)
{
    struct searching s = {.query = query, .which = which, .search = search, .fn = fn, .arg = arg};
    arena_init(&s.arena);
    *next = 0;
    bool ok = find(&s, next, err);
    vec_fini(&s.dags);
    vec_fini(&s.best.list);
    buf_fini(&s.versions);
    arena_fini(&s.arena);
    return ok;
}
