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
/* Deadlines; why a backfill rests; large edits. And for each list of runs an index that has it in
 * its order, however long the history is: see query_runs. */
static const char version_4[] =
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
    "create index run_key_of on run_key (run);"
    "alter table backfill add column reason integer not null default 0;";
/* clang-format on */

const struct sql_migration store_migrations[] = {
    {1, version_1},
    {2, version_2},
    {3, version_3},
    {4, version_4},
};
const size_t store_n_migrations = sizeof store_migrations / sizeof *store_migrations;
