/* What the parts of the checker share while they read one document. */
#ifndef SCHEDULER_DAG_READER_H
#define SCHEDULER_DAG_READER_H

#include "lib/base/vec.h"
#include "lib/script/script.h"
#include "lib/text/yaml.h"
#include "scheduler/dag/keys.h"
#include "scheduler/dag/spec.h"

/* A task while it is read: what the spec does not keep. */
struct draft {
    struct yaml_node *key, *body;  /* body is a map */
    struct yaml_node **need_nodes; /* n_needs of them, in the order of needs */
    const json_t *operator_entry;  /* of `uses`; NULL: none, or unknown */
    bool reads_vars, reads_secrets, condition_reads_vars;
};

enum use_place { USE_ARGUMENT, USE_CONDITION, USE_LIST };

/* An `outputs.<task>` that an expression names; checked when the graph is known. */
struct output_use {
    uint32_t task; /* that names it */
    const struct yaml_node *node;
    size_t offset;               /* in the node's text */
    size_t sub_offset;           /* of name */
    const char *upstream, *name; /* name may be NULL */
    enum use_place place;
    uint32_t map;         /* USE_LIST: index of the list */
    const json_t *wanted; /* the description of the argument that is nothing but this; or NULL */
    const char *key;      /* of that argument, or of what holds it */
};

struct reader {
    struct problems *problems;
    const json_t *catalog; /* NULL: operators are not checked */
    const char *folder;    /* NULL: files are not looked for */
    struct spec *spec;
    struct script *script; /* for checking expressions */
    struct yaml_node *root, *defaults, *env, *defaults_env;
    struct draft *drafts;
    uint32_t map; /* whose `for_each` is being read */
    VEC(struct output_use) uses;
    VEC(const char *) secrets; /* that expressions name; in the spec's arena */
};

/* ---- read.c: keys and values ---- */

/* Checks the keys of a map and stores the values of those that have an offset in *target. `what`
 * names the map in problems ("task 'a'"). */
void read_keys(struct reader *r, const struct yaml_node *map, enum key_scope scope, void *target,
               const char *what);
/* A problem about the value of a key: "message" begins with the verb. */
struct problem *read_problem(struct reader *r, const struct yaml_node *node, const char *key,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A text or a list of texts: calls back for each; false: problems were added. */
bool read_texts(struct reader *r, const struct yaml_node *node, const char *key,
                void (*each)(struct reader *r, struct yaml_node *node, void *arg), void *arg);
/* Copies a text into the spec's arena. */
const char *keep(struct reader *r, const char *text);

/* ---- params.c, files.c ---- */
void read_params(struct reader *r);
void read_files(struct reader *r);
/* ---- datasets.c ---- */
/* Adds a name or a list of names; the node may be NULL. */
void read_datasets(struct reader *r, const struct yaml_node *node, const char *key,
                   struct dataset_names *to);

/* ---- hooks.c ---- */
/* Those that `body` has; the others stay. */
void read_hooks(struct reader *r, const struct yaml_node *body, struct hooks *hooks);
/* ---- schedule.c ---- */
void read_schedule(struct reader *r);

/* ---- task.c ---- */
/* Fills spec->tasks and r->drafts. */
void read_tasks(struct reader *r);
/* Expressions of a text that is SQL: where they may stand. */
void check_sql(struct reader *r, const struct yaml_node *node);

/* ---- wait.c ---- */
/* What the scheduler does itself, or has looked for, by the operator's name. */
void read_operator_wait(struct spec_task *task);
/* What the core has to know of it. */
void read_wait(struct reader *r, uint32_t task, const struct yaml_node *with);

/* ---- params.c ---- */
/* A list of described values, such as a DAG's params. `what` names one in problems. */
json_t *read_described(struct reader *r, const struct yaml_node *map, const char *what);

/* ---- arguments.c ---- */
/* The arguments of a task whose operator is known; `with` may be NULL. Expressions in them have
 * been checked. */
void check_arguments(struct reader *r, uint32_t task, const struct yaml_node *uses,
                     const struct yaml_node *with);

/* ---- mapping.c ---- */
/* The lists of tasks and groups, and which tasks are mapped over them; once all ids are known. */
void read_maps(struct reader *r);
void check_max_parallel(struct reader *r, uint32_t task, const struct yaml_node *body);
void check_groups(struct reader *r); /* of a spec without a mistake so far */

/* ---- expressions.c ---- */

/* Where an expression stands: what it may name. */
enum expression_place {
    PLACE_CONDITION,
    PLACE_LIST, /* for_each */
    PLACE_WAIT, /* the `with` of what the scheduler does itself */
    PLACE_WITH,
    PLACE_ENV,
    PLACE_SHARED_ENV,
    PLACE_RUN
};

/* Checks a bare expression at `offset` of the node's text; task is the index (shared: any). */
void check_expression(struct reader *r, const struct yaml_node *node, size_t offset,
                      const char *text, size_t n, enum expression_place place, uint32_t task);
/* Checks all ${{ }} of a text. */
void check_template(struct reader *r, const struct yaml_node *node, enum expression_place place,
                    uint32_t task);
/* True when a scalar somewhere in the tree holds ${{. */
bool has_expression(const struct yaml_node *node);

/* ---- order.c: what needs the whole graph ---- */
void check_order(struct reader *r);

/* ---- definition.c ---- */
void write_definitions(struct reader *r);

#endif
