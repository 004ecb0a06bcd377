/* nexus init, nexus template list: a project to start with. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/out.h"
#include "cli/table.h"
#include "cli/templates.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"template", "summary"};
    struct out_table table;
    json_t *all = json_array();
    for (size_t i = 0; i < n_templates; i++)
        json_array_append_new(all, json_pack("{s:s, s:s}", "name", templates[i].name, "summary",
                                             templates[i].summary));
    if (!out_value(cli, all, "name")) {
        out_table_init(&table, 2, titles);
        for (size_t i = 0; i < n_templates; i++) {
            out_cell(&table, templates[i].name);
            out_cell(&table, templates[i].summary);
        }
        out_table_print(&table, cli);
        out_table_fini(&table);
    }
    json_decref(all);
    return CLI_DONE;
}

static const struct template *find(const char *name)
{
    for (size_t i = 0; i < n_templates; i++) {
        if (str_eq(templates[i].name, name))
            return &templates[i];
    }
    return NULL;
}

static int no_such_template(const char *name)
{
    VEC(const char *) names = {0};
    for (size_t i = 0; i < n_templates; i++)
        vec_push(&names, templates[i].name);
    int status = cli_no_such("template", name, names.at, names.n, "nexus template list");
    vec_fini(&names);
    return status;
}

static int look_for(const char *dir, const struct template_file *file, bool *exists)
{
    char path[PATH_MAX_BYTES];
    if (!path_join(path, sizeof path, dir, file->path))
        return cli_fail(CLI_USAGE, "the path of the folder is too long");
    *exists = path_exists(path);
    return CLI_DONE;
}

static int write_file(const char *dir, const struct template_file *file, json_t *written)
{
    char path[PATH_MAX_BYTES], folder[PATH_MAX_BYTES];
    struct nx_err err;
    if (!path_join(path, sizeof path, dir, file->path))
        return cli_fail(CLI_USAGE, "the path of the folder is too long");
    str_copy(folder, sizeof folder, path);
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = 0;
        if (!path_make_folders(folder, &err))
            return cli_fail(CLI_FAILED, "%s", err.text);
    }
    if (!path_write(path, file->text, strlen(file->text), &err))
        return cli_fail(CLI_FAILED, "%s", err.text);
    if (chmod(path, file->executable ? 0755 : 0644) != 0)
        return cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
    json_array_append_new(written, js_string(path));
    return CLI_DONE;
}

/* All of the files, or none: what is there is looked at first. */
static int write_all(const char *dir, const struct template *chosen, json_t *written)
{
    const struct template_file *lists[] = {chosen->files, template_common};
    bool exists = false;
    int status = CLI_DONE;
    for (const struct template_file *f = chosen->files; !status && f->path; f++) {
        status = look_for(dir, f, &exists);
        if (!status && exists)
            status = cli_fail(CLI_FAILED, "%s%s%s exists; nothing was written", dir,
                              str_ends(dir, "/") ? "" : "/", f->path);
    }
    for (size_t i = 0; i < 2; i++) {
        for (const struct template_file *f = lists[i]; !status && f->path; f++) {
            status = look_for(dir, f, &exists);
            if (!status && !exists)
                status = write_file(dir, f, written);
        }
    }
    return status;
}

static int run_init(struct cli *cli)
{
    const char *dir = cli_arg(cli, 0), *name = cli_get(cli, "template");
    const struct template *chosen = find(name ? name : "hello");
    json_t *written = json_array();
    struct nx_err err;
    size_t i;
    json_t *path;
    dir = dir ? dir : ".";
    if (!chosen || !path_make_folders(dir, &err)) {
        json_decref(written);
        return chosen ? cli_fail(CLI_FAILED, "%s", err.text) : no_such_template(name);
    }
    int status = write_all(dir, chosen, written);
    if (!status && !out_value(cli, written, "path")) {
        json_array_foreach(written, i, path) printf("wrote %s\n", json_string_value(path));
        bool here = str_eq(dir, ".");
        printf("\nNow%s%s:\n  %s\n  nexus up\n", here ? "" : ", in ", here ? "" : dir,
               chosen->next);
    }
    json_decref(written);
    return status;
}

/* clang-format off */
static const struct cli_option options[] = {
    {'t', "template", "NAME", "what to write (default hello; `nexus template list`)", false, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_init = {
    .name = "init",
    .arguments = "[DIR]",
    .group = "Start and stop",
    .summary = "write a first project: a DAG file and settings",
    .help = "Never replaces a file.\n\n"
            "  nexus init\n  nexus init --template retries examples",
    .options = options,
    .run = run_init,
};

const struct cli_command cmd_template_list = {
    .name = "template list",
    .arguments = "",
    .group = "Start and stop",
    .summary = "the templates of `nexus init`",
    .help = "  nexus template list\n  nexus template list -o json",
    .flags = CLI_MINOR,
    .run = run_list,
};
