#include "worker/pokes.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "nexus/limits.h"
#include "nexus/states.h"

#define ERROR_MAX 1024   /* bytes kept of a look's error */
#define ROOM (16 * 1024) /* of outcomes in one report; others wait for the next */
#define KEPT_MAX (4 * NX_POKES_IN_HAND)

struct poke_entry {
    struct poke_entry *next;
    struct wire_order order; /* texts are in `bytes` */
    struct shelf_text *definition, *run;
    bool forgotten;
    struct wire_poke poke; /* texts of its result are in `ended` */
    uint64_t first_seq;    /* its outcome is in every report since this one; 0: not in the last */
    char *ended;
    char bytes[];
};

static void release_texts(struct pokes *pokes, struct poke_entry *entry)
{
    shelf_release(pokes->definitions, entry->definition);
    shelf_release(pokes->runs, entry->run);
    entry->definition = entry->run = NULL;
}

static void drop(struct pokes *pokes, struct poke_entry *entry)
{
    struct poke_entry **at = &pokes->first, *before = NULL;
    while (*at != entry) {
        before = *at;
        at = &before->next;
    }
    *at = entry->next;
    if (pokes->last == entry)
        pokes->last = before;
    pokes->n--;
    release_texts(pokes, entry);
    mem_free(entry->ended);
    mem_free(entry);
}

void pokes_fini(struct pokes *pokes)
{
    while (pokes->first)
        drop(pokes, pokes->first);
}

static void end_entry(struct pokes *pokes, struct poke_entry *entry,
                      const struct wire_result *result)
{
    struct wire_result *to = &entry->poke.result;
    release_texts(pokes, entry);
    entry->poke.state = result ? WIRE_POKE_ENDED : WIRE_POKE_NOT_YET;
    if (!result)
        return;
    must(result->outputs.n <= POKES_OUTPUTS_MAX);
    *to = *result;
    to->inst = entry->order.inst;
    to->lease = entry->order.lease;
    to->attempt = entry->order.attempt;
    if (to->error.n > ERROR_MAX)
        to->error.n = ERROR_MAX;
    entry->ended = mem_alloc(to->outputs.n + to->error.n + 1);
    if (to->outputs.n)
        memcpy(entry->ended, result->outputs.p, to->outputs.n);
    if (to->error.n)
        memcpy(entry->ended + to->outputs.n, result->error.p, to->error.n);
    to->outputs.p = entry->ended;
    to->error.p = entry->ended + to->outputs.n;
}

void pokes_take(struct pokes *pokes, const struct wire_order *order)
{
    size_t n = order->task_id.n + order->outputs.n + order->item.n;
    if (pokes->n >= KEPT_MAX) /* more than a scheduler orders at a time */
        return;
    struct poke_entry *entry = mem_alloc(sizeof *entry + n + 1);
    entry->order = *order;
    entry->poke.number = order->poke;
    if (order->task_id.n)
        memcpy(entry->bytes, order->task_id.p, order->task_id.n);
    if (order->outputs.n)
        memcpy(entry->bytes + order->task_id.n, order->outputs.p, order->outputs.n);
    if (order->item.n)
        memcpy(entry->bytes + order->task_id.n + order->outputs.n, order->item.p, order->item.n);
    entry->order.task_id.p = entry->bytes;
    entry->order.outputs.p = entry->bytes + order->task_id.n;
    entry->order.item.p = entry->order.outputs.p + order->outputs.n;
    entry->definition = shelf_hold(pokes->definitions, order->version, order->inst.task);
    entry->run = shelf_hold(pokes->runs, order->inst.run.v, 0);
    *(pokes->last ? &pokes->last->next : &pokes->first) = entry;
    pokes->last = entry;
    pokes->n++;
    if (entry->definition && entry->run)
        return;
    static const char text[] = "the scheduler ordered a look without the task's definition or the "
                               "run's context";
    const struct wire_result result = {.outcome = NX_AO_FAILED,
                                       .code = NX_E_INTERNAL,
                                       .exit_code = -1,
                                       .error = wire_text(text, sizeof text - 1)};
    end_entry(pokes, entry, &result);
}

bool pokes_next(struct pokes *pokes, struct ledger_start *start)
{
    struct poke_entry *entry = pokes->under_way ? NULL : pokes->first;
    while (entry && entry->poke.state != WIRE_POKE_HAND)
        entry = entry->next;
    if (!entry)
        return false;
    pokes->under_way = entry;
    *start = (struct ledger_start){.order = entry->order,
                                   .definition_id = entry->definition->id,
                                   .definition =
                                       wire_text(entry->definition->bytes, entry->definition->n),
                                   .run = wire_text(entry->run->bytes, entry->run->n)};
    return true;
}

void pokes_ended(struct pokes *pokes, const struct wire_result *result)
{
    struct poke_entry *entry = pokes->under_way;
    must(entry != NULL);
    pokes->under_way = NULL;
    if (entry->forgotten)
        drop(pokes, entry);
    else
        end_entry(pokes, entry, result);
}

void pokes_acknowledge(struct pokes *pokes, uint64_t ack)
{
    struct poke_entry *next;
    for (struct poke_entry *entry = pokes->first; entry; entry = next) {
        next = entry->next;
        if (entry->first_seq != 0 && entry->first_seq <= ack)
            drop(pokes, entry);
    }
}

void pokes_forget(struct pokes *pokes)
{
    struct poke_entry *next;
    for (struct poke_entry *entry = pokes->first; entry; entry = next) {
        next = entry->next;
        if (entry == pokes->under_way)
            entry->forgotten = true;
        else
            drop(pokes, entry);
    }
}

size_t pokes_report(struct pokes *pokes, uint64_t seq, struct arena *arena,
                    struct wire_report *report)
{
    struct wire_poke *list = arena_array(arena, pokes->n, sizeof *list);
    size_t bytes = 0;
    pokes->left_out = false;
    for (struct poke_entry *entry = pokes->first; entry; entry = entry->next) {
        struct wire_poke poke = entry->poke;
        if (entry->forgotten)
            continue;
        if (bytes + wire_poke_size(&poke) > ROOM) { /* then it is in hand for now */
            poke = (struct wire_poke){.number = poke.number};
            pokes->left_out = true;
        }
        if (poke.state == WIRE_POKE_HAND)
            entry->first_seq = 0;
        else if (entry->first_seq == 0)
            entry->first_seq = seq;
        bytes += wire_poke_size(&poke);
        list[report->n_pokes++] = poke;
    }
    report->pokes = list;
    return bytes;
}
