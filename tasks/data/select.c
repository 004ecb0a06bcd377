#include "tasks/data/select.h"

#include <string.h>
#include <strings.h>

#include "lib/base/str.h"
#include "lib/data/sqltext.h"
#include "tasks/data/files.h"

/* The files that a text in the query matches, which are opened to it. */
static bool put_files(void *arg, const char *path, struct buf *to, struct nx_err *err)
{
    struct select *job = arg;
    files_list found = {0};
    if (*path == '/' || strstr(path, "://")) {
        return nx_fail(
            err, NX_E_DENIED,
            "a query does not read '%s': it reads the tables it is given and files of the "
            "project by relative paths; data.ingest loads from elsewhere",
            path);
    }
    bool ok = files_find(job->ctx, path, false, &job->arena, &found, err);
    for (size_t i = 0; ok && i < found.n; i++) {
        const char *name;
        ok = data_name_file(job->db, found.at[i], &name, err);
        buf_str(to, i ? ", " : "");
        data_quote_text(to, name);
        data_allow_file(job->db, found.at[i]);
    }
    vec_fini(&found);
    return ok;
}

static bool read_query(struct select *job, struct nx_err *err)
{
    const char *sql = nx_arg_sql(job->ctx, "query", &job->n_values);
    job->values = arena_array(&job->arena, job->n_values + 1, sizeof *job->values);
    for (size_t i = 0; i < job->n_values; i++) {
        if (!data_value_read(nx_arg_sql_value(job->ctx, "query", i), &job->arena, &job->values[i],
                             err)) {
            return nx_wrap(err, "the expression of $%zu", i + 1);
        }
    }
    return sqltext_files(sql, put_files, job, &job->select, err);
}

static bool add_tables(struct select *job, struct nx_err *err)
{
    json_t *tables = json_loads(nx_arg_json(job->ctx, "tables"), JSON_DECODE_ANY, NULL);
    const char *name;
    json_t *reference;
    bool ok = true;
    json_object_foreach(tables, name, reference)
    {
        const char *param = arena_printf(&job->arena, "tables.%s", name), *other;
        json_t *ignored;
        json_object_foreach(tables, other, ignored)
        {
            if (ok && strcasecmp(name, other) == 0 && !str_eq(name, other)) {
                ok =
                    nx_fail(err, NX_E_INVALID,
                            "`tables` has '%s' and '%s', which SQL does not tell apart: rename one",
                            name, other);
            }
        }
        ok = ok && tables_add(job->ctx, job->db, param, name, NULL, err);
    }
    json_decref(tables);
    return ok;
}

bool select_open(struct select *job, struct nx_ctx *ctx, struct nx_err *err)
{
    *job = (struct select){.ctx = ctx};
    arena_init(&job->arena);
    buf_init(&job->select);
    return tables_open(ctx, &job->db, err);
}

bool select_read(struct select *job, struct nx_err *err)
{
    return add_tables(job, err) && read_query(job, err);
}

void select_close(struct select *job, bool ok, struct nx_err *err)
{
    if (!ok && err->code == NX_E_DENIED && strstr(err->text, "Cannot access file")) {
        char *end = strstr(err->text, " - file system operations");
        *(end ? end : err->text + strlen(err->text)) = 0;
        nx_wrap(err, "the query reads only the tables it is given and, in read_csv('...'), "
                     "read_json or read_parquet, files of the project by relative paths");
    }
    tables_close(job->ctx, job->db);
    buf_fini(&job->select);
    arena_fini(&job->arena);
}
