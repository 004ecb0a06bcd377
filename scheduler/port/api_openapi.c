/* The OpenAPI 3.1 document, made of the table of routes and of what each of them answers. */
#include <ctype.h>
#include <string.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "scheduler/port/api_answer.h"
#include "scheduler/port/api_auth.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/api_route.h"
#include "scheduler/port/api_schema.h"

#define TYPE_MAX 64

/* ---- What a route takes ---- */

static void put_param(struct buf *buf, const char *name, const char *in, const char *type,
                      bool required, const char *help)
{
    put_open(buf, NULL, '{');
    put_text(buf, "name", name);
    put_text(buf, "in", in);
    put_bool(buf, "required", required);
    put_text(buf, "description", help);
    put_schema(buf, "schema", type);
    put_close(buf, '}');
}

/* What stands for {x} in paths; what is not in the list is a name. */
static void put_path_param(struct buf *buf, const struct route *route, const char *name)
{
    static const struct {
        const char *name, *type, *help;
    } known[] = {
        {"dag", "name", "id of a DAG"},
        {"run", "run_id", "id of a run"},
        {"task", "name", "a task's name, or name[3] of a mapped one"},
        {"n", "positive", "number of an attempt, from 1"},
        {"version", "positive", "version of the dataset, from 1"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (str_eq(known[i].name, name)) {
            put_param(buf, name, "path", known[i].type, true, known[i].help);
            return;
        }
    }
    bool plain = strstr(route->path, "/variables/") || strstr(route->path, "/secrets/");
    bool dashes = strstr(route->path, "/pools/") || strstr(route->path, "/connections/");
    put_param(buf, name, "path",
              plain    ? "variable_name"
              : dashes ? "id_name"
                       : "name",
              true, str_eq(name, "id") ? "its id" : "its name");
}

static void put_headers(struct buf *buf, const struct route *route)
{
    const struct route_answer *answer = answer_of(route);
    if (answer->more & ANSWER_KEY)
        put_param(buf, "Idempotency-Key", "header", "key", false,
                  "of several requests with one key the first alone makes something");
    if (answer->more & ANSWER_MATCH)
        put_param(buf, "If-Match", "header", "text", false,
                  "the ETag that a GET of it gave: when it has changed since, nothing is done");
}

static void put_params(struct buf *buf, const struct route *route)
{
    const char *path = route->path, *segment;
    char type[TYPE_MAX], name[32];
    bool required;
    size_t n;
    put_open(buf, "parameters", '[');
    while (route_next_segment(&path, &segment, &n)) {
        if (*segment != '{')
            continue;
        must(n - 2 < sizeof name);
        memcpy(name, segment + 1, n - 2);
        name[n - 2] = 0;
        put_path_param(buf, route, name);
    }
    for (const struct route_param *p = route->queries; p && p->name; p++) {
        answer_takes(route, p, type, sizeof type, &required);
        put_param(buf, p->name, "query", type, required, p->help);
    }
    put_headers(buf, route);
    put_close(buf, ']');
}

/* A member that need not be there may be null as well. */
static void put_member(struct buf *buf, const struct route *route, const struct route_param *p,
                       bool *required)
{
    char type[TYPE_MAX];
    size_t n = strlen(answer_takes(route, p, type, sizeof type - 1, required));
    if (!*required && type[n - 1] != '?' && !str_eq(type, "any"))
        memcpy(type + n, "?", 2);
    put_open(buf, p->name, '{');
    put_text(buf, "description", p->help);
    put_open(buf, "allOf", '[');
    put_schema(buf, NULL, type);
    put_close(buf, ']');
    put_close(buf, '}');
}

static void put_body(struct buf *buf, const struct route *route)
{
    bool required, any = false;
    char type[TYPE_MAX];
    for (const struct route_param *p = route->body; p->name; p++) {
        answer_takes(route, p, type, sizeof type, &required);
        any = any || required;
    }
    put_open(buf, "requestBody", '{');
    put_bool(buf, "required", any);
    put_open(buf, "content", '{');
    put_open(buf, "application/json", '{');
    put_open(buf, "schema", '{');
    put_text(buf, "type", "object");
    put_bool(buf, "additionalProperties", false);
    put_open(buf, "properties", '{');
    for (const struct route_param *p = route->body; p->name; p++)
        put_member(buf, route, p, &required);
    put_close(buf, '}');
    put_open(buf, "required", '[');
    for (const struct route_param *p = route->body; p->name; p++) {
        answer_takes(route, p, type, sizeof type, &required);
        if (required)
            put_text(buf, NULL, p->name);
    }
    put_close(buf, ']');
    for (int i = 0; i < 4; i++)
        put_close(buf, '}');
}

/* ---- The document ---- */

static void put_security(struct buf *buf, const struct route *route)
{
    if (route->role == ROLE_ANYONE)
        put_raw(buf, "security", "[]");
}

/* "GET /api/v1/runs/{run}/tasks" is get_runs_run_tasks. */
static void put_operation_id(struct buf *buf, const struct route *route)
{
    char id[160];
    size_t n = 0;
    const char *path = str_starts(route->path, "/api/v1") ? route->path + 7 : route->path;
    for (const char *p = route->method; *p; p++)
        id[n++] = (char)tolower((unsigned char)*p);
    for (const char *p = path; *p && n + 1 < sizeof id; p++) {
        if (*p != '{' && *p != '}')
            id[n++] = isalnum((unsigned char)*p) ? *p : '_';
    }
    id[n] = 0;
    put_text(buf, "operationId", id);
}

static void put_operation(struct buf *buf, const struct route *route)
{
    char method[8];
    size_t n = strlen(route->method);
    for (size_t i = 0; i <= n; i++)
        method[i] = (char)tolower((unsigned char)route->method[i]);
    put_open(buf, method, '{');
    put_operation_id(buf, route);
    put_text(buf, "summary", route->summary);
    put_text(buf, "x-role", role_name(route->role));
    put_security(buf, route);
    put_params(buf, route);
    if (route->body)
        put_body(buf, route);
    put_responses(buf, route);
    if (route->handle == handle_events)
        put_raw(buf, "x-events",
                "{\"run\":{\"$ref\":\"#/components/schemas/run_event\"},"
                "\"task\":{\"$ref\":\"#/components/schemas/task_event\"},"
                "\"worker\":{\"$ref\":\"#/components/schemas/worker_event\"},"
                "\"dataset\":{\"$ref\":\"#/components/schemas/dataset_changed\"},"
                "\"hello\":{\"type\":\"object\"},\"reset\":{\"type\":\"object\"}}");
    put_close(buf, '}');
}

/* The web page is not a part of the API. */
static bool is_page(const struct route *route)
{
    return route->handle == handle_page || route->handle == handle_page_file ||
           route->handle == handle_root;
}

static bool is_first_of_path(size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (str_eq(route_at(k)->path, route_at(i)->path))
            return false;
    }
    return true;
}

static void put_path(struct buf *buf, const char *path)
{
    const struct route *route;
    put_open(buf, path, '{');
    for (size_t i = 0; (route = route_at(i)) != NULL; i++) {
        if (str_eq(route->path, path))
            put_operation(buf, route);
    }
    put_close(buf, '}');
}

static void put_components(struct buf *buf)
{
    put_open(buf, "components", '{');
    put_raw(buf, "securitySchemes",
            "{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":\"a token, when "
            "the server runs with auth: tokens\"},"
            "\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"nexus_session_PORT\","
            "\"description\":\"set by POST /api/v1/session; PORT is the server's\"}}");
    put_schemas(buf);
    put_close(buf, '}');
}

bool handle_openapi(struct call *call, struct nx_err *err)
{
    const struct route *route;
    struct buf *buf = &call->body;
    (void)err;
    put_open(buf, NULL, '{');
    put_text(buf, "openapi", "3.1.0");
    put_raw(buf, "info", "{\"title\":\"Nexus\",\"version\":\"" NEXUS_VERSION "\"}");
    put_open(buf, "paths", '{');
    for (size_t i = 0; (route = route_at(i)) != NULL; i++) {
        if (is_first_of_path(i) && !is_page(route))
            put_path(buf, route->path);
    }
    put_close(buf, '}');
    put_raw(buf, "security", "[{\"bearer\":[]},{\"session\":[]},{}]");
    put_components(buf);
    put_close(buf, '}');
    return true;
}
