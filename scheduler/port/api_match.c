/* If-Match: a change is made only to what its author has seen. What a GET shows has in its ETag,
 * behind a hash of the answer, the last entry of the audit list about it; the loop compares that
 * before it changes anything, so of two changes to the same thing seen the second is refused. */
#include <string.h>

#include "lib/base/str.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"

#define MATCHES_MAX 8

static bool note_id(void *arg, const struct query_audit *audit)
{
    *(int64_t *)arg = audit->id;
    return false;
}

bool call_revision(struct call *call, const char *kind, const char *target, struct nx_err *err)
{
    int64_t id = 0;
    if (!call_query(call, err) || !query_last_change(call->query, kind, target, note_id, &id, err))
        return false;
    call->revision = arena_printf(call->arena, "%lld", (long long)id);
    return true;
}

/* The next tag of a list such as `W/"a-1", "b-2"`: *from to *n; false at the end or where it is
 * none. */
static bool next_tag(const char **p, const char **tag, size_t *n)
{
    *p += strspn(*p, " ,\t");
    if (str_starts(*p, "W/"))
        *p += 2;
    const char *end = **p == '"' ? strchr(*p + 1, '"') : NULL;
    if (!end)
        return false;
    *tag = *p + 1;
    *n = (size_t)(end - *tag);
    *p = end + 1;
    return true;
}

const char *call_matches(const struct call *call, const char *revision)
{
    const char *header = http_header(call->request, "If-Match"), *tag;
    size_t n, n_revision = strlen(revision);
    if (!header || str_eq(header, "*"))
        return "*";
    while (next_tag(&header, &tag, &n)) {
        if (n > n_revision && memcmp(tag + n - n_revision, revision, n_revision) == 0 &&
            tag[n - n_revision - 1] == '-')
            return revision;
    }
    return NULL;
}

void call_match(struct call *call, const char *kind, struct message *message, struct job *job)
{
    const char *header = http_header(call->request, "If-Match"), *tag;
    int64_t *ids = arena_array(&message->arena, MATCHES_MAX, sizeof *ids), id;
    size_t n;
    job->changed = kind;
    job->target = arena_strdup(&job->arena, message->target);
    if (!header || str_eq(header, "*"))
        return;
    message->match = kind;
    message->matches = ids;
    while (message->n_matches < MATCHES_MAX && next_tag(&header, &tag, &n)) {
        const char *text = arena_strndup(call->arena, tag, n), *dash = strrchr(text, '-');
        if (dash && str_parse_int(dash + 1, &id))
            ids[message->n_matches++] = id;
    }
}

/* ---- Who was faster ---- */

static bool put_change(void *arg, const struct query_audit *audit)
{
    struct buf *details = arg;
    put_open(details, NULL, '{');
    put_text(details, "who", audit->who);
    put_text(details, "what", audit->what);
    put_time(details, "at", audit->at_ms);
    put_close(details, '}');
    return false;
}

const char *find_change(struct query *query, struct arena *arena, const char *kind,
                        const char *target)
{
    struct buf details;
    buf_init(&details);
    bool ok = query_last_change(query, kind, target, put_change, &details, NULL);
    const char *text = ok && details.len ? arena_strndup(arena, details.data, details.len) : NULL;
    buf_fini(&details);
    return text;
}

const char *job_last_change(struct job *job)
{
    struct query *query = query_begin(job->api->pool, NULL);
    const char *text = query ? find_change(query, &job->arena, job->changed, job->target) : NULL;
    query_end(query);
    return text;
}
