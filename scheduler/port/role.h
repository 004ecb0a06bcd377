/* What a token lets its bearer do. Each role of people may do all that those before it may. */
#ifndef SCHEDULER_PORT_ROLE_H
#define SCHEDULER_PORT_ROLE_H

#include "lib/base/str.h"

enum role {
    ROLE_ANYONE,   /* no token at all: health, signing in */
    ROLE_VIEWER,   /* reads everything but tokens */
    ROLE_OPERATOR, /* and triggers, cancels, clears, approves, pauses */
    ROLE_EDITOR,   /* and changes DAG files, pools, variables, connections, secrets */
    ROLE_ADMIN,    /* and tokens, backups, retention */
    ROLE_WORKER,   /* a machine that runs tasks: nothing of the API */
    ROLES
};

static inline const char *role_name(enum role role)
{
    static const char *const names[ROLES] = {"anyone", "viewer", "operator",
                                             "editor", "admin",  "worker"};
    return names[role];
}

/* ROLES: there is none of that name. */
static inline enum role role_find(const char *name)
{
    enum role role = ROLE_ANYONE;
    while (role < ROLES && !str_eq(role_name(role), name))
        role++;
    return role;
}

#endif
