#include "scheduler/port/reply.h"

#include <string.h>

#include "lib/base/map.h"
#include "lib/base/must.h"

/* Room for what follows the last order, and for a message's own head. */
#define TAIL_BYTES 64

struct encoding {
    const struct core *core;
    const struct reply_source *source;
    struct wire_reply_writer writer;
    struct map definitions, runs; /* what this message has already */
};

static void add_definition(struct encoding *encoding, const struct core_order *order)
{
    must(order->version < 1ull << 32);
    uint64_t key = order->version << 32 | order->inst.task;
    if (map_get_num(&encoding->definitions, key))
        return;
    map_set_num(&encoding->definitions, key, encoding);
    const struct wire_definition definition = {
        order->version, order->inst.task,
        encoding->source->definition(encoding->source->arg, order->version, order->inst.task)};
    wire_reply_definition(&encoding->writer, &definition);
}

static void add_run(struct encoding *encoding, struct nx_run_id run)
{
    if (map_get_num(&encoding->runs, run.v))
        return;
    map_set_num(&encoding->runs, run.v, encoding);
    const struct wire_run wire = {run, encoding->source->run(encoding->source->arg, run)};
    wire_reply_run(&encoding->writer, &wire);
}

static struct wire_order to_wire(const struct encoding *encoding, const struct core_order *order)
{
    struct wire_order wire = {.number = order->number,
                              .kind = (uint8_t)order->kind,
                              .inst = order->inst,
                              .lease = order->lease};
    const struct graph *graph = core_run_graph(encoding->core, order->inst.run);
    if (!wire_starts((uint8_t)order->kind))
        return wire;
    if (!graph) { /* its run has ended without it: the number must still come */
        wire.kind = WIRE_FORGET;
        return wire;
    }
    const struct graph_task *task = &graph->tasks[order->inst.task];
    const struct graph_class *needs = &graph->classes[task->class_index];
    wire.poke = order->poke;
    wire.attempt = order->attempt;
    wire.max_attempts = order->max_attempts;
    wire.version = order->version;
    wire.flags = (uint8_t)((task->flags & GRAPH_EXCLUSIVE ? WIRE_LEASE_EXCLUSIVE : 0) |
                           (task->flags & GRAPH_SCRIPT ? WIRE_LEASE_SCRIPT : 0));
    wire.cpus_milli = needs->cpus_milli;
    wire.gpus = needs->gpus;
    wire.memory_bytes = needs->memory_bytes;
    wire.timeout_ms = task->timeout_ms;
    wire.grace_ms = encoding->source->grace_ms;
    wire.task_id = wire_text(task->id, strlen(task->id));
    if (task->flags & GRAPH_REFS)
        wire.outputs = encoding->source->outputs(encoding->source->arg, order->inst);
    if (order->inst.map != NX_MAP_NONE)
        wire.item = encoding->source->item(encoding->source->arg, order->inst);
    return wire;
}

/* False: it does not fit any more. */
static bool add_order(struct encoding *encoding, const struct core_order *order, bool first)
{
    struct wire_order wire = to_wire(encoding, order);
    size_t size = wire_order_size(&wire) + TAIL_BYTES;
    if (wire_starts(wire.kind)) {
        const struct reply_source *source = encoding->source;
        uint64_t key = order->version << 32 | order->inst.task;
        if (!map_get_num(&encoding->definitions, key))
            size += source->definition(source->arg, order->version, order->inst.task).n + 32;
        if (!map_get_num(&encoding->runs, order->inst.run.v))
            size += source->run(source->arg, order->inst.run).n + 32;
    }
    if (!first && wire_reply_size(&encoding->writer) + size > NX_MESSAGE_MAX)
        return false;
    if (wire_starts(wire.kind)) {
        add_definition(encoding, order);
        add_run(encoding, order->inst.run);
    }
    wire_reply_order(&encoding->writer, &wire);
    return true;
}

void reply_encode(const struct core *core, uint64_t epoch, const struct core_send *send,
                  bool elsewhere, const struct reply_source *source, struct buf *buf)
{
    int64_t ttl_ms = elsewhere ? source->lease_ttl_elsewhere_ms : source->lease_ttl_ms;
    struct wire_reply head = {.ack = send->ack,
                              .epoch = epoch,
                              .refused = send->refused != NULL,
                              .lease_ttl_ms = (uint32_t)ttl_ms};
    if (send->refused)
        head.text = wire_text(send->refused, strlen(send->refused));
    head.url = wire_text(source->url, strlen(source->url));
    head.home = wire_text(source->home, strlen(source->home));
    struct encoding encoding = {.core = core, .source = source};
    map_init(&encoding.definitions);
    map_init(&encoding.runs);
    wire_reply_begin(&encoding.writer, buf, &head);
    size_t n = 0, i = 0;
    const struct core_order *orders = NULL;
    if (send->worker && !send->refused)
        orders = core_orders(core, send->worker, send->seen, &n);
    while (i < n && add_order(&encoding, &orders[i], i == 0))
        i++;
    wire_reply_end(&encoding.writer, i < n);
    map_fini(&encoding.definitions);
    map_fini(&encoding.runs);
}
