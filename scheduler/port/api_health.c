/* Whether the process answers, and whether its parts are ready. */
#include <sys/statvfs.h>

#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"

bool handle_health(struct call *call, struct nx_err *err)
{
    (void)err;
    put_open(&call->body, NULL, '{');
    put_text(&call->body, "status", "ok");
    put_time(&call->body, "started_at", call->api->started_ms);
    put_text(&call->body, "version", NEXUS_VERSION);
    put_close(&call->body, '}');
    return true;
}

struct seen {
    size_t n_online, n_active;
};

static void look_ready(struct job *job, const struct core *core)
{
    struct seen *seen = job->data;
    struct core_worker_view view;
    for (size_t i = 0; core_view_worker(core, i, &view); i++)
        seen->n_online += view.state == CORE_ONLINE || view.state == CORE_DRAINING;
    seen->n_active = core_active_runs(core);
}

#define DISK_LOW_BYTES (1024ll * 1024 * 1024)

/* -1: not known. */
static int64_t free_bytes(const char *path)
{
    struct statvfs fs;
    return statvfs(path, &fs) == 0 ? (int64_t)(fs.f_bavail * fs.f_frsize) : -1;
}

static bool finish_ready(struct job *job, struct query *query, struct nx_err *err)
{
    const struct seen *seen = job->data;
    struct buf *buf = &job->body;
    bool ready = atomic_load(&job->api->ready);
    int64_t disk = free_bytes(job->api->home);
    (void)query; /* its being there says that the store is readable */
    (void)err;
    job->status = ready ? 200 : 503;
    put_open(buf, NULL, '{');
    put_text(buf, "status", ready ? "ok" : "loading");
    put_open(buf, "parts", '{');
    put_text(buf, "loop", "ok");
    put_text(buf, "store", "ok");
    put_text(buf, "loader", ready ? "ok" : "loading");
    put_text(buf, "workers", seen->n_online ? "ok" : "none");
    put_text(buf, "disk", disk >= 0 && disk < DISK_LOW_BYTES ? "low" : "ok");
    put_close(buf, '}');
    if (disk < 0)
        put_null(buf, "disk_free_bytes");
    else
        put_int(buf, "disk_free_bytes", disk);
    put_int(buf, "workers_online", (int64_t)seen->n_online);
    put_int(buf, "runs_active", (int64_t)seen->n_active);
    put_close(buf, '}');
    return true;
}

bool handle_ready(struct call *call, struct nx_err *err)
{
    struct job *job = job_new(call);
    job->data = arena_alloc(&job->arena, sizeof(struct seen));
    job->look = look_ready;
    job->finish = finish_ready;
    return job_look(call, job, err);
}
