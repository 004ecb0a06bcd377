#include "scheduler/port/api_answer.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/port/api_auth.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_schema.h"

/* clang-format off */
#define TEXT "text/plain; charset=utf-8"
#define EVENTS "text/event-stream"
#define HTML "text/html; charset=utf-8"
#define BYTES "application/octet-stream"
#define ANY "*/*"

static const struct route_answer answers[] = {
    {handle_dags, "dag_page", NULL, ANSWER_SEARCH, "cursor:text sort:sort_dags", NULL, 0},
    {handle_dag, "dag", NULL, 0, NULL, NULL, 0},
    {handle_patch_dag, "dag", NULL, ANSWER_MATCH, "!paused:bool", NULL, 0},
    {handle_versions, "version_page", NULL, 0, NULL, NULL, 0},
    {handle_source, "text", NULL, 0, "version:positive", TEXT, 0},
    {handle_file, "file", NULL, 0, NULL, NULL, 0},
    {handle_put_file, "saved_file|file_check", NULL, ANSWER_CONFLICT | ANSWER_DATA | ANSWER_MATCH, "!text:text hash:hash", NULL, 0},
    {handle_next, "fires", NULL, 0, "from:when", NULL, 0},
    {handle_durations, "duration_page", NULL, 0, NULL, NULL, 0},
    {handle_grid, "grid", NULL, 0, NULL, NULL, 0},
    {handle_graph, "graph", NULL, 0, "version:positive direction:graph_direction", NULL, 0},
    {handle_dag_runs, "run_page", NULL, ANSWER_SEARCH, "state:run_state late:truth sort:sort_runs", NULL, 0},
    {handle_create, "run", "run", ANSWER_CONFLICT | ANSWER_DATA | ANSWER_KEY, "date:when note:note", NULL, 0},
    {handle_dag_backfills, "backfill_page", NULL, 0, NULL, NULL, 0},
    {handle_begin_backfill, "backfill|backfill_plan", "backfill", ANSWER_CONFLICT | ANSWER_DATA | ANSWER_KEY,
     "!from:when !to:when reprocess:reprocess max_active:max_active", NULL, 0},
    {handle_backfills, "backfill_page", NULL, 0, NULL, NULL, 0},
    {handle_backfill, "backfill", NULL, 0, NULL, NULL, 0},
    {handle_patch_backfill, "backfill", NULL, ANSWER_CONFLICT | ANSWER_MATCH, "!paused:bool", NULL, 0},
    {handle_cancel_backfill, "backfill", NULL, ANSWER_CONFLICT | ANSWER_MATCH, NULL, NULL, 0},
    {handle_runs, "run_page", NULL, ANSWER_SEARCH | ANSWER_MISSING, "state:run_state late:truth sort:sort_runs", NULL, 0},
    {handle_run_counts, "run_counts", NULL, ANSWER_MISSING, NULL, NULL, 0},
    {handle_run, "run_with_tasks", NULL, 0, NULL, NULL, 0},
    {handle_patch_run, "run", NULL, ANSWER_CONFLICT | ANSWER_MATCH, "!note:note?", NULL, 0},
    {handle_delete_run, "deleted", NULL, ANSWER_CONFLICT | ANSWER_MATCH, NULL, NULL, 0},
    {handle_tasks, "task_page", NULL, ANSWER_SEARCH, "state:task_state", NULL, 0},
    {handle_all_tasks, "listed_task_page", NULL, ANSWER_SEARCH, "cursor:task_cursor", NULL, 0},
    {handle_task, "task", NULL, 0, NULL, NULL, 0},
    {handle_attempts, "attempt_page", NULL, 0, NULL, NULL, 0},
    {handle_log, "text", NULL, 0, "limit:bytes offset:offset", TEXT, 0},
    {handle_log_lines, "log_lines|log_line_page", NULL, 0, "from:positive offset:count", NULL, 0},
    {handle_run_log, "run_log_page", NULL, 0, "cursor:text", NULL, 0},
    {handle_task_counts, "task_count_page", NULL, 0, NULL, NULL, 0},
    {handle_usage, "usage", NULL, 0, NULL, NULL, 0},
    {handle_artifacts, "artifact_page", NULL, 0, NULL, NULL, 0},
    {handle_artifact_files, "artifact_file_page", NULL, ANSWER_GONE, "artifact:address cursor:text", NULL, 0},
    {handle_artifact_file, "text", NULL, ANSWER_GONE | ANSWER_RANGE, "artifact:address path:name", ANY, 0},
    {handle_artifact_rows, "table_rows", NULL, ANSWER_GONE | ANSWER_DATA, "artifact:address path:name offset:count first_column:count", NULL, 0},
    {handle_log_search, "log_match_page", NULL, 0, "!q:words", NULL, 0},
    {handle_resolved, "object", NULL, 0, NULL, NULL, 0},
    {handle_explain, "explanation_page", NULL, 0, "state:task_state", NULL, 0},
    {handle_cancel, "run", NULL, ANSWER_CONFLICT, NULL, NULL, 0},
    {handle_retry, "edited_run", NULL, ANSWER_CONFLICT | ANSWER_DATA, NULL, NULL, 0},
    {handle_clear, "edited_run", NULL, ANSWER_CONFLICT | ANSWER_DATA, NULL, NULL, 0},
    {handle_mark, "edited_run", NULL, ANSWER_CONFLICT | ANSWER_DATA, "!tasks:some_texts !state:mark", NULL, 0},
    {handle_rerun, "run", "run", ANSWER_CONFLICT | ANSWER_DATA | ANSWER_KEY, "note:note", NULL, 0},
    {handle_approvals, "approval_page", NULL, ANSWER_MISSING, "state:approval_filter run:run_id", NULL, 0},
    {handle_approval, "approval", NULL, 0, NULL, NULL, 0},
    {handle_answer_approval, "approval", NULL, ANSWER_CONFLICT | ANSWER_DATA, "!approved:bool comment:note", NULL, 0},
    {handle_workers, "worker_page", NULL, 0, NULL, NULL, 0},
    {handle_patch_worker, "worker", NULL, ANSWER_CONFLICT, "!drain:bool", NULL, 0},
    {handle_pools, "pool_page", NULL, 0, NULL, NULL, 0},
    {handle_post_pool, NULL, "pool", ANSWER_CONFLICT, "!name:id_name !slots:slots description:description", NULL, 0},
    {handle_pool, "pool", NULL, 0, NULL, NULL, 0},
    {handle_put_pool, "pool", "pool", ANSWER_CONFLICT | ANSWER_MATCH, "!slots:slots description:description", NULL, 0},
    {handle_delete_pool, "deleted_pool", NULL, ANSWER_CONFLICT | ANSWER_MATCH, NULL, NULL, 0},
    {handle_variables, "variable_page", NULL, 0, NULL, NULL, 0},
    {handle_post_variable, NULL, "variable", ANSWER_CONFLICT, "!name:variable_name !value:not_null", NULL, 0},
    {handle_variable, "variable", NULL, 0, NULL, NULL, 0},
    {handle_put_variable, "variable", "variable", ANSWER_CONFLICT | ANSWER_MATCH, "!value:not_null", NULL, 0},
    {handle_delete_variable, "deleted", NULL, ANSWER_CONFLICT | ANSWER_MATCH, NULL, NULL, 0},
    {handle_secrets, "secret_page", NULL, 0, NULL, NULL, 0},
    {handle_post_secret, NULL, "secret", ANSWER_CONFLICT, "!name:variable_name !value:name", NULL, 0},
    {handle_secret, "secret", NULL, 0, NULL, NULL, 0},
    {handle_put_secret, "secret", "secret", ANSWER_CONFLICT | ANSWER_MATCH, "!value:name", NULL, 0},
    {handle_delete_secret, "deleted", NULL, ANSWER_CONFLICT | ANSWER_MATCH, NULL, NULL, 0},
    {handle_datasets, "dataset_page", NULL, 0, "cursor:text", NULL, 0},
    {handle_dataset, "dataset_with_cycle", NULL, 0, NULL, NULL, 0},
    {handle_dataset_events, "dataset_event_page", NULL, 0, NULL, NULL, 0},
    {handle_emit, NULL, "dataset_event_with_inputs", ANSWER_CONFLICT, "rows:count hash:short_text note:note", NULL, 0},
    {handle_dataset_event, "dataset_event_with_inputs", NULL, 0, NULL, NULL, 0},
    {handle_lineage, "lineage", NULL, 0, "direction:direction_or_both depth:depth", NULL, 0},
    {handle_connections, "connection_page", NULL, 0, NULL, NULL, 0},
    {handle_post_connection, NULL, "connection", ANSWER_CONFLICT, "!name:id_name !uri:uri description:description", NULL, 0},
    {handle_connection, "connection", NULL, 0, NULL, NULL, 0},
    {handle_put_connection, "connection", "connection", ANSWER_CONFLICT | ANSWER_MATCH, "!uri:uri description:description", NULL, 0},
    {handle_delete_connection, "deleted", NULL, ANSWER_CONFLICT | ANSWER_MATCH, NULL, NULL, 0},
    {handle_test_connection, "connection_test", NULL, ANSWER_CONFLICT, NULL, NULL, 0},
    {handle_notifications, "notification_page", NULL, 0, "state:notification_state", NULL, 0},
    {handle_notification, "notification_with_body", NULL, 0, NULL, NULL, 0},
    {handle_retry_notification, "notification_with_body", NULL, ANSWER_CONFLICT, NULL, NULL, 0},
    {handle_tokens, "token_page", NULL, 0, NULL, NULL, 0},
    {handle_post_token, NULL, "made_token", ANSWER_CONFLICT, "role:token_role name:short_text expires:age", NULL, 0},
    {handle_delete_token, "deleted", NULL, 0, NULL, NULL, 0},
    {handle_backup, NULL, "backup", ANSWER_CONFLICT, "!file:path", NULL, 0},
    {handle_settings, "setting_page", NULL, 0, NULL, NULL, 0},
    {handle_checks, "checks", NULL, 0, NULL, NULL, 0},
    {handle_retention, "retention_page", NULL, 0, "cursor:text", NULL, 0},
    {handle_retention_due, "retention_due_page", NULL, ANSWER_MISSING, NULL, NULL, 0},
    {handle_retention_run, "started", NULL, 0, NULL, NULL, 202},
    {handle_audit, "audit_page", NULL, 0, NULL, NULL, 0},
    {handle_events, "server_sent_event", NULL, 0, "run:run_id", EVENTS, 0},
    {handle_session, "session", NULL, 0, NULL, NULL, 0},
    {handle_sign_in, "session", NULL, ANSWER_CONFLICT, "!token:text", NULL, 0},
    {handle_sign_out, "session", NULL, 0, NULL, NULL, 0},
    {handle_root, "text", NULL, 0, NULL, HTML, 302},
    {handle_page, "text", NULL, ANSWER_MISSING, NULL, HTML, 0},
    {handle_page_file, "text", NULL, 0, NULL, BYTES, 0},
    {handle_openapi, "object", NULL, 0, NULL, NULL, 0},
    {handle_metrics, "text", NULL, 0, NULL, "text/plain; version=0.0.4; charset=utf-8", 0},
    {handle_health, "health", NULL, 0, NULL, NULL, 0},
    {handle_ready, "readiness", NULL, ANSWER_LOADING, NULL, NULL, 0},
};

/* Of parameters and members that are the same wherever they are. */
static const char common[] = "limit:limit cursor:cursor since:since follow:flag late:truth";
/* clang-format on */

const struct route_answer *answer_of(const struct route *route)
{
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        if (answers[i].handle == route->handle)
            return &answers[i];
    }
    return NULL;
}

const char *answer_takes(const struct route *route, const struct route_param *param, char *type,
                         size_t size, bool *required)
{
    static const char *const types[] = {"text", "int", "bool", "object", "texts", "any"};
    const struct route_answer *answer = answer_of(route);
    char wanted[64];
    must(answer && strlen(param->name) < sizeof wanted - 1);
    wanted[0] = '!';
    str_copy(wanted + 1, sizeof wanted - 1, param->name);
    *required = schema_of_member(answer->takes, wanted, type, size) != NULL;
    if (*required || schema_of_member(answer->takes, param->name, type, size) ||
        schema_of_member(common, param->name, type, size))
        return type;
    must(str_copy(type, size, types[param->type]));
    return type;
}

/* ---- Responses ---- */

static void put_content(struct buf *buf, const char *type, const char *shape)
{
    put_open(buf, "content", '{');
    put_open(buf, type ? type : "application/json", '{');
    put_schema(buf, "schema", shape);
    put_close(buf, '}');
    put_close(buf, '}');
}

static void put_response(struct buf *buf, int status, const char *help, const char *type,
                         const char *shape)
{
    char key[8];
    snprintf(key, sizeof key, "%d", status);
    put_open(buf, key, '{');
    put_text(buf, "description", help);
    if (shape)
        put_content(buf, type, shape);
    put_close(buf, '}');
}

static void put_problem(struct buf *buf, int status, const char *help)
{
    put_response(buf, status, help, NULL, "error");
}

static void put_done(struct buf *buf, const struct route *route, const struct route_answer *answer)
{
    bool get = str_eq(route->method, "GET");
    int status = answer->status ? answer->status : 200;
    if (status == 302)
        put_response(buf, status, "look there", NULL, NULL);
    else if (answer->shape)
        put_response(buf, status,
                     answer->created && answer->more & ANSWER_KEY
                         ? "it was there: the key has made it before; or a plan"
                     : answer->created ? "changed"
                                       : "done",
                     answer->type, answer->shape);
    if (answer->created)
        put_response(buf, 201, "made", NULL, answer->created);
    if (answer->more & ANSWER_RANGE)
        put_response(buf, 206, "the part that Range names", answer->type, answer->shape);
    if (get && status == 200 && route->handle != handle_events)
        put_response(buf, 304, "If-None-Match has the ETag of what it would be", NULL, NULL);
}

/* What the server itself refuses, and what any route may come to. */
static void put_problems(struct buf *buf, const struct route *route,
                         const struct route_answer *answer)
{
    bool get = str_eq(route->method, "GET"), named = strchr(route->path, '{') != NULL;
    put_problem(buf, 400, "the request is wrong; the message says where");
    if (route->role != ROLE_ANYONE || route->handle == handle_sign_in)
        put_problem(buf, 401, "who asks has to say who he is");
    put_problem(buf, 403, "the role does not reach, or Host or Origin are not this server's");
    if (named || answer->more & ANSWER_MISSING)
        put_problem(buf, 404, "what is named does not exist; the message has the nearest name");
    if (answer->more & ANSWER_CONFLICT)
        put_problem(buf, 409, "it is in a state that forbids this");
    if (answer->more & ANSWER_GONE)
        put_problem(buf, 410, "it was kept, and is not any more");
    if (answer->more & ANSWER_MATCH)
        put_problem(buf, 412, "If-Match has another ETag: somebody was faster");
    if (!get || answer->more & ANSWER_SEARCH)
        put_problem(buf, 413, "a bound was reached");
    if (answer->more & ANSWER_RANGE)
        put_problem(buf, 416, "the range is behind its end");
    if (!get)
        put_problem(buf, 415, "a body is application/json");
    if (answer->more & ANSWER_DATA)
        put_problem(buf, 422,
                    get ? "it is no table, or damaged" : "what it says does not fit the DAG");
    put_problem(buf, 500, "the disk, or a defect of Nexus");
    if (answer->more & ANSWER_LOADING)
        put_response(buf, 503, "not ready, or too many requests wait", NULL, "readiness|error");
    else
        put_problem(buf, 503, "too many requests wait, or the scheduler is stopping: try again");
    put_problem(buf, 504, "a query took too long");
}

void put_responses(struct buf *buf, const struct route *route)
{
    const struct route_answer *answer = answer_of(route);
    must(answer); /* else a route has no line in the table above */
    put_open(buf, "responses", '{');
    put_done(buf, route, answer);
    put_problems(buf, route, answer);
    put_close(buf, '}');
}
