/* Where things are: project, home, DAG files, programs; who holds a home or a port. */
#ifndef CLI_HOME_H
#define CLI_HOME_H

#include <sys/types.h>

#include "cli/command.h"
#include "lib/text/settings.h"

struct home {
    struct settings settings;
    char project[PATH_MAX_BYTES]; /* where we stand */
    char path[PATH_MAX_BYTES];    /* the home, absolute; it need not exist */
    char dags[PATH_MAX_BYTES];    /* absolute */
    const char *listen;           /* "HOST:PORT" */
};

/* From flags, NEXUS_* and nexus.yaml, in this order. CLI_DONE, or the status after it has said what
 * is wrong. */
int home_find(const struct cli *cli, struct home *home);
void home_fini(struct home *home);

/* A running part of a home as its file in run/ tells. */
struct home_part {
    pid_t pid; /* 0: none */
    char url[512];
    char started_at[40];
    char command[256]; /* of /proc */
};

/* Reads run/scheduler.json or run/up.json (`name` without .json). False when there is none or its
 * process has ended. */
bool home_read_part(const char *home, const char *name, struct home_part *part);
/* Whether somebody holds the lock file run/NAME of the home. */
bool home_locked(const char *home, const char *name);

/* The path of nexus-scheduler, nexus-worker or nexus-task: beside `nexus`, in ../libexec/nexus, or
 * as NEXUS_LIBEXEC says. */
bool home_program(const char *name, char *to, size_t size, struct nx_err *err);

/* The command line of a process, spaces between the words; "" when it is not to be seen. */
void home_command_of(pid_t pid, char *to, size_t size);
/* NX_E_BUSY when host:port is taken; the text says by which process as far as that can be seen.
 * NX_E_DENIED when other machines could reach it and nobody is asked who he is (auth is off): the
 * scheduler will not listen there. */
bool home_port_free(const char *host, uint16_t port, bool auth, struct nx_err *err);
/* The process that listens on a TCP port of this machine, or 0. */
pid_t home_port_owner(uint16_t port);

/* The address of the server: --url, NEXUS_URL, the home's running scheduler, or, unless --home or
 * NEXUS_HOME names a home, what the settings say. */
int home_url(const struct cli *cli, char *to, size_t size);
/* What says who we are: NEXUS_TOKEN; else, for the home's own scheduler, the token that it has left
 * for who may read the home. "" when there is none. */
void home_token(const struct cli *cli, char *to, size_t size);

#endif
