/* Notifications that a DAG file asks for: on_success, on_failure, on_retry, on_late. */
#ifndef SCHEDULER_DAG_HOOKS_H
#define SCHEDULER_DAG_HOOKS_H

#include <stddef.h>
#include <stdint.h>

enum hook_event { HOOK_SUCCESS, HOOK_FAILURE, HOOK_RETRY, HOOK_LATE, HOOK_EVENTS };

/* One of a list: who is told. */
struct hook {
    const char *kind;   /* webhook, email, command */
    const char *target; /* where it goes, as it may be shown; equal for equal ones */
    /* JSON: {"url", "conn", "secret", "ca", "text", "from", "to": [...], "subject", "body", "run":
     * [...], "timeout_ms"}: those that were said, and timeout_ms. */
    const char *config;
};

/* Of a DAG or a task: who is told about each event. */
struct hooks {
    const struct hook *at[HOOK_EVENTS];
    uint32_t n[HOOK_EVENTS];
};

/* "success", "failure", "retry", "late" */
const char *hook_event_name(enum hook_event event);

/* What may stand in braces in subject, body and text. */
enum hook_field {
    FIELD_EVENT,
    FIELD_DAG,
    FIELD_RUN,
    FIELD_TASK,
    FIELD_STATE,
    FIELD_REASON,
    FIELD_ERROR,
    FIELD_ATTEMPT,
    FIELD_MAX_ATTEMPTS,
    FIELD_INTERVAL_START,
    FIELD_INTERVAL_FINISH,
    FIELD_TIME,
    FIELD_URL,
    HOOK_FIELDS
};

extern const char *const hook_fields[HOOK_FIELDS];

#endif
