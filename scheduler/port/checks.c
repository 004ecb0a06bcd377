#include "scheduler/port/checks.h"

#include <stdio.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/path.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/store/check.h"

#define CHECK_MS 60000              /* when nobody else needs the file */
#define CHECK_BYTES_MAX (8ll << 20) /* of a file that is checked for a request: some 30 ms */

static int64_t size_of(const char *home, const char *name)
{
    char path[PATH_MAX_BYTES + 32];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", home, name);
    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

static void put_skew(void *arg, const char *worker, int64_t behind_ms, int64_t ahead_ms)
{
    struct buf *buf = arg;
    put_open(buf, NULL, '{');
    put_text(buf, "worker", worker);
    put_number(buf, "behind", (double)behind_ms / 1000);
    put_number(buf, "ahead", (double)ahead_ms / 1000);
    put_close(buf, '}');
}

static void put_database(struct buf *buf, const char *home, const struct query_check *check)
{
    put_open(buf, "database", '{');
    put_int(buf, "schema", check->schema);
    put_int(buf, "schema_known", check->schema_known);
    put_int(buf, "bytes", check->n_pages * check->page_bytes);
    put_int(buf, "free_bytes", check->n_free_pages * check->page_bytes);
    put_int(buf, "log_bytes", size_of(home, "nexus.db-wal"));
    put_int(buf, "secrets", check->n_secrets);
    put_int(buf, "doomed_runs", check->n_doomed);
    put_bool(buf, "checked", check->checked);
    put_text(buf, "damage", check->damage[0] ? check->damage : NULL);
    put_close(buf, '}');
}

/* The members "database" and "skews" of an object that is open. */
static bool put_checks(struct buf *buf, const char *home, struct query_pool *pool,
                       int64_t bytes_max, struct nx_err *err)
{
    struct query_check check;
    struct query *query = query_begin(pool, err);
    bool ok = query && query_check(query, bytes_max, &check, err);
    if (ok) {
        put_database(buf, home, &check);
        put_open(buf, "skews", '[');
        if (check.schema == check.schema_known && !check.damage[0])
            ok = query_skews(query, put_skew, buf, err);
        put_close(buf, ']');
    }
    query_end(query);
    return ok;
}

int checks_print(const char *home)
{
    char path[PATH_MAX_BYTES];
    struct buf buf = {0};
    struct nx_err err = {0};
    bool ok = path_join(path, sizeof path, home, "nexus.db");
    put_open(&buf, NULL, '{');
    if (!ok || !path_exists(path)) {
        put_null(&buf, "database");
    } else {
        struct query_pool *pool = query_pool_new(path, CHECK_MS);
        ok = put_checks(&buf, home, pool, INT64_MAX, &err);
        query_pool_free(pool);
    }
    if (!ok) { /* a file that is no database, or that cannot be read */
        buf_clear(&buf);
        put_open(&buf, NULL, '{');
        put_text(&buf, "error", err.text);
    }
    put_close(&buf, '}');
    puts(buf_text(&buf));
    buf_fini(&buf);
    return 0;
}

bool handle_checks(struct call *call, struct nx_err *err)
{
    struct api *api = call->api;
    int64_t wall = clock_wall_ms(), steady = clock_steady_ms();
    put_open(&call->body, NULL, '{');
    put_text(&call->body, "version", NEXUS_VERSION);
    put_time(&call->body, "now", wall);
    put_time(&call->body, "started_at", api->started_ms);
    put_number(&call->body, "clock_set_by",
               (double)((wall - api->opened_wall_ms) - (steady - api->opened_steady_ms)) / 1000);
    bool ok = put_checks(&call->body, api->home, api->pool, CHECK_BYTES_MAX, err);
    put_close(&call->body, '}');
    return ok;
}
