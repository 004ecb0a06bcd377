#include "scheduler/notify_text.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/text/json.h"

#define ERROR_LINE_MAX 200 /* bytes of an error in one line */

static json_t *number_text(uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    return json_string(text);
}

static json_t *time_or_null(int64_t ms)
{
    return ms ? js_time(ms) : json_null();
}

static json_t *run_json(const struct tale *tale)
{
    const struct core_run_row *row = tale->run;
    char url[400];
    snprintf(url, sizeof url, "%s/api/v1/runs/%llu", tale->url, (unsigned long long)row->id.v);
    json_t *run = json_object(), *interval = json_object();
    json_object_set_new(interval, "start", time_or_null(row->interval_start_ms));
    json_object_set_new(interval, "finish", time_or_null(row->interval_finish_ms));
    json_object_set_new(run, "id", number_text(row->id.v));
    json_object_set_new(run, "state", json_string(nx_run_state_name(row->state)));
    json_object_set_new(run, "cause", json_string(nx_cause_name(row->cause)));
    json_object_set_new(run, "interval", interval);
    json_object_set_new(run, "url", js_string(url));
    return run;
}

static json_t *task_json(const struct tale *tale)
{
    json_t *task = json_object();
    if (!tale->task) {
        json_decref(task);
        return json_null();
    }
    json_object_set_new(task, "id", js_string(tale->task));
    json_object_set_new(task, "map_index",
                        tale->map_index < 0 ? json_null() : json_integer(tale->map_index));
    json_object_set_new(task, "state", json_string(tale->state));
    json_object_set_new(task, "attempt", json_integer(tale->attempt));
    json_object_set_new(task, "max_attempts", json_integer(tale->max_attempts));
    return task;
}

static json_t *reason_json(const struct tale *tale)
{
    json_t *reason = json_object();
    if (tale->reason == NX_WHY_NONE) {
        json_decref(reason);
        return json_null();
    }
    json_object_set_new(reason, "code", json_string(nx_reason_name(tale->reason)));
    json_object_set_new(reason, "text", js_string(tale->reason_text));
    return reason;
}

json_t *tale_json(const struct tale *tale, const char *delivery)
{
    struct arena arena;
    json_t *body = json_object(), *dag = json_object();
    json_object_set_new(dag, "id", js_string(tale->run->dag));
    json_object_set_new(dag, "version", json_integer(tale->dag_version));
    json_object_set_new(body, "id", json_string(delivery));
    json_object_set_new(body, "event", json_string(tale->event));
    json_object_set_new(body, "created_at", js_time(tale->at_ms));
    json_object_set_new(body, "text", json_null());
    json_object_set_new(body, "dag", dag);
    json_object_set_new(body, "run", run_json(tale));
    json_object_set_new(body, "task", task_json(tale));
    json_object_set_new(body, "reason", reason_json(tale));
    json_object_set_new(body, "error", js_string(tale->error));
    if (tale->failed_tasks)
        json_object_set(body, "failed_tasks", tale->failed_tasks);
    else
        json_object_set_new(body, "failed_tasks", json_null());
    json_object_set_new(body, "more", json_null());
    arena_init(&arena);
    json_object_set_new(body, "text", js_string(tale_subject(body, &arena)));
    arena_fini(&arena);
    return body;
}

json_t *tale_summary(const struct notification *summary)
{
    static const char *const absent[] = {"run", "task", "reason", "error", "failed_tasks"};
    struct arena arena;
    json_t *body = json_object(), *dag = json_object();
    json_object_set_new(dag, "id", js_string(summary->dag));
    json_object_set_new(dag, "version", json_null());
    json_object_set_new(body, "id", json_string(summary->delivery));
    json_object_set_new(body, "event", json_string("summary"));
    json_object_set_new(body, "created_at", js_time(summary->created_ms));
    json_object_set_new(body, "text", json_null());
    json_object_set_new(body, "dag", dag);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        json_object_set_new(body, absent[i], json_null());
    json_object_set_new(body, "more", json_integer(summary->more));
    arena_init(&arena);
    json_object_set_new(body, "text", js_string(tale_subject(body, &arena)));
    arena_fini(&arena);
    return body;
}

/* ---- Texts ---- */

static const char *integer_text(const json_t *object, const char *key, struct arena *arena)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value)
               ? arena_printf(arena, "%lld", (long long)json_integer_value(value))
               : NULL;
}

/* name or name[3] */
static const char *task_text(const json_t *task, struct arena *arena)
{
    const char *id = js_get_text(task, "id", NULL);
    const char *index = integer_text(task, "map_index", arena);
    return id && index ? arena_printf(arena, "%s[%s]", id, index) : id;
}

void tale_fields(const json_t *body, struct arena *arena, const char *fields[HOOK_FIELDS])
{
    const json_t *run = json_object_get(body, "run"), *task = json_object_get(body, "task");
    const json_t *interval = json_object_get(run, "interval");
    const json_t *reason = json_object_get(body, "reason");
    fields[FIELD_EVENT] = js_get_text(body, "event", NULL);
    fields[FIELD_DAG] = js_get_text(json_object_get(body, "dag"), "id", NULL);
    fields[FIELD_RUN] = js_get_text(run, "id", NULL);
    fields[FIELD_TASK] = task_text(task, arena);
    fields[FIELD_STATE] = js_get_text(json_is_object(task) ? task : run, "state", NULL);
    fields[FIELD_REASON] = js_get_text(reason, "text", NULL);
    fields[FIELD_ERROR] = js_get_text(body, "error", NULL);
    fields[FIELD_ATTEMPT] = integer_text(task, "attempt", arena);
    fields[FIELD_MAX_ATTEMPTS] = integer_text(task, "max_attempts", arena);
    fields[FIELD_INTERVAL_START] = js_get_text(interval, "start", NULL);
    fields[FIELD_INTERVAL_FINISH] = js_get_text(interval, "finish", NULL);
    fields[FIELD_TIME] = js_get_text(body, "created_at", NULL);
    fields[FIELD_URL] = js_get_text(run, "url", NULL);
}

/* ": error", its first line, shortened; or what a reason says; or "". */
static const char *why(const char *const fields[HOOK_FIELDS], struct arena *arena)
{
    const char *text = fields[FIELD_ERROR] ? fields[FIELD_ERROR] : fields[FIELD_REASON];
    size_t n = text ? strcspn(text, "\r\n") : 0;
    if (n == 0)
        return "";
    if (n <= ERROR_LINE_MAX)
        return arena_printf(arena, ": %.*s", (int)n, text);
    for (n = ERROR_LINE_MAX; n && ((unsigned char)text[n] & 0xC0) == 0x80;)
        n--;
    return arena_printf(arena, ": %.*s...", (int)n, text);
}

static const char *failed_text(const json_t *body, struct arena *arena)
{
    const json_t *list = json_object_get(body, "failed_tasks");
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < json_array_size(list); i++)
        buf_printf(&text, "%s%s", i ? ", " : ": ", json_string_value(json_array_get(list, i)));
    const char *kept = arena_strdup(arena, buf_text(&text));
    buf_fini(&text);
    return kept;
}

const char *tale_subject(const json_t *body, struct arena *arena)
{
    const char *f[HOOK_FIELDS];
    tale_fields(body, arena, f);
    const char *event = f[FIELD_EVENT] ? f[FIELD_EVENT] : "";
    if (str_eq(event, "summary"))
        return arena_printf(arena,
                            "%s: %lld more notifications, of this DAG and others, were not sent "
                            "one by one",
                            f[FIELD_DAG], (long long)js_get_int(body, "more", 0));
    if (str_eq(event, "run.success"))
        return arena_printf(arena, "%s: run %s succeeded", f[FIELD_DAG], f[FIELD_RUN]);
    if (str_eq(event, "run.failure"))
        return arena_printf(arena, "%s: run %s failed%s", f[FIELD_DAG], f[FIELD_RUN],
                            f[FIELD_REASON] ? why(f, arena) : failed_text(body, arena));
    if (str_eq(event, "run.late"))
        return arena_printf(arena, "%s: run %s is late", f[FIELD_DAG], f[FIELD_RUN]);
    if (str_eq(event, "task.late"))
        return arena_printf(arena, "%s: run %s is late, and task %s has not ended", f[FIELD_DAG],
                            f[FIELD_RUN], f[FIELD_TASK]);
    if (str_eq(event, "task.success"))
        return arena_printf(arena, "%s: task %s succeeded in run %s", f[FIELD_DAG], f[FIELD_TASK],
                            f[FIELD_RUN]);
    if (str_eq(event, "task.retry"))
        return arena_printf(arena, "%s: task %s of run %s is tried again (attempt %s of %s)%s",
                            f[FIELD_DAG], f[FIELD_TASK], f[FIELD_RUN], f[FIELD_ATTEMPT],
                            f[FIELD_MAX_ATTEMPTS], why(f, arena));
    return arena_printf(arena, "%s: task %s failed in run %s%s", f[FIELD_DAG], f[FIELD_TASK],
                        f[FIELD_RUN], why(f, arena));
}

static void add_line(struct buf *to, const char *name, const char *value)
{
    if (value && *value)
        buf_printf(to, "%-10s %s\n", name, value);
}

const char *tale_details(const json_t *body, struct arena *arena)
{
    const char *f[HOOK_FIELDS];
    struct buf text;
    tale_fields(body, arena, f);
    buf_init(&text);
    buf_printf(&text, "%s\n\n", tale_subject(body, arena));
    add_line(&text, "DAG", f[FIELD_DAG]);
    add_line(&text, "run", f[FIELD_RUN]);
    add_line(&text, "interval", f[FIELD_INTERVAL_START]);
    add_line(&text, "to", f[FIELD_INTERVAL_START] ? f[FIELD_INTERVAL_FINISH] : NULL);
    add_line(&text, "task", f[FIELD_TASK]);
    add_line(&text, "state", f[FIELD_STATE]);
    if (f[FIELD_TASK] && f[FIELD_ATTEMPT])
        add_line(&text, "attempt",
                 arena_printf(arena, "%s of %s", f[FIELD_ATTEMPT], f[FIELD_MAX_ATTEMPTS]));
    add_line(&text, "reason", f[FIELD_REASON]);
    add_line(&text, "time", f[FIELD_TIME]);
    if (json_object_get(body, "more") && json_is_integer(json_object_get(body, "more")))
        buf_str(&text,
                "They came faster than they could be sent. `nexus runs list` has the runs.\n");
    if (f[FIELD_ERROR])
        buf_printf(&text, "\n%s\n", f[FIELD_ERROR]);
    if (f[FIELD_URL])
        buf_printf(&text, "\n%s\n", f[FIELD_URL]);
    const char *kept = arena_strdup(arena, buf_text(&text));
    buf_fini(&text);
    return kept;
}
