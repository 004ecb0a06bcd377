/* Questions of the core, answered by evaluating a task's `if`; and the texts that leases carry. */
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
    struct script *script;
    struct artifact_store *artifacts; /* for outputs that a lease cannot carry */
    const char *home;
    struct map runs; /* run id -> what its tasks see, from the first look until the run ends */
    struct buf buf;  /* of the text handed out last */
};

/* `kept` and `home` are borrowed. */
bool question_init(struct question *question, struct store *store, struct registry *registry,
                   struct kept *kept, const char *home, struct nx_err *err);
void question_fini(struct question *question);

/* Evaluates the `if`; on an error *err has what becomes the instance's error. */
/* Where the task is in the run before. NX_E_INTERNAL: that one's version cannot be read. */
enum core_answer question_past(struct question *question, const struct core_ask *ask,
                               struct core_past *past, struct nx_err *err);
enum core_answer question_answer(struct question *question, const struct core_ask *ask,
                                 struct nx_err *err);
/* What all tasks of the run share, as JSON: {"params", "run", "dag", "vars", "secrets",
 * "unreadable_secrets": {name: why}}; the last two when its expressions name secrets. Borrowed
 * until the run is forgotten. */
struct wire_bytes question_run_text(struct question *question, struct nx_run_id run);
void question_forget_run(struct question *question, struct nx_run_id run);
/* {task: outputs} of those that the task's expressions name, or, above NX_CONTEXT_INLINE_MAX,
 * {"artifact": address} of a file with it; borrowed until the next call. */
struct wire_bytes question_outputs(struct question *question, struct nx_inst_id inst);

#endif
