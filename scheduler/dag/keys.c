#include "scheduler/dag/keys.h"

#include <string.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "nexus/limits.h"
#include "scheduler/dag/spec.h"

#define DAG(field) offsetof(struct spec, field)
#define TASK(field) offsetof(struct spec_task, field)
#define MAP(field) offsetof(struct spec_map, field)
#define HOOK(field) offsetof(struct key_hook, field)
#define TELLS "webhook, email and command: one, or a list."
#define BOTH (KEY_TASK | KEY_DEFAULTS)
#define YEAR_S (366.0 * 86400)
#define RULES \
    "all_success|all_failed|all_done|all_done_min_one_success|all_skipped|one_failed|one_success|" \
    "one_done|none_failed|none_failed_min_one_success|none_skipped|always"
#define NOT_YET(name, scopes) \
    { \
        name, scopes, KEY_ANY, KEY_BY_HAND, 0, 0, NULL, NULL, NULL \
    }

/* clang-format off */
const struct key key_table[] = {
    {"id", KEY_DAG, KEY_NAME, KEY_BY_HAND, 0, 0, NULL, "the file's name",
     "Its name everywhere: lower case letters, digits, _ and -, at most 64."},
    {"description", KEY_DAG, KEY_TEXT, DAG(description), 0, 0, NULL, NULL, "What it is for."},
    {"tags", KEY_DAG, KEY_TEXTS, KEY_BY_HAND, 0, 0, NULL, NULL, "Words to find it by."},
    {"params", KEY_DAG, KEY_MAP, KEY_BY_HAND, 0, 0, NULL, NULL,
     "Values that a run can be given, by name: see the keys of a param."},
    {"defaults", KEY_DAG, KEY_MAP, KEY_BY_HAND, 0, 0, NULL, NULL,
     "Keys of a task, for every task that does not have them itself."},
    {"env", KEY_DAG | BOTH, KEY_MAP, KEY_BY_HAND, 0, 0, NULL, NULL,
     "Environment variables of scripts and operators; ${{ }} is allowed. A task's own are added to "
     "those of defaults and DAG."},
    {"files", KEY_DAG, KEY_TEXTS, KEY_BY_HAND, 0, 0, NULL, NULL,
     "Files and folders beside the DAG file that belong to its version; they are laid out in the "
     "working folder of every attempt."},
    {"timeout", KEY_DAG, KEY_DURATION, DAG(timeout_ms), 0, YEAR_S, NULL, "none",
     "How long a run may take; what is not final then is stopped, and the run fails."},
    {"deadline", KEY_DAG, KEY_DURATION, DAG(deadline_ms), 0.001, YEAR_S, NULL, "none",
     "A run that has not ended so long after its data interval (by hand: after its creation) is "
     "late: it is marked, and goes on."},
    {"max_active_runs", KEY_DAG, KEY_INT, DAG(max_active_runs), 1, NX_RUNS_ACTIVE_MAX, NULL, "16",
     "Runs at the same time; others wait."},
    {"schedule", KEY_DAG, KEY_ANY, KEY_BY_HAND, 0, 0, NULL, "none",
     "When runs start: a cron expression, a preset, {every: 15m}, {at: 2026-12-24T18:00}, "
     "{dataset: flights}, {dataset: {all: [a, b]}}, {dataset: {any: [a, b]}}, or a list of these."},
    {"timezone", KEY_DAG, KEY_TEXT, DAG(timezone), 0, 0, NULL, "UTC",
     "The zone of schedule, start, end and dates, such as Europe/Berlin."},
    {"start", KEY_DAG, KEY_ANY, KEY_BY_HAND, 0, 0, NULL, "none",
     "No data interval begins before this date or time."},
    {"end", KEY_DAG, KEY_ANY, KEY_BY_HAND, 0, 0, NULL, "none",
     "No data interval begins after this date (which is included) or time."},
    {"catchup", KEY_DAG, KEY_ANY, KEY_BY_HAND, 0, 0, NULL, "false",
     "What happens to intervals that were missed: false, true (all), latest, or a duration such as "
     "6h (those missed within it)."},
    {"overlap", KEY_DAG, KEY_ENUM, DAG(overlap), 0, 0, "queue|skip|cancel_running", "queue",
     "What a scheduled run does when max_active_runs is reached."},
    {"jitter", KEY_DAG, KEY_DURATION, DAG(jitter_ms), 0, 86400, NULL, "0s",
     "Delays each scheduled start by up to this, always the same for the same time."},
    {"groups", KEY_DAG, KEY_MAP, KEY_BY_HAND, 0, 0, NULL, NULL,
     "Groups of tasks that are mapped together: see the keys of a group."},
    {"retention", KEY_DAG, KEY_ANY, KEY_BY_HAND, 0, 0, NULL, "as nexus.yaml says",
     "How long ended runs stay: {runs: 90d, keep: 100, logs: 30d}, or a duration for runs alone; "
     "see Retention."},
    {"tasks", KEY_DAG, KEY_MAP, KEY_BY_HAND, 0, 0, NULL, "required", "The tasks, by id."},

    {"uses", KEY_TASK, KEY_TEXT, TASK(uses), 0, 0, NULL, NULL,
     "The operator that does the work. A task has either uses or run."},
    {"with", KEY_TASK, KEY_MAP, KEY_BY_HAND, 0, 0, NULL, NULL,
     "The operator's parameters; ${{ }} is allowed."},
    {"run", KEY_TASK, KEY_TEXT, TASK(run), 0, 0, NULL, NULL,
     "A script; ${{ }} becomes a quoted environment variable."},
    {"shell", BOTH, KEY_TEXT, TASK(shell), 0, 0, NULL, "sh",
     "The program that runs the script: sh, bash, python3, or another."},
    {"needs", KEY_TASK, KEY_TEXTS, KEY_BY_HAND, 0, 0, NULL, NULL,
     "The tasks that come before it: one, or a list."},
    {"if", KEY_TASK, KEY_EXPRESSION, KEY_BY_HAND, 0, 0, NULL, NULL,
     "An expression; when it is false the task is skipped."},
    {"trigger_rule", BOTH, KEY_ENUM, TASK(rule), 0, 0, RULES, "all_success",
     "What must have become of the tasks that it needs."},
    {"finally", KEY_TASK, KEY_BOOL, TASK(finally), 0, 0, NULL, "false",
     "Runs when everything else of the run is final, also after a cancel; its trigger_rule is "
     "all_done unless said."},
    {"exclusive", BOTH, KEY_BOOL, TASK(exclusive), 0, 0, NULL, "false",
     "Two attempts never overlap, also when a worker is lost."},
    {"retries", BOTH, KEY_INT, TASK(retries), 0, NX_RETRIES_MAX, NULL, "0",
     "How often it is tried again after a failure."},
    {"retry_delay", BOTH, KEY_DURATION, TASK(retry_delay_ms), 0, YEAR_S, NULL, "5s",
     "How long after a failure."},
    {"backoff", BOTH, KEY_ENUM, KEY_BY_HAND, 0, 0, "fixed|exponential", "fixed",
     "exponential: the delay doubles with every retry."},
    {"max_retry_delay", BOTH, KEY_DURATION, TASK(max_retry_delay_ms), 0, YEAR_S, NULL, "1h",
     "The longest delay of an exponential backoff."},
    {"retry_jitter", BOTH, KEY_FLOAT, TASK(retry_jitter), 0, 1, NULL, "0",
     "The share of a delay that is left to chance, 0 to 1."},
    {"retry_on", BOTH, KEY_MAP, KEY_BY_HAND, 0, 0, NULL, NULL,
     "Which failures are retried; all that are not permanent unless said."},
    {"timeout", BOTH, KEY_DURATION, TASK(timeout_ms), 0, YEAR_S, NULL, "none",
     "How long an attempt may take."},
    {"queue_timeout", BOTH, KEY_DURATION, TASK(queue_timeout_ms), 0, YEAR_S, NULL, "none",
     "How long it may wait for a worker before it fails."},
    {"pool", BOTH, KEY_NAME, TASK(pool), 0, 0, NULL, NULL, "The pool that it counts against."},
    {"pool_slots", BOTH, KEY_INT, TASK(pool_slots), 1, 1000000, NULL, "1",
     "How many of the pool's slots it takes."},
    {"concurrency", BOTH, KEY_MAP, KEY_BY_HAND, 0, 0, NULL, NULL,
     "At most so many tasks with the same key run at once, over all DAGs and runs."},
    {"depends_on_past", BOTH, KEY_BOOL, TASK(depends_on_past), 0, 0, NULL, "false",
     "It runs only when it has succeeded, or was skipped, in the run of the data interval before."},
    {"priority", BOTH, KEY_INT, TASK(priority), -NX_PRIORITY_MAX, NX_PRIORITY_MAX, NULL, "0",
     "Higher goes first."},
    {"queue", BOTH, KEY_NAME, TASK(queue), 0, 0, NULL, "default",
     "Only workers that serve this queue run it."},
    {"resources", BOTH, KEY_MAP, KEY_BY_HAND, 0, 0, NULL, NULL, "What it takes of a worker."},
    {"group", KEY_TASK, KEY_TEXT, TASK(group), 0, 0, NULL, NULL,
     "Tasks of one group are drawn together, and mapped together if `groups` says so."},
    {"for_each", KEY_TASK | KEY_GROUP, KEY_LIST, KEY_BY_HAND, 0, 0, NULL, NULL,
     "A list, or one expression that gives one: an instance for each item, which its expressions "
     "call `item` (and its index, from 0, `index`)."},
    {"max_parallel", BOTH, KEY_INT, TASK(max_parallel), 1, NX_MAP_MAX, NULL, "no limit",
     "How many items are worked on at the same time."},
    {"max_parallel", KEY_GROUP, KEY_INT, MAP(max_parallel), 1, NX_MAP_MAX, NULL, "no limit",
     "How many items are worked on at the same time, from their first task to their last."},

    {"produces", KEY_TASK, KEY_TEXTS, KEY_BY_HAND, 0, 0, NULL, NULL,
     "The dataset that it writes, or a list of them: each success is a new version, which starts "
     "DAGs."},
    {"consumes", KEY_TASK, KEY_TEXTS, KEY_BY_HAND, 0, 0, NULL, NULL,
     "The datasets that it reads, for lineage: it waits for nothing."},

    {"on_success", KEY_DAG | BOTH, KEY_ANY, KEY_BY_HAND, 0, 0, NULL, NULL,
     "Who is told when it has succeeded: " TELLS},
    {"on_failure", KEY_DAG | BOTH, KEY_ANY, KEY_BY_HAND, 0, 0, NULL, NULL,
     "Who is told when it has failed: " TELLS},
    {"on_retry", KEY_DAG | BOTH, KEY_ANY, KEY_BY_HAND, 0, 0, NULL, NULL,
     "Who is told when an attempt has failed and another one follows (of a DAG: of any of its "
     "tasks): " TELLS},
    {"on_late", KEY_DAG | BOTH, KEY_ANY, KEY_BY_HAND, 0, 0, NULL, NULL,
     "Who is told when the run is late (a task's: if the task has not ended then): " TELLS},

    {"url", KEY_WEBHOOK, KEY_TEXT, HOOK(url), 0, 0, NULL, NULL,
     "Where the event is sent by POST, as JSON. Redirects are not followed."},
    {"conn", KEY_WEBHOOK, KEY_NAME, HOOK(conn), 0, 0, NULL, NULL,
     "In place of url: an http or https connection, with its address and login."},
    {"secret", KEY_WEBHOOK, KEY_NAME, HOOK(secret), 0, 0, NULL, NULL,
     "The secret that signs it: see docs/notifications.md."},
    {"ca", KEY_WEBHOOK, KEY_TEXT, HOOK(ca), 0, 0, NULL, "the system's",
     "A file of certificates to trust, on the scheduler's machine."},
    {"text", KEY_WEBHOOK, KEY_TEXT, HOOK(text), 0, 0, NULL, "a sentence",
     "The member text of the JSON: {dag}, {task}, {error} and others stand for values."},
    {"conn", KEY_EMAIL, KEY_NAME, HOOK(conn), 0, 0, NULL, "required",
     "The smtp or smtps connection."},
    {"to", KEY_EMAIL, KEY_TEXTS, KEY_BY_HAND, 0, 0, NULL, "required", "Addresses."},
    {"from", KEY_EMAIL, KEY_TEXT, HOOK(from), 0, 0, NULL, "that of the connection",
     "The sender's address."},
    {"subject", KEY_EMAIL, KEY_TEXT, HOOK(subject), 0, 0, NULL, "a short one",
     "{dag}, {task}, {error} and others stand for values."},
    {"body", KEY_EMAIL, KEY_TEXT, HOOK(body), 0, 0, NULL, "all that is known", "Likewise."},
    {"run", KEY_COMMAND, KEY_TEXTS, KEY_BY_HAND, 0, 0, NULL, "required",
     "A program with its arguments; it runs on the scheduler's machine, in the project's folder."},
    {"timeout", KEY_WEBHOOK | KEY_EMAIL | KEY_COMMAND, KEY_DURATION, HOOK(timeout_ms), 1, 300,
     NULL, "30s", "How long one try may take."},

    {"cpus", KEY_RESOURCES, KEY_FLOAT, TASK(cpus), 0.001, 1024, NULL, NULL,
     "Processors: operators use as many threads. It limits nothing and keeps no others away."},
    {"memory", KEY_RESOURCES, KEY_SIZE, TASK(memory_bytes), 1048576, 1e15, NULL, "no limit",
     "Memory; an attempt that takes more is stopped."},
    {"gpus", KEY_RESOURCES, KEY_INT, TASK(gpus), 0, 64, NULL, "0", "Graphics processors."},

    {"exit_codes", KEY_RETRY_ON, KEY_INTS, KEY_BY_HAND, 1, 255, NULL, NULL,
     "Exit statuses of a script."},
    {"errors", KEY_RETRY_ON, KEY_TEXTS, KEY_BY_HAND, 0, 0, NULL, NULL,
     "Error codes of an operator: io, timeout, unreachable, ..."},

    {"key", KEY_CONCURRENCY, KEY_TEXT, TASK(concurrency_key), 0, 0, NULL, "required",
     "What is shared: any text."},
    {"limit", KEY_CONCURRENCY, KEY_INT, TASK(concurrency_limit), 1, 1000000, NULL, "required",
     "How many at once. Where tasks say different limits for one key, the smallest counts."},

    {"type", KEY_PARAM, KEY_ENUM, KEY_BY_HAND, 0, 0,
     "string|integer|number|boolean|date|time|duration|list|object", "that of the default",
     "What its value is."},
    {"default", KEY_PARAM, KEY_ANY, KEY_BY_HAND, 0, 0, NULL, NULL, "Its value unless one is given."},
    {"min", KEY_PARAM, KEY_FLOAT, KEY_BY_HAND, 0, 0, NULL, NULL, "The least value of a number."},
    {"max", KEY_PARAM, KEY_FLOAT, KEY_BY_HAND, 0, 0, NULL, NULL, "The greatest."},
    {"choices", KEY_PARAM, KEY_ANY, KEY_BY_HAND, 0, 0, NULL, NULL, "A list of all allowed values."},
    {"required", KEY_PARAM, KEY_BOOL, KEY_BY_HAND, 0, 0, NULL, "false",
     "Every run must be given a value."},
    {"help", KEY_PARAM, KEY_TEXT, KEY_BY_HAND, 0, 0, NULL, NULL, "What it means."},

    NOT_YET("tune", KEY_TASK), NOT_YET("cache", BOTH),
    NOT_YET("heartbeat_timeout", BOTH),
};
/* clang-format on */

size_t key_count(void)
{
    return sizeof key_table / sizeof *key_table;
}

const struct key *key_find(enum key_scope scope, const char *name)
{
    for (size_t i = 0; i < key_count(); i++) {
        if ((key_table[i].scopes & scope) && str_eq(key_table[i].name, name))
            return &key_table[i];
    }
    return NULL;
}

const char *key_nearest(enum key_scope scope, const char *name)
{
    const char *names[sizeof key_table / sizeof *key_table];
    size_t n = 0;
    for (size_t i = 0; i < key_count(); i++) {
        if (key_table[i].scopes & scope)
            names[n++] = key_table[i].name;
    }
    return str_nearest(name, names, n);
}

const char *key_scope_name(enum key_scope scope)
{
    switch (scope) {
    case KEY_DAG:
        return "a DAG";
    case KEY_TASK:
        return "a task";
    case KEY_DEFAULTS:
        return "defaults";
    case KEY_PARAM:
        return "a param";
    case KEY_RESOURCES:
        return "resources";
    case KEY_RETRY_ON:
        return "retry_on";
    case KEY_GROUP:
        return "a group";
    case KEY_WEBHOOK:
        return "webhook";
    case KEY_EMAIL:
        return "email";
    case KEY_COMMAND:
        return "command";
    case KEY_CONCURRENCY:
        return "concurrency";
    }
    must(!"a scope");
    return NULL;
}

bool key_choice(const char *choices, size_t i, char *to, size_t size)
{
    for (; i && choices; i--) {
        choices = strchr(choices, '|');
        choices = choices ? choices + 1 : NULL;
    }
    if (!choices)
        return false;
    size_t n = strcspn(choices, "|");
    must(n < size);
    memcpy(to, choices, n);
    to[n] = 0;
    return true;
}
