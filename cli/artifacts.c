/* nexus artifacts RUN TASK [NAME [PATH]] */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/str.h"
#include "lib/text/json.h"
#include "nexus/limits.h"

#define COLUMNS_MAX 16            /* of a table on a terminal */
#define SCRIPT_FILES "artifacts/" /* how the names of a script's files begin */

static void size_cell(struct out_table *table, const json_t *item, const char *key)
{
    char text[32];
    const json_t *bytes = json_object_get(item, key);
    out_cell(table, json_is_integer(bytes) ? out_size(text, sizeof text, json_integer_value(bytes))
                                           : NULL);
}

/* ---- Lists ---- */

static const char *state_of(const json_t *artifact)
{
    return js_get_bool(artifact, "gone", false) ? "gone"
                                                : js_get_text(artifact, "media_type", NULL);
}

static void print_artifacts(struct cli *cli, const json_t *artifacts)
{
    static const char *const titles[] = {"name", "kind", ">size", ">files", ">rows", "type"};
    struct out_table table;
    const json_t *artifact;
    size_t i;
    out_table_init(&table, 6, titles);
    json_array_foreach(artifacts, i, artifact)
    {
        bool folder = json_is_null(json_object_get(artifact, "media_type"));
        out_cell(&table, js_get_text(artifact, "name", "?"));
        out_cell(&table, js_get_text(artifact, "kind", "?"));
        size_cell(&table, artifact, "n_bytes");
        out_cell(&table,
                 folder ? out_scalar(&cli->arena, json_object_get(artifact, "n_files")) : NULL);
        out_cell(&table, out_scalar(&cli->arena, json_object_get(artifact, "n_rows")));
        out_cell(&table, state_of(artifact));
    }
    out_table_print(&table, cli);
    out_table_fini(&table);
}

static int list_files(struct cli *cli, const char *files)
{
    static const char *const titles[] = {"path", ">size", "type"};
    struct out_table table;
    json_t *list = NULL, *file;
    size_t i;
    int status = api_list(cli, &list, files, 0);
    if (status)
        return status;
    if (!out_value(cli, list, "path")) {
        out_table_init(&table, 3, titles);
        json_array_foreach(list, i, file)
        {
            out_cell(&table, js_get_text(file, "path", "?"));
            size_cell(&table, file, "n_bytes");
            out_cell(&table, js_get_text(file, "media_type", NULL));
        }
        out_table_print(&table, cli);
        out_table_fini(&table);
    }
    json_decref(list);
    return CLI_DONE;
}

/* ---- Rows ---- */

/* A cell that the server has cut is {"cut": its beginning, "n"}. */
static const char *cell_words(struct cli *cli, const json_t *cell)
{
    const json_t *beginning = json_object_get(cell, "cut");
    if (!beginning)
        return out_scalar(&cli->arena, cell);
    return arena_printf(&cli->arena, "%s...", out_scalar(&cli->arena, beginning));
}

static void print_rows(struct cli *cli, const json_t *answer)
{
    const json_t *columns = json_object_get(answer, "columns"), *row;
    const json_t *rows = json_object_get(answer, "rows");
    const char *titles[COLUMNS_MAX];
    size_t n = json_array_size(columns), i;
    int64_t n_columns = js_get_int(answer, "n_columns", 0),
            offset = js_get_int(answer, "offset", 0);
    int64_t n_rows = js_get_int(answer, "n_rows", -1);
    struct out_table table;
    n = n < COLUMNS_MAX ? n : COLUMNS_MAX;
    for (i = 0; i < n; i++)
        titles[i] = js_get_text(json_array_get(columns, i), "name", "?");
    out_table_init(&table, n, titles);
    json_array_foreach(rows, i, row)
    {
        for (size_t k = 0; k < n; k++)
            out_cell(&table, cell_words(cli, json_array_get(row, k)));
    }
    out_table_print(&table, cli);
    out_table_fini(&table);
    printf("\nrows %lld to %lld of %s; ", (long long)offset,
           (long long)offset + (long long)json_array_size(rows) - 1,
           n_rows >= 0 ? arena_printf(&cli->arena, "%lld", (long long)n_rows)
                       : "an unknown number");
    printf("%zu of %lld columns\n", n, (long long)n_columns);
}

static int show_rows(struct cli *cli, const char *path)
{
    json_t *answer = NULL;
    int status = api_get(cli, &answer, path);
    if (status)
        return status;
    if (!out_value(cli, answer, "rows"))
        print_rows(cli, answer);
    json_decref(answer);
    return CLI_DONE;
}

/* ---- Bytes ---- */

static bool on_piece(void *arg, const char *p, size_t n)
{
    bool *broken = arg;
    *broken = fwrite(p, 1, n, stdout) != n || fflush(stdout) != 0;
    return !*broken;
}

static bool is_text(const char *type)
{
    return str_starts(type, "text/") || str_starts(type, "application/json") ||
           str_starts(type, "application/x-ndjson") || str_starts(type, "application/yaml") ||
           strstr(type, "xml");
}

static int copy_bytes(struct cli *cli, const char *path, const char *name, const char *type)
{
    const char *file = cli_get(cli, "out");
    struct nx_err err;
    bool broken = false;
    if (file && path_exists(file))
        return cli_fail(CLI_USAGE, "%s exists: name another file, or take it away", file);
    if (!file && isatty(STDOUT_FILENO) && type && !is_text(type))
        return cli_fail(CLI_USAGE, "'%s' is %s, no text: say where it goes with -o FILE", name,
                        type);
    bool ok = file ? api_download(cli, path, file, &err)
                   : api_stream(cli, path, on_piece, NULL, &broken, &err);
    return ok ? CLI_DONE : api_fail(cli, &err);
}

/* ---- One of them ---- */

/* By its name, or a script's file by that of the file. */
static const json_t *find(struct cli *cli, const json_t *artifacts, const char *name)
{
    const char *below = arena_printf(&cli->arena, SCRIPT_FILES "%s", name);
    const json_t *artifact, *found = NULL;
    size_t i;
    json_array_foreach(artifacts, i, artifact)
    {
        const char *known = js_get_text(artifact, "name", "");
        if (str_eq(known, name))
            return artifact;
        if (str_eq(known, below))
            found = artifact;
    }
    return found;
}

static int no_such(struct cli *cli, const json_t *artifacts, const char *run, const char *task,
                   const char *name)
{
    VEC(const char *) names = {0};
    const json_t *artifact;
    size_t i;
    json_array_foreach(artifacts, i, artifact)
    {
        const char *known = js_get_text(artifact, "name", "?");
        vec_push(&names, str_starts(known, SCRIPT_FILES) ? known + strlen(SCRIPT_FILES) : known);
    }
    int status = cli_no_such("artifact", name, names.at, names.n,
                             arena_printf(&cli->arena, "nexus artifacts %s %s", run, task));
    vec_fini(&names);
    return status;
}

/* The path of a request about one file; path NULL: it is the artifact itself. */
static const char *file_path(struct cli *cli, const char *route, const char *what, const char *path)
{
    const char *query = path ? api_path(&cli->arena, "&path=%s", path) : "";
    return arena_printf(&cli->arena, "%s/%s%s", route, what, query);
}

static int show_one(struct cli *cli, const json_t *artifact, const char *run, const char *task)
{
    const char *name = js_get_text(artifact, "name", "?"), *path = cli_arg(cli, 3);
    const char *route = api_path(&cli->arena, "/runs/%s/tasks/%s/artifacts/%s", run, task, name);
    const char *address = js_get_text(artifact, "address", "");
    const char *type = js_get_text(artifact, "media_type", NULL);
    const char *as_of = api_path(&cli->arena, "?artifact=%s", address);
    bool folder = !type && !js_get_bool(artifact, "gone", false);
    if (folder && !path && (cli_given(cli, "out") || cli_given(cli, "rows")))
        return cli_fail(CLI_USAGE, "'%s' is a folder: %s one of its files", name,
                        cli_given(cli, "out") ? "-o takes" : "--rows are of");
    if (folder && !path)
        return list_files(cli, arena_printf(&cli->arena, "%s/files%s", route, as_of));
    if (!cli_given(cli, "rows"))
        return copy_bytes(cli,
                          file_path(cli, route, arena_printf(&cli->arena, "file%s", as_of), path),
                          path ? path : name, path ? NULL : type);
    const char *rows =
        arena_printf(&cli->arena, "rows%s&limit=%lld&offset=%lld&first_column=%lld", as_of,
                     (long long)cli_number(cli, "rows", 0), (long long)cli_number(cli, "offset", 0),
                     (long long)cli_number(cli, "first-column", 0));
    return show_rows(cli, file_path(cli, route, rows, path));
}

static int run_artifacts(struct cli *cli)
{
    const char *run = cli_arg(cli, 0), *task = cli_arg(cli, 1), *name = cli_arg(cli, 2);
    struct nx_err err;
    json_t *artifacts = NULL;
    int status = CLI_DONE;
    int64_t rows = cli_number(cli, "rows", 1);
    if (rows < 1 || rows > NX_PAGE_MAX)
        return cli_fail(CLI_USAGE, "--rows: 1 to %d", NX_PAGE_MAX);
    if (!name && (cli_given(cli, "rows") || cli_given(cli, "out")))
        return cli_fail(CLI_USAGE, "say which artifact: nexus artifacts %s %s NAME", run, task);
    if (!cli_given(cli, "rows") && (cli_given(cli, "offset") || cli_given(cli, "first-column")))
        return cli_fail(CLI_USAGE, "--offset and --first-column go with --rows");
    if (cli_given(cli, "rows") && cli_given(cli, "out"))
        return cli_fail(CLI_USAGE, "-o takes the bytes of a file; --rows are printed");
    if (!api_url(cli, &status))
        return status;
    if (!api_try_list(cli, &artifacts,
                      api_path(&cli->arena, "/runs/%s/tasks/%s/artifacts", run, task), 0, &err))
        return live_no_such_task(cli, run, task, &err);
    const json_t *artifact = name ? find(cli, artifacts, name) : NULL;
    if (artifact)
        status = show_one(cli, artifact, run, task);
    else if (name)
        status = no_such(cli, artifacts, run, task, name);
    else if (out_value(cli, artifacts, "name"))
        status = CLI_DONE;
    else if (json_array_size(artifacts))
        print_artifacts(cli, artifacts);
    else
        printf("Task %s of run %s has no artifacts. A script keeps what it puts into the folder "
               "$NEXUS_ARTIFACTS.\n",
               task, run);
    json_decref(artifacts);
    return status;
}

/* clang-format off */
static const struct cli_option options[] = {
    {'o', "out", "FILE", "where the bytes go; it must not be there (default: stdout)", false, false},
    {0, "rows", "N", "the first N rows of a table, or of a CSV or JSON file", true, false},
    {0, "offset", "N", "with --rows: from this row on (default 0)", true, false},
    {0, "first-column", "N", "with --rows: from this column on (default 0)", true, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_artifacts = {
    .name = "artifacts",
    .arguments = "RUN TASK [NAME [PATH]]",
    .group = "Runs",
    .summary = "the files, tables and models that a task's outputs name",
    .help =
        "Without NAME a list. With one, the bytes of a file or table, or the files of a folder;\n"
        "PATH is one of these. Of what a script put into $NEXUS_ARTIFACTS the file's name is\n"
        "enough.\n"
        "\n"
        "  nexus artifacts 12 report\n  nexus artifacts 12 report plot.png -o plot.png\n"
        "  nexus artifacts 12 load table --rows 20\n  nexus artifacts 12 train model nexus.json",
    .options = options,
    .flags = CLI_OWN_O,
    .run = run_artifacts,
};
