/* The table of routes, and the router. What is documented of them is in api_openapi.c. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/port/api_auth.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_route.h"

/* clang-format off */
#define LIMIT  {"limit", PARAM_INT, "at most so many items, 1 to 1000"}
#define CURSOR {"cursor", PARAM_TEXT, "`next` of the page before"}

#define RUNS_Q {"q", PARAM_TEXT, "terms that all hold, such as `state:failed operator:ml.train since:24h -dag:test_*`: keys dag, operator, task, state, cause, tag, note, since, until, late; other words are looked for in DAG and note. One answer looks at a bounded number of runs: it may have few or none, and a `next`; newest first only"}
#define TASKS_Q {"q", PARAM_TEXT, "terms that all hold, such as `state:failed operator:ml.* since:24h -pool:gpu`: keys dag, operator, task, state, pool, worker, error, cause, tag, since, until; other words are looked for in the ids of DAG and task and in the error"}
#define DAGS_Q {"q", PARAM_TEXT, "terms that all hold, such as `tag:ml paused:false -state:failed`: keys dag, operator, task, state (of the last run, or broken), tag, paused, valid, schedule (a part of it, or none); other words are looked for in id, description and tags"}
#define SORT_RUNS {"sort", PARAM_TEXT, "-created: newest first (the default); created: oldest first"}

static const struct route_param page[] = {LIMIT, CURSOR, {0}};
static const struct route_param dags_page[] = {DAGS_Q, {"sort", PARAM_TEXT, "by id (the default); -id: the other way round"}, LIMIT, CURSOR, {0}};
static const struct route_param all_tasks_page[] = {TASKS_Q, LIMIT, CURSOR, {0}};
static const struct route_param runs_page[] = {
    RUNS_Q,
    {"dag", PARAM_TEXT, "of this DAG alone"},
    {"state", PARAM_TEXT, "in this state alone"},
    {"late", PARAM_BOOL, "true: only those that did not end by their deadline"},
    {"since", PARAM_TEXT, "created then or later: RFC 3339, a date, or a duration ago (24h)"},
    SORT_RUNS, LIMIT, CURSOR, {0}};
static const struct route_param dag_runs_page[] = {
    RUNS_Q,
    {"state", PARAM_TEXT, "in this state alone"},
    {"late", PARAM_BOOL, "true: only those that did not end by their deadline"},
    {"since", PARAM_TEXT, "created then or later: RFC 3339, a date, or a duration ago (24h)"},
    SORT_RUNS, LIMIT, CURSOR, {0}};
static const struct route_param notifications_page[] = {
    {"state", PARAM_TEXT, "pending, sent or failed ones alone"}, LIMIT, CURSOR, {0}};
static const struct route_param counts_query[] = {
    {"dag", PARAM_TEXT, "of this DAG alone"},
    {"since", PARAM_TEXT, "created then or later: RFC 3339, a date, or a duration ago (24h)"}, {0}};
static const struct route_param tasks_page[] = {
    TASKS_Q,
    {"task", PARAM_TEXT, "instances of this task alone; or name[3]: this one"},
    {"state", PARAM_TEXT, "in this state alone"}, LIMIT, CURSOR, {0}};
static const struct route_param explain_page[] = {
    {"task", PARAM_TEXT, "this task alone: name or name[3]"},
    {"state", PARAM_TEXT, "in this state alone"}, LIMIT, CURSOR, {0}};
static const struct route_param source_query[] = {
    {"version", PARAM_INT, "the DAG's version number; the newest unless said"}, {0}};
static const struct route_param graph_query[] = {
    {"version", PARAM_INT, "the DAG's version number; the newest unless said"},
    {"direction", PARAM_TEXT, "in which what comes later lies: right (the default) or down"},
    {"folded", PARAM_TEXT, "groups that are one node each, named @GROUP: a,b"}, {0}};
static const struct route_param next_query[] = {
    {"from", PARAM_TEXT, "fires then or later: RFC 3339 or a date, local to the DAG's zone"},
    LIMIT, {0}};
static const struct route_param log_query[] = {
    {"offset", PARAM_INT, "the first byte wanted; negative: so many before the end"},
    {"limit", PARAM_INT, "at most so many bytes"},
    {"follow", PARAM_BOOL, "go on until the attempt has ended"},
    {"grep", PARAM_TEXT, "only lines that contain this text"}, {0}};
static const struct route_param lines_query[] = {
    {"from", PARAM_INT, "list lines from this one on (they count from 1, which is the default with a limit), with times and streams"},
    {"offset", PARAM_INT, "where that line begins, if it is known"},
    {"limit", PARAM_INT, "at most so many lines, 1 to 1000"}, {0}};
static const struct route_param run_log_query[] = {
    {"task", PARAM_TEXT, "of this task alone, all its instances, or of one: name[3]"},
    {"all", PARAM_BOOL, "of all attempts, not of the latest alone"},
    {"now", PARAM_BOOL, "of a run that goes on: lines of the last half second too, before which others may still come"},
    {"limit", PARAM_INT, "at most so many lines, 1 to 1000"}, CURSOR, {0}};
static const struct route_param search_query[] = {
    {"q", PARAM_TEXT, "what a line must have, small and capital letters alike: a text, or several with | between them"},
    LIMIT, CURSOR, {0}};
#define AS_OF {"artifact", PARAM_TEXT, "its address: not found when the output is another by now; the answer may be kept for ever"}
#define PATH {"path", PARAM_TEXT, "of a folder: which of its files"}
static const struct route_param files_page[] = {AS_OF, LIMIT, CURSOR, {0}};
static const struct route_param content_query[] = {
    PATH, AS_OF, {"download", PARAM_BOOL, "to be saved, not shown"}, {0}};
static const struct route_param rows_query[] = {
    PATH, AS_OF, LIMIT,
    {"offset", PARAM_INT, "the first row, from 0"},
    {"first_column", PARAM_INT, "the first of at most 100 columns, from 0"},
    {"summary", PARAM_BOOL, "and of each column missing values, least and greatest one"}, {0}};
static const struct route_param events_query[] = {
    {"run", PARAM_TEXT, "events of this run alone"}, {0}};
static const struct route_param create_body[] = {
    {"params", PARAM_OBJECT, "values of the DAG's params"},
    {"date", PARAM_TEXT, "start of the data interval: RFC 3339 or a date"},
    {"note", PARAM_TEXT, "shown with the run"}, {0}};
static const struct route_param retry_body[] = {
    {"failed", PARAM_BOOL, "those that failed and all downstream of them (the default)"},
    {"from", PARAM_TEXT, "this task and all downstream of it, whatever became of them"},
    {"dry_run", PARAM_BOOL, "change nothing: list what would be cleared"}, {0}};
static const struct route_param clear_body[] = {
    {"tasks", PARAM_TEXTS, "ids; none: all"},
    {"upstream", PARAM_BOOL, "and all upstream of them"},
    {"downstream", PARAM_BOOL, "and all downstream of them"},
    {"dry_run", PARAM_BOOL, "change nothing: list what would be cleared"}, {0}};
static const struct route_param mark_body[] = {
    {"tasks", PARAM_TEXTS, "ids"},
    {"state", PARAM_TEXT, "success or failed"},
    {"upstream", PARAM_BOOL, "and all upstream of them"},
    {"downstream", PARAM_BOOL, "and all downstream of them"},
    {"dry_run", PARAM_BOOL, "change nothing: list what would change"}, {0}};
static const struct route_param rerun_body[] = {
    {"params", PARAM_OBJECT, "values that replace those of the run"},
    {"note", PARAM_TEXT, "shown with the new run"}, {0}};
static const struct route_param run_body[] = {
    {"note", PARAM_TEXT, "shown with the run; empty: none"}, {0}};
static const struct route_param backfill_body[] = {
    {"from", PARAM_TEXT, "the first start of an interval: a date, local to the DAG's zone, or RFC 3339"},
    {"to", PARAM_TEXT, "the last one; a date is included"},
    {"reprocess", PARAM_TEXT, "what happens to runs that are there: none, failed or completed ones"},
    {"max_active", PARAM_INT, "runs at a time (default: the DAG's max_active_runs)"},
    {"backwards", PARAM_BOOL, "the newest first"},
    {"params", PARAM_OBJECT, "values of the DAG's params"},
    {"dry_run", PARAM_BOOL, "change nothing: list what would be done"}, {0}};
static const struct route_param due_query[] = {
    {"dag", PARAM_TEXT, "of this DAG alone"},
    {"limit", PARAM_INT, "at most so many (default 1000)"}, {0}};
static const struct route_param durations_query[] = {
    {"limit", PARAM_INT, "of so many runs that have ended (default 30)"}, {0}};
static const struct route_param backfill_patch[] = {
    {"paused", PARAM_BOOL, "whether no new runs begin"}, {0}};
static const struct route_param approvals_page[] = {
    {"run", PARAM_TEXT, "of this run alone"},
    {"state", PARAM_TEXT, "waiting (the default) or all"}, LIMIT, CURSOR, {0}};
static const struct route_param approval_body[] = {
    {"approved", PARAM_BOOL, "whether it is approved; else it is rejected"},
    {"values", PARAM_OBJECT, "of the form's fields"},
    {"comment", PARAM_TEXT, "kept with the answer"}, {0}};
static const struct route_param cancel_body[] = {
    {"dry_run", PARAM_BOOL, "change nothing: answer with the run as it is"}, {0}};
static const struct route_param dag_body[] = {
    {"paused", PARAM_BOOL, "whether its schedule rests"}, {0}};
static const struct route_param file_body[] = {
    {"text", PARAM_TEXT, "the new text of the file"},
    {"hash", PARAM_TEXT, "of the file that it was made from: when that has changed, nothing is saved"},
    {"dry_run", PARAM_BOOL, "save nothing: list what is wrong, and show the graph"}, {0}};
static const struct route_param backup_body[] = {
    {"file", PARAM_TEXT, "absolute path on the server's machine; must not exist"}, {0}};
static const struct route_param worker_body[] = {
    {"drain", PARAM_BOOL, "whether it gets no more work"}, {0}};

#define NAME {"name", PARAM_TEXT, "small letters, digits and _ (for pools and connections also -)"}
#define SLOTS {"slots", PARAM_INT, "that its tasks share"}
#define DESCRIPTION {"description", PARAM_TEXT, "shown with it; empty: none"}
static const struct route_param post_pool_body[] = {NAME, SLOTS, DESCRIPTION, {0}};
static const struct route_param put_pool_body[] = {SLOTS, DESCRIPTION, {0}};
#define VALUE {"value", PARAM_ANY, "any JSON but null"}
static const struct route_param post_variable_body[] = {NAME, VALUE, {0}};
static const struct route_param put_variable_body[] = {VALUE, {0}};
#define SECRET {"value", PARAM_TEXT, "never to be read again"}
static const struct route_param post_secret_body[] = {NAME, SECRET, {0}};
static const struct route_param put_secret_body[] = {SECRET, {0}};
#define URI {"uri", PARAM_TEXT, "such as postgres://USER:PASSWORD@HOST/DATABASE; what is secret of it is never to be read again"}
static const struct route_param post_connection_body[] = {NAME, URI, DESCRIPTION, {0}};
static const struct route_param put_connection_body[] = {URI, DESCRIPTION, {0}};

static const struct route_param emit_body[] = {
    {"rows", PARAM_INT, "how many rows it has now"},
    {"hash", PARAM_TEXT, "of its content"},
    {"note", PARAM_TEXT, "shown with the event"}, {0}};
static const struct route_param lineage_query[] = {
    {"direction", PARAM_TEXT, "upstream, downstream or both (the default)"},
    {"depth", PARAM_INT, "datasets away, 1 to 100 (the default)"}, {0}};

static const struct route_param post_token_body[] = {
    {"role", PARAM_TEXT, "worker (the default), viewer, operator, editor or admin"},
    {"name", PARAM_TEXT, "for people: shown in the list"},
    {"expires", PARAM_TEXT, "it is good for so long, e.g. 7d; without: until it is revoked"},
    {"address", PARAM_TEXT, "host that workers dial (default: where they are listened for)"}, {0}};

static const struct route_param session_body[] = {{"token", PARAM_TEXT, "of the API"}, {0}};

#define V1 "/api/v1"
#define RUN V1 "/runs/{run}"
#define TASK RUN "/tasks/{task}"
#define ATTEMPT TASK "/attempts/{n}"
#define ARTIFACT TASK "/artifacts/{name}"

static const struct route routes[] = {
    {"GET", ROLE_VIEWER, V1 "/dags", "DAGs, and files from which none has come", dags_page, NULL, handle_dags},
    {"GET", ROLE_VIEWER, V1 "/dags/{dag}", "one DAG", NULL, NULL, handle_dag},
    {"PATCH", ROLE_OPERATOR, V1 "/dags/{dag}", "pause or unpause it", NULL, dag_body, handle_patch_dag},
    {"GET", ROLE_VIEWER, V1 "/dags/{dag}/versions", "its versions, newest first", page, NULL, handle_versions},
    {"GET", ROLE_VIEWER, V1 "/dags/{dag}/source", "the text of its file", source_query, NULL, handle_source},
    {"GET", ROLE_VIEWER, V1 "/dags/{dag}/file", "its file as it is on disk, also when it has errors", NULL, NULL,
     handle_file},
    {"PUT", ROLE_EDITOR, V1 "/dags/{dag}/file", "check a text in its place, and save it when it has no error",
     NULL, file_body, handle_put_file},
    {"GET", ROLE_VIEWER, V1 "/dags/{dag}/next", "when its schedule fires next, and for which data interval",
     next_query, NULL, handle_next},
    {"GET", ROLE_VIEWER, V1 "/dags/{dag}/durations", "how long its tasks took in its latest runs, in seconds",
     durations_query, NULL, handle_durations},
    {"GET", ROLE_VIEWER, V1 "/dags/{dag}/grid",
     "its runs, newest first, each with one letter a task: s success, f failed, u upstream_failed, "
     "k skipped, c cancelled, x removed, r running, l leased, q queued, w waiting, d deciding, "
     "z deferred, t retrying, p stopping; a blank or nothing: it has no such task",
     page, NULL, handle_grid},
    {"GET", ROLE_VIEWER, V1 "/dags/{dag}/graph", "its tasks as a picture: where nodes and edges are",
     graph_query, NULL, handle_graph},
    {"GET", ROLE_VIEWER, V1 "/dags/{dag}/runs", "its runs, newest first", dag_runs_page, NULL, handle_dag_runs},
    {"POST", ROLE_OPERATOR, V1 "/dags/{dag}/runs", "start a run (Idempotency-Key: at most one a key)", NULL,
     create_body, handle_create},
    {"GET", ROLE_VIEWER, V1 "/dags/{dag}/backfills", "its backfills, newest first", page, NULL,
     handle_dag_backfills},
    {"POST", ROLE_OPERATOR, V1 "/dags/{dag}/backfills", "run a range of past data intervals (Idempotency-Key: at most once a key)",
     NULL, backfill_body, handle_begin_backfill},
    {"GET", ROLE_VIEWER, V1 "/backfills", "backfills, newest first", page, NULL, handle_backfills},
    {"GET", ROLE_VIEWER, V1 "/backfills/{id}", "one backfill and how far it is", NULL, NULL, handle_backfill},
    {"PATCH", ROLE_OPERATOR, V1 "/backfills/{id}", "pause it or let it go on", NULL, backfill_patch,
     handle_patch_backfill},
    {"DELETE", ROLE_OPERATOR, V1 "/backfills/{id}", "give it up: its runs are cancelled", NULL, NULL,
     handle_cancel_backfill},
    {"GET", ROLE_VIEWER, V1 "/runs", "runs, newest first", runs_page, NULL, handle_runs},
    {"GET", ROLE_VIEWER, V1 "/runs/counts", "how many runs are in each state", counts_query, NULL,
     handle_run_counts},
    {"GET", ROLE_VIEWER, RUN, "one run with its first 1000 tasks", NULL, NULL, handle_run},
    {"PATCH", ROLE_OPERATOR, RUN, "change its note", NULL, run_body, handle_patch_run},
    {"DELETE", ROLE_EDITOR, RUN, "take an ended run away, with its logs", NULL, NULL, handle_delete_run},
    {"GET", ROLE_VIEWER, RUN "/tasks", "its task instances, in the order of the DAG", tasks_page, NULL,
     handle_tasks},
    {"GET", ROLE_VIEWER, RUN "/log", "the lines of all its tasks by time; while it runs `next` is where to go on", run_log_query, NULL,
     handle_run_log},
    {"GET", ROLE_VIEWER, TASK, "one task instance: name or name[3]", NULL, NULL, handle_task},
    {"GET", ROLE_VIEWER, RUN "/counts", "of each of its tasks, how many instances are in each state", NULL, NULL,
     handle_task_counts},
    {"GET", ROLE_VIEWER, TASK "/attempts", "its attempts, the first first", NULL, NULL, handle_attempts},
    {"GET", ROLE_VIEWER, ATTEMPT "/log", "what the attempt wrote, as bytes", log_query, NULL, handle_log},
    {"GET", ROLE_VIEWER, ATTEMPT "/log/lines",
     "how many bytes and lines it wrote, where every n-th line begins, and which lines ::group:: folds; "
     "with from or offset: the lines themselves, with times and streams",
     lines_query, NULL, handle_log_lines},
    {"GET", ROLE_VIEWER, ATTEMPT "/log/search", "lines of it that have a text, by number and offset",
     search_query, NULL, handle_log_search},
    {"GET", ROLE_VIEWER, ATTEMPT "/resolved", "what its with, run and env became; secrets masked", NULL, NULL,
     handle_resolved},
    {"GET", ROLE_VIEWER, TASK "/artifacts", "what its outputs name: files, folders, tables, models", page,
     NULL, handle_artifacts},
    {"GET", ROLE_VIEWER, ARTIFACT "/files", "the files of a folder, by path", files_page, NULL,
     handle_artifact_files},
    {"GET", ROLE_VIEWER, ARTIFACT "/file", "the bytes of a file (Range, ETag: its SHA-256)", content_query, NULL,
     handle_artifact_file},
    {"GET", ROLE_VIEWER, ARTIFACT "/rows", "rows of a table, or of a CSV or JSON file", rows_query, NULL,
     handle_artifact_rows},
    {"GET", ROLE_VIEWER, ATTEMPT "/usage", "what it used of processor and memory over time, so far", NULL, NULL,
     handle_usage},
    {"GET", ROLE_VIEWER, RUN "/explain", "why its tasks are where they are", explain_page, NULL,
     handle_explain},
    {"POST", ROLE_OPERATOR, RUN "/cancel", "stop it", NULL, cancel_body, handle_cancel},
    {"POST", ROLE_OPERATOR, RUN "/retry", "run what failed again, and what comes after it", NULL, retry_body,
     handle_retry},
    {"POST", ROLE_OPERATOR, RUN "/clear", "forget results, so that tasks are decided again", NULL, clear_body,
     handle_clear},
    {"POST", ROLE_OPERATOR, RUN "/mark", "set the state of tasks by hand", NULL, mark_body, handle_mark},
    {"POST", ROLE_OPERATOR, RUN "/rerun", "a new run of the current version with its params and interval (Idempotency-Key: at most one a key)",
     NULL, rerun_body, handle_rerun},
    {"GET", ROLE_VIEWER, V1 "/tasks",
     "task instances over all runs, those of the newest run first; a page may have few items, or none, and yet a `next`",
     all_tasks_page, NULL, handle_all_tasks},
    {"GET", ROLE_VIEWER, V1 "/approvals", "what waits for a person, oldest first", approvals_page, NULL,
     handle_approvals},
    {"GET", ROLE_VIEWER, V1 "/approvals/{id}", "one of them, and what was said", NULL, NULL, handle_approval},
    {"POST", ROLE_OPERATOR, V1 "/approvals/{id}", "approve or reject it; the first answer counts", NULL,
     approval_body, handle_answer_approval},
    {"GET", ROLE_VIEWER, V1 "/workers", "workers", page, NULL, handle_workers},
    {"PATCH", ROLE_OPERATOR, V1 "/workers/{id}", "drain it or let it work again", NULL, worker_body,
     handle_patch_worker},
    {"GET", ROLE_VIEWER, V1 "/pools", "pools: those that exist and those that tasks name", page, NULL,
     handle_pools},
    {"POST", ROLE_EDITOR, V1 "/pools", "make a pool", NULL, post_pool_body, handle_post_pool},
    {"GET", ROLE_VIEWER, V1 "/pools/{name}", "one pool", NULL, NULL, handle_pool},
    {"PUT", ROLE_EDITOR, V1 "/pools/{name}", "make or change a pool", NULL, put_pool_body, handle_put_pool},
    {"DELETE", ROLE_EDITOR, V1 "/pools/{name}", "take it away: its tasks wait", NULL, NULL, handle_delete_pool},
    {"GET", ROLE_VIEWER, V1 "/variables", "variables with their values", page, NULL, handle_variables},
    {"POST", ROLE_EDITOR, V1 "/variables", "make a variable", NULL, post_variable_body, handle_post_variable},
    {"GET", ROLE_VIEWER, V1 "/variables/{name}", "one variable", NULL, NULL, handle_variable},
    {"PUT", ROLE_EDITOR, V1 "/variables/{name}", "make or change a variable", NULL, put_variable_body,
     handle_put_variable},
    {"DELETE", ROLE_EDITOR, V1 "/variables/{name}", "take it away", NULL, NULL, handle_delete_variable},
    {"GET", ROLE_EDITOR, V1 "/secrets", "names of secrets; never values", page, NULL, handle_secrets},
    {"POST", ROLE_EDITOR, V1 "/secrets", "make a secret", NULL, post_secret_body, handle_post_secret},
    {"GET", ROLE_EDITOR, V1 "/secrets/{name}", "one secret without its value", NULL, NULL, handle_secret},
    {"PUT", ROLE_EDITOR, V1 "/secrets/{name}", "make or change a secret", NULL, put_secret_body,
     handle_put_secret},
    {"DELETE", ROLE_EDITOR, V1 "/secrets/{name}", "take it away", NULL, NULL, handle_delete_secret},
    {"GET", ROLE_VIEWER, V1 "/datasets", "datasets with their last event, and who writes and reads them", page,
     NULL, handle_datasets},
    {"GET", ROLE_VIEWER, V1 "/datasets/{name}", "one dataset, and the cycle that it starts itself by", NULL, NULL,
     handle_dataset},
    {"GET", ROLE_VIEWER, V1 "/datasets/{name}/events", "its events, newest first", page, NULL,
     handle_dataset_events},
    {"POST", ROLE_OPERATOR, V1 "/datasets/{name}/events", "say that it was written by somebody outside", NULL,
     emit_body, handle_emit},
    {"GET", ROLE_VIEWER, V1 "/datasets/{name}/events/{version}", "one event and what it was made of", NULL, NULL,
     handle_dataset_event},
    {"GET", ROLE_VIEWER, V1 "/datasets/{name}/lineage", "which datasets it is made of, and which are made of it",
     lineage_query, NULL, handle_lineage},
    {"GET", ROLE_VIEWER, V1 "/connections", "connections, without what is secret", page, NULL,
     handle_connections},
    {"POST", ROLE_EDITOR, V1 "/connections", "make a connection", NULL, post_connection_body,
     handle_post_connection},
    {"GET", ROLE_VIEWER, V1 "/connections/{name}", "one connection, without what is secret", NULL, NULL,
     handle_connection},
    {"PUT", ROLE_EDITOR, V1 "/connections/{name}", "make or change a connection", NULL, put_connection_body,
     handle_put_connection},
    {"DELETE", ROLE_EDITOR, V1 "/connections/{name}", "take it away", NULL, NULL, handle_delete_connection},
    {"POST", ROLE_EDITOR, V1 "/connections/{name}/test", "try it from the scheduler's machine (10 s at most)",
     NULL, NULL, handle_test_connection},
    {"GET", ROLE_VIEWER, V1 "/notifications", "what is or was told to others, newest first",
     notifications_page, NULL, handle_notifications},
    {"GET", ROLE_VIEWER, V1 "/notifications/{id}", "one of them, with what it says", NULL, NULL,
     handle_notification},
    {"POST", ROLE_OPERATOR, V1 "/notifications/{id}/retry", "send one again that was given up", NULL, NULL,
     handle_retry_notification},
    {"GET", ROLE_ADMIN, V1 "/tokens", "tokens of workers on other machines, without their texts", page, NULL,
     handle_tokens},
    {"POST", ROLE_ADMIN, V1 "/tokens", "make a token; its text is in this answer alone", NULL,
     post_token_body, handle_post_token},
    {"DELETE", ROLE_ADMIN, V1 "/tokens/{id}", "revoke it: its workers are refused from now on", NULL, NULL,
     handle_delete_token},
    {"POST", ROLE_ADMIN, V1 "/backup", "write a consistent copy of nexus.db", NULL, backup_body, handle_backup},
    {"GET", ROLE_VIEWER, V1 "/settings", "what the scheduler goes by, and what said so; nothing secret", NULL, NULL,
     handle_settings},
    {"GET", ROLE_OPERATOR, V1 "/checks", "what the scheduler knows for nexus doctor", NULL, NULL, handle_checks},
    {"GET", ROLE_VIEWER, V1 "/retention", "how long runs and logs of each DAG stay", page, NULL,
     handle_retention},
    {"GET", ROLE_VIEWER, V1 "/retention/due", "ended runs that are over a bound, oldest first", due_query, NULL,
     handle_retention_due},
    {"POST", ROLE_ADMIN, V1 "/retention/run", "take away now what is over a bound", NULL, NULL,
     handle_retention_run},
    {"GET", ROLE_OPERATOR, V1 "/audit", "who changed what, newest first", page, NULL, handle_audit},
    {"GET", ROLE_VIEWER, V1 "/events", "server-sent events (Last-Event-ID goes on)", events_query, NULL,
     handle_events},
    {"GET", ROLE_ANYONE, V1 "/session", "who asks, and what he may", NULL, NULL, handle_session},
    {"POST", ROLE_ANYONE, V1 "/session", "sign in: the answer sets the cookie of a session", NULL,
     session_body, handle_sign_in},
    {"DELETE", ROLE_ANYONE, V1 "/session", "sign out", NULL, NULL, handle_sign_out},
    {"GET", ROLE_ANYONE, "/", "leads to the web page", NULL, NULL, handle_root},
    {"GET", ROLE_ANYONE, "/ui/static/{hash}/{file}", "a part of the web page, to be kept for ever", NULL, NULL,
     handle_page_file},
    {"GET", ROLE_ANYONE, "/ui/{+view}", "the web page", NULL, NULL, handle_page},
    {"GET", ROLE_ANYONE, "/api/openapi.json", "this document", NULL, NULL, handle_openapi},
    {"GET", ROLE_VIEWER, "/metrics", "figures for Prometheus", NULL, NULL, handle_metrics},
    {"GET", ROLE_ANYONE, "/health", "whether the process answers", NULL, NULL, handle_health},
    {"GET", ROLE_ANYONE, "/health/ready", "whether its parts are ready", NULL, NULL, handle_ready},
};
/* clang-format on */

#define N_ROUTES (sizeof routes / sizeof *routes)

const struct route *route_at(size_t i)
{
    return i < N_ROUTES ? &routes[i] : NULL;
}

/* ---- The router ---- */

bool route_next_segment(const char **path, const char **segment, size_t *n)
{
    if (!**path)
        return false;
    *segment = *path + 1; /* behind the slash */
    *n = strcspn(*segment, "/");
    *path = *segment + *n;
    return true;
}

static bool matches(const struct call *call, const struct route *route,
                    const char *params[CALL_PARAMS_MAX])
{
    const char *path = route->path, *segment;
    size_t n, i = 0, n_params = 0;
    if (!path[1])
        return http_segment(call->request, 0) == NULL;
    for (; route_next_segment(&path, &segment, &n); i++) {
        const char *given = http_segment(call->request, i);
        if (segment[0] == '{' && segment[1] == '+') /* whatever follows */
            return true;
        if (!given)
            return false;
        if (*segment == '{') {
            must(n_params < CALL_PARAMS_MAX);
            params[n_params++] = given;
        } else if (strlen(given) != n || memcmp(given, segment, n) != 0) {
            return false;
        }
    }
    return http_segment(call->request, i) == NULL;
}

/* The route's path with the request's own segments where the pattern has {x}. */
static const char *as_asked(const struct call *call, const struct route *route)
{
    const char *path = route->path, *segment;
    size_t n;
    struct buf buf;
    buf_init(&buf);
    for (size_t i = 0; route_next_segment(&path, &segment, &n); i++) {
        const char *given = http_segment(call->request, i);
        buf_char(&buf, '/');
        if (*segment == '{' && given)
            buf_str(&buf, given);
        else
            buf_add(&buf, segment, n);
    }
    const char *text = arena_strdup(call->arena, buf_text(&buf));
    buf_fini(&buf);
    return text;
}

static const struct route *fail_no_path(struct call *call, struct nx_err *err)
{
    const char *paths[N_ROUTES], *path = http_path(call->request);
    for (size_t i = 0; i < N_ROUTES; i++)
        paths[i] = as_asked(call, &routes[i]);
    const char *nearest = str_nearest(path, paths, N_ROUTES);
    nx_fail(err, NX_E_NOT_FOUND, "there is nothing at %.200s%s%s%s", path,
            nearest ? "; did you mean " : "; see /api/openapi.json", nearest ? nearest : "",
            nearest ? "?" : "");
    return NULL;
}

static const struct route *fail_method(struct call *call, const char *allow, struct nx_err *err)
{
    call->status = 405;
    call->code = "method_not_allowed";
    call->headers[0] = "Allow";
    call->headers[1] = allow;
    nx_fail(err, NX_E_INVALID, "%.200s takes %s, not %.16s", http_path(call->request), allow,
            http_method(call->request));
    return NULL;
}

static bool check_queries(struct call *call, const struct route *route, struct nx_err *err)
{
    if (route->handle == handle_page) /* they are the page's own */
        return true;
    const char *value, *names[8];
    size_t n_names = 0;
    for (const struct route_param *p = route->queries; p && p->name; p++)
        names[n_names++] = p->name;
    for (size_t i = 0; i < http_n_queries(call->request); i++) {
        const char *name = http_query_at(call->request, i, &value);
        bool known = false;
        for (size_t k = 0; k < n_names; k++)
            known = known || str_eq(names[k], name);
        if (known)
            continue;
        const char *nearest = str_nearest(name, names, n_names);
        return nx_fail(err, NX_E_INVALID, "the parameter '%.64s' is unknown here%s%s%s", name,
                       nearest ? "; did you mean '" : "", nearest ? nearest : "",
                       nearest ? "'?" : "");
    }
    return true;
}

const struct route *route_find(struct call *call, struct nx_err *err)
{
    const char *method = http_method(call->request), *params[CALL_PARAMS_MAX] = {0};
    const char *allow = NULL, *path = NULL;
    if (str_eq(method, "HEAD"))
        method = "GET";
    for (size_t i = 0; i < N_ROUTES; i++) {
        bool other = path && !str_eq(path, routes[i].path); /* /runs/counts is no /runs/{run} */
        if (other || !matches(call, &routes[i], params))
            continue;
        path = routes[i].path;
        if (str_eq(routes[i].method, method)) {
            memcpy(call->params, params, sizeof params);
            return check_queries(call, &routes[i], err) ? &routes[i] : NULL;
        }
        allow =
            allow ? arena_printf(call->arena, "%s, %s", allow, routes[i].method) : routes[i].method;
    }
    return allow ? fail_method(call, allow, err) : fail_no_path(call, err);
}
