/* Reads of DAGs. */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "nexus/limits.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"
#include "scheduler/store/search.h"

/* A file with problems. */
struct file {
    const char *id, *path, *problems;
    bool has_dag;
};

struct files {
    struct arena *arena;
    VEC(struct file) files; /* by path */
};

/* "sub/train.yaml" is "train". */
static const char *id_of_file(struct arena *arena, const char *path)
{
    const char *base = path_base(path), *dot = strrchr(base, '.');
    return arena_strndup(arena, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
}

static bool add_file(void *arg, const char *path, const char *problems, bool has_dag)
{
    struct files *files = arg;
    const struct file file = {id_of_file(files->arena, path), arena_strdup(files->arena, path),
                              arena_strdup(files->arena, problems), has_dag};
    vec_push(&files->files, file);
    return true;
}

static const char *problems_of(const struct files *files, const char *path)
{
    for (size_t i = 0; i < files->files.n; i++) {
        if (str_eq(files->files.at[i].path, path))
            return files->files.at[i].problems;
    }
    return NULL;
}

static bool note_present(void *arg, const struct query_dag *dag)
{
    *(bool *)arg = dag->present;
    return false;
}

/* A file without a DAG whose name is the id of another file's DAG goes by its path. */
static bool name_files(struct call *call, struct files *files, struct nx_err *err)
{
    for (size_t i = 0; i < files->files.n; i++) {
        struct file *file = &files->files.at[i];
        bool taken = false;
        if (!file->has_dag && !query_dag(call->query, file->id, note_present, &taken, err))
            return false;
        if (taken)
            file->id = file->path;
    }
    return true;
}

static bool read_files(struct call *call, struct files *files, struct nx_err *err)
{
    files->arena = call->arena;
    return query_problems(call->query, add_file, files, err) && name_files(call, files, err);
}

/* ---- Lists ---- */

struct dag_list {
    struct call *call;
    struct arena *arena;
    VEC(struct query_dag) dags; /* ids in the arena */
};

static bool add_dag(void *arg, const struct query_dag *dag)
{
    struct dag_list *list = arg;
    struct query_dag copy = *dag;
    copy.id = arena_strdup(list->arena, dag->id);
    vec_push(&list->dags, copy);
    return true;
}

static bool put_dag(struct call *call, const struct files *files, const struct query_dag *dag,
                    struct nx_err *err)
{
    struct query_shown shown;
    if (!query_shown(call->query, dag->version, &shown, err))
        return false;
    const char *errors = problems_of(files, shown.file);
    if (!dag->present && !errors)
        errors = "[{\"file\":null,\"line\":null,\"column\":null,\"severity\":\"error\","
                 "\"message\":\"the DAG is not in the folder any more\",\"hint\":null}]";
    int64_t next_fire_ms;
    if (!find_next_fire(call, dag, &shown, &next_fire_ms, err))
        return false;
    return shape_dag(call, dag, &shown, next_fire_ms, errors, err);
}

/* Which DAGs and files are wanted, in which order. */
struct dag_wish {
    struct search search;
    bool last_first;
};

/* Whether the id `a` comes before `b`; NULL is before all. */
static bool comes_first(const struct dag_wish *wish, const char *a, const char *b)
{
    int order = a ? strcmp(a, b) : -1;
    return a && wish->last_first ? order > 0 : order < 0;
}

/* The file without a DAG whose id is the first behind `after`, or NULL. */
static const struct file *next_file(const struct files *files, const struct dag_wish *wish,
                                    const char *after)
{
    const struct file *next = NULL;
    for (size_t i = 0; i < files->files.n; i++) {
        const struct file *file = &files->files.at[i];
        if (!file->has_dag && comes_first(wish, after, file->id) &&
            (!next || comes_first(wish, file->id, next->id)) &&
            search_fits_file(&wish->search, file->id))
            next = file;
    }
    return next;
}

/* Both lists merged by id. */
static bool put_dags(struct dag_list *list, const struct files *files, const struct dag_wish *wish,
                     const char *after, size_t limit, const char **next, struct nx_err *err)
{
    struct call *call = list->call;
    size_t at = 0;
    for (size_t n = 0;; n++) {
        const struct query_dag *dag = at < list->dags.n ? &list->dags.at[at] : NULL;
        const struct file *file = next_file(files, wish, after);
        if (!dag && !file)
            return true;
        if (n == limit || call->body.len > CALL_BODY_MAX) {
            *next = after;
            return true;
        }
        if (!dag || (file && comes_first(wish, file->id, dag->id))) {
            shape_file(&call->body, file->id, file->path, file->problems);
            after = file->id;
            continue;
        }
        if (!put_dag(call, files, dag, err))
            return false;
        after = dag->id;
        at++;
    }
}

static bool read_wish(struct call *call, struct dag_wish *wish, struct nx_err *err)
{
    static const char *const sorts[] = {"id", "-id", NULL};
    const char *text = http_query(call->request, "q");
    size_t sort;
    bool ok = call_sort(call, sorts, &sort, err) &&
              search_read(call->arena, SEARCH_DAGS, text ? text : "", clock_wall_ms(),
                          &wish->search, err);
    wish->last_first = ok && sort == 1;
    return ok;
}

bool handle_dags(struct call *call, struct nx_err *err)
{
    struct files files = {0};
    struct dag_list list = {.call = call, .arena = call->arena};
    struct dag_wish wish;
    const char *cursor = http_query(call->request, "cursor"), *next = NULL;
    size_t limit;
    if (!call_limit(call, NX_PAGE_MAX, &limit, err) || !read_wish(call, &wish, err) ||
        !call_query(call, err))
        return false;
    const struct query_dags which = {&wish.search, cursor, wish.last_first, limit + 1};
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = read_files(call, &files, err) &&
              query_find_dags(call->query, &which, add_dag, &list, err) &&
              put_dags(&list, &files, &wish, cursor, limit, &next, err);
    put_close(&call->body, ']');
    put_text(&call->body, "next", next);
    put_close(&call->body, '}');
    vec_fini(&files.files);
    vec_fini(&list.dags);
    return ok;
}

/* ---- One ---- */

static bool find_dag(struct call *call, const char *id, struct dag_list *list, struct nx_err *err)
{
    list->arena = call->arena;
    return call_query(call, err) && query_dag(call->query, id, add_dag, list, err);
}

static bool show_dag(struct call *call, struct nx_err *err)
{
    const char *id = call->params[0];
    struct files files = {0};
    struct dag_list list = {0};
    const struct file *file = NULL;
    bool ok = find_dag(call, id, &list, err) && read_files(call, &files, err);
    for (size_t i = 0; i < files.files.n; i++) {
        if (!files.files.at[i].has_dag && str_eq(files.files.at[i].id, id))
            file = &files.files.at[i];
    }
    if (ok && list.dags.n && (list.dags.at[0].present || !file))
        ok = put_dag(call, &files, &list.dags.at[0], err);
    else if (ok && file)
        shape_file(&call->body, file->id, file->path, file->problems);
    else if (ok)
        ok = fail_no_dag(call->query, id, err);
    vec_fini(&files.files);
    vec_fini(&list.dags);
    return ok;
}

bool handle_dag(struct call *call, struct nx_err *err)
{
    return call_revision(call, DAG_CHANGES, call->params[0], err) && show_dag(call, err);
}

struct version_list {
    struct buf *body;
    size_t n, limit;
    int64_t last; /* number */
    bool more;
};

static bool put_version(void *arg, uint64_t id, int64_t number, const char *file, const char *hash,
                        int64_t created_ms)
{
    struct version_list *list = arg;
    (void)id;
    if (list->n++ == list->limit) {
        list->more = true;
        return false;
    }
    put_open(list->body, NULL, '{');
    put_id(list->body, "version", (uint64_t)number);
    put_text(list->body, "file", file);
    put_text(list->body, "hash", hash);
    put_time(list->body, "created_at", created_ms);
    put_close(list->body, '}');
    list->last = number;
    return true;
}

static bool must_exist(struct call *call, const char *id, struct nx_err *err)
{
    struct dag_list list = {0};
    bool ok = find_dag(call, id, &list, err);
    if (ok && !list.dags.n)
        ok = fail_no_dag(call->query, id, err);
    vec_fini(&list.dags);
    return ok;
}

bool handle_versions(struct call *call, struct nx_err *err)
{
    struct version_list list = {.body = &call->body};
    int64_t cursor;
    if (!call_limit(call, 100, &list.limit, err) || !call_cursor(call, &cursor, err) ||
        !must_exist(call, call->params[0], err))
        return false;
    put_open(&call->body, NULL, '{');
    put_open(&call->body, "items", '[');
    bool ok = query_versions(call->query, call->params[0], cursor ? cursor : INT64_MAX,
                             list.limit + 1, put_version, &list, err);
    put_close(&call->body, ']');
    put_page_end(&call->body, list.more, (uint64_t)list.last);
    return ok;
}

bool handle_source(struct call *call, struct nx_err *err)
{
    const char *text = http_query(call->request, "version");
    struct dag_list list = {0};
    int64_t number = 0;
    uint64_t version = 0;
    if (text && (!str_parse_int(text, &number) || number < 1))
        return nx_fail(err, NX_E_INVALID, "'%.32s' is no version of a DAG: they are 1, 2, ...",
                       text);
    bool ok = find_dag(call, call->params[0], &list, err);
    if (ok && !list.dags.n)
        ok = fail_no_dag(call->query, call->params[0], err);
    if (ok)
        version = list.dags.at[0].version;
    if (ok && number)
        ok = query_version_id(call->query, call->params[0], number, &version, err);
    vec_fini(&list.dags);
    call->content_type = "text/plain; charset=utf-8";
    return ok && query_source(call->query, version, &call->body, err);
}

/* ---- For others ---- */

bool dag_problems(struct call *call, const char *id, const char **problems, struct nx_err *err)
{
    struct files files = {0};
    struct dag_list list = {0};
    *problems = NULL;
    bool ok = find_dag(call, id, &list, err);
    if (ok && (!list.dags.n || !list.dags.at[0].present)) {
        ok = read_files(call, &files, err);
        for (size_t i = 0; i < files.files.n; i++) {
            if (!files.files.at[i].has_dag && str_eq(files.files.at[i].id, id))
                *problems = files.files.at[i].problems;
        }
        if (ok && !*problems)
            ok = fail_no_dag(call->query, id, err);
    }
    vec_fini(&files.files);
    vec_fini(&list.dags);
    return ok;
}

bool dag_must_exist(struct call *call, const char *id, struct nx_err *err)
{
    return must_exist(call, id, err);
}

bool dag_to_body(struct job *job, struct query *query, const char *id, struct nx_err *err)
{
    struct call call = {.arena = &job->arena, .query = query, .api = job->api};
    call.params[0] = id;
    buf_init(&call.body);
    bool ok = show_dag(&call, err);
    job->body = call.body;
    return ok;
}
