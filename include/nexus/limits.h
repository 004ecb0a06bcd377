/* Every bound of Nexus, in one place. A limit that a user can meet is named in the error he gets.
 */
#ifndef NEXUS_LIMITS_H
#define NEXUS_LIMITS_H

/* Names and texts (bytes without the final zero). */
#define NX_ID_MAX 64
#define NX_NAME_MAX 128
#define NX_REASON_TEXT_MAX 512

/* DAG files. */
#define NX_DAG_FILE_MAX (4 * 1024 * 1024)
#define NX_DAG_TASKS_MAX 1000000
#define NX_DAG_EDGES_MAX 8000000
#define NX_DAG_PARAMS_MAX 256
#define NX_SCHEDULES_MAX 64 /* entries of one DAG's schedule */
#define NX_TASK_DATASETS_MAX \
    32 /* that a task produces, or reads, or an entry of a schedule names */
#define NX_DAG_ERRORS_MAX 200
#define NX_YAML_DEPTH_MAX 64
#define NX_DEFINITION_MAX (96 * 1024) /* of a task, as JSON: it travels with its leases */
#define NX_DAGS_MAX 200000
#define NX_FILES_MAX_BYTES (64 * 1024 * 1024)

/* Expressions (Lua). */
#define NX_EXPR_STEPS_MAX 100000
#define NX_EXPR_MEMORY_MAX (1024 * 1024)

/* DAG files in Lua. */
#define NX_LUA_STEPS_MAX 20000000
#define NX_LUA_MEMORY_MAX (128 * 1024 * 1024) /* at a time */
#define NX_LUA_CHURN_MAX (512 * 1024 * 1024)  /* allocated in all */
#define NX_LUA_TREE_MAX (64 * 1024 * 1024)    /* what it builds, as text */
#define NX_LUA_CPU_S 2                        /* of processor time, then it is killed */
#define NX_LUA_MS 10000                       /* and of time, on a machine that is busy */

/* Values between tasks. */
#define NX_OUTPUTS_MAX (64 * 1024)        /* of one attempt */
#define NX_CONTEXT_INLINE_MAX (64 * 1024) /* referenced values inside a lease */
#define NX_CONTEXT_MAX (16 * 1024 * 1024) /* beyond: "use an artifact" */
#define NX_PARAMS_MAX (64 * 1024)         /* of one run */
#define NX_NOTE_MAX (16 * 1024)           /* of one run */
#define NX_VARS_MAX (16 * 1024)           /* variables and secrets together */

/* Notifications. */
#define NX_HOOKS_MAX 16             /* of one event of a DAG or task */
#define NX_HOOK_ADDRESSES_MAX 50    /* of one e-mail */
#define NX_HOOK_WORDS_MAX 64        /* of one command */
#define NX_HOOK_TIMEOUT_MS 30000    /* of one try, unless said */
#define NX_HOOK_OUTPUT_MAX 4096     /* bytes kept of a command's output */
#define NX_TARGET_PENDING_MAX 100   /* that wait for one target: further ones are summed up */
#define NX_NOTIFY_PENDING_MAX 10000 /* that wait in all, likewise */
#define NX_NOTIFY_KEPT_MAX 10000    /* that are over, the newest */
#define NX_NOTIFY_ATTEMPTS 10       /* tries of one, then it is given up */
#define NX_NOTIFY_DELAY_MS 5000     /* before the second try; doubles */
#define NX_NOTIFY_DELAY_MAX_MS 900000
#define NX_NOTIFY_SUM_MS 10000 /* a summary waits for so long for what it sums up */

/* Scheduling. */
#define NX_MAP_MAX 100000 /* items of one for_each */
#define NX_RETRIES_MAX 1000
#define NX_PRIORITY_MAX 1000000
#define NX_POOLS_MAX 1000
#define NX_CONNECTIONS_MAX 1000
#define NX_DAG_CONNECTIONS_MAX 8 /* named by one DAG: they travel with its runs */
#define NX_RUNS_ACTIVE_MAX 1000000
#define NX_CATCHUP_MAX 1000         /* missed runs of one schedule that are made up for at once */
#define NX_EDIT_SLICE 4000          /* tasks of an ended run that one turn clears or marks */
#define NX_BACKFILL_MAX 10000       /* intervals of one backfill */
#define NX_DATASETS_MAX 100000      /* known to a scheduler */
#define NX_LINEAGE_DEPTH_MAX 100    /* datasets from the one that is asked about */
#define NX_LINEAGE_EDGES_MAX 5000   /* of one answer */
#define NX_DATASET_EVENTS_MAX 10000 /* kept of one dataset: the newest */
#define NX_MISFIRE_GRACE_MS 60000   /* an interval that ended so long ago is still run */
#define NX_LOST_LIMIT 3
#define NX_LOST_UNSTARTED_LIMIT 12 /* leases lost in all, those never known to have started too */
#define NX_LEASE_TTL_MS 20000
#define NX_GRACE_MS 10000
#define NX_START_DEPTH_MAX 16             /* runs that tasks started, one from the other */
#define NX_WAIT_MAX_MS (366ll * 86400000) /* of wait.for */
#define NX_LOST_AFTER_IPC_MS 8000
#define NX_LOST_AFTER_TCP_MS 60000

/* Forecasts (nexus simulate). */
#define NX_FORECAST_SPAN_MAX_MS (3660ll * 86400000)
#define NX_FORECAST_RUNS_MAX 200000
#define NX_FORECAST_ATTEMPTS_MAX 5000000
#define NX_FORECAST_BACKLOG_MAX 2000000 /* task instances of unfinished runs */

/* Dispatch. */
#define NX_WORKERS_MAX 256       /* at work at a time */
#define NX_WORKER_NAMES_MAX 4096 /* of workers that ever came */
#define NX_SLOTS_MAX 1024
#define NX_PREFETCH_MAX 512
#define NX_MESSAGE_MAX (256 * 1024)
#define NX_RECEIVE_MAX (1024 * 1024)
#define NX_REPORT_EVERY_MS 1000
#define NX_LISTEN_MS 20000
#define NX_POKES_IN_HAND 64 /* looks of waiting tasks that a worker has at a time */
#define NX_POKE_MS 10000    /* one look */
#define NX_INBOX_MAX 65536

/* Logs. */
#define NX_LOG_MAX (100ll * 1024 * 1024)
#define NX_LOG_TAIL (64 * 1024)

/* HTTP. */
#define NX_HTTP_BODY_MAX (8 * 1024 * 1024)
#define NX_HTTP_HEADERS_MAX (32 * 1024) /* of a request, its address too; about so much */
#define NX_HTTP_CONNECTIONS_MAX 1000    /* further ones wait until one ends */
#define NX_QUERY_MS 1000                /* a reader's query is interrupted after this */
#define NX_PAGE_MAX 1000
#define NX_ROWS_MS 10000 /* to read some rows of a table for somebody */

#endif
