#include "scheduler/store/schema.h"

/* clang-format off */
static const char version_1[] =
    "create table meta (key text primary key, value integer not null) strict;"
    "insert into meta values ('epoch', 0);"

    /* What is known of a DAG; version is the one that new runs use. */
    "create table dag ("
    " id text primary key,"
    " version integer not null,"
    " present integer not null,"      /* its file is there */
    " paused integer not null default 0"
    ") strict;"

    "create table dag_version ("
    " version integer primary key,"
    " dag text not null,"
    " number integer not null,"       /* 1, 2, ... of this DAG, for people */
    " file text not null,"
    " hash text not null,"            /* of source and files */
    " source_hash text not null,"
    " catalog text not null,"         /* hash of the operators' catalog it was checked with */
    " source text not null,"
    " info text not null,"            /* JSON: what the API shows of it */
    " created_at integer not null"
    ") strict;"
    "create index dag_version_of on dag_version (dag, version);"

    "create table version_file ("
    " version integer not null, path text not null, executable integer not null,"
    " data blob not null, primary key (version, path)"
    ") strict, without rowid;"

    "create table file_problem (file text primary key, problems text not null) strict;"

    "create table worker ("
    " number integer primary key, id text not null unique, incarnation integer not null,"
    " drain integer not null, ipc integer not null"
    ") strict;"

    "create table run ("
    " run integer primary key,"
    " dag text not null,"
    " version integer not null,"
    " state integer not null,"
    " cause integer not null,"
    " reason integer not null,"
    " backfill integer not null,"
    " interval_start integer, interval_finish integer,"
    " params text not null,"
    " note text,"
    " created_at integer not null, started_at integer, finished_at integer,"
    " counts text not null"           /* of instances, by state, in the order of nx_task_state */
    ") strict;"
    "create index run_of_dag on run (dag, run);"
    "create index run_unfinished on run (run) where state < 3;"
    "create index run_failed on run (run) where state = 4;"
    "create table run_key (key text primary key, run integer not null) strict, without rowid;"

    /* A row from the moment an instance leaves `waiting`; see core.h for what its absence means. */
    "create table task_instance ("
    " run integer not null, task integer not null, map_index integer not null,"
    " state integer not null, reason integer not null, answered integer not null,"
    " attempt integer not null, lease integer not null,"
    " failures integer not null, losses integer not null, worker integer not null,"
    " due_at integer, ready_at integer, started_at integer, finished_at integer,"
    " outcome integer, exit_code integer, signal integer, max_rss integer, cpu_us integer,"
    " code integer, error text,"      /* of the last attempt that ended */
    " primary key (run, task, map_index)"
    ") strict, without rowid;"

    "create table output ("
    " run integer not null, task integer not null, map_index integer not null,"
    " json text not null, primary key (run, task, map_index)"
    ") strict, without rowid;"

    /* Attempts that were followed by another one. */
    "create table attempt ("
    " run integer not null, task integer not null, map_index integer not null,"
    " attempt integer not null, outcome integer not null, worker integer not null,"
    " started_at integer, finished_at integer,"
    " exit_code integer, signal integer, max_rss integer, cpu_us integer,"
    " code integer, error text,"
    " primary key (run, task, map_index, attempt)"
    ") strict, without rowid;";
static const char version_2[] =
    "alter table dag_version add column timetable text;" /* JSON: scheduler/dag/timetable_json.h */

    /* Where each entry of a DAG's schedule stands: core.h, struct core_mark. */
    "create table schedule_mark ("
    " dag text not null, position integer not null, key text not null,"
    " watermark integer, from_at integer, primary key (dag, position)"
    ") strict, without rowid;"

    /* What was planned when a backfill was made, and how far it is: items before `next` have begun. */
    "create table backfill ("
    " id integer primary key,"
    " dag text not null,"
    " from_at integer not null, to_at integer not null,"
    " state integer not null,"        /* enum core_backfill_state */
    " next integer not null, n_items integer not null,"
    " reprocess text not null, backwards integer not null, max_active integer not null,"
    " params text not null, created_at integer not null"
    ") strict;"
    "create table backfill_item ("
    " backfill integer not null, position integer not null,"
    " start_at integer not null, finish_at integer not null,"
    " reprocess integer not null,"    /* run is a former one */
    " run integer, primary key (backfill, position)"
    ") strict, without rowid;"
    "create index run_of_backfill on run (backfill) where backfill > 0;"

    /* One run a DAG and data interval of its schedule, ever. */
    "alter table run add column claims integer not null default 0;"
    "create unique index run_of_interval on run (dag, interval_start, interval_finish)"
    " where claims = 1;"

    "alter table task_instance add column leases_lost integer not null default 0;"

    /* Who changed what by hand. */
    "create table audit ("
    " id integer primary key,"
    " at integer not null,"
    " who text not null,"
    " what text not null,"            /* run.cancel, dag.pause, ... */
    " target text not null,"          /* id of the run, DAG, worker, ... */
    " detail text"                    /* JSON object */
    ") strict;";
/* What is kept by hand: scheduler/store/kept.h. */
static const char version_3[] =
    "create table pool ("
    " name text not null primary key, slots integer not null, description text"
    ") strict, without rowid;"

    "create table variable ("
    " name text not null primary key, json text not null, updated_at integer not null"
    ") strict, without rowid;"

    /* Sealed by lib/crypt; the key is a file elsewhere. */
    "create table secret ("
    " name text not null primary key, ciphertext blob not null, updated_at integer not null"
    ") strict, without rowid;";
/* The lists that tasks are mapped over: `map` is an index of the graph's maps (graph.h). */
static const char version_4[] =
    "create table map_list ("
    " run integer not null, map integer not null,"
    " n integer not null,"            /* items */
    " json text not null,"            /* list */
    " primary key (run, map)"
    ") strict, without rowid;";
/* Datasets: scheduler/core/dataset.c. */
static const char version_5[] =
    "create table dataset ("
    " name text not null primary key, version integer not null, at integer not null"
    ") strict, without rowid;"

    /* The newest NX_DATASET_EVENTS_MAX of each. Made by a task (dag, run, task) or by hand (who). */
    "create table dataset_event ("
    " dataset text not null, version integer not null, at integer not null,"
    " rows integer, hash text, note text, who text,"
    " dag text, run integer, task text, map_index integer, attempt integer,"
    " primary key (dataset, version)"
    ") strict, without rowid;"
    "create index dataset_event_of_run on dataset_event (run) where run is not null;"

    /* What started a run: versions first to last, and the last of them as it was. */
    "create table run_dataset ("
    " run integer not null, dataset text not null,"
    " first integer not null, last integer not null, at integer not null,"
    " rows integer, hash text, note text, who text,"
    " dag text, by_run integer, task text, map_index integer, attempt integer,"
    " primary key (run, dataset)"
    ") strict, without rowid;"

    /* How far an entry of a DAG's schedule has used a dataset: core.h, struct core_use. */
    "create table dataset_use ("
    " dag text not null, position integer not null, dataset text not null,"
    " version integer not null, primary key (dag, position, dataset)"
    ") strict, without rowid;"

    /* What the current versions of DAGs say: kind is enum dataset_link. task '': the DAG itself. */
    "create table dataset_link ("
    " dataset text not null, kind integer not null, dag text not null, task text not null,"
    " primary key (dataset, kind, dag, task)"
    ") strict, without rowid;"
    "create index dataset_link_of on dataset_link (dag);";
/* Waiting without a slot. */
static const char version_6[] =
    /* The task that started the run, and how many runs started each other before it. */
    "alter table run add column parent_run integer not null default 0;"
    "alter table run add column parent_task integer not null default 0;"
    "alter table run add column parent_map integer not null default -1;"
    "alter table run add column depth integer not null default 0;"

    "create table approval ("
    " id integer primary key autoincrement,"
    " run integer not null, task integer not null, map_index integer not null,"
    " message text not null, form text not null," /* JSON: a list like params */
    " asked_at integer not null, due_at integer,"
    " open integer not null,"                     /* it waits for an answer */
    " approved integer, decided_at integer, decided_by text, comment text,"
    " json text,"                                 /* values of the form */
    " unique (run, task, map_index)"
    ") strict;"
    "create index approval_open on approval (id) where open = 1;";
/* Retention: scheduler/store/retention.h. */
static const char version_7[] =
    "alter table dag_version add column retention text;" /* JSON: lib/text/retention.h */
    "create table doomed_run (run integer primary key) strict;"
    "create index run_succeeded on run (dag, run) where state = 3;"
    "create index run_key_of on run_key (run);";
/* Connections, and what is to be told to others: scheduler/store/notification.h. */
static const char version_8[] =
    "create table connection ("
    " name text not null primary key,"
    " shown text not null,"           /* its URI without what is secret */
    " description text,"
    " ciphertext blob not null, updated_at integer not null"
    ") strict, without rowid;"

    "create table notification ("
    " id integer primary key,"
    " delivery text not null,"        /* the same in every try to deliver it */
    " created_at integer not null,"
    " event text not null,"           /* task.failure, run.success, ... */
    " dag text not null, run integer not null,"
    " task text, map_index integer,"
    " kind text not null,"            /* webhook, email, command */
    " target text not null,"          /* where it goes, as it may be shown */
    " config text not null,"          /* JSON: what the DAG file says of it */
    " body text not null,"            /* JSON: the event */
    " more integer not null,"         /* a summary: of so many that were not sent one by one */
    " state integer not null,"        /* enum notification_state */
    " attempts integer not null,"
    " due_at integer not null, finished_at integer,"
    " error text, output text"
    ") strict;"
    "create index notification_due on notification (target, due_at) where state = 0;"
    "create index notification_failed on notification (id) where state = 2;"
    "create index notification_ended on notification (id) where state > 0;";
/* Tokens of workers elsewhere: scheduler/store/token.h. */
static const char version_9[] =
    "create table token ("
    " id text not null primary key, name text not null,"
    " hash text not null,"            /* SHA-256 of the token, as digits */
    " created_at integer not null, expires_at integer"
    ") strict, without rowid;";
/* Deadlines; why a backfill rests; large edits. And for each list of runs an index that has it in
 * its order, however long the history is: see query_runs. */
static const char version_10[] =
    "alter table run add column deadline_at integer;"
    "alter table run add column late_at integer;"
    "create index run_late on run (run) where late_at is not null;"
    "create index run_of_dag_late on run (dag, run) where late_at is not null;"
    "create index run_of_dag_state on run (dag, state, run);"
    "create index run_of_state on run (state, run);"
    "drop index run_failed;"
    "drop index run_of_backfill;"
    "create index run_of_backfill on run (backfill, state) where backfill > 0;"
    "create table run_edit ("      /* of large ones that are not done: core.h, core_edit_row */
    " run integer primary key, what integer not null, reason integer not null,"
    " finished_at integer, picks blob not null"
    ") strict;"
    "alter table backfill add column reason integer not null default 0;";
/* What a task has left out of those below it: their numbers, "3,7". */
static const char version_11[] = "alter table task_instance add column left_out text;";
/* What an Idempotency-Key has made: a run or a backfill. Keys of before do not know of which request. */
static const char version_12[] =
    "create table idempotency_key ("
    " key text primary key, run integer not null, backfill integer not null,"
    " request text not null"          /* its SHA-256; empty: not known */
    ") strict, without rowid;"
    "insert into idempotency_key select key, run, 0, '' from run_key;"
    "drop table run_key;"
    "create index idempotency_key_of_run on idempotency_key (run) where run > 0;";
/* The token that a worker elsewhere came with, and to which its name belongs; '' for one of this
 * machine, null: not known. */
static const char version_13[] = "alter table worker add column token text;";
/* Tokens of the API; those of before are workers'. */
static const char version_14[] = "alter table token add column role text not null default 'worker';";
/* What a search narrows by: see query_search. */
static const char version_15[] =
    "create index run_noted on run (run) where note is not null;"
    "create index run_of_cause on run (cause, run);";
/* clang-format on */

const struct sql_migration store_migrations[] = {
    {1, version_1},   {2, version_2},   {3, version_3},   {4, version_4},   {5, version_5},
    {6, version_6},   {7, version_7},   {8, version_8},   {9, version_9},   {10, version_10},
    {11, version_11}, {12, version_12}, {13, version_13}, {14, version_14}, {15, version_15},
};
const size_t store_n_migrations = sizeof store_migrations / sizeof *store_migrations;
