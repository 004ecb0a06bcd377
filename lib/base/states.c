#include "nexus/states.h"

#include <string.h>

#include "lib/base/must.h"

/* clang-format off */
static const char *const task_states[NX_TASK_STATES] = {
    "waiting", "deciding", "queued", "leased", "running", "deferred", "retrying", "stopping",
    "success", "failed", "upstream_failed", "skipped", "cancelled", "removed",
};

static const char *const run_states[NX_RUN_STATES] = {
    "queued", "running", "stopping", "success", "failed", "cancelled",
};

static const char *const outcomes[NX_ATTEMPT_OUTCOMES] = {
    "none", "success", "failed", "timeout", "memory", "lost", "cancelled", "skipped",
};

static const char *const rules[NX_TRIGGER_RULES] = {
    "all_success", "all_failed", "all_done", "all_done_min_one_success", "all_skipped",
    "one_failed", "one_success", "one_done", "none_failed", "none_failed_min_one_success",
    "none_skipped", "always",
};

static const char *const causes[NX_RUN_CAUSES] = {
    "manual", "schedule", "backfill", "dataset", "drift", "dag",
};

static const char *const reasons[NX_REASONS] = {
    "none", "upstream", "trigger_rule", "if_false", "if_error", "deciding", "no_worker",
    "no_fitting_worker", "no_slot", "pool_full", "pool_missing", "next", "prefetched", "started",
    "retry_delay", "lost_wait", "max_active_runs", "finally", "cancelled", "run_timeout",
    "queue_timeout", "timeout", "memory", "lost", "error", "permanent_error", "task_skipped",
    "marked", "cleared", "mark_success", "mark_failed", "overlap",
    "empty_list", "for_each_error", "mapped", "list_shorter", "max_parallel",
    "with_error", "wait_time", "wait_person", "wait_condition", "wait_run", "rejected", "run_failed",
    "concurrency", "depends_on_past", "dag_gone", "not_chosen", "wait_dataset", "dag_paused",
};

#define M(state) (1u << NX_TS_##state)
#define FINAL_BY_RULE (M(UPSTREAM_FAILED) | M(SKIPPED))
/* What a person can do: mark it, or clear it, so that it is decided again. */
#define MARKED (M(SUCCESS) | M(FAILED))
#define CLEARED M(WAITING)

/* Row: from; bits: to. Only moves that happen: what comes with later features comes with them. */
static const unsigned task_moves[NX_TASK_STATES] = {
    [NX_TS_WAITING] = M(DECIDING) | M(QUEUED) | M(DEFERRED) | FINAL_BY_RULE | M(CANCELLED) | MARKED |
                      M(REMOVED),
    [NX_TS_DECIDING] = M(QUEUED) | M(DEFERRED) | M(SKIPPED) | M(FAILED) | M(CANCELLED) | MARKED |
                       CLEARED | M(REMOVED),
    [NX_TS_QUEUED] = M(LEASED) | M(FAILED) | M(CANCELLED) | MARKED | CLEARED,
    [NX_TS_LEASED] = M(RUNNING) | M(QUEUED) | M(RETRYING) | M(STOPPING) | M(SUCCESS) | M(FAILED) |
                     M(SKIPPED),
    [NX_TS_RUNNING] = M(SUCCESS) | M(FAILED) | M(SKIPPED) | M(RETRYING) | M(QUEUED) | M(STOPPING),
    [NX_TS_DEFERRED] = M(SUCCESS) | M(FAILED) | M(RETRYING) | M(CANCELLED) | CLEARED,
    [NX_TS_RETRYING] = M(QUEUED) | M(DEFERRED) | M(CANCELLED) | MARKED | CLEARED,
    [NX_TS_STOPPING] = M(SUCCESS) | M(CANCELLED) | M(FAILED) | M(RETRYING) | CLEARED,
    [NX_TS_SUCCESS] = M(FAILED) | CLEARED,
    [NX_TS_FAILED] = M(SUCCESS) | CLEARED,
    [NX_TS_UPSTREAM_FAILED] = MARKED | CLEARED,
    [NX_TS_SKIPPED] = MARKED | CLEARED,
    [NX_TS_CANCELLED] = MARKED | CLEARED,
    [NX_TS_REMOVED] = CLEARED,
};

#define R(state) (1u << NX_RS_##state)

static const unsigned run_moves[NX_RUN_STATES] = {
    [NX_RS_QUEUED] = R(RUNNING) | R(CANCELLED),
    [NX_RS_RUNNING] = R(STOPPING) | R(SUCCESS) | R(FAILED),
    [NX_RS_STOPPING] = R(FAILED) | R(CANCELLED),
    [NX_RS_SUCCESS] = R(QUEUED),
    [NX_RS_FAILED] = R(QUEUED),
    [NX_RS_CANCELLED] = R(QUEUED),
};
/* clang-format on */

bool nx_task_move_legal(enum nx_task_state from, enum nx_task_state to)
{
    return from < NX_TASK_STATES && to < NX_TASK_STATES && (task_moves[from] >> to & 1);
}

bool nx_run_move_legal(enum nx_run_state from, enum nx_run_state to)
{
    return from < NX_RUN_STATES && to < NX_RUN_STATES && (run_moves[from] >> to & 1);
}

static int find_name(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

const char *nx_task_state_name(enum nx_task_state state)
{
    must(state < NX_TASK_STATES);
    return task_states[state];
}

const char *nx_run_state_name(enum nx_run_state state)
{
    must(state < NX_RUN_STATES);
    return run_states[state];
}

const char *nx_outcome_name(enum nx_attempt_outcome outcome)
{
    must(outcome < NX_ATTEMPT_OUTCOMES);
    return outcomes[outcome];
}

const char *nx_rule_name(enum nx_trigger_rule rule)
{
    must(rule < NX_TRIGGER_RULES);
    return rules[rule];
}

const char *nx_cause_name(enum nx_run_cause cause)
{
    must(cause < NX_RUN_CAUSES);
    return causes[cause];
}

const char *nx_reason_name(enum nx_reason reason)
{
    must(reason < NX_REASONS);
    return reasons[reason];
}

int nx_task_state_find(const char *name)
{
    return find_name(task_states, NX_TASK_STATES, name);
}

int nx_run_state_find(const char *name)
{
    return find_name(run_states, NX_RUN_STATES, name);
}

int nx_rule_find(const char *name)
{
    return find_name(rules, NX_TRIGGER_RULES, name);
}
