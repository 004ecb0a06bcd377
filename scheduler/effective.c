#include "scheduler/effective.h"

#include <stdlib.h>

#include "nexus/limits.h"
#include "scheduler/port/api_json.h"

/* Where a value comes from that the file or a variable may have set. */
static const char *source_of(const char *flag, const char *variable, bool set)
{
    const char *value = variable ? getenv(variable) : NULL;
    return flag ? "flag" : value && *value ? "environment" : set ? "nexus.yaml" : "default";
}

static void put_end(struct buf *buf, const char *source, const char *help)
{
    put_text(buf, "source", source);
    put_text(buf, "help", help);
    put_close(buf, '}');
}

static void put_setting(struct buf *buf, const char *name, const char *value, const char *source,
                        const char *help)
{
    put_open(buf, NULL, '{');
    put_text(buf, "name", name);
    put_text(buf, "value", value);
    put_end(buf, source, help);
}

/* In seconds. ms negative: it is not said; other_ms negative: then it is what the help says. */
static void put_delay(struct buf *buf, const char *name, int64_t ms, int64_t other_ms,
                      const char *variable, const char *help)
{
    int64_t value_ms = ms < 0 ? other_ms : ms;
    put_open(buf, NULL, '{');
    put_text(buf, "name", name);
    if (value_ms < 0)
        put_null(buf, "value");
    else
        put_number(buf, "value", (double)value_ms / 1000);
    put_end(buf, source_of(NULL, variable, ms >= 0), help);
}

static void put_count(struct buf *buf, const char *name, int64_t n, bool said, const char *source,
                      const char *help)
{
    put_open(buf, NULL, '{');
    put_text(buf, "name", name);
    if (said)
        put_int(buf, "value", n);
    else
        put_null(buf, "value");
    put_end(buf, source, help);
}

static void put_places(struct buf *buf, const struct effective *e)
{
    const struct settings *s = e->settings;
    const char *listen = e->listen_flag ? e->listen_flag : s->listen;
    put_setting(buf, "listen", listen ? listen : SETTINGS_LISTEN,
                source_of(e->listen_flag, "NEXUS_LISTEN", s->listen != NULL),
                "address of API and page");
    put_setting(buf, "auth", e->auth ? "tokens" : "off",
                source_of(e->auth_flag, "NEXUS_AUTH", s->auth >= 0),
                "tokens: the API asks who one is");
    put_setting(buf, "home", e->home, source_of(e->home_flag, "NEXUS_HOME", s->home != NULL),
                "the database, logs and artifacts");
    put_setting(buf, "dags", e->dags, source_of(e->dags_flag, "NEXUS_DAGS", s->dags != NULL),
                "folder of the DAG files");
    put_setting(buf, "project", e->project, e->project_flag ? "flag" : "default",
                "where relative paths of tasks start");
    put_setting(buf, "listen_workers", e->workers_flag ? e->workers_flag : s->listen_workers,
                source_of(e->workers_flag, "NEXUS_LISTEN_WORKERS", s->listen_workers != NULL),
                "where workers on other machines are welcome; none: nowhere");
    put_setting(buf, "public_url", s->public_url,
                source_of(NULL, "NEXUS_PUBLIC_URL", s->public_url != NULL),
                "the server's address in notifications");
}

static void put_bounds(struct buf *buf, const struct settings *s)
{
    put_delay(buf, "lost_after", s->lost_after_ms, -1, "NEXUS_LOST_AFTER",
              "seconds after which a silent worker is lost; else 8 on this machine, 60 elsewhere");
    put_delay(buf, "grace", s->grace_ms, NX_GRACE_MS, "NEXUS_GRACE",
              "seconds that stopping waits for running attempts");
    put_delay(buf, "notify_delay", s->notify_delay_ms, NX_NOTIFY_DELAY_MS, "NEXUS_NOTIFY_DELAY",
              "seconds before the second try to send a notification");
    put_count(buf, "log_max", s->log_max_bytes < 0 ? NX_LOG_MAX : s->log_max_bytes, true,
              source_of(NULL, "NEXUS_LOG_MAX", s->log_max_bytes >= 0),
              "bytes of the log of one attempt");
    put_count(buf, "slots", s->slots, s->slots > 0, source_of(NULL, "NEXUS_SLOTS", s->slots > 0),
              "attempts at a time of the worker that `nexus up` starts; else one a processor");
    put_count(buf, "pools", (int64_t)s->n_pools, true, source_of(NULL, NULL, s->n_pools > 0),
              "pools of nexus.yaml");
    put_count(buf, "vars", (int64_t)s->n_vars, true, source_of(NULL, NULL, s->n_vars > 0),
              "variables of nexus.yaml");
}

static void put_retention(struct buf *buf, const struct retention *r)
{
    const char *runs = source_of(NULL, NULL, r->runs_ms != RETENTION_UNSAID);
    const char *logs = source_of(NULL, NULL, r->logs_ms != RETENTION_UNSAID);
    put_count(buf, "retention.runs", r->runs_ms / 1000, r->runs_ms > 0, runs,
              "seconds that ended runs stay; none: for ever");
    put_count(buf, "retention.keep", r->keep, r->keep > 0,
              source_of(NULL, NULL, r->keep != RETENTION_UNSAID),
              "ended runs of a DAG that stay; none: all");
    put_count(buf, "retention.logs", r->logs_ms / 1000, r->logs_ms > 0, logs,
              "seconds that logs of ended runs stay; none: as long as the run");
}

char *effective_json(const struct effective *effective)
{
    struct buf buf = {0};
    put_open(&buf, NULL, '[');
    put_places(&buf, effective);
    put_bounds(&buf, effective->settings);
    put_retention(&buf, &effective->settings->retention);
    put_close(&buf, ']');
    return buf_take(&buf, NULL);
}
