/* The engine's own structure; for the files engine*.c, versions.c and write.c. */
#ifndef SCHEDULER_ENGINE_STATE_H
#define SCHEDULER_ENGINE_STATE_H

#include <uv.h>

#include "lib/base/path.h"
#include "lib/base/vec.h"
#include "lib/crypt/crypt.h"
#include "scheduler/dag/timetable_json.h"
#include "scheduler/engine.h"
#include "scheduler/kept.h"
#include "scheduler/notify.h"
#include "scheduler/port/dispatch.h"
#include "scheduler/question.h"
#include "scheduler/store/token.h"

/* Of events whose reply the engine itself reads. */
#define TOKEN_OF_NOBODY UINT64_MAX

#define RETAINING_RUNS_MAX 64 /* whose logs go at a time */

/* Where retention is: see retention.c. */
struct retaining {
    char after[NX_ID_MAX + 1]; /* the DAG that was looked at last */
    char dag[NX_ID_MAX + 1];   /* that is looked at; "": the next one */
    struct retention keep;     /* of it */
    uint64_t after_run;        /* of it */
    /* Steady. The next round's is INT64_MAX while one goes on and no other was asked for. */
    int64_t next_round_ms, next_sweep_ms;
    bool in_round, doomed, busy; /* busy: the next turn has more to do */
    uint64_t n_doomed;           /* of the round, for the log */
    size_t n_seen;               /* DAGs of the query */
    struct map logs_gone;        /* DAG -> the newest run whose logs have gone */
    VEC(uint64_t) logs;          /* runs whose logs are to go; */
    VEC(uint64_t) bare;          /* and those that are gone for good with them */
    VEC(uint64_t) buried;        /* whose logs have gone */
    struct retaining_work *work; /* goes on on another thread; NULL: none */
};

/* A write that waits for its commit. */
struct pending {
    struct message *message;
    struct write_result result;
    bool settled; /* result is final */
};

struct engine {
    struct engine_config config;
    char home[PATH_MAX_BYTES];
    char url[256], shown_url[256];
    char catalog_hash[SHA256_HEX];
    json_t *catalog;
    struct store *store;
    struct zones *zones;
    struct registry registry;
    struct kept kept;
    struct notify notify;
    struct question question;
    struct core *core;
    struct core_update update;
    struct inbox *inbox;
    struct dispatch *dispatch;
    struct tokens *tokens;
    struct loader *loader;
    uint64_t epoch, n_commits;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    bool stopping, scanned;
    struct retaining retaining;
    /* of the turn */
    struct message *messages;
    VEC(struct pending) pending;
    VEC(struct store_run_extra) extras;
    VEC(struct store_ask_error) ask_errors;
    VEC(struct store_dataset_fact) facts; /* of the update's dataset events */
    VEC(struct store_approval) approvals;
    VEC(uint64_t) ended; /* runs */
    struct arena arena;
};

/* ---- engine.c ---- */
struct core_event now_event(enum core_event_kind kind);
void engine_step(struct engine *engine, const struct core_event *event);
/* The store cannot go on: ends the process with status 75. */
_Noreturn void engine_give_up(const struct nx_err *err);
/* One turn: see engine.h. */
void engine_turn(struct engine *engine);

/* ---- engine_open.c ---- */
/* A token of the store counts from now on. */
void engine_know_token(struct engine *engine, const struct token_row *row);

/* ---- timetables.c ---- */
/* A current version's timetable goes to the core; before its rows are loaded (loading) or later. */
void timetables_tell(struct engine *engine, struct registry_version *version, const char *text,
                     bool paused, bool loading);
void timetables_forget(struct engine *engine, const char *dag);
/* Creates the scheduled runs that are due; true when there were any. */
bool timetables_answer(struct engine *engine);
/* What the core says of them. */
void timetables_log(struct engine *engine);
/* The data interval of a run by hand. date NULL: the last complete one. *claims: it is the one of
 * the schedule, and to be found by store_find_interval. */
bool timetables_interval(struct engine *engine, const struct registry_version *version,
                         const char *date, int64_t now_ms, int64_t *start_ms, int64_t *finish_ms,
                         bool *claims, struct nx_err *err);

/* ---- datasets.c ---- */
/* What the version's tasks and schedule have to do with datasets; in the turn's arena. */
const struct store_dataset_link *datasets_links(struct engine *engine, const struct spec *spec,
                                                size_t *n);
/* Finds out what is to be stored of the update's events so far. */
void datasets_resolve(struct engine *engine);
void datasets_emit(struct engine *engine, struct pending *pending, size_t index);
/* Whether no data interval of the DAG's schedule has ended by now that is later than this. */
bool timetables_is_latest(const struct registry_version *version, int64_t finish_ms,
                          int64_t now_ms);
/* Whether a run of that interval was created in this turn, and is not in the store yet. */
bool timetables_made(const struct engine *engine, const char *dag, int64_t start_ms,
                     int64_t finish_ms);
/* Whether there is a run of the interval that is due, in this turn or the store. */
bool timetables_is_there(struct engine *engine, const struct core_due *due);

/* ---- backfill.c ---- */
/* Plans it, and begins it unless it is a dry run. */
bool backfill_take(struct engine *engine, struct pending *pending, struct nx_err *err);
/* The run of an item that is due. */
void backfill_answer(struct engine *engine, const struct core_due *due);

/* ---- retention.c ---- */
void retention_begin(struct engine *engine);
void retention_end(struct engine *engine);
/* In an idle turn: a bounded step, in the turn's transaction. */
void retention_turn(struct engine *engine);
/* An ended run goes: its row in this turn, what belongs to it in the next ones. */
void retention_doom(struct engine *engine, struct nx_run_id run);
/* A round begins now; true. */
bool retention_hurry(struct engine *engine);

/* ---- versions.c ---- */
void versions_loaded(struct engine *engine, struct loader_event *loaded);
/* The files of a version where workers of this home find them. */
void versions_lay_out(struct engine *engine, uint64_t version);
/* The core gets to know the version as its DAG's current one. */
void versions_tell_core(struct engine *engine, struct registry_version *version);

/* ---- waits.c ---- */
/* An approval that is asked for from now on. */
void waits_asked(struct engine *engine, struct nx_inst_id inst,
                 const struct question_result *question);
/* A choice was made: the outputs of the attempt that has just ended. */
void waits_chosen(struct engine *engine, struct nx_inst_id inst, const char *outputs);
/* A person's answer. */
void waits_approve(struct engine *engine, struct pending *pending, size_t index);
/* Creates the runs that tasks want started; true when there were any. */
bool waits_start_runs(struct engine *engine);
/* Errors and outputs of the ends that the core itself has brought about. */
void waits_explain_ends(struct engine *engine);

/* ---- write.c ---- */
/* The data interval of a run that is created now, with that date or (NULL) without; *claims: it is
 * the one of that interval, and there is no other. */
bool write_interval(struct engine *engine, const struct registry_version *version, const char *date,
                    struct core_event *event, bool *claims, struct nx_err *err);
void write_take(struct engine *engine, struct message *message);
/* Brings an ended run back into the core, for this turn. message: with rows of it, or NULL. */
void write_load_ended(struct engine *engine, struct nx_run_id run, const struct message *message);
/* The run's params: those of the DAG, with the given JSON object (or NULL) in place of defaults. */
bool write_params(struct engine *engine, const struct registry_version *version, const char *given,
                  const char **params, struct nx_err *err);
/* What the message has made stands under its Idempotency-Key, if it has one, from now on. */
void write_key(struct engine *engine, const struct message *message, struct store_key *made);
void write_answer(struct engine *engine);

#endif
