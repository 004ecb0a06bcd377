/* The web page: one document for all its addresses, and the parts that are kept by browsers. It is
 * embedded (tools/web); what it shows comes from /api/v1. */
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "nexus/web.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_shape.h"

#define POLICY \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " \
    "connect-src 'self'; worker-src 'self'; frame-src 'self'; base-uri 'none'; form-action " \
    "'none'; " \
    "frame-ancestors 'none'"

bool handle_root(struct call *call, struct nx_err *err)
{
    static const char *const headers[] = {"Location", "/ui", NULL};
    const struct http_reply reply = {.status = 302, .headers = headers};
    (void)err;
    call_respond(call, &reply);
    return true;
}

/* ---- Whether there is something at an address ---- */

static bool note_dag(void *arg, const struct query_dag *dag)
{
    (void)dag;
    *(bool *)arg = true;
    return false;
}

struct file_name {
    const char *id;
    bool found;
};

/* A file without a DAG goes by its name: see api_dags.c. */
static bool note_file(void *arg, const char *file, const char *problems, bool has_dag)
{
    struct file_name *wanted = arg;
    const char *base = path_base(file);
    size_t n = strlen(wanted->id);
    (void)problems;
    wanted->found = !has_dag && (str_eq(file, wanted->id) ||
                                 (strncmp(base, wanted->id, n) == 0 && base[n] == '.'));
    return !wanted->found;
}

static bool has_dag(struct call *call, const char *id)
{
    struct nx_err err;
    struct file_name file = {.id = id};
    bool found = false;
    if (!call_query(call, &err) || !query_dag(call->query, id, note_dag, &found, &err))
        return true; /* the page will say what is wrong */
    return found || !query_problems(call->query, note_file, &file, &err) || file.found;
}

static bool has_run(struct call *call, const char *id)
{
    struct nx_err err = {0};
    struct query_run *run;
    if (str_eq(id, "compare") || !call_query(call, &err))
        return true;
    return find_run(call->query, call->arena, id, &run, &err) || err.code != NX_E_NOT_FOUND;
}

/* The views that there are; deeper than an object the page looks by itself. */
static bool has_view(struct call *call)
{
    static const char *const views[] = {"dags", "runs", "data", "system", "sign-in"};
    const char *view = http_segment(call->request, 1), *id = NULL;
    if (!view)
        return true;
    id = http_segment(call->request, 2);
    if (id && str_eq(view, "dags"))
        return has_dag(call, id);
    if (id && str_eq(view, "runs"))
        return has_run(call, id);
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        if (str_eq(views[i], view))
            return true;
    }
    return false;
}

/* ---- Answers ---- */

static bool takes_gzip(const struct call *call)
{
    const char *takes = http_header(call->request, "Accept-Encoding");
    return takes && strstr(takes, "gzip");
}

static const struct nx_web_file *find_file(const char *name)
{
    for (const struct nx_web_file *file = nx_web_files; file->name; file++) {
        if (str_eq(file->name, name))
            return file;
    }
    return NULL;
}

static void send_web(struct call *call, int status, const struct nx_web_file *file,
                     const char *const *headers)
{
    const struct http_reply reply = {.status = status,
                                     .content_type = file->type,
                                     .headers = headers,
                                     .body = (char *)(uintptr_t)file->bytes,
                                     .n_body = file->n,
                                     .body_lives = true};
    call_respond(call, &reply);
}

bool handle_page(struct call *call, struct nx_err *err)
{
    bool gzip = takes_gzip(call), there = has_view(call);
    const char *tag = arena_printf(call->arena, "\"%s%s\"", nx_web_hash, gzip ? "" : "-plain");
    const char *known = http_header(call->request, "If-None-Match");
    const char *headers[] = {"Content-Security-Policy",
                             POLICY,
                             "Referrer-Policy",
                             "no-referrer",
                             "Cache-Control",
                             "no-cache",
                             "Vary",
                             "Accept-Encoding",
                             "ETag",
                             tag,
                             gzip ? "Content-Encoding" : NULL,
                             "gzip",
                             NULL};
    (void)err;
    if (there && known && strstr(known, tag)) {
        const struct http_reply same = {.status = 304, .headers = headers};
        headers[10] = NULL;
        call_respond(call, &same);
        return true;
    }
    send_web(call, there ? 200 : 404, gzip ? find_file("index.html") : &nx_web_plain, headers);
    return true;
}

bool handle_page_file(struct call *call, struct nx_err *err)
{
    static const char *const headers[] = {"Cache-Control",
                                          "public, max-age=31536000, immutable",
                                          "Content-Security-Policy",
                                          POLICY,
                                          "Content-Encoding",
                                          "gzip",
                                          NULL};
    bool current = str_eq(call->params[0], nx_web_hash);
    const struct nx_web_file *file = find_file(call->params[1]);
    if (!current || !file)
        return nx_fail(err, NX_E_NOT_FOUND,
                       current
                           ? "the web page has no part '%.64s'"
                           : "the part '%.64s' is of another version of the web page; reload it",
                       call->params[1]);
    send_web(call, 200, file, headers);
    return true;
}
