/* The connection that an operator's parameter names: nx_conn. */
#include <string.h>

#include "lib/base/must.h"
#include "lib/text/conn.h"
#include "lib/text/json.h"
#include "tasks/runtime.h"

static const char *kinds_of(const struct nx_ctx *ctx, const char *param)
{
    const struct nx_param *p = ctx->definition->op->params;
    while (p->name && strcmp(p->name, param) != 0)
        p++;
    must(p->name && p->type == NX_T_CONN && p->choices);
    return p->choices;
}

static bool takes(const char *kinds, const char *kind)
{
    size_t n = strlen(kind);
    for (const char *p = kinds; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
        if (strncmp(p, kind, n) == 0 && (p[n] == '|' || p[n] == 0))
            return true;
    }
    return false;
}

static const char *fail_none(const json_t *context, const char *name, struct nx_err *err)
{
    const char *why = js_get_text(json_object_get(context, "unreadable_connections"), name, NULL);
    if (why)
        nx_fail(err, NX_E_DENIED, "the connection '%s' cannot be read: %s", name, why);
    else
        nx_fail(err, NX_E_NOT_FOUND,
                "there is no connection '%s': `nexus conn set %s` keeps one (a run sees those "
                "that were there when it began)",
                name, name);
    return NULL;
}

const char *nx_conn(struct nx_ctx *ctx, const char *name, struct nx_err *err)
{
    const char *kinds = kinds_of(ctx, name), *conn_name = nx_arg_text(ctx, name);
    const json_t *context = runtime_context(ctx, err);
    struct conn conn;
    must(conn_name);
    if (!context)
        return NULL;
    const char *uri = js_get_text(json_object_get(context, "connections"), conn_name, NULL);
    if (!uri)
        return fail_none(context, conn_name, err);
    if (!conn_read(uri, &ctx->arena, &conn, err)) {
        nx_wrap(err, "the connection '%s'", conn_name);
        return NULL;
    }
    if (!takes(kinds, conn_kind_name(conn.kind))) {
        nx_fail(err, NX_E_INVALID, "the connection '%s' is of the kind %s; %s takes %s", conn_name,
                conn_kind_name(conn.kind), ctx->definition->op->name, kinds);
        return NULL;
    }
    return uri;
}
