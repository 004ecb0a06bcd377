#include "worker/ledger.h"

#include "lib/base/rng.h"
#include "nexus/limits.h"
#include "nexus/states.h"
#include "tests/unit/test.h"

/* A scheduler of a few lines: keeps the orders of an epoch and answers with those above `seen`. */
struct peer {
    struct ledger *ledger;
    struct arena arena;
    uint64_t epoch, number;
    struct wire_order orders[64];
    uint32_t n_orders;
    struct wire_report report;
    int64_t now_ms;
};

#define INST(n) ((struct nx_inst_id){{1}, (n), NX_MAP_NONE})

static void peer_init(struct peer *peer, uint32_t slots)
{
    struct ledger_config config = {.slots = slots, .incarnation = 7, .lease_ttl_ms = 20000};
    memset(peer, 0, sizeof *peer);
    arena_init(&peer->arena);
    peer->epoch = 1;
    peer->now_ms = 1000;
    peer->ledger = ledger_new(&config, peer->now_ms);
}

static void peer_fini(struct peer *peer)
{
    ledger_free(peer->ledger);
    arena_fini(&peer->arena);
}

static struct wire_order *order(struct peer *peer, enum wire_order_kind kind, uint32_t task,
                                uint32_t lease)
{
    struct wire_order *o = &peer->orders[peer->n_orders++];
    *o = (struct wire_order){.number = ++peer->number,
                             .kind = (uint8_t)kind,
                             .inst = INST(task),
                             .lease = lease,
                             .attempt = 1,
                             .version = 5,
                             .task_id = wire_text("task", 4),
                             .outputs = wire_text("{}", 2)};
    return o;
}

/* Answers with all orders above `seen` (as a report or listen that knew `seen` would get). */
static void answer(struct peer *peer, uint64_t ack, uint64_t seen)
{
    static struct wire_definition definitions[64];
    static const struct wire_run run = {{1}, {"{\"run\":1}", 9}};
    uint32_t first = 0;
    while (first < peer->n_orders && peer->orders[first].number <= seen)
        first++;
    for (uint32_t i = first; i < peer->n_orders; i++)
        definitions[i - first] =
            (struct wire_definition){5, peer->orders[i].inst.task, wire_text("{\"d\":1}", 7)};
    struct wire_reply reply = {.ack = ack,
                               .epoch = peer->epoch,
                               .n_definitions = peer->n_orders - first,
                               .definitions = definitions,
                               .n_runs = 1,
                               .runs = &run,
                               .n_orders = peer->n_orders - first,
                               .orders = peer->orders + first};
    ledger_reply(peer->ledger, &reply, peer->now_ms);
}

static void fill(struct peer *peer)
{
    ledger_report(peer->ledger, peer->now_ms, &peer->arena, &peer->report);
}

/* A report and its answer. */
static void talk(struct peer *peer)
{
    fill(peer);
    answer(peer, peer->report.seq, peer->report.epoch == peer->epoch ? peer->report.seen : 0);
}

static bool start(struct peer *peer, struct ledger_start *to)
{
    return ledger_next(peer->ledger, peer->now_ms, 99000, to);
}

static void end(struct peer *peer, uint32_t task, uint32_t lease, enum nx_attempt_outcome outcome)
{
    struct wire_result result = {.inst = INST(task),
                                 .lease = lease,
                                 .outcome = (uint8_t)outcome,
                                 .exit_code = 0,
                                 .finished_ms = 99500,
                                 .outputs = wire_text("{\"x\":1}", 7)};
    ledger_ended(peer->ledger, &result, 500);
}

static int hand_state(const struct peer *peer, uint32_t task, uint32_t lease)
{
    for (uint32_t i = 0; i < peer->report.n_hands; i++)
        if (peer->report.hands[i].inst.task == task && peer->report.hands[i].lease == lease)
            return peer->report.hands[i].state;
    return -1;
}

static void a_lease_is_started_ended_reported_and_gone_when_acknowledged(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    peer_init(&peer, 2);
    order(&peer, WIRE_LEASE, 3, 1)->attempt = 1;
    talk(&peer);
    assert_false(ledger_changed(peer.ledger));
    assert_true(start(&peer, &begun));
    assert_true(ledger_changed(peer.ledger));
    assert_false(ledger_urgent(peer.ledger));
    assert_int_equal(begun.order.inst.task, 3);
    assert_memory_equal(begun.definition.p, "{\"d\":1}", 7);
    assert_memory_equal(begun.run.p, "{\"run\":1}", 9);
    assert_memory_equal(begun.order.outputs.p, "{}", 2);
    assert_false(start(&peer, &begun));
    fill(&peer);
    assert_int_equal(hand_state(&peer, 3, 1), WIRE_HAND_RUNNING);
    assert_int_equal(peer.report.hands[0].started_ms, 99000);
    assert_int_equal(peer.report.n_free, 1);
    end(&peer, 3, 1, NX_AO_SUCCESS);
    assert_true(ledger_changed(peer.ledger));
    assert_true(ledger_urgent(peer.ledger));
    fill(&peer);
    assert_int_equal(peer.report.n_results, 1);
    assert_int_equal(peer.report.results[0].attempt, 1);
    assert_int_equal(peer.report.results[0].started_ms, 99000);
    assert_memory_equal(peer.report.results[0].outputs.p, "{\"x\":1}", 7);
    assert_int_equal(peer.report.n_hands, 0);
    answer(&peer, peer.report.seq, peer.report.seen);
    assert_int_equal(ledger_unacknowledged(peer.ledger), 0);
    assert_false(ledger_changed(peer.ledger));
    peer_fini(&peer);
}

static void the_start_of_a_later_attempt_is_reported_at_once(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    peer_init(&peer, 2);
    order(&peer, WIRE_LEASE, 3, 1)->attempt = 2;
    talk(&peer);
    fill(&peer);
    assert_false(ledger_urgent(peer.ledger));
    assert_true(start(&peer, &begun));
    assert_true(ledger_urgent(peer.ledger));
    peer_fini(&peer);
}

static void a_result_stays_in_every_report_until_one_of_them_is_acknowledged(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    peer_init(&peer, 1);
    order(&peer, WIRE_LEASE, 1, 1);
    talk(&peer);
    fill(&peer); /* made before the end: its answer acknowledges nothing */
    uint64_t before = peer.report.seq;
    assert_true(start(&peer, &begun));
    end(&peer, 1, 1, NX_AO_FAILED);
    fill(&peer);
    uint64_t with = peer.report.seq;
    assert_int_equal(peer.report.n_results, 1);
    answer(&peer, before, peer.report.seen);
    fill(&peer);
    assert_int_equal(peer.report.n_results, 1);
    answer(&peer, with, peer.report.seen);
    fill(&peer);
    assert_int_equal(peer.report.n_results, 0);
    peer_fini(&peer);
}

static void only_the_next_order_is_applied_and_doubled_ones_change_nothing(void **state)
{
    (void)state;
    struct peer peer;
    peer_init(&peer, 1);
    order(&peer, WIRE_LEASE, 1, 1);
    order(&peer, WIRE_LEASE, 2, 1);
    order(&peer, WIRE_LEASE, 3, 1);
    answer(&peer, 0, 1); /* orders 2 and 3 come first */
    assert_int_equal(ledger_queued(peer.ledger), 0);
    answer(&peer, 0, 0);
    assert_int_equal(ledger_queued(peer.ledger), 3);
    answer(&peer, 0, 0);
    assert_int_equal(ledger_queued(peer.ledger), 3);
    fill(&peer);
    assert_int_equal(peer.report.seen, 3);
    peer_fini(&peer);
}

static void leases_start_in_order_of_arrival_and_never_above_the_slots(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    peer_init(&peer, 2);
    for (uint32_t i = 0; i < 5; i++)
        order(&peer, WIRE_LEASE, i, 1);
    talk(&peer);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(start(&peer, &begun));
        assert_int_equal(begun.order.inst.task, i);
    }
    assert_false(start(&peer, &begun));
    end(&peer, 1, 1, NX_AO_SUCCESS);
    assert_true(start(&peer, &begun));
    assert_int_equal(begun.order.inst.task, 2);
    assert_false(start(&peer, &begun));
    peer_fini(&peer);
}

static void an_unstarted_lease_is_given_back_and_a_started_one_is_kept(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    peer_init(&peer, 1);
    order(&peer, WIRE_LEASE, 1, 1);
    order(&peer, WIRE_LEASE, 2, 1);
    talk(&peer);
    assert_true(start(&peer, &begun));
    order(&peer, WIRE_GIVE_BACK, 1, 1);
    order(&peer, WIRE_GIVE_BACK, 2, 1);
    order(&peer, WIRE_GIVE_BACK, 9, 1); /* never heard of it */
    talk(&peer);
    fill(&peer);
    assert_int_equal(hand_state(&peer, 1, 1), WIRE_HAND_RUNNING);
    assert_int_equal(hand_state(&peer, 2, 1), -1);
    assert_int_equal(peer.report.n_backs, 1);
    assert_int_equal(peer.report.backs[0].inst.task, 2);
    answer(&peer, peer.report.seq, peer.report.seen);
    fill(&peer);
    assert_int_equal(peer.report.n_backs, 0);
    end(&peer, 1, 1, NX_AO_SUCCESS);
    assert_false(start(&peer, &begun));
    peer_fini(&peer);
}

static void a_queued_lease_that_is_cancelled_ends_as_cancelled_without_a_start(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    peer_init(&peer, 1);
    order(&peer, WIRE_LEASE, 1, 1);
    order(&peer, WIRE_CANCEL, 1, 1);
    talk(&peer);
    assert_false(start(&peer, &begun));
    fill(&peer);
    assert_int_equal(peer.report.n_results, 1);
    assert_int_equal(peer.report.results[0].outcome, NX_AO_CANCELLED);
    assert_int_equal(peer.report.results[0].started_ms, 0);
    peer_fini(&peer);
}

static void a_running_lease_that_is_cancelled_is_told_to_stop_once(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    struct ledger_stop stop;
    peer_init(&peer, 2);
    order(&peer, WIRE_LEASE, 1, 1);
    order(&peer, WIRE_LEASE, 2, 1);
    talk(&peer);
    assert_true(start(&peer, &begun) && start(&peer, &begun));
    assert_false(ledger_stop_next(peer.ledger, peer.now_ms, &stop));
    order(&peer, WIRE_CANCEL, 2, 1);
    order(&peer, WIRE_CANCEL, 2, 4); /* another lease */
    talk(&peer);
    assert_true(ledger_stop_next(peer.ledger, peer.now_ms, &stop));
    assert_int_equal(stop.inst.task, 2);
    assert_int_equal(stop.why, LEDGER_STOP_CANCEL);
    assert_false(ledger_stop_next(peer.ledger, peer.now_ms, &stop));
    /* A success that comes first is kept. */
    end(&peer, 2, 1, NX_AO_SUCCESS);
    fill(&peer);
    assert_int_equal(peer.report.results[0].outcome, NX_AO_SUCCESS);
    peer_fini(&peer);
}

static const struct wire_hand *only_hand(struct peer *peer)
{
    fill(peer);
    assert_int_equal(peer->report.n_hands, 1);
    return &peer->report.hands[0];
}

static void
a_text_of_progress_is_in_reports_until_it_is_acknowledged_and_then_when_it_changes(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    char text[400];
    peer_init(&peer, 1);
    order(&peer, WIRE_LEASE, 3, 1);
    talk(&peer);
    assert_true(start(&peer, &begun));
    assert_false(only_hand(&peer)->has_text);
    ledger_progress(peer.ledger, INST(3), 1, 420, "half");
    ledger_progress(peer.ledger, INST(3), 1, UINT16_MAX, "half way");
    for (int i = 0; i < 2; i++) {
        assert_true(only_hand(&peer)->has_text);
        assert_int_equal(peer.report.hands[0].progress, 420);
        assert_int_equal(peer.report.hands[0].text.n, 8);
        assert_memory_equal(peer.report.hands[0].text.p, "half way", 8);
    }
    answer(&peer, peer.report.seq, peer.report.seen);
    ledger_progress(peer.ledger, INST(3), 1, 430, "half way");
    assert_false(only_hand(&peer)->has_text);
    ledger_progress(peer.ledger, INST(3), 1, 440, "more");
    answer(&peer, peer.report.seq, peer.report.seen); /* of the report before */
    assert_true(only_hand(&peer)->has_text);
    answer(&peer, peer.report.seq, peer.report.seen);
    assert_false(only_hand(&peer)->has_text);
    peer.epoch++; /* a new scheduler knows nothing */
    answer(&peer, peer.report.seq, 100);
    assert_true(only_hand(&peer)->has_text);
    memset(text, 'x', sizeof text);
    memcpy(text + WIRE_PROGRESS_TEXT_MAX - 1, "\xc3\xa9", 2); /* is not cut in two */
    text[sizeof text - 1] = 0;
    ledger_progress(peer.ledger, INST(3), 1, 1000, text);
    assert_int_equal(only_hand(&peer)->text.n, WIRE_PROGRESS_TEXT_MAX - 1);
    ledger_progress(peer.ledger, INST(3), 1, 1000, "");
    assert_true(only_hand(&peer)->has_text);
    assert_int_equal(peer.report.hands[0].text.n, 0);
    peer_fini(&peer);
}

static void a_forgotten_lease_is_stopped_and_never_mentioned_again(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    struct ledger_stop stop;
    peer_init(&peer, 1);
    order(&peer, WIRE_LEASE, 1, 1);
    order(&peer, WIRE_LEASE, 2, 1);
    talk(&peer);
    assert_true(start(&peer, &begun));
    order(&peer, WIRE_FORGET, 1, 1);
    order(&peer, WIRE_FORGET, 2, 1);
    talk(&peer);
    fill(&peer);
    assert_int_equal(peer.report.n_hands, 0);
    assert_int_equal(peer.report.n_free, 0); /* its slot is not free before it has ended */
    assert_true(ledger_stop_next(peer.ledger, peer.now_ms, &stop));
    assert_int_equal(stop.why, LEDGER_STOP_FORGET);
    end(&peer, 1, 1, NX_AO_CANCELLED);
    fill(&peer);
    assert_int_equal(peer.report.n_results, 0);
    assert_int_equal(peer.report.n_free, 1);
    peer_fini(&peer);
}

static void a_new_lease_of_an_instance_waits_until_the_former_one_has_stopped(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    struct ledger_stop stop;
    peer_init(&peer, 3);
    order(&peer, WIRE_LEASE, 1, 1);
    talk(&peer);
    assert_true(start(&peer, &begun));
    order(&peer, WIRE_LEASE, 1, 2);
    order(&peer, WIRE_LEASE, 2, 1);
    talk(&peer);
    assert_true(start(&peer, &begun));
    assert_int_equal(begun.order.inst.task, 2);
    assert_false(start(&peer, &begun));
    assert_true(ledger_stop_next(peer.ledger, peer.now_ms, &stop));
    assert_int_equal(stop.lease, 1);
    end(&peer, 1, 1, NX_AO_CANCELLED);
    assert_true(start(&peer, &begun));
    assert_int_equal(begun.order.inst.task, 1);
    assert_int_equal(begun.order.lease, 2);
    fill(&peer);
    assert_int_equal(hand_state(&peer, 1, 1), -1);
    assert_int_equal(hand_state(&peer, 1, 2), WIRE_HAND_RUNNING);
    peer_fini(&peer);
}

static void a_new_epoch_counts_orders_from_one_and_keeps_what_is_in_hand(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    peer_init(&peer, 2);
    order(&peer, WIRE_LEASE, 1, 1);
    order(&peer, WIRE_LEASE, 2, 1);
    order(&peer, WIRE_LEASE, 3, 1);
    talk(&peer);
    assert_true(start(&peer, &begun) && start(&peer, &begun));
    end(&peer, 1, 1, NX_AO_SUCCESS);
    peer.epoch = 2;
    peer.number = 0;
    peer.n_orders = 0;
    order(&peer, WIRE_LEASE, 2, 1); /* running: ordered again, a no-op */
    order(&peer, WIRE_LEASE, 1, 1); /* done: in the reports */
    order(&peer, WIRE_LEASE, 4, 1); /* new */
    answer(&peer, 0, 0);
    assert_true(ledger_changed(peer.ledger));
    fill(&peer);
    assert_int_equal(peer.report.epoch, 2);
    assert_int_equal(peer.report.seen, 3);
    assert_int_equal(hand_state(&peer, 2, 1), WIRE_HAND_RUNNING);
    assert_int_equal(hand_state(&peer, 3, 1), WIRE_HAND_QUEUED);
    assert_int_equal(hand_state(&peer, 4, 1), WIRE_HAND_QUEUED);
    assert_int_equal(peer.report.n_hands, 3);
    assert_int_equal(peer.report.n_results, 1);
    peer_fini(&peer);
}

static void a_reply_of_an_older_epoch_changes_nothing(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    peer_init(&peer, 1);
    order(&peer, WIRE_LEASE, 1, 1);
    peer.epoch = 5;
    talk(&peer);
    assert_true(start(&peer, &begun));
    end(&peer, 1, 1, NX_AO_SUCCESS);
    fill(&peer);
    peer.epoch = 4;
    order(&peer, WIRE_LEASE, 2, 1);
    answer(&peer, peer.report.seq, 1);
    assert_int_equal(ledger_queued(peer.ledger), 0);
    assert_int_equal(ledger_unacknowledged(peer.ledger), 1);
    assert_int_equal(ledger_epoch(peer.ledger), 5);
    peer_fini(&peer);
}

static void an_exclusive_attempt_is_stopped_when_no_answer_came_for_lease_ttl(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    struct ledger_stop stop;
    peer_init(&peer, 2);
    order(&peer, WIRE_LEASE, 1, 1)->flags = WIRE_LEASE_EXCLUSIVE;
    order(&peer, WIRE_LEASE, 2, 1);
    order(&peer, WIRE_LEASE, 3, 1)->flags = WIRE_LEASE_EXCLUSIVE;
    talk(&peer);
    assert_true(start(&peer, &begun) && start(&peer, &begun));
    assert_int_equal(ledger_deadline(peer.ledger), peer.now_ms + 20000);
    peer.now_ms += 19999;
    fill(&peer); /* made now, never answered */
    assert_false(ledger_stop_next(peer.ledger, peer.now_ms, &stop));
    answer(&peer, 0, 3); /* a listen's answer says nothing of when the scheduler heard of us */
    peer.now_ms += 1;
    assert_true(ledger_stop_next(peer.ledger, peer.now_ms, &stop));
    assert_int_equal(stop.inst.task, 1);
    assert_int_equal(stop.why, LEDGER_STOP_TTL);
    assert_false(ledger_stop_next(peer.ledger, peer.now_ms, &stop));
    assert_int_equal(ledger_deadline(peer.ledger), INT64_MAX);
    /* The one that waited is not started any more either. */
    assert_int_equal(ledger_queued(peer.ledger), 0);
    fill(&peer);
    assert_int_equal(peer.report.n_backs, 1);
    assert_int_equal(peer.report.backs[0].inst.task, 3);
    peer_fini(&peer);
}

static void an_answered_report_starts_the_exclusive_clock_when_it_was_made(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    struct ledger_stop stop;
    peer_init(&peer, 1);
    order(&peer, WIRE_LEASE, 1, 1)->flags = WIRE_LEASE_EXCLUSIVE;
    talk(&peer);
    assert_true(start(&peer, &begun));
    peer.now_ms += 10000;
    fill(&peer);
    peer.now_ms += 9000; /* a slow answer */
    answer(&peer, peer.report.seq, peer.report.seen);
    assert_int_equal(ledger_deadline(peer.ledger), 1000 + 10000 + 20000);
    peer.now_ms = 31000;
    assert_true(ledger_stop_next(peer.ledger, peer.now_ms, &stop));
    peer_fini(&peer);
}

static void draining_gives_back_what_waits_and_takes_nothing_more(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    peer_init(&peer, 1);
    order(&peer, WIRE_LEASE, 1, 1);
    order(&peer, WIRE_LEASE, 2, 1);
    talk(&peer);
    assert_true(start(&peer, &begun));
    ledger_drain(peer.ledger);
    order(&peer, WIRE_LEASE, 3, 1);
    talk(&peer);
    assert_true(peer.report.draining);
    assert_int_equal(peer.report.n_backs, 1);
    fill(&peer);
    assert_int_equal(peer.report.n_backs, 1);
    assert_int_equal(peer.report.backs[0].inst.task, 3);
    assert_int_equal(peer.report.n_free, 0);
    assert_int_equal(ledger_running(peer.ledger), 1);
    peer_fini(&peer);
}

static void an_ordered_drain_ends_with_the_order_to_resume(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    peer_init(&peer, 1);
    order(&peer, WIRE_DRAIN, 0, 1);
    order(&peer, WIRE_LEASE, 1, 1);
    talk(&peer);
    assert_true(ledger_draining(peer.ledger));
    assert_int_equal(ledger_unacknowledged(peer.ledger), 1);
    order(&peer, WIRE_DRAIN, 0, 0);
    order(&peer, WIRE_LEASE, 2, 1);
    talk(&peer);
    assert_false(ledger_draining(peer.ledger));
    assert_true(start(&peer, &begun));
    assert_int_equal(begun.order.inst.task, 2);
    peer_fini(&peer);
}

static void a_slot_that_finds_the_queue_empty_is_counted_as_starved(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    peer_init(&peer, 1);
    order(&peer, WIRE_LEASE, 1, 1);
    order(&peer, WIRE_LEASE, 2, 1);
    talk(&peer);
    assert_true(start(&peer, &begun));
    end(&peer, 1, 1, NX_AO_SUCCESS);
    fill(&peer);
    assert_int_equal(peer.report.starved, 0);
    assert_int_equal(peer.report.mean_us, 500);
    assert_true(start(&peer, &begun));
    end(&peer, 2, 1, NX_AO_SUCCESS);
    fill(&peer);
    assert_int_equal(peer.report.starved, 1);
    peer_fini(&peer);
}

static void a_lease_without_its_definition_fails_with_the_reason(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start begun;
    peer_init(&peer, 1);
    struct wire_order *o = order(&peer, WIRE_LEASE, 1, 1);
    struct wire_reply reply = {.epoch = 1, .n_orders = 1, .orders = o};
    ledger_reply(peer.ledger, &reply, peer.now_ms);
    assert_false(start(&peer, &begun));
    fill(&peer);
    assert_int_equal(peer.report.n_results, 1);
    assert_int_equal(peer.report.results[0].code, NX_E_INTERNAL);
    peer_fini(&peer);
}

static void a_refused_report_changes_nothing(void **state)
{
    (void)state;
    struct peer peer;
    peer_init(&peer, 1);
    struct wire_order *o = order(&peer, WIRE_LEASE, 1, 1);
    struct wire_reply reply = {.epoch = 9, .refused = 1, .n_orders = 1, .orders = o};
    ledger_reply(peer.ledger, &reply, peer.now_ms);
    assert_int_equal(ledger_epoch(peer.ledger), 0);
    assert_int_equal(ledger_unacknowledged(peer.ledger), 0);
    peer_fini(&peer);
}

/* Leases n instances in one reply, starts and ends each with outputs of that size. */
static void do_many(struct peer *peer, uint32_t n, struct wire_bytes outputs)
{
    struct wire_order *orders = calloc(n, sizeof *orders);
    struct wire_definition *definitions = calloc(n, sizeof *definitions);
    struct wire_run run = {{1}, wire_text("{}", 2)};
    for (uint32_t i = 0; i < n; i++) {
        orders[i] = (struct wire_order){
            .number = i + 1, .kind = WIRE_LEASE, .inst = INST(i), .lease = 1, .version = 5};
        definitions[i] = (struct wire_definition){5, i, wire_text("{}", 2)};
    }
    struct wire_reply reply = {.epoch = 1,
                               .n_definitions = n,
                               .definitions = definitions,
                               .n_runs = 1,
                               .runs = &run,
                               .n_orders = n,
                               .orders = orders};
    ledger_reply(peer->ledger, &reply, peer->now_ms);
    struct ledger_start begun;
    while (start(peer, &begun)) {
        struct wire_result result = {.inst = begun.order.inst,
                                     .lease = 1,
                                     .outcome = NX_AO_SUCCESS,
                                     .outputs = outputs,
                                     .error = outputs};
        ledger_ended(peer->ledger, &result, 10);
    }
    free(orders);
    free(definitions);
}

static void results_that_do_not_fit_are_in_hand_as_done_until_their_turn_comes(void **state)
{
    (void)state;
    struct peer peer;
    struct buf buf;
    static char big[NX_OUTPUTS_MAX];
    memset(big, ' ', sizeof big);
    peer_init(&peer, 4);
    buf_init(&buf);
    do_many(&peer, 20, wire_text(big, sizeof big));
    uint32_t n_results = 0, rounds = 0;
    while (ledger_unacknowledged(peer.ledger)) {
        fill(&peer);
        assert_true(peer.report.n_results > 0);
        assert_int_equal(peer.report.n_results + peer.report.n_hands, 20 - n_results);
        for (uint32_t i = 0; i < peer.report.n_hands; i++)
            assert_int_equal(peer.report.hands[i].state, WIRE_HAND_DONE);
        assert_int_equal(peer.report.results[0].error.n, LEDGER_ERROR_MAX);
        peer.report.worker = wire_text("w", 1);
        buf_clear(&buf);
        wire_encode_report(&buf, &peer.report);
        assert_true(buf.len <= NX_MESSAGE_MAX);
        n_results += peer.report.n_results;
        answer(&peer, peer.report.seq, peer.report.seen);
        assert_int_equal(ledger_changed(peer.ledger), n_results < 20);
        rounds++;
    }
    assert_int_equal(n_results, 20);
    assert_true(rounds > 4);
    buf_fini(&buf);
    peer_fini(&peer);
}

static void orders_beyond_the_most_leases_wait_above_seen(void **state)
{
    (void)state;
    struct peer peer;
    struct buf buf;
    peer_init(&peer, 4);
    buf_init(&buf);
    do_many(&peer, LEDGER_LEASES_MAX + 100, wire_text(NULL, 0));
    fill(&peer);
    assert_int_equal(peer.report.seen, LEDGER_LEASES_MAX);
    peer.report.worker = wire_text("w", 1);
    wire_encode_report(&buf, &peer.report); /* asserts that it fits */
    assert_true(peer.report.n_results > 500);
    buf_fini(&buf);
    peer_fini(&peer);
}

/* Random orders, starts, ends, losses: the counts add up after every step. */
/* The outcome of the i-th look in the last report. */
static const struct wire_poke *poke(const struct peer *peer, uint64_t number)
{
    for (uint32_t i = 0; i < peer->report.n_pokes; i++)
        if (peer->report.pokes[i].number == number)
            return &peer->report.pokes[i];
    return NULL;
}

static void looks_go_one_by_one_without_a_slot_and_are_told_until_acknowledged(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start s;
    peer_init(&peer, 1);
    order(&peer, WIRE_POKE, 1, 1)->poke = 71;
    order(&peer, WIRE_POKE, 2, 1)->poke = 72;
    order(&peer, WIRE_LEASE, 3, 1);
    talk(&peer);
    assert_true(ledger_look(peer.ledger, &s));
    assert_int_equal(s.order.poke, 71);
    assert_false(ledger_look(peer.ledger, &s)); /* one at a time */
    assert_true(start(&peer, &s));              /* and beside the slot */
    assert_int_equal(s.order.inst.task, 3);
    fill(&peer);
    assert_int_equal(poke(&peer, 71)->state, WIRE_POKE_HAND);
    assert_int_equal(poke(&peer, 72)->state, WIRE_POKE_HAND);
    ledger_looked(peer.ledger, NULL);
    assert_true(ledger_look(peer.ledger, &s));
    const struct wire_result there = {.outcome = NX_AO_SUCCESS, .outputs = wire_text("{}", 2)};
    ledger_looked(peer.ledger, &there);
    fill(&peer);
    fill(&peer); /* not acknowledged: told again */
    assert_int_equal(poke(&peer, 71)->state, WIRE_POKE_NOT_YET);
    assert_int_equal(poke(&peer, 72)->state, WIRE_POKE_ENDED);
    assert_int_equal(poke(&peer, 72)->result.inst.task, 2);
    answer(&peer, peer.report.seq, peer.report.seen);
    fill(&peer);
    assert_int_equal(peer.report.n_pokes, 0);
    peer_fini(&peer);
}

static void looks_of_a_former_scheduler_are_forgotten(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start s;
    peer_init(&peer, 1);
    order(&peer, WIRE_POKE, 1, 1)->poke = 71;
    order(&peer, WIRE_POKE, 2, 1)->poke = 72;
    talk(&peer);
    assert_true(ledger_look(peer.ledger, &s));
    peer.epoch++;
    peer.number = peer.n_orders = 0;
    order(&peer, WIRE_POKE, 2, 1)->poke = 81;
    talk(&peer);
    ledger_looked(peer.ledger, NULL); /* nobody asked */
    fill(&peer);
    assert_int_equal(peer.report.n_pokes, 1);
    assert_int_equal(poke(&peer, 81)->state, WIRE_POKE_HAND);
    peer_fini(&peer);
}

static void a_report_of_many_looks_is_bounded(void **state)
{
    (void)state;
    struct peer peer;
    struct ledger_start s;
    char text[4096];
    memset(text, 'x', sizeof text);
    peer_init(&peer, 1);
    for (uint32_t i = 0; i < 30; i++)
        order(&peer, WIRE_POKE, i, 1)->poke = 100 + i;
    talk(&peer);
    const struct wire_result failed = {
        .outcome = NX_AO_FAILED, .outputs = wire_text(text, 4096), .error = wire_text(text, 4096)};
    while (ledger_look(peer.ledger, &s))
        ledger_looked(peer.ledger, &failed);
    uint32_t n_reports = 0, n_left = 30;
    for (; n_left && n_reports < 40; n_reports++) {
        talk(&peer);
        assert_true(ledger_changed(peer.ledger) || peer.report.n_pokes <= 3);
        fill(&peer);
        n_left = peer.report.n_pokes;
    }
    assert_int_equal(n_left, 0);
    assert_true(n_reports > 5);
    peer_fini(&peer);
}

static void random_histories_keep_the_books(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct peer peer;
        struct rng rng;
        struct ledger_start begun;
        struct ledger_stop stop;
        struct ledger_start running[4];
        uint32_t n_running = 0;
        rng_init(&rng, seed);
        peer_init(&peer, 4);
        for (int step = 0; step < 200; step++) {
            peer.now_ms += (int64_t)rng_below(&rng, 3000);
            if (peer.n_orders < 64) {
                enum wire_order_kind kind = rng_chance(&rng, 1, 2)
                                                ? WIRE_LEASE
                                                : (enum wire_order_kind)(1 + rng_below(&rng, 5));
                struct wire_order *o =
                    order(&peer, kind, (uint32_t)rng_below(&rng, 6), (uint32_t)rng_below(&rng, 3));
                o->flags = rng_chance(&rng, 1, 3) ? WIRE_LEASE_EXCLUSIVE : 0;
            } else if (rng_chance(&rng, 1, 4)) {
                peer.epoch++;
                peer.n_orders = 0;
                peer.number = 0;
            }
            if (rng_chance(&rng, 1, 2))
                talk(&peer);
            if (rng_chance(&rng, 1, 2) && start(&peer, &begun)) {
                assert_true(n_running < 4);
                running[n_running++] = begun;
            }
            while (ledger_stop_next(peer.ledger, peer.now_ms, &stop))
                ;
            if (n_running && rng_chance(&rng, 1, 3)) {
                struct wire_order *o = &running[rng_below(&rng, n_running)].order;
                end(&peer, o->inst.task, o->lease, NX_AO_SUCCESS);
                *o = running[--n_running].order;
            }
            assert_int_equal(ledger_running(peer.ledger), n_running);
            fill(&peer);
            assert_int_equal(peer.report.n_results + peer.report.n_backs,
                             ledger_unacknowledged(peer.ledger));
            assert_true(peer.report.n_hands <= n_running + ledger_queued(peer.ledger));
        }
        peer_fini(&peer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_is_started_ended_reported_and_gone_when_acknowledged),
        cmocka_unit_test(the_start_of_a_later_attempt_is_reported_at_once),
        cmocka_unit_test(a_result_stays_in_every_report_until_one_of_them_is_acknowledged),
        cmocka_unit_test(only_the_next_order_is_applied_and_doubled_ones_change_nothing),
        cmocka_unit_test(leases_start_in_order_of_arrival_and_never_above_the_slots),
        cmocka_unit_test(an_unstarted_lease_is_given_back_and_a_started_one_is_kept),
        cmocka_unit_test(a_queued_lease_that_is_cancelled_ends_as_cancelled_without_a_start),
        cmocka_unit_test(a_running_lease_that_is_cancelled_is_told_to_stop_once),
        cmocka_unit_test(
            a_text_of_progress_is_in_reports_until_it_is_acknowledged_and_then_when_it_changes),
        cmocka_unit_test(a_forgotten_lease_is_stopped_and_never_mentioned_again),
        cmocka_unit_test(a_new_lease_of_an_instance_waits_until_the_former_one_has_stopped),
        cmocka_unit_test(a_new_epoch_counts_orders_from_one_and_keeps_what_is_in_hand),
        cmocka_unit_test(a_reply_of_an_older_epoch_changes_nothing),
        cmocka_unit_test(an_exclusive_attempt_is_stopped_when_no_answer_came_for_lease_ttl),
        cmocka_unit_test(an_answered_report_starts_the_exclusive_clock_when_it_was_made),
        cmocka_unit_test(draining_gives_back_what_waits_and_takes_nothing_more),
        cmocka_unit_test(an_ordered_drain_ends_with_the_order_to_resume),
        cmocka_unit_test(a_slot_that_finds_the_queue_empty_is_counted_as_starved),
        cmocka_unit_test(a_lease_without_its_definition_fails_with_the_reason),
        cmocka_unit_test(a_refused_report_changes_nothing),
        cmocka_unit_test(results_that_do_not_fit_are_in_hand_as_done_until_their_turn_comes),
        cmocka_unit_test(orders_beyond_the_most_leases_wait_above_seen),
        cmocka_unit_test(looks_go_one_by_one_without_a_slot_and_are_told_until_acknowledged),
        cmocka_unit_test(looks_of_a_former_scheduler_are_forgotten),
        cmocka_unit_test(a_report_of_many_looks_is_bounded),
        cmocka_unit_test(random_histories_keep_the_books),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
