/* What a notification says: the event as JSON, and the texts that are made of it. */
#ifndef SCHEDULER_NOTIFY_TEXT_H
#define SCHEDULER_NOTIFY_TEXT_H

#include <jansson.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "scheduler/core/core.h"
#include "scheduler/dag/hooks.h"
#include "scheduler/store/notification.h"

/* What happened, while it is fresh. */
struct tale {
    const char *event; /* task.failure, ... */
    const struct core_run_row *run;
    int64_t dag_version; /* its number among those of the DAG */
    const char *task;    /* NULL: it is about the run */
    int32_t map_index;
    const char *state;
    uint32_t attempt, max_attempts;
    enum nx_reason reason;
    const char *reason_text, *error; /* or NULL */
    json_t *failed_tasks;            /* of run.failure: a list of ids; borrowed */
    const char *url;                 /* of the server */
    int64_t at_ms;
};

/* The body as it is stored; a new reference. Its keys: id event created_at text dag{id version}
 * run{id state cause interval{start finish} url} task{id map_index state attempt max_attempts}
 * reason{code text} error failed_tasks more; null where something is not. */
json_t *tale_json(const struct tale *tale, const char *delivery);
/* The same of a summary: of so many events of that target and DAG. */
json_t *tale_summary(const struct notification *summary);

/* Values for the places of a template, from a body; texts live in the arena. */
void tale_fields(const json_t *body, struct arena *arena, const char *fields[HOOK_FIELDS]);
/* One line; several lines for people. In the arena. */
const char *tale_subject(const json_t *body, struct arena *arena);
const char *tale_details(const json_t *body, struct arena *arena);

#endif
