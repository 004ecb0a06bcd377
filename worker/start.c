#include "worker/start.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/wire/paths.h"
#include "nexus/limits.h"

void start_texts_fini(struct start_texts *texts)
{
    buf_fini(&texts->context);
    buf_fini(&texts->key);
    buf_fini(&texts->outputs);
}

static struct child_text text_of(const struct buf *buf)
{
    return (struct child_text){buf_text(buf), buf->len};
}

static bool is_object(struct wire_bytes json)
{
    return json.n >= 2 && json.p[0] == '{' && json.p[json.n - 1] == '}';
}

/* Outputs too large for a lease are an artifact: {"artifact": "sha256:<hex>"}. Returns its digits,
 * or NULL when they are inline (outputs of a task are objects, so this cannot be one's). */
static const char *artifact_of(struct wire_bytes outputs)
{
    static const char *const heads[] = {"{\"artifact\": \"sha256:", "{\"artifact\":\"sha256:"};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(heads[i]);
        if (outputs.n == n + 64 + 2 && memcmp(outputs.p, heads[i], n) == 0 &&
            strspn(outputs.p + n, "0123456789abcdef") == 64)
            return outputs.p + n;
    }
    return NULL;
}

static bool read_outputs(const struct start_places *places, struct wire_bytes *outputs,
                         struct buf *to, struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    const char *digits = artifact_of(*outputs);
    buf_clear(to);
    if (!digits)
        return true;
    int n = snprintf(path, sizeof path, "%s/sha256/%.2s/%.64s", places->artifacts, digits, digits);
    if (n < 0 || (size_t)n >= sizeof path)
        return nx_fail(err, NX_E_LIMIT, "the path of the artifact store is too long");
    if (!path_read(path, NX_CONTEXT_MAX, to, err))
        return nx_wrap(err, "the outputs of the tasks that this one names");
    *outputs = wire_text(buf_text(to), to->len);
    return true;
}

/* The run's context, and in it what belongs to this attempt. */
static bool put_context(const struct ledger_start *lease, struct wire_bytes outputs, struct buf *to,
                        struct nx_err *err)
{
    const struct wire_order *order = &lease->order;
    if ((order->inst.map >= 0) != (order->item.n > 0))
        return nx_fail(err, NX_E_INVALID, "the scheduler sent an index without its item");
    if (!is_object(lease->run) || (outputs.n && !is_object(outputs)))
        return nx_fail(err, NX_E_INVALID, "the scheduler sent a context that is not a JSON object");
    buf_clear(to);
    buf_add(to, lease->run.p, lease->run.n - 1);
    if (strspn(buf_text(to) + 1, " \n\t\r") != to->len - 1)
        buf_str(to, ", ");
    buf_printf(to, "\"task\": {\"id\": \"%.*s\", \"attempt\": %u, \"max_attempts\": %u, ",
               (int)order->task_id.n, order->task_id.p, order->attempt, order->max_attempts);
    if (order->inst.map >= 0) {
        buf_printf(to, "\"map_index\": %d}, \"index\": %d, \"item\": ", order->inst.map,
                   order->inst.map);
        buf_add(to, order->item.p, order->item.n);
        buf_str(to, ", ");
    } else {
        buf_str(to, "\"map_index\": null}, ");
    }
    buf_str(to, "\"outputs\": ");
    if (outputs.n)
        buf_add(to, outputs.p, outputs.n);
    else
        buf_str(to, "{}");
    buf_char(to, '}');
    return true;
}

bool start_fill(const struct ledger_start *lease, const struct start_places *places,
                struct start_texts *texts, struct child_start *start, struct nx_err *err)
{
    const struct wire_order *order = &lease->order;
    struct wire_bytes outputs = order->outputs;
    if (order->task_id.n == 0 || order->task_id.n > NX_ID_MAX ||
        memchr(order->task_id.p, 0, order->task_id.n))
        return nx_fail(err, NX_E_INVALID, "the scheduler sent a lease with a malformed task id");
    if (!read_outputs(places, &outputs, &texts->outputs, err) ||
        !put_context(lease, outputs, &texts->context, err))
        return false;
    buf_clear(&texts->key);
    buf_printf(&texts->key, "%llu.%.*s.%d.%u", (unsigned long long)order->inst.run.v,
               (int)order->task_id.n, order->task_id.p, order->inst.map, order->attempt);
    /* No mark begins with another one: it ends with ';'. */
    int n = snprintf(texts->mark, sizeof texts->mark, "%s%s.%u;", places->mark,
                     buf_text(&texts->key), order->lease);
    if (n < 0 || (size_t)n >= sizeof texts->mark)
        return nx_fail(err, NX_E_LIMIT, "the mark of an attempt is too long");
    if (places->files)
        str_copy(texts->files, sizeof texts->files, places->files);
    else if (!files_path(texts->files, sizeof texts->files, places->home, order->version) ||
             access(texts->files, F_OK) != 0)
        texts->files[0] = 0;
    *start = (struct child_start){
        .definition_id = lease->definition_id,
        .context = text_of(&texts->context),
        .key = text_of(&texts->key),
        .mark = child_text(texts->mark),
        .artifacts = child_text(places->artifacts),
        .project = child_text(places->project),
        .files = child_text(texts->files),
        .url = child_text(places->url),
        .cpus = order->cpus_milli < 1000 ? 1 : order->cpus_milli / 1000,
        .outputs_max = NX_OUTPUTS_MAX,
        .memory_bytes = order->memory_bytes,
        .timeout_ms = order->timeout_ms,
    };
    return true;
}
