/* The commands, each defined in a file of its own. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli/command.h"

extern const struct cli_command cmd_init, cmd_template_list, cmd_up, cmd_status, cmd_down,
    cmd_scheduler, cmd_worker, cmd_run, cmd_dag_list, cmd_dag_show, cmd_dag_validate, cmd_dag_graph,
    cmd_dag_next, cmd_dag_pause, cmd_dag_unpause, cmd_trigger, cmd_runs_list, cmd_runs_show,
    cmd_runs_watch, cmd_runs_cancel, cmd_runs_retry, cmd_runs_clear, cmd_runs_mark, cmd_runs_rerun,
    cmd_runs_note, cmd_runs_delete, cmd_runs_usage, cmd_approvals, cmd_approve, cmd_audit,
    cmd_backfill, cmd_backfills_list, cmd_backfills_show, cmd_backfills_pause, cmd_backfills_resume,
    cmd_backfills_cancel, cmd_logs, cmd_artifacts, cmd_explain, cmd_task_test, cmd_op_list,
    cmd_op_show, cmd_worker_list, cmd_worker_drain, cmd_worker_resume, cmd_dataset_list,
    cmd_dataset_show, cmd_dataset_events, cmd_dataset_lineage, cmd_dataset_emit, cmd_backup,
    cmd_doctor, cmd_simulate, cmd_retention_show, cmd_retention_run, cmd_pool_list, cmd_pool_set,
    cmd_pool_delete, cmd_var_list, cmd_var_get, cmd_var_set, cmd_var_delete, cmd_token_create,
    cmd_token_list, cmd_token_revoke, cmd_secret_list, cmd_secret_set, cmd_secret_delete,
    cmd_conn_list, cmd_conn_show, cmd_conn_set, cmd_conn_delete, cmd_conn_test,
    cmd_notifications_list, cmd_notifications_show, cmd_notifications_retry, cmd_schema,
    cmd_version, cmd_completion, cmd_complete, cmd_help;

#endif
