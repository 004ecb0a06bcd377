#include "scheduler/port/registry.h"

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"

void registry_init(struct registry *registry, struct store *store)
{
    registry->store = store;
    map_init(&registry->versions);
    map_init(&registry->current);
}

void registry_fini(struct registry *registry)
{
    for (size_t i = 0; i < registry->versions.n; i++) {
        struct registry_version *version = registry->versions.at[i].value;
        if (version->spec)
            spec_free(version->spec);
        graph_release(version->graph);
        timetable_release(version->timetable);
        mem_free(version->dag);
        mem_free(version->file);
        mem_free(version);
    }
    map_fini(&registry->versions);
    map_fini(&registry->current);
}

struct registry_version *registry_add(struct registry *registry, uint64_t id, const char *dag,
                                      const char *file, struct spec *spec, struct graph *graph)
{
    struct registry_version *version = mem_alloc(sizeof *version);
    version->id = id;
    version->dag = mem_strdup(dag);
    version->file = mem_strdup(file);
    version->spec = spec;
    version->graph = graph;
    map_set_num(&registry->versions, id, version);
    return version;
}

void registry_make_current(struct registry *registry, struct registry_version *version)
{
    map_set(&registry->current, version->dag, version);
}

void registry_remove_current(struct registry *registry, const char *dag)
{
    map_remove(&registry->current, dag);
}

/* The document of that id among those of the stored file. */
static bool take_spec(struct registry_version *version, struct spec **specs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!version->spec && str_eq(specs[i]->id, version->dag))
            version->spec = specs[i];
        else
            spec_free(specs[i]);
    }
    mem_free(specs);
    return version->spec != NULL;
}

static bool parse(struct registry *registry, struct registry_version *version, struct nx_err *err)
{
    struct problems problems;
    struct spec **specs = NULL;
    struct buf source;
    size_t n = 0;
    if (version->graph)
        return true;
    buf_init(&source);
    problems_init(&problems);
    bool ok = store_source(registry->store, version->id, &source, err);
    if (ok) {
        /* It was checked when it came: operators may have changed since, and its `files:` are in
         * the store, so neither is looked at again. */
        spec_read(version->file, source.data, source.len, NULL, NULL, &specs, &n, &problems);
        if (!take_spec(version, specs, n))
            ok = nx_fail(err, NX_E_INTERNAL,
                         "version %llu of DAG '%s' cannot be read by this release: %s",
                         (unsigned long long)version->id, version->dag,
                         problems.n ? problems.at[0].message : "its document is missing");
    }
    ok = ok && spec_graph(version->spec, &version->graph, err);
    problems_fini(&problems);
    buf_fini(&source);
    return ok;
}

/* One that only ended runs use. */
static struct registry_version *add_former(struct registry *registry, uint64_t id,
                                           struct nx_err *err)
{
    struct registry_version *version = NULL;
    struct buf dag, file;
    buf_init(&dag);
    buf_init(&file);
    if (store_version_names(registry->store, id, &dag, &file, err))
        version = registry_add(registry, id, buf_text(&dag), buf_text(&file), NULL, NULL);
    buf_fini(&dag);
    buf_fini(&file);
    return version;
}

int64_t registry_number(struct registry *registry, struct registry_version *version)
{
    struct nx_err err;
    if (!version->number &&
        !store_version_number(registry->store, version->id, &version->number, &err))
        version->number = 0;
    return version->number;
}

struct registry_version *registry_get(struct registry *registry, uint64_t id, struct nx_err *err)
{
    struct registry_version *version = map_get_num(&registry->versions, id);
    if (!version)
        version = add_former(registry, id, err);
    return version && parse(registry, version, err) ? version : NULL;
}

static void no_such_dag(const struct registry *registry, const char *dag, struct nx_err *err)
{
    VEC(const char *) ids = {0};
    for (size_t i = 0; i < registry->current.n; i++)
        vec_push(&ids, registry->current.at[i].key);
    const char *near = str_nearest(dag, ids.at, ids.n);
    nx_fail(err, NX_E_NOT_FOUND, "there is no DAG '%s'%s%s%s", dag, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : "");
    vec_fini(&ids);
}

struct registry_version *registry_current(struct registry *registry, const char *dag,
                                          struct nx_err *err)
{
    struct registry_version *version = map_get(&registry->current, dag);
    if (!version) {
        no_such_dag(registry, dag, err);
        return NULL;
    }
    return parse(registry, version, err) ? version : NULL;
}
