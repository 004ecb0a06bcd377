/* wait.http: until a URL answers as it should. One look. */
#include <string.h>

#include <jansson.h>

#include "lib/base/mem.h"
#include "lib/base/vec.h"
#include "lib/net/fetch.h"

#include "nexus/operator.h"

#define LOOK_MS 8000 /* less than a look may take in all */
#define BODY_MAX (4 * 1024 * 1024)
#define REDIRECTS_MAX 5

typedef VEC(char *) header_list;

static bool is_cancelled(void *ctx)
{
    return nx_cancelled(ctx);
}

/* "Name: value" lines of the object, and a NULL. */
static void read_headers(struct nx_ctx *ctx, header_list *list)
{
    json_t *headers = json_loads(nx_arg_json(ctx, "headers"), 0, NULL), *value;
    const char *name;
    struct buf line;
    buf_init(&line);
    json_object_foreach(headers, name, value)
    {
        buf_clear(&line);
        buf_printf(&line, "%s: %s", name, json_is_string(value) ? json_string_value(value) : "");
        vec_push(list, mem_strdup(buf_text(&line)));
    }
    vec_push(list, NULL);
    buf_fini(&line);
    json_decref(headers);
}

static bool is_as_wanted(struct nx_ctx *ctx, const struct fetch_response *response)
{
    const char *text = nx_arg_text(ctx, "contains");
    int wanted = nx_arg_given(ctx, "status") ? (int)nx_arg_int(ctx, "status") : 0;
    bool status = wanted ? response->status == wanted : response->status / 100 == 2;
    return status && (!text || !*text ||
                      memmem(response->body.data ? response->body.data : "", response->body.len,
                             text, strlen(text)) != NULL);
}

static enum nx_outcome look(struct nx_ctx *ctx, const header_list *headers, struct nx_err *err)
{
    struct fetch *fetch = fetch_new();
    struct fetch_response response = {0};
    const struct fetch_request request = {
        .method = nx_arg_text(ctx, "method"),
        .url = nx_arg_text(ctx, "url"),
        .headers = (const char *const *)headers->at,
        .timeout_ms = LOOK_MS,
        .max_bytes = BODY_MAX,
        .redirects_max = REDIRECTS_MAX,
        .cancelled = is_cancelled,
        .arg = ctx,
    };
    enum nx_outcome outcome = NX_FAILED;
    if (fetch_run(fetch, &request, &response, err)) {
        outcome = !is_as_wanted(ctx, &response)                        ? NX_NOT_YET
                  : nx_output_int(ctx, "status", response.status, err) ? NX_DONE
                                                                       : NX_FAILED;
        fetch_response_fini(&response);
    } else if (err->code == NX_E_UNREACHABLE || err->code == NX_E_TIMEOUT) {
        outcome = NX_NOT_YET; /* it is not up yet */
    }
    fetch_free(fetch);
    return outcome;
}

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    header_list headers = {0};
    read_headers(ctx, &headers);
    enum nx_outcome outcome = look(ctx, &headers, err);
    for (size_t i = 0; i < headers.n; i++)
        mem_free(headers.at[i]);
    vec_fini(&headers);
    return outcome;
}

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "url", .type = NX_T_STRING, .flags = NX_P_REQUIRED, .help = "Where: http:// or https://."},
    {.name = "method", .type = NX_T_ENUM, .fallback = "\"GET\"", .choices = "GET|HEAD",
     .help = "How it is asked."},
    {.name = "headers", .type = NX_T_OBJECT, .fallback = "{}",
     .help = "Sent with the request: {Authorization: \"Bearer ${{ secrets.token }}\"}."},
    {.name = "status", .type = NX_T_INT, .flags = NX_P_HAS_MIN | NX_P_HAS_MAX, .min = 100, .max = 599,
     .help = "The status it has to answer; any of 200 to 299 unless given."},
    {.name = "contains", .type = NX_T_STRING, .help = "Text that the answer has to contain."},
    {.name = "every", .type = NX_T_DURATION, .fallback = "\"30s\"", .flags = NX_P_HAS_MIN | NX_P_HAS_MAX,
     .min = 0.1, .max = 86400, .unit = "s", .help = "How often it is looked; a constant."},
    {0},
};

static const struct nx_port outputs[] = {
    {"status", NX_T_INT, "The status that was answered."},
    {0},
};

const struct nx_operator wait_http = {
    .name = "wait.http",
    .version = 1,
    .summary = "Waits until a URL answers, without a slot.",
    .doc =
        "A worker of the task's `queue` asks every now and then, beside its slots. A server that cannot "
        "be reached, or answers something else, is asked again; redirects are followed. `timeout` of "
        "the task bounds the wait.",
    .params = params,
    .outputs = outputs,
    .example =
        "ready:\n"
        "  uses: wait.http\n"
        "  timeout: 30m\n"
        "  with: {url: \"https://data.example.com/ready\", every: 15s}\n",
    .flags = NX_OP_POKE,
    .run = run,
};
/* clang-format on */
