/* The files of DAGs as they are on disk: read, checked, and changed. What is saved is what loads: a
 * text with errors is refused, and so is one that was made from a file that has changed since. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "lib/text/json.h"
#include "lib/text/problem.h"
#include "nexus/catalog.h"
#include "nexus/limits.h"
#include "scheduler/dag/layout.h"
#include "scheduler/dag/lua.h"
#include "scheduler/dag/spec.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_shape.h"

#define EDIT "dag.edit"  /* on the audit list */
#define FILE_REVISION 16 /* digits of the hash in its ETag */

/* ---- Which file ---- */

struct finding {
    struct call *call;
    const char *id, *file;
    uint64_t version;
    bool present;
};

static bool note_dag(void *arg, const struct query_dag *dag)
{
    struct finding *finding = arg;
    finding->present = dag->present;
    finding->version = dag->version;
    return false;
}

static bool note_problem(void *arg, const char *file, const char *problems, bool has_dag)
{
    struct finding *finding = arg;
    const char *base = path_base(file), *dot = strrchr(base, '.');
    size_t n = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    (void)problems;
    bool same = str_eq(file, finding->id) ||
                (strlen(finding->id) == n && memcmp(base, finding->id, n) == 0);
    if (has_dag || !same)
        return true;
    finding->file = arena_strdup(finding->call->arena, file);
    return false;
}

/* The file of the DAG that the path names, below the folder of DAG files; or that of its name from
 * which no DAG has come. */
static bool find_file(struct call *call, const char **file, const char **path, struct nx_err *err)
{
    char full[PATH_MAX_BYTES];
    struct query_shown shown;
    struct finding finding = {.call = call, .id = call->params[0]};
    if (!call_query(call, err) || !query_dag(call->query, finding.id, note_dag, &finding, err))
        return false;
    if (finding.present) {
        if (!query_shown(call->query, finding.version, &shown, err))
            return false;
        finding.file = arena_strdup(call->arena, shown.file);
    } else if (!query_problems(call->query, note_problem, &finding, err)) {
        return false;
    }
    if (!finding.file)
        return finding.version
                   ? nx_fail(err, NX_E_NOT_FOUND, "DAG '%s' has no file any more", finding.id)
                   : fail_no_dag(call->query, finding.id, err);
    if (!call->api->dags[0] || !path_join(full, sizeof full, call->api->dags, finding.file))
        return nx_fail(err, NX_E_LIMIT, "the path of %s is too long", finding.file);
    *file = finding.file;
    *path = arena_strdup(call->arena, full);
    return true;
}

/* ---- Reading ---- */

static bool read_now(const char *path, struct buf *text, char hash[SHA256_HEX], struct nx_err *err)
{
    if (!path_read(path, NX_DAG_FILE_MAX, text, err))
        return false;
    sha256_of(text->data, text->len, hash);
    return true;
}

bool handle_file(struct call *call, struct nx_err *err)
{
    const char *file, *path;
    char hash[SHA256_HEX];
    struct buf text;
    if (!find_file(call, &file, &path, err))
        return false;
    buf_init(&text);
    bool ok = read_now(path, &text, hash, err);
    if (ok) {
        call->revision = arena_strndup(call->arena, hash, FILE_REVISION);
        put_open(&call->body, NULL, '{');
        put_text(&call->body, "file", file);
        put_text(&call->body, "hash", hash);
        put_text(&call->body, "text", buf_text(&text));
        put_close(&call->body, '}');
    }
    buf_fini(&text);
    return ok;
}

/* ---- Checking ---- */

static void put_graph(struct buf *body, struct arena *arena, const struct spec *spec)
{
    struct layout layout;
    struct layout_task *tasks = arena_array(arena, spec->n_tasks + 1, sizeof *tasks);
    for (uint32_t i = 0; i < spec->n_tasks; i++)
        tasks[i] = (struct layout_task){spec->tasks[i].needs, spec->tasks[i].n_needs};
    layout_make(tasks, spec->n_tasks, false, arena, &layout);
    put_open(body, NULL, '{');
    put_text(body, "id", spec->id);
    put_open(body, "graph", '{');
    put_null(body, "version");
    graph_head(body, &layout);
    put_open(body, "nodes", '[');
    for (uint32_t i = 0; i < spec->n_tasks; i++) {
        const struct spec_task *task = &spec->tasks[i];
        const struct drawn_task shown = {
            .id = task->id,
            .uses = task->uses,
            .group = task->group,
            .rule = task->rule,
            .mapped = task->map != 0,
            .finally = task->finally,
        };
        graph_node(body, &shown, layout.nodes[i]);
    }
    put_close(body, ']');
    put_open(body, "edges", '[');
    for (size_t i = 0; i < layout.n_edges; i++)
        graph_edge(body, spec->tasks[layout.edges[i].from].id, spec->tasks[layout.edges[i].to].id,
                   &layout.edges[i]);
    put_close(body, ']');
    put_close(body, '}');
    put_close(body, '}');
}

/* {"problems": [...], "dags": [{"id", "graph"}]} of a text; whether it may be saved. */
static bool check_text(struct call *call, const char *file, const char *path, const char *text)
{
    struct problems problems;
    struct spec **specs = NULL;
    size_t n_specs = 0, n = strlen(text);
    char *folder = arena_strdup(call->arena, path);
    json_t *catalog = json_loads(nx_catalog_json, 0, NULL);
    json_t *tree = lua_is_name(file) ? lua_run_apart(text, n) : NULL;
    problems_init(&problems);
    *strrchr(folder, '/') = 0;
    if (tree)
        spec_read_tree(file, text, n, tree, catalog, folder, &specs, &n_specs, &problems);
    else
        spec_read(file, text, n, catalog, folder, &specs, &n_specs, &problems);
    json_t *list = problems_json(&problems);
    char *list_text = js_text(list);
    put_open(&call->body, NULL, '{');
    put_raw(&call->body, "problems", list_text);
    put_open(&call->body, "dags", '[');
    for (size_t i = 0; i < n_specs; i++) {
        put_graph(&call->body, call->arena, specs[i]);
        spec_free(specs[i]);
    }
    put_close(&call->body, ']');
    put_close(&call->body, '}');
    bool fine = problems.n_errors == 0;
    call->details = arena_strdup(call->arena, list_text);
    mem_free(list_text);
    json_decref(list);
    json_decref(catalog);
    json_decref(tree);
    mem_free(specs);
    problems_fini(&problems);
    return fine;
}

/* ---- Saving ---- */

struct saving {
    const char *file, *path, *text, *hash; /* hash: of the file that the text was made from */
};

static bool must_be_unchanged(const struct saving *saving, struct nx_err *err)
{
    char hash[SHA256_HEX];
    struct buf text;
    buf_init(&text);
    bool ok = read_now(saving->path, &text, hash, err) &&
              (str_eq(hash, saving->hash) ||
               nx_fail(err, NX_E_CONFLICT,
                       "%s has changed since it was read: read it again, then make the change anew",
                       saving->file));
    buf_fini(&text);
    return ok;
}

/* After the commit of the line on the audit list. */
static bool finish_save(struct job *job, struct query *query, struct nx_err *err)
{
    const struct saving *saving = job->data;
    char hash[SHA256_HEX];
    (void)query;
    if (!must_be_unchanged(saving, err) ||
        !path_write(saving->path, saving->text, strlen(saving->text), err))
        return false;
    sha256_of(saving->text, strlen(saving->text), hash);
    put_open(&job->body, NULL, '{');
    put_text(&job->body, "file", saving->file);
    put_text(&job->body, "hash", hash);
    put_close(&job->body, '}');
    return true;
}

static bool save(struct call *call, const struct saving *checked, struct nx_err *err)
{
    struct message *message = call_write(call, WRITE_AUDIT, EDIT, call->params[0], NULL);
    struct job *job = job_new(call);
    message->detail = arena_printf(&message->arena, "{\"from\":\"%.64s\"}", checked->hash);
    struct saving *saving = arena_dup(&job->arena, checked, sizeof *checked);
    saving->file = arena_strdup(&job->arena, checked->file);
    saving->path = arena_strdup(&job->arena, checked->path);
    saving->text = arena_strdup(&job->arena, checked->text);
    saving->hash = arena_strdup(&job->arena, checked->hash);
    job->data = saving;
    job->finish = finish_save;
    return job_write(call, job, message, err);
}

static bool is_hash(const char *text)
{
    return text && strlen(text) == SHA256_HEX - 1 &&
           strspn(text, "0123456789abcdef") == SHA256_HEX - 1;
}

/* With If-Match the file that it names is the one which the text was made from. */
static bool take_match(struct call *call, struct saving *saving, struct nx_err *err)
{
    char hash[SHA256_HEX];
    struct buf text;
    if (!http_header(call->request, "If-Match"))
        return true;
    buf_init(&text);
    bool ok = read_now(saving->path, &text, hash, err);
    buf_fini(&text);
    if (!ok)
        return false;
    saving->hash = arena_strdup(call->arena, hash);
    if (call_matches(call, arena_strndup(call->arena, hash, FILE_REVISION)))
        return true;
    call->details = find_change(call->query, call->arena, EDIT, call->params[0]);
    return nx_fail(err, NX_E_STALE,
                   "%s was changed since it was read: read it again, then make the change anew",
                   saving->file);
}

static bool put_file(struct call *call, const json_t *body, struct nx_err *err)
{
    struct saving saving = {.text = js_get_text(body, "text", NULL),
                            .hash = js_get_text(body, "hash", NULL)};
    bool dry = json_is_true(json_object_get(body, "dry_run"));
    if (!saving.text)
        return nx_fail(err, NX_E_INVALID, "'text' must be the file's new text");
    if (!find_file(call, &saving.file, &saving.path, err))
        return false;
    bool fine = check_text(call, saving.file, saving.path, saving.text);
    if (dry) {
        call->details = NULL;
        return true;
    }
    buf_clear(&call->body);
    if (!fine)
        return nx_fail(err, NX_E_DATA, "%s is not saved: the text has errors", saving.file);
    call->details = NULL;
    if (!take_match(call, &saving, err))
        return false;
    if (!is_hash(saving.hash))
        return nx_fail(err, NX_E_INVALID,
                       "'hash' must be that of the file which the text was made from");
    if (must_be_unchanged(&saving, err))
        return save(call, &saving, err);
    call->details = find_change(call->query, call->arena, EDIT, call->params[0]);
    return false;
}

bool handle_put_file(struct call *call, struct nx_err *err)
{
    json_t *body;
    if (!call_json(call, &body, err))
        return false;
    bool ok = put_file(call, body, err);
    json_decref(body);
    return ok;
}
