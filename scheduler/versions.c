/* DAG versions: from the loader to store, registry and core. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/wire/paths.h"
#include "scheduler/engine_state.h"

static bool lay_out_file(void *arg, const struct store_file *file, struct nx_err *err)
{
    const char *folder = arg;
    char path[PATH_MAX_BYTES], parent[PATH_MAX_BYTES];
    if (!path_join(path, sizeof path, folder, file->path))
        return nx_fail(err, NX_E_LIMIT, "the path of %s is too long", file->path);
    str_copy(parent, sizeof parent, path);
    *strrchr(parent, '/') = 0;
    if (!path_make_folders(parent, err) || !path_write(path, file->data, file->n_bytes, err))
        return false;
    return !file->executable || chmod(path, 0755) == 0 ||
           nx_fail(err, NX_E_IO, "cannot make %s executable", path);
}

void versions_lay_out(struct engine *engine, uint64_t version)
{
    char folder[PATH_MAX_BYTES], temp[PATH_MAX_BYTES + 8];
    struct nx_err err;
    if (!files_path(folder, sizeof folder, engine->home, version) || path_exists(folder))
        return;
    snprintf(temp, sizeof temp, "%s.tmp", folder);
    if (!path_remove_tree(temp, &err) || !path_make_folders(temp, &err) ||
        !store_files(engine->store, version, temp, lay_out_file, &err) || rename(temp, folder) != 0)
        log_error("the files of DAG version %llu: %s", (unsigned long long)version, err.text);
}

void versions_tell_core(struct engine *engine, struct registry_version *version)
{
    if (version->in_core)
        return;
    struct core_event event = now_event(EV_DAG);
    event.dag.version = version->id;
    event.dag.graph = version->graph;
    engine_step(engine, &event);
    version->in_core = true;
}

static void drop_current(struct engine *engine, const char *dag)
{
    struct registry_version *former = map_get(&engine->registry.current, dag);
    if (!former)
        return;
    former->in_core = false;
    registry_remove_current(&engine->registry, dag);
    struct core_event event = now_event(EV_DAG_GONE);
    event.dag_gone = dag;
    engine_step(engine, &event);
}

static void on_version(struct engine *engine, struct loader_event *loaded)
{
    struct nx_err err;
    uint64_t id;
    struct store_file *files = arena_array(&engine->arena, loaded->n_files, sizeof *files);
    json_t *info = spec_json(loaded->spec);
    char *text = json_dumps(info, JSON_COMPACT);
    for (size_t i = 0; i < loaded->n_files; i++)
        files[i] = (struct store_file){loaded->files[i].path, loaded->files[i].data,
                                       loaded->files[i].n_bytes, loaded->files[i].executable};
    size_t n_links;
    const struct store_dataset_link *links = datasets_links(engine, loaded->spec, &n_links);
    const struct store_new_version from = {
        .dag = loaded->id,
        .file = loaded->file,
        .hash = loaded->hash,
        .source_hash = loaded->source_hash,
        .catalog = engine->catalog_hash,
        .source = buf_text(&loaded->source),
        .info = text,
        .timetable = loaded->spec->timetable,
        .retention = loaded->spec->retention,
        .files = files,
        .n_files = loaded->n_files,
        .links = links,
        .n_links = n_links,
        .created_ms = clock_wall_ms(),
    };
    if (!store_put_version(engine->store, &from, &id, &err) ||
        !store_set_problems(engine->store, loaded->file, NULL, &err))
        engine_give_up(&err);
    mem_free(text);
    json_decref(info);
    drop_current(engine, loaded->id);
    const char *timetable =
        loaded->spec->timetable ? arena_strdup(&engine->arena, loaded->spec->timetable) : NULL;
    bool paused;
    if (!store_get_paused(engine->store, loaded->id, &paused, &err))
        engine_give_up(&err);
    struct registry_version *version =
        registry_add(&engine->registry, id, loaded->id, loaded->file, loaded->spec, loaded->graph);
    loaded->spec = NULL;
    loaded->graph = NULL;
    registry_make_current(&engine->registry, version);
    timetables_tell(engine, version, timetable, paused, false);
    if (loaded->n_files)
        versions_lay_out(engine, id);
    if (core_backfill_misses(engine->core, version->dag))
        versions_tell_core(engine, version);
    log_info("%s: DAG '%s' is loaded (version %lld)", loaded->file, loaded->id,
             (long long)registry_number(&engine->registry, version));
}

static void on_errors(struct engine *engine, const struct loader_event *loaded)
{
    struct nx_err err;
    char *text = NULL;
    if (loaded->problems.n) {
        json_t *list = problems_json(&loaded->problems);
        text = json_dumps(list, JSON_COMPACT);
        json_decref(list);
        log_warn("%s: %zu problem%s; see `nexus dag validate`", loaded->file, loaded->problems.n,
                 loaded->problems.n == 1 ? "" : "s");
    }
    if (!store_set_problems(engine->store, loaded->file, text, &err))
        engine_give_up(&err);
    mem_free(text);
}

void versions_loaded(struct engine *engine, struct loader_event *loaded)
{
    struct nx_err err;
    switch (loaded->kind) {
    case LOADER_VERSION:
        on_version(engine, loaded);
        break;
    case LOADER_REMOVED:
        drop_current(engine, loaded->id);
        timetables_forget(engine, loaded->id);
        if (!store_set_present(engine->store, loaded->id, false, &err))
            engine_give_up(&err);
        log_info("DAG '%s' is gone: its file was removed", loaded->id);
        break;
    case LOADER_ERRORS:
        on_errors(engine, loaded);
        break;
    case LOADER_SCANNED:
        engine->scanned = true;
        if (engine->config.ready)
            engine->config.ready(engine->config.arg);
        break;
    }
}
