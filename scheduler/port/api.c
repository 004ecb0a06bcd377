#include "scheduler/port/api.h"

#include <stdatomic.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/net/http.h"

struct api {
    struct http_server *server;
    struct inbox *inbox;
    atomic_bool ready;
};

static enum http_verdict handle(struct http_request *request, void *arg)
{
    struct api *api = arg;
    struct http_reply reply = {0};
    const char *path = http_path(request);
    if (str_eq(path, "/health")) {
        http_reply_text(&reply, 200, NULL, "{\"status\": \"ok\"}");
    } else if (str_eq(path, "/health/ready")) {
        bool ready = atomic_load(&api->ready);
        http_reply_text(&reply, ready ? 200 : 503, NULL,
                        ready ? "{\"status\": \"ok\"}" : "{\"status\": \"loading\"}");
    } else {
        struct nx_err err;
        nx_fail(&err, NX_E_NOT_FOUND, "there is nothing at %s", path);
        http_reply_error(&reply, &err);
    }
    http_respond(request, &reply);
    return HTTP_ANSWERED;
}

bool api_open(const struct api_config *config, struct api **out, struct nx_err *err)
{
    struct api *api = mem_alloc(sizeof *api);
    const struct http_config http = {
        .host = config->host, .port = config->port, .handler = handle, .arg = api};
    api->inbox = config->inbox;
    if (!http_open(&http, &api->server, err)) {
        mem_free(api);
        return false;
    }
    *out = api;
    return true;
}

uint16_t api_port(const struct api *api)
{
    return http_port(api->server);
}

void api_committed(struct api *api, const struct core *core, const struct core_update *update,
                   uint64_t number)
{
    (void)api;
    (void)core;
    (void)update;
    (void)number;
}

void api_set_ready(struct api *api)
{
    atomic_store(&api->ready, true);
}

void api_stop(struct api *api)
{
    http_stop(api->server);
}

void api_close(struct api *api)
{
    if (!api)
        return;
    http_close(api->server);
    mem_free(api);
}
