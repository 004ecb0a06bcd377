/* Questions of the core, answered by evaluating a task's `if`, its `for_each` or what it waits for;
 * and the texts that leases carry. */
#ifndef SCHEDULER_QUESTION_H
#define SCHEDULER_QUESTION_H

#include "lib/artifact/artifact.h"
#include "lib/script/script.h"
#include "scheduler/kept.h"
#include "scheduler/port/registry.h"
#include "scheduler/store/store.h"

struct question {
    struct store *store;
    struct registry *registry;
    const struct core *core;
    struct kept *kept;
    const json_t *catalog; /* of operators */
    struct script *script;
    struct artifact_store *artifacts; /* for outputs that a lease cannot carry */
    const char *home;
    struct map runs; /* run id -> what its tasks see, from the first look until the run ends */
    struct buf buf;  /* of the outputs handed out last */
    char *item;      /* handed out last */
};

/* `kept`, `catalog` and `home` are borrowed. */
bool question_init(struct question *question, struct store *store, struct registry *registry,
                   struct kept *kept, const json_t *catalog, const char *home, struct nx_err *err);
void question_fini(struct question *question);

/* What an ask comes to. */
struct question_result {
    enum core_answer answer;
    uint32_t n;      /* CORE_LIST: items, which are kept in the turn's transaction */
    int64_t when_ms; /* see core_event.answer */
    bool chooses;    /* likewise; in the arena */
    const uint32_t *chosen;
    uint32_t n_chosen;
    const char *outputs;   /* of a choice: JSON, in the arena; NULL: none */
    struct core_past past; /* likewise */
    const char *message;   /* of an approval: what the person is told; in the arena */
    const char *form;      /* and what is to be filled in: JSON, the version's; NULL: no approval */
};

/* Evaluates, or looks up, what is asked; on an error *err has what becomes the instance's error. */
void question_answer(struct question *question, const struct core_ask *ask, struct arena *arena,
                     struct question_result *result, struct nx_err *err);
/* question_choice.c: what a task that chooses among those below it comes to. `arguments` are its
 * own. */
bool question_choose(struct question *question, const struct spec *spec, const struct core_ask *ask,
                     const json_t *arguments, struct arena *arena, struct question_result *result,
                     struct nx_err *err);
/* The arguments of a task that the scheduler does itself, evaluated and checked: a new reference.
 */
bool question_arguments(struct question *question, struct nx_inst_id inst, uint64_t version,
                        json_t **arguments, struct nx_err *err);
/* What all tasks of the run share, as JSON: {"params", "run", "dag", "vars", "secrets",
 * "unreadable_secrets": {name: why}}; the last two when its expressions name secrets;
 * "connections": {name: URI}, "unreadable_connections" when its tasks name some. Borrowed
 * until the run is forgotten. */
struct wire_bytes question_run_text(struct question *question, struct nx_run_id run);
void question_forget_run(struct question *question, struct nx_run_id run);
/* {task: outputs} of those that the task's expressions name, or, above NX_CONTEXT_INLINE_MAX,
 * {"artifact": address} of a file with it; borrowed until the next call. */
struct wire_bytes question_outputs(struct question *question, struct nx_inst_id inst);
/* The item of a mapped instance (JSON); borrowed until the next call. */
struct wire_bytes question_item(struct question *question, struct nx_inst_id inst);

#endif
