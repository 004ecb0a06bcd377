/* nexus dag validate FILE... */
#include "cli/validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/map.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "nexus/catalog.h"
#include "nexus/limits.h"
#include "scheduler/dag/found.h"
#include "scheduler/dag/lua.h"

json_t *validate_catalog(void)
{
    struct nx_err err;
    json_t *catalog = js_read(nx_catalog_json, strlen(nx_catalog_json), "catalog", &err);
    must(catalog);
    return catalog;
}

bool validate_file(const char *file, const json_t *catalog, struct spec ***specs, size_t *n_specs,
                   struct problems *problems)
{
    struct buf text = {0};
    struct nx_err err;
    char folder[PATH_MAX_BYTES] = ".";
    size_t n_folder = (size_t)(path_base(file) - file);
    *specs = NULL;
    *n_specs = 0;
    const char *unusable = found_unusable(file);
    if (unusable || !path_read(file, NX_DAG_FILE_MAX, &text, &err)) {
        problem_add(problems, PROBLEM_ERROR, file, 0, 0, "%s", unusable ? unusable : err.text);
        buf_fini(&text);
        return false;
    }
    if (n_folder > 0 && n_folder < sizeof folder) {
        memcpy(folder, file, n_folder);
        folder[n_folder > 1 ? n_folder - 1 : n_folder] = 0;
    }
    json_t *tree = lua_is_name(file) ? lua_run_apart(buf_text(&text), text.len) : NULL;
    bool ok = tree ? spec_read_tree(file, buf_text(&text), text.len, tree, catalog, folder, specs,
                                    n_specs, problems)
                   : spec_read(file, buf_text(&text), text.len, catalog, folder, specs, n_specs,
                               problems);
    json_decref(tree);
    buf_fini(&text);
    return ok;
}

/* The n-th line (from 1) of a text, without its end; NULL beyond the last. */
static const char *line_at(const char *text, int n, size_t *len)
{
    for (int i = 1; i < n && text; i++) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    if (text)
        *len = strcspn(text, "\r\n");
    return text;
}

#define EXCERPT_MAX 160

static void add_excerpt(const char *source, const struct problem *problem, struct buf *to)
{
    size_t len, at = 0;
    const char *line = line_at(source, problem->line, &len);
    if (!line || len > EXCERPT_MAX)
        return;
    buf_str(to, "    ");
    out_safe(to, line, len);
    buf_str(to, "\n    ");
    for (int column = 1; column < problem->column && at < len; column++) {
        buf_char(to, line[at] == '\t' ? '\t' : ' ');
        for (at++; at < len && ((unsigned char)line[at] & 0xc0) == 0x80; at++)
            ;
    }
    buf_str(to, "^\n");
}

void validate_print(const struct problems *problems, bool color, struct buf *to)
{
    struct buf source = {0};
    const char *file = NULL;
    for (size_t i = 0; i < problems->n; i++) {
        const struct problem *problem = &problems->at[i];
        struct buf line = {0};
        if (problem->line > 0 && !str_eq(file, problem->file)) {
            file = problem->file;
            buf_clear(&source);
            (void)path_read(file, NX_DAG_FILE_MAX, &source, NULL);
        }
        problem_text(problem, &line);
        out_add(to, color, problem->severity == PROBLEM_ERROR ? OUT_RED : OUT_YELLOW,
                buf_text(&line));
        buf_char(to, '\n');
        if (problem->line > 0)
            add_excerpt(buf_text(&source), problem, to);
        buf_fini(&line);
    }
    if (problems->n_dropped)
        buf_printf(to, "... and %zu more\n", problems->n_dropped);
    buf_fini(&source);
}

void validate_find(struct arena *arena, const char *path, struct validate_files *files)
{
    struct found_files found;
    const char *slash = str_ends(path, "/") ? "" : "/";
    found_scan(path, -1, &found);
    for (size_t i = 0; i < found.n; i++)
        vec_push(&files->found,
                 (const char *)arena_printf(arena, "%s%s%s", path, slash, found.at[i].path));
    found_fini(&found);
}

struct validation {
    struct problems problems;
    struct map ids; /* DAG id -> the file it is in */
    size_t n_dags, n_tasks;
};

static void check_file(struct cli *cli, struct validation *v, const char *file,
                       const json_t *catalog)
{
    struct spec **specs;
    size_t n;
    validate_file(file, catalog, &specs, &n, &v->problems);
    for (size_t i = 0; i < n; i++) {
        const char *other = map_get(&v->ids, specs[i]->id);
        if (other && !str_eq(other, file))
            problem_add(&v->problems, PROBLEM_ERROR, file, specs[i]->line, specs[i]->column,
                        "the DAG '%s' is in %s too", specs[i]->id, other);
        else
            map_set(&v->ids, specs[i]->id, arena_strdup(&cli->arena, file));
        v->n_dags++;
        v->n_tasks += specs[i]->n_tasks;
        spec_free(specs[i]);
    }
    mem_free(specs);
}

static void print_outcome(struct cli *cli, const struct validation *v, size_t n_files)
{
    struct buf text = {0};
    if (cli->format == CLI_TABLE) {
        validate_print(&v->problems, cli->color, &text);
        fputs(buf_text(&text), stdout);
        if (v->problems.n_errors)
            printf("%zu error%s in %zu file%s\n", v->problems.n_errors,
                   v->problems.n_errors == 1 ? "" : "s", n_files, n_files == 1 ? "" : "s");
        else
            printf("ok: %zu DAG%s, %zu task%s in %zu file%s\n", v->n_dags,
                   v->n_dags == 1 ? "" : "s", v->n_tasks, v->n_tasks == 1 ? "" : "s", n_files,
                   n_files == 1 ? "" : "s");
    } else {
        json_t *json = problems_json(&v->problems);
        out_value(cli, json, "file");
        json_decref(json);
    }
    buf_fini(&text);
}

static int run_validate(struct cli *cli)
{
    struct validation v = {0};
    struct validate_files files = {0};
    json_t *catalog = validate_catalog();
    problems_init(&v.problems);
    for (size_t i = 0; i < cli->n_args; i++) {
        if (path_is_folder(cli->args[i]))
            validate_find(&cli->arena, cli->args[i], &files);
        else
            vec_push(&files.found, cli->args[i]);
    }
    for (size_t i = 0; i < files.found.n; i++)
        check_file(cli, &v, files.found.at[i], catalog);
    problems_sort(&v.problems);
    int status = v.problems.n_errors ? CLI_FAILED : CLI_DONE;
    print_outcome(cli, &v, files.found.n);
    problems_fini(&v.problems);
    map_fini(&v.ids);
    vec_fini(&files.found);
    json_decref(catalog);
    return status;
}

const struct cli_command cmd_dag_validate = {
    .name = "dag validate",
    .arguments = "FILE...",
    .group = "DAGs",
    .summary = "check DAG files; needs no server",
    .help =
        "All mistakes at once, each with file:line:column and the way out. A folder stands for\n"
        "the DAG files in it. Exit status 1 when there is an error.\n\n"
        "  nexus dag validate dags/hello.yaml\n  nexus dag validate dags -o json",
    .run = run_validate,
};
