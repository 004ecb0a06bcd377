#include "scheduler/port/api_schema.h"

#include <string.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "nexus/error.h"
#include "nexus/states.h"
#include "scheduler/port/api_json.h"

/* ---- Words ---- */

static const char *run_state(int i)
{
    return i < NX_RUN_STATES ? nx_run_state_name((enum nx_run_state)i) : NULL;
}

static const char *task_state(int i)
{
    return i < NX_TASK_STATES ? nx_task_state_name((enum nx_task_state)i) : NULL;
}

static const char *outcome(int i)
{
    return i + 1 < NX_ATTEMPT_OUTCOMES ? nx_outcome_name((enum nx_attempt_outcome)(i + 1)) : NULL;
}

static const char *trigger_rule(int i)
{
    return i < NX_TRIGGER_RULES ? nx_rule_name((enum nx_trigger_rule)i) : NULL;
}

static const char *cause(int i)
{
    return i < NX_RUN_CAUSES ? nx_cause_name((enum nx_run_cause)i) : NULL;
}

static const char *reason(int i)
{
    return i + 1 < NX_REASONS ? nx_reason_name((enum nx_reason)(i + 1)) : NULL;
}

/* Those of the error table, and one that is HTTP's own. */
static const char *error_code(int i)
{
    if (i + 1 < NX_CODES)
        return nx_code_info((enum nx_code)(i + 1))->name;
    return i + 1 == NX_CODES ? "method_not_allowed" : NULL;
}

/* ---- The table ---- */

/* clang-format off */
struct plain {
    const char *name, *json;
};

/* Types without a name in the document. */
static const struct plain plain_types[] = {
    {"text", "{\"type\":\"string\"}"},
    {"name", "{\"type\":\"string\",\"minLength\":1}"},
    {"id", "{\"type\":\"string\",\"pattern\":\"^[0-9]+$\"}"},
    {"time", "{\"type\":\"string\",\"format\":\"date-time\"}"},
    {"int", "{\"type\":\"integer\"}"},
    {"count", "{\"type\":\"integer\",\"minimum\":0}"},
    {"positive", "{\"type\":\"integer\",\"minimum\":1}"},
    {"number", "{\"type\":\"number\"}"},
    {"bool", "{\"type\":\"boolean\"}"},
    {"object", "{\"type\":\"object\"}"},
    {"any", "{}"},
    {"null", "{\"type\":\"null\"}"},
    /* Of parameters. */
    {"flag", "{\"type\":\"string\",\"enum\":[\"true\",\"false\",\"1\",\"0\",\"\"]}"},
    {"truth", "{\"type\":\"string\",\"enum\":[\"true\",\"false\"]}"},
    {"limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}"},
    {"cursor", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":4294967295000000}"},
    {"bytes", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":9223372036854775807}"},
    {"offset", "{\"type\":\"integer\",\"minimum\":-9223372036854775808,\"maximum\":9223372036854775807}"},
    {"task_cursor", "{\"type\":\"string\",\"pattern\":\"^[1-9][0-9]{0,17}([.][0-9]{1,18})?$\"}"},
    {"sort_runs", "{\"type\":\"string\",\"enum\":[\"-created\",\"created\"]}"},
    {"sort_dags", "{\"type\":\"string\",\"enum\":[\"id\",\"-id\"]}"},
    {"depth", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":100}"},
    {"since", "{\"type\":\"string\",\"pattern\":\"^[0-9.+-][0-9A-Za-z.: +-]*$\","
              "\"examples\":[\"24h\",\"2026-01-31\"]}"},
    {"when", "{\"type\":\"string\",\"pattern\":\"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9A-Za-z.:+-]+)?$\",\"examples\":[\"2026-01-31\"]}"},
    {"age", "{\"type\":\"string\",\"pattern\":\"^[0-9.+-][0-9A-Za-z.+-]*$\",\"examples\":[\"7d\"]}"},
    {"run_id", "{\"type\":\"string\",\"pattern\":\"^[1-9][0-9]{0,17}$\"}"},
    {"note", "{\"type\":\"string\",\"maxLength\":16384}"},
    {"description", "{\"type\":\"string\",\"maxLength\":512}"},
    {"hash", "{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{64}$\"}"},
    {"variable_name", "{\"type\":\"string\",\"pattern\":\"^[a-z][a-z0-9_]{0,63}$\"}"},
    {"slots", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000000}"},
    {"some_texts", "{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"string\"}}"},
    {"texts", "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"},
    {"words", "{\"type\":\"string\",\"pattern\":\"^[^|]{1,100}$\",\"examples\":[\"error|warning\"]}"},
    {"mark", "{\"type\":\"string\",\"enum\":[\"success\",\"failed\"]}"},
    {"approval_filter", "{\"type\":\"string\",\"enum\":[\"waiting\",\"all\"]}"},
    {"direction_or_both", "{\"type\":\"string\",\"enum\":[\"upstream\",\"downstream\",\"both\"]}"},
    {"graph_direction", "{\"type\":\"string\",\"enum\":[\"right\",\"down\"]}"},
    {"token_role", "{\"type\":\"string\",\"enum\":[\"worker\",\"viewer\",\"operator\",\"editor\",\"admin\"]}"},
    {"id_name", "{\"type\":\"string\",\"pattern\":\"^[a-z][a-z0-9_-]{0,63}$\"}"},
    {"short_text", "{\"type\":\"string\",\"maxLength\":128}"},
    {"uri", "{\"type\":\"string\",\"pattern\":\"^[a-z]+://[A-Za-z0-9._:/@%-]+$\",\"examples\":[\"postgres://user:password@host/database\"]}"},
    {"path", "{\"type\":\"string\",\"pattern\":\"^/.+$\"}"},
    {"not_null", "{\"type\":[\"string\",\"number\",\"boolean\",\"array\",\"object\"]}"},
    {"address", "{\"type\":\"string\",\"pattern\":\"^sha256:[0-9a-f]{64}$\"}"},
    {"key", "{\"type\":\"string\",\"minLength\":1,\"maxLength\":256}"},
    {"max_active", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":10000}"},
};

struct shape {
    const char *name, *help, *members;
    const char *words;            /* "a b c"; or */
    const char *(*word)(int i);   /* the i-th; NULL behind the last */
};

#define PAGE(of) {of "_page", "A page of a list; `next` is the cursor of the page after it.", "items:[" of "] next:text?", NULL, NULL}
#define SHAPE(name, help, members) {name, help, members, NULL, NULL}
#define WORDS(name, help, words) {name, help, NULL, words, NULL}
#define WORDS_OF(name, help, fn) {name, help, NULL, NULL, fn}

static const struct shape shapes[] = {
    SHAPE("error", "What every refusal and failure is answered with.", "error:error_body"),
    SHAPE("error_body", "`details` is null, or what a program may want to know: problems of a file, or who changed a thing.",
          "code:error_code message:text details:any"),
    SHAPE("last_change", "The `details` of 409 and 412: who was faster.", "who:text what:text at:time"),
    WORDS_OF("error_code", "Each has one HTTP status.", error_code),

    WORDS_OF("run_state", "The last three are final.", run_state),
    WORDS_OF("task_state", "From success on they are final.", task_state),
    WORDS_OF("outcome", "How an attempt ended.", outcome),
    WORDS_OF("trigger_rule", "When a task runs, by what became of those that it needs.", trigger_rule),
    WORDS_OF("cause", "What started a run.", cause),
    WORDS_OF("reason_code", "Why a task is in its state.", reason),
    SHAPE("reason", "Why, for programs and for people.", "code:reason_code text:text"),
    SHAPE("interval", "The stretch of time whose data a run is about.", "start:time? finish:time?"),

    /* DAGs. */
    SHAPE("dag", "A DAG as its current version says, and where its schedule stands.",
          "id:text file:text version:id? description:text? tags:[text] params:[param] timeout:number? deadline:number? "
          "max_active_runs:count? schedule:[text] timezone:text tasks:[dag_task] paused:bool valid:bool next_fire_at:time? "
          "errors:[problem] start:time? end:time? catchup:text? overlap:overlap? jitter:number? dataset_waits:[dataset_wait]"),
    PAGE("dag"),
    WORDS("overlap", "What a schedule does when max_active_runs are there.", "queue skip cancel_running"),
    SHAPE("dag_task", "A task of a DAG. `map`: tasks with the same number are mapped over one list.",
          "id:text uses:text? needs:[text] trigger_rule:trigger_rule pool:text? queue:text? concurrency:concurrency? "
          "depends_on_past:bool retries:count if:text? finally:bool group:text? mapped:bool ~map:count ~if_each:bool "
          "cpus:number? memory_bytes:count? gpus:count produces:[text] consumes:[text]"),
    SHAPE("concurrency", "At most so many of a key run at once.", "key:text limit:count"),
    SHAPE("param", "A param of a DAG, or a field of a form.",
          "name:text type:text required:bool help:text? min:number? max:number? choices:[any]? default:any"),
    SHAPE("problem", "What is wrong with a DAG file, and where.",
          "file:text? line:count? column:count? severity:severity message:text hint:text?"),
    WORDS("severity", "Of a problem.", "error warning"),
    SHAPE("dataset_wait", "What an entry of a schedule waits for.",
          "all:bool has:[dataset_has] missing:[text] since:time? text:text"),
    SHAPE("dataset_has", "A dataset that has had events.", "dataset:text version:count events:count"),
    SHAPE("version", "A version of a DAG.", "version:id file:text hash:text created_at:time"),
    PAGE("version"),
    SHAPE("file", "A DAG file as it is on disk.", "file:text hash:text text:text"),
    SHAPE("saved_file", "A file that was saved.", "file:text hash:text"),
    SHAPE("file_check", "What a text would be: problems, and the graph of each DAG in it.",
          "problems:[problem] dags:[checked_dag]"),
    SHAPE("checked_dag", "A DAG of a text.", "id:text graph:graph"),
    SHAPE("graph", "Tasks as a picture, in pixels.",
          "version:id? width:count height:count node_width:count node_height:count nodes:[graph_node] edges:[graph_edge]"),
    SHAPE("graph_node", "`x` and `y` are its left upper corner.",
          "task:text uses:text? group:text? trigger_rule:trigger_rule mapped:bool finally:bool ~tasks:[text] x:int y:int"),
    SHAPE("graph_edge", "`bends`: x and y of points between both, in turn.", "from:text to:text bends:[int]"),
    SHAPE("fire", "When a schedule fires.", "fire_at:time local:text interval:interval"),
    SHAPE("fires", "The next ones, soonest first.",
          "items:[fire] next:null paused:bool dataset_waits:[dataset_wait]"),
    SHAPE("duration", "How long a task took, in seconds.",
          "task:text runs:count min:number median:number p90:number max:number"),
    PAGE("duration"),
    SHAPE("grid", "Runs and the states of their tasks: the i-th letter is that of the i-th task.",
          "items:[grid_run] tasks:[text] next:text?"),
    SHAPE("grid_run", "A run in a grid.",
          "id:id dag_version:id state:run_state cause:cause interval_start:time? created_at:time started_at:time? "
          "finished_at:time? states:text"),

    /* Backfills. */
    SHAPE("backfill", "A backfill and how far it is.",
          "id:id dag:text state:backfill_state reason:reason? from:time to:time reprocess:reprocess backwards:bool "
          "max_active:count params:object created_at:time total:count begun:count counts:{count} left_to_others:count "
          "deleted:count dag_paused:bool"),
    PAGE("backfill"),
    WORDS("backfill_state", "Of a backfill.", "running paused done cancelled"),
    WORDS("reprocess", "Which runs that are there run again.", "none failed completed"),
    SHAPE("backfill_step", "What would be done about one data interval.",
          "interval:interval fire_at:time action:backfill_action run:id?"),
    SHAPE("backfill_plan", "What a backfill would do.", "items:[backfill_step] next:null"),
    WORDS("backfill_action", "Of a plan.", "create reprocess exists in_flight"),

    /* Runs, tasks, attempts. */
    SHAPE("run", "A run. `counts`: its tasks by state.",
          "id:id dag:text dag_version:id state:run_state cause:cause interval:interval params:object created_at:time "
          "started_at:time? finished_at:time? deadline_at:time? late_at:time? counts:{count} note:text? "
          "triggered_by:[trigger]"),
    PAGE("run"),
    SHAPE("run_with_tasks", "A run and its first 1000 tasks.", "<run tasks:[task]"),
    SHAPE("trigger", "A dataset that started a run: its versions first_version to version.",
          "dataset:text version:count first_version:count created_at:time rows:count? hash:text? note:text? producer:producer"),
    SHAPE("run_counts", "How many runs are in each state.",
          "queued:count running:count stopping:count success:count failed:count cancelled:count"),
    SHAPE("task", "A task instance.",
          "run:id task:text map_index:count? state:task_state attempt:count max_attempts:count worker:text? pool:text? "
          "queue:text? reason:reason? progress:progress? ready_at:time? started_at:time? finished_at:time? "
          "outputs:object? error:text?"),
    PAGE("task"),
    SHAPE("listed_task", "A task instance of a list over runs.", "<task dag:text"),
    PAGE("listed_task"),
    SHAPE("progress", "What a running task says of itself.", "fraction:number? text:text?"),
    SHAPE("attempt", "One attempt of a task instance.",
          "number:count state:outcome|task_state worker:text? started_at:time? finished_at:time? exit_code:int? signal:int? "
          "error:text? max_rss_bytes:count? cpu_s:number?"),
    PAGE("attempt"),
    SHAPE("log_lines", "How long a log is, and where each line of number 1 + k * every begins.",
          "bytes:count lines:count every:count offsets:[count] groups:[log_group] more_groups:bool"),
    SHAPE("log_group", "Lines that ::group:: folds; `open`: it has no end so far.",
          "name:text line:count offset:count end_line:count open:bool"),
    SHAPE("log_text", "A line: `bytes` without its end; `whole` false: it goes on; `at`, `stream`: not known of old logs.",
          "offset:count bytes:count whole:bool at:time? stream:log_stream? group:log_fold? text:text"),
    SHAPE("log_line", "A line of an attempt's log.", "<log_text line:count"),
    SHAPE("log_line_page", "Lines, by number; `next` and `next_offset` are where to go on.",
          "items:[log_line] next_offset:count? next:text?"),
    SHAPE("run_log_line", "A line of a task's log.", "<log_text task:text map_index:count? attempt:count"),
    SHAPE("run_log_page", "Lines by time; while the run goes on `next` is where to ask again.",
          "items:[run_log_line] next:text?"),
    WORDS("log_stream", "Where a line came from; `nexus`: the worker says it.", "out err nexus"),
    WORDS("log_fold", "What a line does to a group.", "begins ends"),
    SHAPE("task_count", "How many instances of a task are in each state.", "task:text counts:{count}"),
    PAGE("task_count"),
    SHAPE("usage", "What all processes of an attempt used; of each sample since the one before. `interval` is in seconds.",
          "interval:number samples:[usage_sample]"),
    SHAPE("usage_sample", "`cpu_cores`: processor time over time.",
          "at:time cpu_cores:number rss_bytes:count processes:count"),
    SHAPE("artifact", "What an output names; `gone`: it is not kept any more.",
          "name:text kind:text address:address gone:bool n_bytes:count? n_files:count? media_type:text? n_rows:count? columns:[column]?"),
    PAGE("artifact"),
    SHAPE("column", "Of a table.", "name:text type:text"),
    SHAPE("artifact_file", "A file of a folder.", "path:text n_bytes:count sha256:text media_type:text?"),
    PAGE("artifact_file"),
    SHAPE("table_rows", "Rows of a table; a cell that is cut is {cut, n}.",
          "columns:[column] first_column:count n_columns:count rows:[[any]] offset:count n_rows:count? more:bool "
          "summary:[column_summary]?"),
    SHAPE("column_summary", "Of a column.", "nulls:count min:any max:any"),
    SHAPE("log_match", "A line of a log that has a text.", "line:count offset:count text:text"),
    PAGE("log_match"),
    SHAPE("explanation", "Why a task is where it is.",
          "task:text map_index:count? state:task_state reasons:[dated_reason]"),
    PAGE("explanation"),
    SHAPE("dated_reason", "Why, and since when.", "code:reason_code|no_reason text:text since:time?"),
    WORDS("no_reason", "There is nothing to say.", "none"),
    SHAPE("edited_run", "A run, and which of its tasks an edit concerns.", "<run dry_run:bool changed:[edit]"),
    SHAPE("edit", "What a task instance was, and what it becomes.",
          "task:text map_index:count? before:task_state after:task_state"),
    SHAPE("deleted", "What is gone.", "deleted:text"),
    SHAPE("deleted_pool", "A pool that is gone, and who used it.", "deleted:text used:count waiting:count"),

    /* Waiting for people, workers. */
    SHAPE("approval", "What waits for a person, and what was said.",
          "id:id run:id dag:text task:text map_index:count? state:approval_state message:text form:[param] asked_at:time "
          "due_at:time? decided_at:time? decided_by:text? comment:text? values:object?"),
    PAGE("approval"),
    WORDS("approval_state", "`closed`: nobody needs an answer any more.", "waiting approved rejected closed"),
    SHAPE("worker", "A worker.",
          "id:text host:text? address:text? state:worker_state slots:count busy:count leases:count tasks:[worker_task] queues:[text] "
          "version:text? last_seen_at:time? memory_bytes:count? gpus:count note:text?"),
    PAGE("worker"),
    SHAPE("worker_task", "What a worker has in hand.", "run:id dag:text task:text map_index:count? state:task_state"),
    WORDS("worker_state", "Of a worker.", "online draining lost offline"),

    /* What is kept. */
    SHAPE("pool", "A pool; `exists` false: tasks name it, and wait.",
          "name:text exists:bool slots:count? used:count waiting:count description:text? source:source?"),
    PAGE("pool"),
    WORDS("source", "Where a thing is set; only what is kept can be changed here.", "kept nexus.yaml environment"),
    SHAPE("variable", "A variable.", "name:text value:any source:source updated_at:time?"),
    PAGE("variable"),
    SHAPE("secret", "A secret without its value; `error`: it cannot be opened.",
          "name:text source:source updated_at:time? error:text?"),
    PAGE("secret"),
    SHAPE("connection", "A connection; `uri` without what is secret of it.",
          "name:text kind:text? uri:text? description:text? source:source updated_at:time? error:text?"),
    PAGE("connection"),
    SHAPE("connection_test", "What became of a try.",
          "name:text uri:text ok:bool said:text? error:text? took:number"),

    /* Datasets. */
    SHAPE("dataset", "A dataset.",
          "name:text last_event:dataset_event? produced_by:[dataset_link] consumed_by:[dataset_link] starts:[text]"),
    PAGE("dataset"),
    SHAPE("dataset_with_cycle", "A dataset, and the way from it back to itself by which it would start itself.",
          "<dataset cycle:[text]?"),
    SHAPE("dataset_link", "A task that writes or reads a dataset.", "dag:text task:text?"),
    SHAPE("dataset_event", "A version of a dataset.",
          "dataset:text version:count created_at:time rows:count? hash:text? note:text? producer:producer"),
    PAGE("dataset_event"),
    SHAPE("producer", "Who made it: a task, or somebody (`who`) outside.",
          "dag:text? run:id? task:text? map_index:int? attempt:count? who:text?"),
    SHAPE("dataset_event_with_inputs", "A version of a dataset, and what it was made of.",
          "<dataset_event inputs:[dataset_input]"),
    SHAPE("dataset_input", "A version that was read.", "dataset:text version:count task:text?"),
    SHAPE("lineage", "`cut`: there is more.", "dataset:text items:[lineage_edge] cut:bool"),
    SHAPE("lineage_edge", "From one dataset to another, or to nothing (null), by a DAG.",
          "direction:direction depth:count from:text? to:text? dag:text reader:text? writer:text?"),
    WORDS("direction", "Of a way along datasets.", "upstream downstream"),

    /* Notifications, tokens, the server. */
    SHAPE("notification", "What is or was told to others.",
          "id:id delivery_id:text event:text dag:text run:id? task:text? map_index:count? kind:text target:text "
          "state:notification_state attempts:count more:count? created_at:time due_at:time? finished_at:time? error:text? "
          "output:text?"),
    PAGE("notification"),
    SHAPE("notification_with_body", "And what it says.", "<notification body:object"),
    WORDS("notification_state", "Of a notification.", "pending sent failed"),
    SHAPE("token", "A token without its text.",
          "id:text name:text? role:text created_at:time expires_at:time? last_used_at:time?"),
    PAGE("token"),
    SHAPE("made_token", "A token with its text, which is shown this once; url and certificate are for workers.",
          "<token token:text url:text? certificate:text?"),
    SHAPE("setting", "A setting as it is in force, and what said it: flag, environment, nexus.yaml or default.",
          "name:text value:text|number? source:text help:text"),
    PAGE("setting"),
    SHAPE("backup", "A copy that was written.", "file:text bytes:count"),
    SHAPE("checks", "What nexus doctor asks.",
          "version:text now:time started_at:time clock_set_by:number database:database skews:[skew]"),
    SHAPE("database", "nexus.db.",
          "schema:count schema_known:count bytes:count free_bytes:count log_bytes:count secrets:count doomed_runs:count "
          "checked:bool damage:text?"),
    SHAPE("skew", "How far a worker's clock seems to be off, in seconds.", "worker:text behind:number ahead:number"),
    SHAPE("retention", "How long runs and logs of a DAG stay, in seconds; null: for ever.",
          "dag:text runs:number? keep:count? logs:number? source:text due_runs:count due_logs:count more:bool"),
    PAGE("retention"),
    SHAPE("retention_due", "A run that would go.", "run:id dag:text state:run_state finished_at:time because:text"),
    PAGE("retention_due"),
    SHAPE("started", "It goes on by itself.", "started:bool"),
    SHAPE("audit", "Who changed what.", "id:id at:time who:text what:text target:text detail:object?"),
    PAGE("audit"),
    SHAPE("session", "Who asks, and what he may.", "auth:bool user:text role:role expires_at:time?"),
    WORDS("role", "Each may what those before it may.", "anyone viewer operator editor admin worker"),
    SHAPE("health", "The process answers.", "status:text started_at:time version:text"),
    SHAPE("readiness", "200: `status` is ok; 503: DAG files are still being read. Each part is ok, or says what it lacks; no worker "
          "makes nothing unready.",
          "status:readiness_state parts:readiness_parts disk_free_bytes:count? workers_online:count runs_active:count"),
    WORDS("readiness_state", "Of the scheduler.", "ok loading"),
    SHAPE("readiness_parts", "`loop`: the scheduler's loop has answered. `store`: nexus.db can be read. `loader`: every DAG file has "
          "been read once. `workers`: at least one is online (else none). `disk`: of the home; low: less than 1 GiB is free.",
          "loop:text store:text loader:text workers:text disk:text"),

    /* Events. */
    SHAPE("server_sent_event", "One of a stream; `data` is JSON whose shape goes by `event`: see x-events of the route.",
          "~id:text ~event:text ~data:text"),
    SHAPE("run_event", "A run has changed.",
          "run:id dag:text state:run_state counts:{count} late:bool"),
    SHAPE("task_event", "A task instance has changed.",
          "run:id dag:text task:text map_index:count? state:task_state attempt:count"),
    SHAPE("worker_event", "A worker has come or changed.", "worker:text drain:bool"),
    SHAPE("dataset_changed", "A dataset has a new version.", "dataset:text version:count run:id?"),
};
/* clang-format on */

#define N_SHAPES (sizeof shapes / sizeof *shapes)

static const struct shape *find_shape(const char *name, size_t n)
{
    for (size_t i = 0; i < N_SHAPES; i++) {
        if (strlen(shapes[i].name) == n && memcmp(shapes[i].name, name, n) == 0)
            return &shapes[i];
    }
    return NULL;
}

static const char *find_plain(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof plain_types / sizeof *plain_types; i++) {
        if (strlen(plain_types[i].name) == n && memcmp(plain_types[i].name, name, n) == 0)
            return plain_types[i].json;
    }
    return NULL;
}

/* ---- As JSON schemas ---- */

static void put_named(struct buf *buf, const char *key, const char *name, size_t n)
{
    char text[96];
    const char *plain = find_plain(name, n);
    must(n < 64 && (plain || find_shape(name, n))); /* else the table names what is not in it */
    if (plain) {
        put_raw(buf, key, plain);
        return;
    }
    memcpy(text, "#/components/schemas/", 21);
    memcpy(text + 21, name, n);
    text[21 + n] = 0;
    put_open(buf, key, '{');
    put_text(buf, "$ref", text);
    put_close(buf, '}');
}

/* One alternative of n bytes, without `?`: a name, [x], {x}. */
static void put_one(struct buf *buf, const char *key, const char *type, size_t n)
{
    bool list = type[0] == '[', map = type[0] == '{';
    if (!list && !map) {
        put_named(buf, key, type, n);
        return;
    }
    must(type[n - 1] == (list ? ']' : '}'));
    put_open(buf, key, '{');
    put_text(buf, "type", list ? "array" : "object");
    put_one(buf, list ? "items" : "additionalProperties", type + 1, n - 2);
    put_close(buf, '}');
}

static void put_type(struct buf *buf, const char *key, const char *type, size_t n)
{
    bool nullable = type[n - 1] == '?';
    n -= nullable;
    if (!nullable && !memchr(type, '|', n)) {
        put_one(buf, key, type, n);
        return;
    }
    put_open(buf, key, '{');
    put_open(buf, "anyOf", '[');
    for (size_t at = 0; at < n;) {
        const char *bar = memchr(type + at, '|', n - at);
        size_t length = bar ? (size_t)(bar - type) - at : n - at;
        put_one(buf, NULL, type + at, length);
        at += length + 1;
    }
    if (nullable)
        put_raw(buf, NULL, "{\"type\":\"null\"}");
    put_close(buf, ']');
    put_close(buf, '}');
}

void put_schema(struct buf *buf, const char *key, const char *type)
{
    put_type(buf, key, type, strlen(type));
}

/* A word of members. */
struct member {
    const char *name, *type;
    size_t n_name, n_type;
    bool maybe, all_of; /* all_of: it stands for the members of the shape `name` */
};

static bool next_member(const char **p, struct member *member)
{
    *p += strspn(*p, " ");
    if (!**p)
        return false;
    *member = (struct member){.maybe = **p == '~', .all_of = **p == '<'};
    *p += member->maybe || member->all_of;
    member->name = *p;
    member->n_name = strcspn(*p, ": ");
    *p += member->n_name;
    if (!member->all_of) {
        must(**p == ':');
        member->type = ++*p;
        member->n_type = strcspn(*p, " ");
        *p += member->n_type;
    }
    return true;
}

static const char *shape_members(const struct member *member)
{
    const struct shape *shape = find_shape(member->name, member->n_name);
    must(shape && shape->members && shape->members[0] != '<');
    return shape->members;
}

static void put_properties(struct buf *buf, const char *members)
{
    struct member member;
    while (next_member(&members, &member)) {
        char name[64];
        if (member.all_of) { /* one level deep: see shape_members */
            put_properties(buf, shape_members(&member));
            continue;
        }
        must(member.n_name < sizeof name);
        memcpy(name, member.name, member.n_name);
        name[member.n_name] = 0;
        put_type(buf, name, member.type, member.n_type);
    }
}

static void put_required(struct buf *buf, const char *members)
{
    struct member member;
    while (next_member(&members, &member)) {
        char name[64];
        if (member.all_of)
            put_required(buf, shape_members(&member));
        if (member.all_of || member.maybe)
            continue;
        memcpy(name, member.name, member.n_name);
        name[member.n_name] = 0;
        put_text(buf, NULL, name);
    }
}

static void put_words(struct buf *buf, const struct shape *shape)
{
    put_text(buf, "type", "string");
    put_open(buf, "enum", '[');
    for (int i = 0; shape->word && shape->word(i); i++)
        put_text(buf, NULL, shape->word(i));
    for (const char *p = shape->words; p && *p;) {
        char word[64];
        size_t n = strcspn(p, " ");
        must(n < sizeof word);
        memcpy(word, p, n);
        word[n] = 0;
        put_text(buf, NULL, word);
        p += n + (p[n] == ' ');
    }
    put_close(buf, ']');
}

void put_schemas(struct buf *buf)
{
    put_open(buf, "schemas", '{');
    for (size_t i = 0; i < N_SHAPES; i++) {
        const struct shape *shape = &shapes[i];
        put_open(buf, shape->name, '{');
        put_text(buf, "description", shape->help);
        if (shape->members) {
            put_text(buf, "type", "object");
            put_open(buf, "required", '[');
            put_required(buf, shape->members);
            put_close(buf, ']');
            put_open(buf, "properties", '{');
            put_properties(buf, shape->members);
            put_close(buf, '}');
        } else {
            put_words(buf, shape);
        }
        put_close(buf, '}');
    }
    put_close(buf, '}');
}

const char *schema_of_member(const char *members, const char *name, char *type, size_t size)
{
    struct member member;
    while (members && next_member(&members, &member)) {
        if (strlen(name) != member.n_name || memcmp(member.name, name, member.n_name) != 0)
            continue;
        must(member.n_type < size);
        memcpy(type, member.type, member.n_type);
        type[member.n_type] = 0;
        return type;
    }
    return NULL;
}
