#include "tasks/once.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/text/json.h"
#include "tasks/attempt.h"

/* ---- What it says ---- */

static void collect_done(json_t *result, const struct child_done *done)
{
    static const char *const outcomes[CHILD_OUTCOMES] = {"success", "failed", "skipped",
                                                         "cancelled"};
    json_t *outputs = done->outputs.n ? js_read(done->outputs.at, done->outputs.n, "outputs", NULL)
                                      : json_object();
    json_object_set_new(result, "outcome", json_string(outcomes[done->outcome]));
    json_object_set_new(result, "code", done->code.n ? js_string(done->code.at) : json_null());
    json_object_set_new(result, "error", done->error.n ? js_string(done->error.at) : json_null());
    json_object_set_new(result, "permanent", json_boolean(done->permanent));
    json_object_set_new(result, "exit_code",
                        done->exit_code < 0 ? json_null() : json_integer(done->exit_code));
    json_object_set_new(result, "signal", done->signal ? json_integer(done->signal) : json_null());
    json_object_set_new(result, "outputs", outputs);
    json_object_set_new(result, "max_rss_bytes", json_integer(done->max_rss_bytes));
    json_object_set_new(result, "cpu_us", json_integer(done->cpu_us));
}

static void collect_metric(json_t *result, const struct child_metric *metric)
{
    json_t *list = json_object_get(result, "metrics"), *one = json_object();
    json_t *value = json_real(metric->value); /* NULL when it is not finite */
    json_object_set_new(one, "name", js_string(metric->name.at));
    json_object_set_new(one, "value", value ? value : json_null());
    json_object_set_new(one, "step", metric->step < 0 ? json_null() : json_integer(metric->step));
    json_array_append_new(list, one);
}

void once_collect(void *arg, const struct child_message *message)
{
    json_t *result = *(json_t **)arg;
    switch (message->type) {
    case CHILD_PROGRESS:
        if (message->u.progress.fraction >= 0)
            fprintf(stderr, "progress: %3.0f%% %s\n", 100 * message->u.progress.fraction,
                    message->u.progress.text.at);
        else
            fprintf(stderr, "progress: %s\n", message->u.progress.text.at);
        break;
    case CHILD_METRIC:
        collect_metric(result, &message->u.metric);
        break;
    case CHILD_MASKS:
        json_object_set_new(result, "masks", json_integer(message->u.masks.n));
        break;
    case CHILD_RESOLVED:
        json_object_set_new(
            result, "resolved",
            js_read(message->u.resolved.json.at, message->u.resolved.json.n, "resolved", NULL));
        break;
    case CHILD_DONE:
        collect_done(result, &message->u.done);
        break;
    default:
        break;
    }
}

/* ---- Running ---- */

/* Texts of an attempt that stands by itself. */
struct once {
    struct arena arena;
    struct child_start start;
    char temporary[64]; /* "": none */
};

static struct child_text as_json(struct once *once, const json_t *value)
{
    if (!value)
        return child_text(NULL);
    char *text = js_text(value);
    struct child_text kept = child_text(arena_strdup(&once->arena, text));
    mem_free(text);
    return kept;
}

static struct child_text member(struct once *once, const json_t *object, const char *key,
                                const char *fallback)
{
    return child_text(arena_strdup(&once->arena, js_get_text(object, key, fallback)));
}

static bool fill_folders(struct once *once, const json_t *folders, struct nx_err *err)
{
    struct child_start *start = &once->start;
    char here[PATH_MAX_BYTES];
    const char *root = getenv("TMPDIR");
    if (!getcwd(here, sizeof here))
        return nx_fail(err, NX_E_IO, "cannot name the current folder: %s", strerror(errno));
    if (!js_get_text(folders, "work", NULL) || !js_get_text(folders, "artifacts", NULL)) {
        snprintf(once->temporary, sizeof once->temporary, "%.40s/nexus-task-XXXXXX",
                 root && strlen(root) < 40 ? root : "/tmp");
        if (!mkdtemp(once->temporary)) {
            once->temporary[0] = 0;
            return nx_fail(err, NX_E_IO, "cannot make a temporary folder: %s", strerror(errno));
        }
    }
    const char *in = once->temporary;
    start->work = member(once, folders, "work", arena_printf(&once->arena, "%s/attempt", in));
    start->artifacts =
        member(once, folders, "artifacts", arena_printf(&once->arena, "%s/artifacts", in));
    start->project = member(once, folders, "project", here);
    start->files = member(once, folders, "files", "");
    return true;
}

static bool fill(struct once *once, const json_t *spec, struct nx_err *err)
{
    struct child_start *start = &once->start;
    const json_t *limits = json_object_get(spec, "limits");
    char mark[48];
    snprintf(mark, sizeof mark, "test-%ld", (long)getpid());
    start->definition = as_json(once, json_object_get(spec, "definition"));
    if (start->definition.n == 0)
        return nx_fail(err, NX_E_INVALID, "the spec has no definition");
    start->context = as_json(once, json_object_get(spec, "context"));
    start->key = member(once, spec, "key", "0.task.-1.1");
    start->mark = member(once, spec, "mark", mark);
    start->url = member(once, spec, "url", "");
    start->cpus = (uint32_t)js_get_int(limits, "cpus", 1);
    start->memory_bytes = js_get_int(limits, "memory", 0);
    start->outputs_max = (uint32_t)js_get_int(limits, "outputs", NX_OUTPUTS_MAX);
    return fill_folders(once, json_object_get(spec, "folders"), err);
}

bool once_run(struct runtime *runtime, const char *text, size_t n, struct nx_err *err)
{
    struct once once = {0};
    json_t *spec = js_read(text, n, "spec", err);
    if (!spec)
        return false;
    arena_init(&once.arena);
    bool ok = fill(&once, spec, err);
    if (ok) {
        struct nx_err why = {.code = NX_OK};
        struct definition *definition =
            definition_new(once.start.definition.at, once.start.definition.n, &why);
        attempt_run(runtime, definition, &why, 1, &once.start, NULL);
        definition_free(definition);
        scratch_fini(&runtime->scratch);
    }
    if (once.temporary[0])
        path_remove_tree(once.temporary, NULL);
    arena_fini(&once.arena);
    json_decref(spec);
    return ok;
}
