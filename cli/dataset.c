/* nexus dataset list | show | events | lineage | emit */
#include <stdio.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/table.h"
#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

/* ---- Words ---- */

/* "load.clean, run 12", or "by anna". */
static const char *producer_words(struct cli *cli, const json_t *event)
{
    const json_t *producer = json_object_get(event, "producer");
    const char *dag = js_get_text(producer, "dag", NULL);
    if (!dag)
        return arena_printf(&cli->arena, "by %s", js_get_text(producer, "who", "?"));
    return arena_printf(&cli->arena, "%s.%s, run %s", dag, js_get_text(producer, "task", "?"),
                        js_get_text(producer, "run", "?"));
}

/* "load.clean, other.copy" or "use, other". */
static const char *names_words(struct cli *cli, const json_t *list)
{
    struct buf text = {0};
    const json_t *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        buf_str(&text, i ? ", " : "");
        if (json_is_string(item))
            buf_str(&text, json_string_value(item));
        else
            buf_printf(&text, "%s.%s", js_get_text(item, "dag", "?"),
                       js_get_text(item, "task", "?"));
    }
    const char *copy = text.len ? arena_strdup(&cli->arena, buf_text(&text)) : NULL;
    buf_fini(&text);
    return copy;
}

static void print_pair(const char *name, const char *value)
{
    if (value && *value)
        printf("%-12s %s\n", name, value);
}

static void add_event_cells(struct cli *cli, struct out_table *table, const json_t *event)
{
    char text[40];
    out_cell(table, out_scalar(&cli->arena, json_object_get(event, "version")));
    out_cell(table, event ? out_ago(text, sizeof text, js_get_text(event, "created_at", NULL),
                                    clock_wall_ms())
                          : NULL);
    out_cell(table, out_scalar(&cli->arena, json_object_get(event, "rows")));
}

/* ---- list ---- */

static int run_list(struct cli *cli)
{
    static const char *const titles[] = {"name",        ">version", "written",    ">rows",
                                         "produced by", "starts",   "consumed by"};
    struct out_table table;
    json_t *datasets = NULL, *dataset;
    size_t i;
    int status = api_list(cli, &datasets, "/datasets", 0);
    if (status)
        return status;
    if (!out_value(cli, datasets, "name")) {
        out_table_init(&table, 7, titles);
        json_array_foreach(datasets, i, dataset)
        {
            const json_t *last = json_object_get(dataset, "last_event");
            out_cell(&table, js_get_text(dataset, "name", "?"));
            add_event_cells(cli, &table, json_is_object(last) ? last : NULL);
            out_cell(&table, names_words(cli, json_object_get(dataset, "produced_by")));
            out_cell(&table, names_words(cli, json_object_get(dataset, "starts")));
            out_cell(&table, names_words(cli, json_object_get(dataset, "consumed_by")));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            puts("No dataset. A task with `produces: NAME` makes one.");
        out_table_fini(&table);
    }
    json_decref(datasets);
    return CLI_DONE;
}

/* ---- show ---- */

/* "raw version 4 (started it), airports version 2 (read by clean)" */
static const char *inputs_words(struct cli *cli, const json_t *event)
{
    struct buf text = {0};
    const json_t *input;
    size_t i;
    json_array_foreach(json_object_get(event, "inputs"), i, input)
    {
        const char *task = js_get_text(input, "task", NULL);
        buf_printf(&text, "%s%s version %lld (", i ? ", " : "", js_get_text(input, "dataset", "?"),
                   (long long)js_get_int(input, "version", 0));
        if (task)
            buf_printf(&text, "read by %s)", task);
        else
            buf_str(&text, "started its run)");
    }
    const char *copy = arena_strdup(&cli->arena, buf_text(&text));
    buf_fini(&text);
    return copy;
}

static int print_last(struct cli *cli, const char *name, const json_t *last)
{
    char ago[40];
    json_t *event = NULL;
    if (!json_is_object(last)) {
        print_pair("version", "none: it has not been written yet");
        return CLI_DONE;
    }
    long long version = (long long)js_get_int(last, "version", 0);
    int status =
        api_get(cli, &event, api_path(&cli->arena, "/datasets/%s/events/%lld", name, version));
    if (status)
        return status;
    printf("%-12s %lld, %s\n", "version", version,
           out_ago(ago, sizeof ago, js_get_text(last, "created_at", NULL), clock_wall_ms()));
    print_pair("rows", out_scalar(&cli->arena, json_object_get(last, "rows")));
    print_pair("hash", js_get_text(last, "hash", NULL));
    print_pair("written", producer_words(cli, last));
    print_pair("note", js_get_text(last, "note", NULL));
    print_pair("made of", inputs_words(cli, event));
    json_decref(event);
    return CLI_DONE;
}

static void print_cycle(const json_t *cycle)
{
    const json_t *name;
    size_t i;
    if (!json_array_size(cycle))
        return;
    printf("%-12s it starts itself: ", "warning");
    json_array_foreach(cycle, i, name) printf("%s%s", i ? " -> " : "", json_string_value(name));
    putchar('\n');
}

static int run_show(struct cli *cli)
{
    json_t *dataset = NULL;
    const char *name = cli_arg(cli, 0);
    int status = api_get(cli, &dataset, api_path(&cli->arena, "/datasets/%s", name));
    if (!status && !out_value(cli, dataset, "name")) {
        print_pair("name", js_get_text(dataset, "name", "?"));
        status = print_last(cli, name, json_object_get(dataset, "last_event"));
        print_pair("produced by", names_words(cli, json_object_get(dataset, "produced_by")));
        print_pair("starts", names_words(cli, json_object_get(dataset, "starts")));
        print_pair("consumed by", names_words(cli, json_object_get(dataset, "consumed_by")));
        print_cycle(json_object_get(dataset, "cycle"));
    }
    json_decref(dataset);
    return status;
}

/* ---- events ---- */

static int run_events(struct cli *cli)
{
    static const char *const titles[] = {">version", "written", ">rows",
                                         "producer", "hash",    "note"};
    struct out_table table;
    json_t *events = NULL, *event;
    size_t i;
    const char *name = cli_arg(cli, 0);
    int64_t limit = cli_number(cli, "limit", 20);
    int status = api_list(cli, &events, api_path(&cli->arena, "/datasets/%s/events", name),
                          limit > 0 ? (size_t)limit : 0);
    if (status)
        return status;
    if (!out_value(cli, events, "version")) {
        out_table_init(&table, 6, titles);
        json_array_foreach(events, i, event)
        {
            add_event_cells(cli, &table, event);
            out_cell(&table, producer_words(cli, event));
            out_cell(&table, js_get_text(event, "hash", NULL));
            out_cell(&table, js_get_text(event, "note", NULL));
        }
        if (table.n_rows)
            out_table_print(&table, cli);
        else
            printf("%s has not been written yet.\n", name);
        out_table_fini(&table);
    }
    json_decref(events);
    return CLI_DONE;
}

/* ---- lineage ---- */

static void print_edges(struct cli *cli, const json_t *edges)
{
    static const char *const titles[] = {"direction", ">depth", "from", "dag",
                                         "reader",    "writer", "to"};
    struct out_table table;
    const json_t *edge;
    size_t i;
    out_table_init(&table, 7, titles);
    json_array_foreach(edges, i, edge)
    {
        const char *from = js_get_text(edge, "from", NULL);
        out_cell(&table, js_get_text(edge, "direction", "?"));
        out_cell(&table, out_scalar(&cli->arena, json_object_get(edge, "depth")));
        out_cell(&table, from);
        out_cell(&table, js_get_text(edge, "dag", "?"));
        out_cell(&table, js_get_text(edge, "reader", from ? "(schedule)" : NULL));
        out_cell(&table, js_get_text(edge, "writer", NULL));
        out_cell(&table, js_get_text(edge, "to", NULL));
    }
    out_table_print(&table, cli);
    out_table_fini(&table);
}

static int run_lineage(struct cli *cli)
{
    json_t *reply = NULL;
    const char *name = cli_arg(cli, 0);
    bool up = cli_given(cli, "upstream"), down = cli_given(cli, "downstream");
    long long depth = (long long)cli_number(cli, "depth", 100);
    int status = api_get(cli, &reply,
                         api_path(&cli->arena, "/datasets/%s/lineage?direction=%s&depth=%lld", name,
                                  up == down ? "both"
                                  : up       ? "upstream"
                                             : "downstream",
                                  depth));
    if (status)
        return status;
    const json_t *edges = json_object_get(reply, "items");
    if (out_value(cli, edges, "from"))
        ;
    else if (json_array_size(edges))
        print_edges(cli, edges);
    else
        printf("No DAG writes or reads %s in that direction.\n", name);
    if (js_get_bool(reply, "cut", false))
        fputs("There is more than is shown: --depth 1 shows what is next to it.\n", stderr);
    json_decref(reply);
    return CLI_DONE;
}

/* ---- emit ---- */

static int run_emit(struct cli *cli)
{
    json_t *event = NULL, *body = json_object();
    const char *name = cli_arg(cli, 0), *hash = cli_get(cli, "hash"), *note = cli_get(cli, "note");
    if (cli_given(cli, "rows"))
        json_object_set_new(body, "rows", json_integer(cli_number(cli, "rows", 0)));
    if (hash)
        json_object_set_new(body, "hash", js_string(hash));
    if (note)
        json_object_set_new(body, "note", js_string(note));
    int status =
        api_send(cli, "POST", api_path(&cli->arena, "/datasets/%s/events", name), body, &event);
    if (!status && !out_value(cli, event, "version"))
        printf("%s has version %lld\n", name, (long long)js_get_int(event, "version", 0));
    json_decref(event);
    return status;
}

/* clang-format off */
static const struct cli_option events_options[] = {
    {'n', "limit", "N", "at most N, newest first; 0: all (default 20)", true, false},
    {0},
};
static const struct cli_option lineage_options[] = {
    {'u', "upstream", NULL, "what it is made of", false, false},
    {'d', "downstream", NULL, "what is made of it", false, false},
    {0, "depth", "N", "at most N datasets away (default 100)", true, false},
    {0},
};
static const struct cli_option emit_options[] = {
    {'r', "rows", "N", "how many rows it has now", true, false},
    {0, "hash", "TEXT", "of its content", false, false},
    {0, "note", "TEXT", "shown with the event", false, false},
    {0},
};
/* clang-format on */

const struct cli_command cmd_dataset_list = {
    .name = "dataset list",
    .arguments = "",
    .group = "Datasets",
    .summary = "the datasets that DAGs name, and their newest versions",
    .help = "  nexus dataset list\n  nexus dataset list -o id",
    .run = run_list,
};

const struct cli_command cmd_dataset_show = {
    .name = "dataset show",
    .arguments = "DATASET",
    .group = "Datasets",
    .summary = "a dataset: its newest version, what that was made of, who writes and reads it",
    .help = "  nexus dataset show flights\n  nexus dataset show flights -o json",
    .run = run_show,
};

const struct cli_command cmd_dataset_events = {
    .name = "dataset events",
    .arguments = "DATASET",
    .group = "Datasets",
    .summary = "the versions of a dataset, newest first",
    .help = "  nexus dataset events flights\n  nexus dataset events flights -n 5 -o json",
    .options = events_options,
    .run = run_events,
};

const struct cli_command cmd_dataset_lineage = {
    .name = "dataset lineage",
    .arguments = "DATASET",
    .group = "Datasets",
    .summary = "which datasets it is made of, and which are made of it",
    .help = "As the current DAG files say: what a task writes is made of what it and the tasks\n"
            "before it read, and of what starts its DAG. Both directions unless one is given.\n\n"
            "  nexus dataset lineage delays --upstream\n"
            "  nexus dataset lineage flights --downstream --depth 1",
    .options = lineage_options,
    .run = run_lineage,
};

const struct cli_command cmd_dataset_emit = {
    .name = "dataset emit",
    .arguments = "DATASET",
    .group = "Datasets",
    .summary = "say that a dataset was written outside: starts what waits for it",
    .help = "  nexus dataset emit flights\n"
            "  nexus dataset emit flights --rows 481021 --note 'loaded by hand'",
    .options = emit_options,
    .run = run_emit,
};
