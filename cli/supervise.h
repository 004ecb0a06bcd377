/* The supervisor of `nexus up`: keeps scheduler and worker running, starts again what dies, ends
 * both in order. */
#ifndef CLI_SUPERVISE_H
#define CLI_SUPERVISE_H

#include "cli/part.h"

struct supervisor {
    struct cli *cli;
    const char *home;
    struct part scheduler, worker;
    int64_t grace_ms;
    bool is_ready; /* has been, once */
    char url[512];
    /* Called once, when the scheduler first answers. */
    void (*on_ready)(void *arg, const char *url);
    void *arg;

    int signal_fd;
    int stopping;        /* 0 no, 1 the worker is asked, 2 the scheduler is */
    bool hurried;        /* a second signal, or the grace has passed */
    int64_t deadline_ms; /* of this step of stopping */
    bool gave_up;
};

/* Runs until it has been told to end. CLI_DONE, or CLI_FAILED when the scheduler cannot be started
 * at all. SIGINT, SIGTERM, SIGHUP and SIGCHLD must be blocked by supervise_block. */
int supervise(struct supervisor *supervisor);
void supervise_block(void);

/* Tells the service manager (NOTIFY_SOCKET), if there is one: "READY=1". */
void supervise_notify(const char *text);

#endif
