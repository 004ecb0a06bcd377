/* The keys of a DAG file: one table that drives the checker, the JSON Schema and the reference. */
#ifndef SCHEDULER_DAG_KEYS_H
#define SCHEDULER_DAG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a key may stand. */
enum key_scope {
    KEY_DAG = 1,
    KEY_TASK = 2,
    KEY_DEFAULTS = 4,
    KEY_PARAM = 8,
    KEY_RESOURCES = 16,
    KEY_RETRY_ON = 32,
    KEY_GROUP = 64,
    KEY_WEBHOOK = 128,
    KEY_EMAIL = 256,
    KEY_COMMAND = 512,
    KEY_CONCURRENCY = 1024
};

/* What a notification's keys are read into; NULL, 0: not said. */
struct key_hook {
    const char *url, *conn, *secret, *ca, *text, *from, *subject, *body;
    int64_t timeout_ms;
};

enum key_type {
    KEY_TEXT,       /* const char * */
    KEY_NAME,       /* const char *, an id with dashes */
    KEY_ENUM,       /* unsigned: the index in choices */
    KEY_BOOL,       /* bool */
    KEY_INT,        /* int64_t */
    KEY_FLOAT,      /* double */
    KEY_DURATION,   /* int64_t, milliseconds */
    KEY_SIZE,       /* int64_t, bytes */
    KEY_TEXTS,      /* from here on read by hand: a text or a list of texts */
    KEY_INTS,       /* an integer or a list of them */
    KEY_MAP,        /* a mapping with keys of its own, or free ones */
    KEY_EXPRESSION, /* an expression, with or without ${{ }} */
    KEY_LIST,       /* a list, or an expression that gives one */
    KEY_ANY
};

struct key {
    const char *name;
    unsigned scopes; /* of enum key_scope */
    enum key_type type;
    size_t offset;   /* in struct spec (KEY_DAG), spec_map (KEY_GROUP), key_hook or spec_task; or
                        KEY_BY_HAND */
    double min, max; /* of numbers, durations (seconds) and sizes; both 0: none */
    const char *choices;  /* KEY_ENUM: "a|b|c" */
    const char *fallback; /* the default, for people; NULL: none */
    const char *help;     /* NULL: known, but not yet supported */
};

#define KEY_BY_HAND ((size_t)-1)

extern const struct key key_table[];
size_t key_count(void);

/* The row for that name in that scope, or NULL. */
const struct key *key_find(enum key_scope scope, const char *name);
/* The nearest name of a supported key there, or NULL. */
const char *key_nearest(enum key_scope scope, const char *name);
/* "a DAG", "a task", ... */
const char *key_scope_name(enum key_scope scope);

/* The i-th of "a|b|c" into `to`; false: there is none. */
bool key_choice(const char *choices, size_t i, char *to, size_t size);

#endif
