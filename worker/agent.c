#include "worker/agent.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/slice.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "worker/elsewhere.h"
#include "worker/join.h"
#include "worker/ledger.h"
#include "worker/marks.h"
#include "worker/slots.h"
#include "worker/talk.h"

#define ORPHANS_MS 10000
#define LAST_WORDS_MS 15000 /* for results that nobody acknowledges */

struct agent {
    struct agent_config config;
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_timer_t tick;
    uv_signal_t terminate, interrupt, child;
    int64_t tick_ms;
    struct ledger *ledger;
    struct slots *slots;
    struct talk *talk;
    struct elsewhere *elsewhere; /* NULL: the scheduler is on this home */
    unsigned n_told;             /* how often it was told to end */
    int64_t quiet_ms;            /* since when nothing runs while draining; 0: something does */
    char mark[MARK_MAX];
    char host[256];
};

bool agent_mark(char *to, size_t size, const char *home, const char *name)
{
    int n = snprintf(
        to, size, "nexus:%016llx:%s:", (unsigned long long)hash_bytes(home, strlen(home), 0), name);
    return n > 0 && (size_t)n < size;
}

/* ---- The end ---- */

static void leave(struct agent *agent)
{
    uv_stop(&agent->loop);
}

static bool parent_is_gone(const struct agent *agent)
{
    return agent->config.parent && getppid() != agent->config.parent;
}

static void on_end(uv_signal_t *handle, int number)
{
    struct agent *agent = handle->data;
    if (parent_is_gone(agent)) {
        leave(agent);
        return;
    }
    agent->n_told++;
    if (agent->n_told == 1) {
        log_info("%s: finishing %u running, giving back %u waiting; again to stop at once",
                 strsignal(number), ledger_running(agent->ledger), ledger_queued(agent->ledger));
        ledger_drain(agent->ledger);
    } else if (agent->n_told == 2) {
        log_info("%s again: stopping %u running", strsignal(number), ledger_running(agent->ledger));
        ledger_stop_all(agent->ledger);
    } else {
        leave(agent);
    }
}

/* Draining: whether the last word has been said, or nobody listens. */
static void check_end(struct agent *agent)
{
    if (agent->n_told == 0 || ledger_running(agent->ledger) > 0)
        return;
    if (talk_settled(agent->talk) && elsewhere_settled(agent->elsewhere)) {
        leave(agent);
        return;
    }
    int64_t now_ms = clock_mono_ms();
    if (agent->quiet_ms == 0)
        agent->quiet_ms = now_ms;
    if (now_ms - agent->quiet_ms < LAST_WORDS_MS)
        return;
    if (!talk_settled(agent->talk))
        log_warn("the scheduler did not acknowledge %u results: their attempts count as lost",
                 ledger_unacknowledged(agent->ledger));
    else
        log_warn("logs that the scheduler has not taken stay in the home, for the next worker");
    leave(agent);
}

/* ---- The loop ---- */

static void on_tick(uv_timer_t *handle)
{
    struct agent *agent = handle->data;
    if (parent_is_gone(agent)) {
        log_warn("the program that started this worker is gone: so goes this one");
        leave(agent);
        return;
    }
    slots_tick(agent->slots);
    agent->tick_ms = slots_tick_ms(agent->slots);
    uv_timer_start(&agent->tick, on_tick, (uint64_t)agent->tick_ms, 0);
}

/* Before the loop sleeps: all that has arrived is known. */
static void on_prepare(uv_prepare_t *handle)
{
    struct agent *agent = handle->data;
    slots_pump(agent->slots);
    talk_pump(agent->talk);
    int64_t tick_ms = slots_tick_ms(agent->slots);
    if (tick_ms < agent->tick_ms) {
        agent->tick_ms = tick_ms;
        uv_timer_start(&agent->tick, on_tick, (uint64_t)tick_ms, 0);
    }
    check_end(agent);
}

static void on_child(uv_signal_t *handle, int number)
{
    struct agent *agent = handle->data;
    (void)number;
    slots_reap(agent->slots);
}

static void on_url(void *arg, const char *url, size_t n)
{
    struct agent *agent = arg;
    /* The API listens on its own machine alone. */
    slots_set_url(agent->slots, url, agent->elsewhere ? 0 : n);
}

static void start_handles(struct agent *agent)
{
    uv_loop_t *loop = &agent->loop;
    uv_prepare_init(loop, &agent->prepare);
    uv_timer_init(loop, &agent->tick);
    uv_signal_init(loop, &agent->terminate);
    uv_signal_init(loop, &agent->interrupt);
    uv_signal_init(loop, &agent->child);
    agent->prepare.data = agent->tick.data = agent->terminate.data = agent->interrupt.data =
        agent->child.data = agent;
    uv_signal_start(&agent->terminate, on_end, SIGTERM);
    uv_signal_start(&agent->interrupt, on_end, SIGINT);
    uv_signal_start(&agent->child, on_child, SIGCHLD);
    uv_prepare_start(&agent->prepare, on_prepare);
    agent->tick_ms = slots_tick_ms(agent->slots);
    uv_timer_start(&agent->tick, on_tick, (uint64_t)agent->tick_ms, 0);
}

static void stop_handles(struct agent *agent)
{
    uv_close((uv_handle_t *)&agent->prepare, NULL);
    uv_close((uv_handle_t *)&agent->tick, NULL);
    uv_close((uv_handle_t *)&agent->terminate, NULL);
    uv_close((uv_handle_t *)&agent->interrupt, NULL);
    uv_close((uv_handle_t *)&agent->child, NULL);
}

/* ---- Life ---- */

/* What the marks say former incarnations have left goes before any work is asked for: an orphan
 * must not overlap with its own retry. */
static bool sweep_orphans(struct agent *agent, struct nx_err *err)
{
    unsigned n;
    char path[PATH_MAX_BYTES], work[PATH_MAX_BYTES];
    if (!agent_mark(agent->mark, sizeof agent->mark, agent->config.home, agent->config.name))
        return nx_fail(err, NX_E_LIMIT, "the worker's name is too long");
    if (!marks_kill_all(agent->mark, ORPHANS_MS, &n))
        return nx_fail(err, NX_E_BUSY,
                       "%u processes of a former worker '%s' cannot be killed; see /proc/*/environ "
                       "for " MARK_NAME "=%s",
                       n, agent->config.name, agent->mark);
    if (n)
        log_info("killed %u processes that a former worker '%s' had left", n, agent->config.name);
    if (path_join(path, sizeof path, agent->config.home, "work") &&
        path_join(work, sizeof work, path, agent->config.name) && path_is_folder(work))
        path_remove_tree(work, NULL);
    return true;
}

static bool open_elsewhere(struct agent *agent, uint64_t incarnation, struct nx_err *err)
{
    const struct agent_config *config = &agent->config;
    const struct elsewhere_config elsewhere = {
        .home = config->home,
        .line = {config->url, config->join->token, config->join->certificate, incarnation},
        .cache_max_bytes = config->cache_max_bytes};
    return elsewhere_open(&agent->loop, &elsewhere, &agent->elsewhere, err);
}

static bool open_parts(struct agent *agent, struct nx_err *err)
{
    const struct agent_config *config = &agent->config;
    uint64_t incarnation;
    do
        incarnation = crypt_random_u64();
    while (incarnation == 0);
    size_t n = strlen(agent->mark);
    int k = snprintf(agent->mark + n, sizeof agent->mark - n,
                     "%016llx:", (unsigned long long)incarnation);
    must(k > 0 && (size_t)k < sizeof agent->mark - n);
    if (gethostname(agent->host, sizeof agent->host - 1) != 0)
        str_copy(agent->host, sizeof agent->host, "unknown");
    struct ledger_config ledger = {.slots = config->slots, .incarnation = incarnation};
    struct slots_config slots = {.home = config->home,
                                 .project = config->project,
                                 .program = config->program,
                                 .worker = config->name,
                                 .mark = agent->mark,
                                 .n = config->slots,
                                 .log_max_bytes = config->log_max_bytes};
    struct talk_config talk = {.url = config->url,
                               .worker = config->name,
                               .host = agent->host,
                               .version = NEXUS_VERSION,
                               .catalog = config->catalog,
                               .queues = config->queues,
                               .pid = (uint32_t)getpid(),
                               .gpus = config->gpus,
                               .memory_bytes = config->memory_bytes,
                               .ipc = str_starts(config->url, "ipc:")};
    if (config->join && !open_elsewhere(agent, incarnation, err))
        return false;
    slots.elsewhere = agent->elsewhere;
    if (config->join) {
        talk.token = config->join->token;
        talk.certificate = config->join->certificate;
    }
    agent->ledger = ledger_new(&ledger, clock_mono_ms());
    agent->slots = slots_new(&agent->loop, &slots, agent->ledger);
    return talk_open(&agent->loop, &talk, agent->ledger, on_url, agent, &agent->talk, err);
}

static void close_parts(struct agent *agent)
{
    talk_close(agent->talk);
    elsewhere_stop(agent->elsewhere);
    slots_free(agent->slots);
    uv_run(&agent->loop, UV_RUN_DEFAULT); /* closes the handles, ends the errands */
    elsewhere_close(agent->elsewhere);
    ledger_free(agent->ledger);
    must(uv_loop_close(&agent->loop) == 0);
}

bool agent_run(const struct agent_config *config, struct nx_err *err)
{
    struct agent *agent = mem_alloc(sizeof *agent);
    agent->config = *config;
    if (!sweep_orphans(agent, err)) {
        mem_free(agent);
        return false;
    }
    must(uv_loop_init(&agent->loop) == 0);
    bool ok = open_parts(agent, err);
    if (ok) {
        start_handles(agent);
        slice_short_alone();
        log_info("worker '%s': %u slots, queues %s, at %s", config->name, config->slots,
                 config->queues, config->url);
        uv_run(&agent->loop, UV_RUN_DEFAULT);
        stop_handles(agent);
    }
    close_parts(agent);
    mem_free(agent);
    return ok;
}
