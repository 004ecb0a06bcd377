#include "worker/slots.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "nexus/limits.h"
#include "nexus/states.h"
#include "worker/child.h"
#include "worker/elsewhere.h"
#include "worker/logs.h"
#include "worker/pokes.h"
#include "worker/start.h"
#include "worker/usage.h"

#define ATTEMPTS_MAX 20000 /* of one child */
#define RETIRE_MS 5000     /* an idle child that was told to end is killed after this */
#define LOOK_GRACE_MS 1000
#define TICK_BUSY_MS 100 /* times and memory are looked at */
#define TICK_SWEEP_MS 10
#define TICK_IDLE_MS 1000
#define NEVER INT64_MAX

enum slot_state { SLOT_FREE, SLOT_BRINGING, SLOT_BUSY, SLOT_SWEEPING, SLOT_HANDING };

/* Why an attempt is being stopped. */
enum fate { FATE_NONE, FATE_TIMEOUT, FATE_MEMORY, FATE_CANCEL, FATE_LOST };

struct slot {
    struct slots *all;
    bool looks;          /* the one beside the slots: for looks at what tasks wait for */
    struct child *child; /* NULL: none yet */
    enum slot_state state;
    /* The attempt, unless free. */
    struct wire_order order; /* its texts are not used */
    char task_id[NX_ID_MAX + 1];
    char mark[MARK_MAX];
    uint64_t ticket;
    int64_t started_us, deadline_ms, kill_ms;
    enum fate fate;
    char why[256];                 /* of the fate, or of a child's death */
    int64_t rss_bytes, peak_bytes; /* of a limited attempt: last seen, highest */
    struct usage_meter meter;
    struct logs logs;
    /* Elsewhere. */
    struct ledger_start lease; /* while bringing */
    struct errand *errand;     /* while bringing or handing over */
    struct spooled *spooled;
    struct wire_result held; /* while handing over; its texts are in held_text */
    struct buf held_text;
};

struct retired {
    struct child *child;
    int64_t since_ms;
    bool killed;
};

struct slots {
    struct slots_config config;
    uv_loop_t *loop;
    struct ledger *ledger;
    struct slot *at; /* the last one is not a slot of the worker: it looks */
    uint32_t n_all;
    struct slot **free; /* a stack: the warmest is taken first */
    uint32_t n_free, n_sweeping, n_limited;
    int64_t memory_ms; /* when memory was looked at last */
    struct usage_looks *looks;
    struct writes *writes;
    uint64_t last_ticket;
    unsigned n_spawned;
    VEC(struct retired) retired;
    char **env; /* of children */
    char child_mark[MARK_MAX + sizeof MARK_NAME];
    char artifacts[PATH_MAX_BYTES];
    char *url;
    bool stopping; /* the worker is to end at once */
    struct start_texts texts;
};

/* ---- Children ---- */

static void on_message(struct child *child, const struct child_message *message);
static void on_output(struct child *child, enum log_stream from, const char *p, size_t n);
static void on_gone(struct child *child, const char *why);

static const struct child_ops CHILD_OPS = {on_message, on_output, on_gone};

struct removal {
    uv_work_t work;
    char path[512];
};

static void remove_work(uv_work_t *work)
{
    struct removal *removal = work->data;
    path_remove_tree(removal->path, NULL);
}

static void removed(uv_work_t *work, int status)
{
    (void)status;
    mem_free(work->data);
}

/* A child that was killed could not remove its working folder. */
static void remove_folder(struct slots *slots, const char *path)
{
    if (!path_exists(path))
        return;
    struct removal *removal = mem_alloc(sizeof *removal);
    str_copy(removal->path, sizeof removal->path, path);
    removal->work.data = removal;
    if (uv_queue_work(slots->loop, &removal->work, remove_work, removed) != 0)
        mem_free(removal);
}

/* The slot gets another child next time; this one has been told to end, or is ending. */
static void retire(struct slot *slot)
{
    struct child_message end = {.type = CHILD_END};
    struct child *child = slot->child;
    slot->child = NULL;
    child->owner = NULL;
    if (!child->is_gone)
        child_send(child, &end, NULL);
    struct retired retired = {child, clock_mono_ms(), false};
    vec_push(&slot->all->retired, retired);
}

static void bury(struct slots *slots, struct child *child)
{
    remove_folder(slots, child->work);
    child_close(child);
}

/* When the machine runs out of memory, tasks go before what runs them. */
static void offer_to_the_kernel(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)pid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = write(fd, "500", 3);
    (void)n; /* then it is as the kernel thinks */
    close(fd);
}

static bool spawn(struct slot *slot, struct nx_err *err)
{
    struct slots *slots = slot->all;
    struct child *child;
    if (!child_spawn(slots->loop, slots->writes, slots->config.program, slots->env, &CHILD_OPS,
                     slot, &child, err))
        return false;
    int n = snprintf(child->work, sizeof child->work, "%s/work/%s/%u", slots->config.home,
                     slots->config.worker, ++slots->n_spawned);
    must(n > 0 && (size_t)n < sizeof child->work);
    offer_to_the_kernel(child->pid);
    slot->child = child;
    return true;
}

/* ---- The end of an attempt ---- */

static void free_slot(struct slot *slot)
{
    struct slots *slots = slot->all;
    if (slot->state == SLOT_SWEEPING)
        slots->n_sweeping--;
    if (slot->order.memory_bytes > 0)
        slots->n_limited--;
    slot->state = SLOT_FREE;
    if (!slot->looks)
        slots->free[slots->n_free++] = slot;
}

static enum nx_attempt_outcome outcome_of(const struct slot *slot, const struct child_done *done)
{
    static const enum nx_attempt_outcome fates[] = {
        [FATE_NONE] = NX_AO_LOST,     [FATE_TIMEOUT] = NX_AO_TIMEOUT,
        [FATE_MEMORY] = NX_AO_MEMORY, [FATE_CANCEL] = NX_AO_CANCELLED,
        [FATE_LOST] = NX_AO_LOST,
    };
    if (done && done->outcome == CHILD_SUCCESS)
        return NX_AO_SUCCESS; /* also while it was being stopped: its effects exist */
    if (done && done->outcome == CHILD_SKIPPED)
        return NX_AO_SKIPPED;
    if (done && done->outcome == CHILD_FAILED && slot->fate == FATE_NONE)
        return NX_AO_FAILED;
    return fates[slot->fate];
}

static enum nx_code code_of(enum nx_attempt_outcome outcome, const struct child_done *done)
{
    switch (outcome) {
    case NX_AO_TIMEOUT:
        return NX_E_TIMEOUT;
    case NX_AO_MEMORY:
        return NX_E_MEMORY;
    case NX_AO_CANCELLED:
        return NX_E_CANCELLED;
    case NX_AO_LOST:
        return NX_E_INTERNAL;
    case NX_AO_FAILED:
        return done->code.n ? nx_code_find(done->code.at) : NX_OK;
    default:
        return NX_OK;
    }
}

static uint32_t outputs_max(const struct slot *slot)
{
    return slot->looks ? POKES_OUTPUTS_MAX : NX_OUTPUTS_MAX;
}

static void fill_done(const struct child_done *done, struct wire_result *result)
{
    result->exit_code = done->exit_code;
    result->signal = done->signal;
    result->max_rss_bytes = done->max_rss_bytes;
    result->cpu_us = done->cpu_us;
    result->outputs = wire_text(done->outputs.at, done->outputs.n);
    if (result->outcome == NX_AO_FAILED && done->permanent)
        result->flags |= WIRE_RESULT_PERMANENT;
    if (result->error.n == 0)
        result->error = wire_text(done->error.at, done->error.n);
}

/* What came of a look: whatever went wrong with it is a failure of the waiting task. */
static void tell_look(struct slot *slot, const struct child_done *done, struct wire_result *result)
{
    if (done && done->outcome == CHILD_NOT_YET) {
        ledger_looked(slot->all->ledger, NULL);
        return;
    }
    if (result->outcome != NX_AO_SUCCESS)
        result->outcome = NX_AO_FAILED;
    ledger_looked(slot->all->ledger, result);
}

/* Its log goes to the scheduler, to the end. */
static void end_spool(struct slot *slot)
{
    if (slot->spooled)
        spool_end(elsewhere_spool(slot->all->config.elsewhere), slot->spooled);
    slot->spooled = NULL;
}

static void settle(struct slot *slot, const struct wire_result *result)
{
    end_spool(slot);
    ledger_ended(slot->all->ledger, result, clock_mono_us() - slot->started_us);
    free_slot(slot);
}

/* What could not be handed over did not happen, as far as others can see. */
static void on_handed_over(void *arg, const struct nx_err *err)
{
    struct slot *slot = arg;
    slot->errand = NULL;
    if (err->code != NX_OK) {
        slot->held.outcome = NX_AO_FAILED;
        slot->held.code = (uint8_t)err->code;
        slot->held.error = wire_text(err->text, strlen(err->text));
        slot->held.outputs.n = 0;
    }
    settle(slot, &slot->held);
}

/* Whether the result waits until what it names is with the scheduler. */
static bool hand_over(struct slot *slot, const struct wire_result *result)
{
    struct elsewhere *elsewhere = slot->all->config.elsewhere;
    if (!elsewhere)
        return false;
    struct spooled *log = slot->logs.n_written > 0 ? slot->spooled : NULL;
    slot->errand = elsewhere_hand_over(elsewhere, result->outputs, log, on_handed_over, slot);
    if (!slot->errand)
        return false;
    slot->held = *result;
    buf_clear(&slot->held_text);
    buf_add(&slot->held_text, result->outputs.p ? result->outputs.p : "", result->outputs.n);
    buf_add(&slot->held_text, result->error.p ? result->error.p : "", result->error.n);
    slot->held.outputs = wire_text(buf_text(&slot->held_text), result->outputs.n);
    slot->held.error = wire_text(buf_text(&slot->held_text) + result->outputs.n, result->error.n);
    if (slot->state == SLOT_SWEEPING)
        slot->all->n_sweeping--;
    slot->state = SLOT_HANDING;
    return true;
}

/* How it ended goes to the ledger; done is NULL when the child did not live to say it. */
static void finish(struct slot *slot, const struct child_done *done)
{
    enum nx_attempt_outcome outcome = outcome_of(slot, done);
    struct wire_result result = {.inst = slot->order.inst,
                                 .lease = slot->order.lease,
                                 .outcome = (uint8_t)outcome,
                                 .code = (uint8_t)code_of(outcome, done),
                                 .exit_code = -1,
                                 .finished_ms = clock_wall_ms()};
    if (outcome != NX_AO_SUCCESS && outcome != NX_AO_SKIPPED)
        result.error = wire_text(slot->why, strlen(slot->why));
    if (done)
        fill_done(done, &result);
    if (result.max_rss_bytes < slot->peak_bytes)
        result.max_rss_bytes = slot->peak_bytes;
    if (result.outputs.n > outputs_max(slot)) {
        static const char text[] = "its outputs are larger than is allowed";
        result.outcome = NX_AO_FAILED;
        result.code = NX_E_LIMIT;
        result.flags |= WIRE_RESULT_PERMANENT;
        result.error = wire_text(text, sizeof text - 1);
        result.outputs.n = 0;
    }
    logs_end(&slot->logs);
    if (slot->logs.failed.code != NX_OK)
        log_warn("run %llu, %s: %s", (unsigned long long)slot->order.inst.run.v, slot->task_id,
                 slot->logs.failed.text);
    if (slot->looks) {
        tell_look(slot, done, &result);
        end_spool(slot);
        free_slot(slot);
    } else if (!hand_over(slot, &result)) {
        settle(slot, &result);
    }
}

/* Kills the child and all that carries the mark; sweep_round waits until they are gone. */
static void kill_attempt(struct slot *slot)
{
    if (slot->state == SLOT_SWEEPING)
        return;
    slot->state = SLOT_SWEEPING;
    slot->all->n_sweeping++;
    slot->kill_ms = NEVER;
    marks_kill(slot->mark);
    if (!child_reap(slot->child))
        kill(slot->child->pid, SIGKILL);
}

/* The reason of a death that nobody here has ordered. */
static void explain_death(struct slot *slot)
{
    int status = slot->child->status;
    const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;
    if (slot->fate != FATE_NONE || slot->why[0])
        return;
    if (WIFSIGNALED(status))
        snprintf(slot->why, sizeof slot->why,
                 "its process (nexus-task %d) was ended by signal %d (SIG%s)",
                 (int)slot->child->pid, WTERMSIG(status), name ? name : "?");
    else
        snprintf(slot->why, sizeof slot->why,
                 "its process (nexus-task %d) ended with exit status %d before the task was done",
                 (int)slot->child->pid, WEXITSTATUS(status));
}

static void sweep_round(struct slot *slot)
{
    struct child *child = slot->child;
    unsigned n_left = marks_kill(slot->mark);
    if (!child_reap(child) || n_left > 0)
        return;
    child_drain(child);
    explain_death(slot);
    if (slot->fate == FATE_NONE)
        logs_note(&slot->logs, "%s", slot->why);
    slot->child = NULL;
    child->owner = NULL;
    finish(slot, NULL);
    bury(slot->all, child);
}

/* ---- What children say ---- */

static void on_done(struct slot *slot, const struct child_done *done)
{
    struct child *child = slot->child;
    child_drain(child);
    bool replace = done->retire || child->n_attempts >= ATTEMPTS_MAX || slot->fate == FATE_TIMEOUT;
    finish(slot, done);
    if (replace)
        retire(slot);
}

static void on_ready(struct slot *slot, const struct child_ready *ready)
{
    slot->child->ready = true;
    if (ready->protocol == CHILD_PROTOCOL)
        return;
    snprintf(slot->why, sizeof slot->why,
             "nexus-task %s speaks protocol %u, this worker %d: install them together",
             ready->version.at, ready->protocol, CHILD_PROTOCOL);
    log_error("%s", slot->why);
    if (slot->state == SLOT_BUSY)
        kill_attempt(slot);
}

static void on_progress(struct slot *slot, const struct child_progress *progress)
{
    uint16_t said = progress->fraction >= 0 ? (uint16_t)(progress->fraction * 1000) : UINT16_MAX;
    ledger_progress(slot->all->ledger, slot->order.inst, slot->order.lease, said,
                    progress->text.at);
}

static void on_message(struct child *child, const struct child_message *message)
{
    struct slot *slot = child->owner;
    struct child_masks masks;
    struct child_text text;
    if (slot && message->type == CHILD_READY)
        on_ready(slot, &message->u.ready);
    if (!slot || slot->state != SLOT_BUSY || message->ticket != slot->ticket)
        return;
    switch (message->type) {
    case CHILD_PROGRESS:
        on_progress(slot, &message->u.progress);
        break;
    case CHILD_METRIC:
        logs_metric(&slot->logs, message->u.metric.name.at, message->u.metric.value,
                    message->u.metric.step, clock_wall_ms());
        break;
    case CHILD_MASKS:
        masks = message->u.masks;
        while (child_masks_next(&masks, &text))
            logs_mask(&slot->logs, text.at, text.n);
        break;
    case CHILD_RESOLVED:
        logs_resolved(&slot->logs, message->u.resolved.json.at, message->u.resolved.json.n);
        break;
    case CHILD_DONE:
        on_done(slot, &message->u.done);
        break;
    default:
        break;
    }
}

static void on_output(struct child *child, enum log_stream from, const char *p, size_t n)
{
    struct slot *slot = child->owner;
    if (slot && (slot->state == SLOT_BUSY || slot->state == SLOT_SWEEPING))
        logs_write(&slot->logs, from, p, n);
}

static void on_gone(struct child *child, const char *why)
{
    struct slot *slot = child->owner;
    if (!slot)
        return;
    if (slot->state != SLOT_BUSY && slot->state != SLOT_SWEEPING) {
        retire(slot);
    } else if (slot->state == SLOT_BUSY) {
        if (why[0] && slot->fate == FATE_NONE)
            snprintf(slot->why, sizeof slot->why, "its process (nexus-task %d): %s",
                     (int)child->pid, why);
        kill_attempt(slot);
        sweep_round(slot);
    }
}

/* ---- Starting ---- */

static void take_order(struct slot *slot, const struct wire_order *order)
{
    slot->order = *order;
    slot->state = SLOT_BUSY;
    slot->fate = FATE_NONE;
    slot->why[0] = slot->mark[0] = 0;
    slot->rss_bytes = slot->peak_bytes = 0;
    slot->meter.begun = false;
    slot->started_us = clock_mono_us();
    slot->deadline_ms = order->timeout_ms ? clock_steady_ms() + order->timeout_ms : NEVER;
    slot->kill_ms = NEVER;
    slot->ticket = ++slot->all->last_ticket;
    size_t n = order->task_id.n < NX_ID_MAX ? order->task_id.n : NX_ID_MAX;
    memcpy(slot->task_id, order->task_id.p, n);
    slot->task_id[n] = 0;
    if (order->memory_bytes > 0)
        slot->all->n_limited++;
    if (slot->looks) { /* it leaves nothing behind */
        logs_begin(&slot->logs, &(struct logs_place){0});
        return;
    }
    struct logs_place place = {slot->all->config.home, order->inst.run.v, slot->task_id,
                               order->inst.map, order->attempt};
    logs_begin(&slot->logs, &place);
    if (slot->all->config.elsewhere)
        slot->spooled = spool_begin(elsewhere_spool(slot->all->config.elsewhere), &place);
}

static bool send_start(struct slot *slot, const struct ledger_start *lease, struct nx_err *err)
{
    struct slots *slots = slot->all;
    struct child_message message = {.type = CHILD_START, .ticket = slot->ticket};
    char files[PATH_MAX_BYTES];
    struct start_places places = {slots->config.home, slots->config.project, slots->url,
                                  slots->config.mark, slots->artifacts,      NULL};
    if (slots->config.elsewhere) {
        if (!elsewhere_files(slots->config.elsewhere, lease->order.version, files, sizeof files))
            return nx_fail(err, NX_E_LIMIT, "the path of its files is too long");
        places.files = files;
    }
    if (!start_fill(lease, &places, &slots->texts, &message.u.start, err))
        return false;
    if (!slot->child && !spawn(slot, err))
        return false;
    bool is_new;
    child_known_take(&slot->child->known, lease->definition_id, &is_new);
    if (is_new)
        message.u.start.definition = (struct child_text){lease->definition.p, lease->definition.n};
    message.u.start.work = child_text(slot->child->work);
    message.u.start.outputs_max = outputs_max(slot);
    str_copy(slot->mark, sizeof slot->mark, slots->texts.mark);
    slot->child->n_attempts++;
    return child_send(slot->child, &message, err);
}

static void fail_start(struct slot *slot, const struct nx_err *err)
{
    log_error("run %llu, %s: %s", (unsigned long long)slot->order.inst.run.v, slot->task_id,
              err->text);
    logs_note(&slot->logs, "cannot start: %s", err->text);
    if (slot->child)
        retire(slot); /* it and we may not agree on which definitions it has */
    const struct child_done done = {.outcome = CHILD_FAILED,
                                    .permanent = !nx_code_info(err->code)->retryable,
                                    .code = child_text(nx_code_info(err->code)->name),
                                    .error = child_text(err->text),
                                    .exit_code = -1};
    finish(slot, &done);
}

/* What the attempt needs is here: its time begins. */
static void on_brought(void *arg, const struct nx_err *brought)
{
    struct slot *slot = arg;
    struct nx_err err;
    slot->errand = NULL;
    slot->state = SLOT_BUSY;
    slot->started_us = clock_mono_us();
    if (slot->order.timeout_ms)
        slot->deadline_ms = slot->started_us / 1000 + slot->order.timeout_ms;
    if (brought->code != NX_OK)
        fail_start(slot, brought);
    else if (!send_start(slot, &slot->lease, &err))
        fail_start(slot, &err);
}

static void start(struct slot *slot, const struct ledger_start *lease)
{
    struct slots *slots = slot->all;
    struct nx_err err;
    take_order(slot, &lease->order);
    if (slots->config.elsewhere) {
        slot->lease = *lease; /* its texts live until ledger_ended */
        slot->errand = elsewhere_bring(slots->config.elsewhere, lease, on_brought, slot);
        if (slot->errand) {
            slot->state = SLOT_BRINGING;
            return;
        }
    }
    if (!send_start(slot, lease, &err))
        fail_start(slot, &err);
}

/* ---- Stopping ---- */

/* Elsewhere, before its processes begin or after they have ended. */
static void end_errand(struct slot *slot, enum fate fate, const char *why)
{
    /* What is done is handed over, if the worker stays: its result counts if it is still wanted. */
    if (slot->state == SLOT_HANDING && (fate != FATE_LOST || !slot->all->stopping))
        return;
    errand_drop(slot->errand);
    slot->errand = NULL;
    slot->fate = fate;
    str_copy(slot->why, sizeof slot->why, why);
    if (slot->state == SLOT_HANDING) {
        slot->held.outcome = NX_AO_LOST;
        slot->held.code = NX_E_INTERNAL;
        slot->held.outputs.n = 0;
        slot->held.error = wire_text(slot->why, strlen(slot->why));
        settle(slot, &slot->held);
    } else {
        slot->state = SLOT_BUSY;
        finish(slot, NULL);
    }
}

/* Asks the attempt to end; it is killed when it still runs after its grace. */
static void ask_to_end(struct slot *slot, enum fate fate, const char *why)
{
    if (slot->errand) {
        end_errand(slot, fate, why);
        return;
    }
    struct child_message cancel = {.type = CHILD_CANCEL, .ticket = slot->ticket};
    int64_t grace_ms = slot->order.grace_ms ? slot->order.grace_ms : NX_GRACE_MS;
    if (slot->state != SLOT_BUSY || slot->fate != FATE_NONE)
        return;
    slot->fate = fate;
    str_copy(slot->why, sizeof slot->why, why);
    slot->kill_ms = clock_steady_ms() + grace_ms;
    logs_note(&slot->logs, "stopping: %s", why);
    child_send(slot->child, &cancel, NULL);
}

static struct slot *find_slot(struct slots *slots, struct nx_inst_id inst, uint32_t lease)
{
    for (uint32_t i = 0; i < slots->config.n; i++) {
        struct slot *slot = &slots->at[i];
        const struct wire_order *order = &slot->order;
        if (slot->state != SLOT_FREE && order->lease == lease && order->inst.run.v == inst.run.v &&
            order->inst.task == inst.task && order->inst.map == inst.map)
            return slot;
    }
    return NULL;
}

static void stop(struct slots *slots, const struct ledger_stop *what)
{
    struct slot *slot = find_slot(slots, what->inst, what->lease);
    must(slot);
    switch (what->why) {
    case LEDGER_STOP_CANCEL:
        ask_to_end(slot, FATE_CANCEL, "cancelled");
        break;
    case LEDGER_STOP_FORGET:
        ask_to_end(slot, FATE_CANCEL, "the scheduler does not want it any more");
        break;
    case LEDGER_STOP_TTL:
        ask_to_end(slot, FATE_LOST, "exclusive, and the scheduler has not answered for too long");
        break;
    case LEDGER_STOP_NOW:
        slots->stopping = true;
        ask_to_end(slot, FATE_LOST, "its worker ends");
        break;
    }
}

void slots_pump(struct slots *slots)
{
    struct ledger_stop what;
    struct ledger_start lease;
    while (ledger_stop_next(slots->ledger, clock_mono_ms(), &what))
        stop(slots, &what);
    while (ledger_next(slots->ledger, clock_mono_ms(), clock_wall_ms(), &lease)) {
        must(slots->n_free > 0);
        start(slots->free[--slots->n_free], &lease);
    }
    struct slot *looker = &slots->at[slots->n_all - 1];
    while (looker->state == SLOT_FREE && ledger_look(slots->ledger, &lease)) {
        lease.order.timeout_ms = NX_POKE_MS;
        lease.order.grace_ms = LOOK_GRACE_MS;
        lease.order.memory_bytes = 0;
        start(looker, &lease);
    }
}

/* ---- Time and memory ---- */

static void check_time(struct slot *slot, int64_t steady_ms)
{
    if (slot->fate == FATE_NONE && steady_ms >= slot->deadline_ms) {
        char timeout[32], why[80];
        str_format_duration(timeout, sizeof timeout, slot->order.timeout_ms);
        snprintf(why, sizeof why,
                 slot->looks ? "the look took longer than %s"
                             : "it ran longer than its timeout of %s",
                 timeout);
        ask_to_end(slot, FATE_TIMEOUT, why);
    }
    if (steady_ms >= slot->kill_ms) {
        logs_note(&slot->logs, "killed: it did not end within its grace");
        kill_attempt(slot);
    }
}

static void add_rss(void *arg, pid_t pid, const char *mark, int64_t rss_bytes)
{
    struct slots *slots = arg;
    (void)pid;
    for (uint32_t i = 0; i < slots->n_all; i++) {
        struct slot *slot = &slots->at[i];
        if (slot->state == SLOT_BUSY && slot->order.memory_bytes > 0 &&
            strcmp(slot->mark, mark) == 0)
            slot->rss_bytes += rss_bytes;
    }
}

static void check_memory(struct slot *slot)
{
    int64_t limit = slot->order.memory_bytes;
    if (slot->rss_bytes > slot->peak_bytes)
        slot->peak_bytes = slot->rss_bytes;
    if (slot->rss_bytes <= limit)
        return;
    if (slot->fate == FATE_NONE) {
        slot->fate = FATE_MEMORY;
        snprintf(slot->why, sizeof slot->why,
                 "it used %.1f MiB of memory; its limit (resources.memory) is %.1f MiB",
                 (double)slot->rss_bytes / 1048576, (double)limit / 1048576);
    }
    logs_note(&slot->logs, "killed: %s", slot->why);
    kill_attempt(slot);
}

/* One look at /proc for all limited attempts: their children and all that carries their marks. */
static void check_memories(struct slots *slots)
{
    for (uint32_t i = 0; i < slots->n_all; i++) {
        struct slot *slot = &slots->at[i];
        if (slot->state == SLOT_BUSY && slot->order.memory_bytes > 0)
            slot->rss_bytes = process_rss_bytes(slot->child->pid);
    }
    marks_each(slots->config.mark, true, add_rss, slots);
    for (uint32_t i = 0; i < slots->n_all; i++) {
        struct slot *slot = &slots->at[i];
        if (slot->state == SLOT_BUSY && slot->order.memory_bytes > 0)
            check_memory(slot);
    }
}

static void on_seen(void *arg, uint32_t i, uint64_t ticket, const struct usage_seen *seen)
{
    struct slots *slots = arg;
    struct slot *slot = &slots->at[i];
    struct usage_record record;
    int64_t age_ms = (clock_mono_us() - slot->started_us) / 1000;
    if (slot->state == SLOT_BUSY && slot->ticket == ticket && seen->n_processes > 0 &&
        usage_meter_take(&slot->meter, clock_wall_ms(), age_ms, seen, &record))
        logs_usage(&slot->logs, &record);
}

/* What is used by attempts that are not over at once. */
static void look_at_usage(struct slots *slots, int64_t now_ms)
{
    if (!usage_looks_due(slots->looks, now_ms))
        return;
    for (uint32_t i = 0; i < slots->config.n; i++) {
        const struct slot *slot = &slots->at[i];
        if (slot->state == SLOT_BUSY && slot->child &&
            clock_mono_us() - slot->started_us >= USAGE_AFTER_MS * 1000)
            usage_looks_add(slots->looks, i, slot->ticket, slot->child->pid, slot->mark);
    }
    usage_looks_start(slots->looks, now_ms);
}

static void check_retired(struct slots *slots, int64_t now_ms)
{
    for (size_t i = 0; i < slots->retired.n; i++) {
        struct retired *retired = &slots->retired.at[i];
        if (retired->killed || now_ms - retired->since_ms < RETIRE_MS)
            continue;
        retired->killed = true;
        if (!child_reap(retired->child))
            kill(retired->child->pid, SIGKILL);
    }
}

void slots_tick(struct slots *slots)
{
    int64_t now_ms = clock_mono_ms();
    for (uint32_t i = 0; i < slots->n_all; i++) {
        struct slot *slot = &slots->at[i];
        if (slot->state == SLOT_BUSY) {
            check_time(slot, clock_steady_ms());
            logs_flush(&slot->logs);
        }
        if (slot->state == SLOT_SWEEPING)
            sweep_round(slot);
    }
    if (slots->n_limited && now_ms - slots->memory_ms >= TICK_BUSY_MS - TICK_SWEEP_MS) {
        slots->memory_ms = now_ms;
        check_memories(slots);
    }
    look_at_usage(slots, now_ms);
    check_retired(slots, now_ms);
    slots_reap(slots);
}

int64_t slots_tick_ms(const struct slots *slots)
{
    bool busy = slots->n_free < slots->config.n || slots->retired.n > 0 ||
                slots->at[slots->n_all - 1].state != SLOT_FREE;
    return slots->n_sweeping ? TICK_SWEEP_MS : busy ? TICK_BUSY_MS : TICK_IDLE_MS;
}

void slots_reap(struct slots *slots)
{
    for (size_t i = 0; i < slots->retired.n;) {
        struct child *child = slots->retired.at[i].child;
        if (child_reap(child)) {
            bury(slots, child);
            slots->retired.at[i] = vec_pop(&slots->retired);
        } else {
            i++;
        }
    }
    for (uint32_t i = 0; i < slots->n_all; i++)
        if (slots->at[i].state == SLOT_SWEEPING)
            sweep_round(&slots->at[i]);
}

/* ---- Life ---- */

/* This program's environment without what Nexus puts there, and the children's mark. */
static char **make_env(const char *mark)
{
    size_t n = 0, k = 0;
    while (environ[n])
        n++;
    char **env = mem_alloc_array(n + 2, sizeof(char *));
    for (size_t i = 0; i < n; i++)
        if (!str_starts(environ[i], MARK_NAME "=") && !str_starts(environ[i], "NOTIFY_SOCKET="))
            env[k++] = environ[i];
    env[k] = (char *)mark;
    return env;
}

struct slots *slots_new(uv_loop_t *loop, const struct slots_config *config, struct ledger *ledger)
{
    struct slots *slots = mem_alloc(sizeof *slots);
    slots->config = *config;
    slots->loop = loop;
    slots->ledger = ledger;
    slots->url = mem_strdup("");
    slots->n_all = config->n + 1;
    slots->at = mem_alloc_array(slots->n_all, sizeof(struct slot));
    slots->free = mem_alloc_array(config->n, sizeof(struct slot *));
    slots->at[config->n].looks = true;
    for (uint32_t i = slots->n_all; i > 0; i--) {
        slots->at[i - 1].all = slots;
        logs_init(&slots->at[i - 1].logs);
        if (config->log_max_bytes > 0)
            slots->at[i - 1].logs.max = config->log_max_bytes;
        if (!slots->at[i - 1].looks)
            slots->free[slots->n_free++] = &slots->at[i - 1];
    }
    snprintf(slots->child_mark, sizeof slots->child_mark, MARK_NAME "=%schild;", config->mark);
    slots->env = make_env(slots->child_mark);
    slots->writes = writes_open();
    slots->looks = usage_looks_new(loop, config->mark, on_seen, slots);
    must(path_join(slots->artifacts, sizeof slots->artifacts, config->home, "artifacts"));
    return slots;
}

static void end_child(struct slots *slots, struct child *child)
{
    if (!child_reap(child)) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, &child->status, 0);
        child->reaped = true;
    }
    child->owner = NULL;
    path_remove_tree(child->work, NULL);
    child_close(child);
    (void)slots;
}

void slots_free(struct slots *slots)
{
    if (!slots)
        return;
    for (uint32_t i = 0; i < slots->n_all; i++) {
        struct slot *slot = &slots->at[i];
        if (slot->state != SLOT_FREE)
            logs_end(&slot->logs);
        if (slot->errand)
            errand_drop(slot->errand);
        buf_fini(&slot->held_text);
        if (slot->child)
            end_child(slots, slot->child);
        logs_fini(&slot->logs);
    }
    usage_looks_free(slots->looks);
    for (size_t i = 0; i < slots->retired.n; i++)
        end_child(slots, slots->retired.at[i].child);
    vec_fini(&slots->retired);
    writes_close(slots->writes);
    marks_kill_all(slots->config.mark, 5000, NULL);
    start_texts_fini(&slots->texts);
    mem_free(slots->env);
    mem_free(slots->url);
    mem_free(slots->free);
    mem_free(slots->at);
    mem_free(slots);
}

void slots_set_url(struct slots *slots, const char *url, size_t n)
{
    if (strlen(slots->url) == n && (n == 0 || memcmp(slots->url, url, n) == 0))
        return;
    mem_free(slots->url);
    slots->url = mem_strndup(url, n);
}
