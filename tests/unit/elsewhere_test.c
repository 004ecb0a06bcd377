/* What workers elsewhere send and are sent: messages, tokens, and what the depot makes of them. */
#include <sys/stat.h>
#include <unistd.h>

#include "lib/artifact/stage.h"
#include "lib/artifact/store.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/rng.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "lib/sql/sql.h"
#include "lib/wire/bulk.h"
#include "lib/wire/paths.h"
#include "scheduler/port/depot_file.h"
#include "scheduler/port/tokens.h"
#include "scheduler/store/store.h"
#include "tests/unit/test.h"

#define TEXT(s) wire_text(s, strlen(s))

/* ---- Messages ---- */

static struct bulk_request random_request(struct rng *rng, char *room, size_t n)
{
    struct bulk_request request = {
        .kind = (uint8_t)(BULK_PING + rng_below(rng, BULK_KINDS - BULK_PING)),
        .session = rng_next(rng),
        .number = rng_next(rng),
        .map = (int32_t)rng_below(rng, 9) - 1,
        .attempt = (uint32_t)rng_next(rng),
        .what = (uint8_t)rng_below(rng, 3),
        .folder = (uint8_t)rng_below(rng, 2),
        .size = rng_next(rng),
        .offset = rng_next(rng),
        .n = (uint32_t)rng_below(rng, BULK_CHUNK_MAX + 1),
        .path = wire_text(room, rng_below(rng, 40)),
        .bytes = wire_text(room, rng_below(rng, n)),
    };
    for (size_t i = 0; i < n; i++)
        room[i] = (char)rng_next(rng);
    if (rng_below(rng, 2))
        sha256_of(room, n, request.hash);
    return request;
}

static void requests_come_through_and_cut_ones_do_not(void **state)
{
    struct rng rng;
    char room[300];
    struct nx_err err;
    (void)state;
    rng_init(&rng, 5);
    for (int i = 0; i < 300; i++) {
        struct bulk_request request = random_request(&rng, room, sizeof room), got;
        struct buf once = {0}, twice = {0};
        bulk_encode_request(&once, &request);
        assert_true(bulk_is_request(once.data, once.len));
        assert_true(bulk_decode_request(once.data, once.len, &got, &err));
        bulk_encode_request(&twice, &got);
        assert_int_equal(once.len, twice.len);
        assert_memory_equal(once.data, twice.data, once.len);
        for (size_t n = 0; n < once.len; n++)
            assert_false(bulk_decode_request(once.data, n, &got, &err));
        buf_char(&once, 0);
        assert_false(bulk_decode_request(once.data, once.len, &got, &err));
        buf_fini(&once);
        buf_fini(&twice);
    }
}

static void replies_come_through_and_cut_ones_do_not(void **state)
{
    struct bulk_reply got, reply = {.code = NX_E_IO,
                                    .folder = 1,
                                    .size = 1ull << 40,
                                    .offset = 7,
                                    .bytes = TEXT("bytes"),
                                    .text = TEXT("why")};
    struct buf buf = {0};
    struct nx_err err;
    (void)state;
    bulk_encode_reply(&buf, &reply);
    assert_true(bulk_decode_reply(buf.data, buf.len, &got, &err));
    assert_int_equal(got.code, NX_E_IO);
    assert_int_equal(got.size, 1ull << 40);
    assert_memory_equal(got.text.p, "why", 3);
    for (size_t n = 0; n < buf.len; n++)
        assert_false(bulk_decode_reply(buf.data, n, &got, &err));
    buf.data[2] = (char)200; /* no such code */
    assert_false(bulk_decode_reply(buf.data, buf.len, &got, &err));
    buf.data[2] = NX_OK;
    buf.data[0] = 77;
    assert_false(bulk_decode_reply(buf.data, buf.len, &got, &err));
    assert_non_null(strstr(err.text, "install the same release"));
    buf_fini(&buf);
}

static void an_envelope_has_a_token_and_a_request(void **state)
{
    struct buf buf = {0};
    struct wire_bytes token, request;
    (void)state;
    bulk_envelope(&buf, "nxw_x");
    buf_str(&buf, "rest");
    assert_true(bulk_open_envelope(buf.data, buf.len, &token, &request));
    assert_int_equal(token.n, 5);
    assert_memory_equal(request.p, "rest", 4);
    for (size_t n = 0; n < 10; n++)
        assert_false(bulk_open_envelope(buf.data, n, &token, &request));
    buf.data[4] = (char)255; /* a token that is longer than the message */
    assert_false(bulk_open_envelope(buf.data, buf.len, &token, &request));
    assert_false(bulk_open_envelope("\x02\x00\x01", 3, &token, &request));
    buf_fini(&buf);
}

static void a_path_stays_below_its_folder(void **state)
{
    static const char *const good[] = {"a", "a/b.txt", "..a/b..", "a b/\xc3\xa9"};
    static const char *const bad[] = {"", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.", "../a"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(bulk_path_is_safe(TEXT(good[i])));
        assert_true(stage_path_is_safe(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(bulk_path_is_safe(TEXT(bad[i])));
        assert_false(stage_path_is_safe(bad[i]));
    }
    assert_false(bulk_path_is_safe(wire_text("a\0b", 3)));
}

static void addresses_are_found_in_any_text(void **state)
{
    char a[SHA256_HEX], b[SHA256_HEX], hash[BULK_HASH + 1];
    struct buf text = {0};
    size_t at = 0;
    (void)state;
    sha256_of("a", 1, a);
    sha256_of("b", 1, b);
    buf_printf(&text, "sha256:short {\"x\": \"sha256:%s\", \"y\": \"ssha256:%ssha256:", a, b);
    assert_true(bulk_next_address(text.data, text.len, &at, hash));
    assert_string_equal(hash, a);
    assert_true(bulk_next_address(text.data, text.len, &at, hash));
    assert_string_equal(hash, b);
    assert_false(bulk_next_address(text.data, text.len, &at, hash));
    at = 0;
    assert_false(bulk_next_address(text.data, 0, &at, hash));
    buf_fini(&text);
}

/* ---- Tokens ---- */

static void a_token_is_good_until_it_expires_or_is_revoked(void **state)
{
    char text[TOKEN_TEXT_MAX], id[TOKEN_ID_MAX], got[TOKEN_ID_MAX], hash[BULK_HASH + 1];
    struct nx_err err;
    struct tokens *tokens = tokens_new();
    (void)state;
    tokens_make(ROLE_WORKER, text, id, hash);
    struct token_owner owner = {.role = ROLE_WORKER};
    str_copy(owner.id, sizeof owner.id, id);
    assert_false(tokens_check(tokens, TEXT(text), got, &err));
    tokens_put(tokens, &owner, hash);
    assert_int_equal(tokens_seen_ms(tokens, id), 0);
    assert_true(tokens_check(tokens, TEXT(text), got, &err));
    assert_true(tokens_seen_ms(tokens, id) > 0);
    assert_string_equal(got, id);
    for (size_t i = 0; text[i]; i++) { /* any other text is none */
        char other[TOKEN_TEXT_MAX];
        str_copy(other, sizeof other, text);
        other[i] = other[i] == 'q' ? 'r' : 'q';
        assert_false(tokens_check(tokens, TEXT(other), got, &err));
        assert_int_equal(err.code, NX_E_DENIED);
        assert_null(strstr(err.text, text + 13));
        assert_false(tokens_check(tokens, wire_text(text, i), got, &err));
    }
    owner.expires_ms = clock_wall_ms() - 1;
    tokens_put(tokens, &owner, hash);
    assert_false(tokens_check(tokens, TEXT(text), got, &err));
    assert_non_null(strstr(err.text, "expired"));
    owner.expires_ms = clock_wall_ms() + 60000;
    tokens_put(tokens, &owner, hash);
    assert_true(tokens_check(tokens, TEXT(text), got, &err));
    tokens_drop(tokens, id);
    assert_false(tokens_check(tokens, TEXT(text), got, &err));
    tokens_free(tokens);
}

/* ---- The depot ---- */

struct world {
    char home[64];
    const char *token; /* of who asks */
    struct depot_files files;
    struct buf room;
    struct bulk_reply reply;
    struct nx_err err;
};

/* A run, 12, whose task 'train' has had three attempts: the first at w1, the second, which counts
 * as lost, at w2, the third at w1 again. */
static void open_store(struct world *world)
{
    static const char rows[] =
        "insert into dag_version (version, dag, number, file, hash, source_hash, catalog, source, "
        "info,"
        " created_at) values (5, 'd', 1, 'd.yaml', '', '', '', '',"
        " '{\"id\":\"d\",\"tasks\":[{\"id\":\"load\"},{\"id\":\"train\"}]}', 1);"
        "insert into run (run, dag, version, state, cause, reason, backfill, params, created_at, "
        "counts)"
        " values (12, 'd', 5, 1, 0, 0, 0, '{}', 1, '');"
        "insert into worker (number, id, incarnation, drain, ipc, token)"
        " values (1, 'w1', 9, 0, 0, 'mine'), (2, 'w2', 8, 0, 0, 'other'), (3, 'w3', 7, 0, 0, "
        "'mine');"
        "insert into attempt (run, task, map_index, attempt, outcome, worker)"
        " values (12, 1, -1, 1, 1, 1), (12, 1, -1, 2, 5, 2);"
        "insert into task_instance (run, task, map_index, state, reason, answered, attempt, lease,"
        " failures, losses, worker) values (12, 1, -1, 4, 0, 0, 3, 3, 0, 0, 1);";
    char path[100];
    struct store *store;
    struct sql *sql;
    snprintf(path, sizeof path, "%s/nexus.db", world->home);
    if (!store_open(path, &store, &world->err))
        fail_msg("%s", world->err.text);
    store_close(store);
    if (!sql_open_writer(path, &sql, &world->err) || !sql_exec(sql, rows, &world->err))
        fail_msg("%s", world->err.text);
    sql_close(sql);
}

static int open_world(void **state)
{
    struct world *world = mem_alloc(sizeof *world);
    str_copy(world->home, sizeof world->home, "/tmp/nexus-depot-XXXXXX");
    assert_non_null(mkdtemp(world->home));
    open_store(world);
    world->token = "mine";
    if (!depot_files_open(&world->files, world->home, &world->err))
        fail_msg("%s", world->err.text);
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    depot_files_close(&world->files);
    path_remove_tree(world->home, NULL);
    buf_fini(&world->room);
    mem_free(world);
    return 0;
}

static bool serve(struct world *world, struct bulk_request request)
{
    buf_clear(&world->room);
    world->reply = (struct bulk_reply){0};
    return depot_serve(&world->files, world->token, &request, &world->room, &world->reply,
                       &world->err);
}

static struct bulk_request about(uint8_t kind, const char *hash)
{
    struct bulk_request request = {.kind = kind, .session = 9};
    str_copy(request.hash, sizeof request.hash, hash);
    return request;
}

/* Puts a text in pieces of `n` bytes, each twice. */
static bool put(struct world *world, const char *text, const char *hash, size_t n)
{
    struct bulk_request request = about(BULK_PUT, hash);
    request.size = strlen(text);
    bool ok = serve(world, request);
    while (ok && world->reply.offset < request.size) {
        request.offset = world->reply.offset;
        size_t rest = (size_t)(request.size - request.offset);
        request.bytes = wire_text(text + request.offset, rest < n ? rest : n);
        ok = serve(world, request);
        uint64_t have = world->reply.offset;
        if (ok && have < request.size) {
            assert_true(serve(world, request)); /* sent again: harmless */
            assert_int_equal(world->reply.offset, have);
        }
    }
    return ok;
}

static void a_file_is_put_piece_by_piece_and_got_back(void **state)
{
    struct world *world = *state;
    const char *text = "what a task has made, and another one wants";
    char hash[SHA256_HEX];
    sha256_of(text, strlen(text), hash);
    assert_false(serve(world, about(BULK_STAT, hash)));
    assert_int_equal(world->err.code, NX_E_NOT_FOUND);
    assert_false(serve(world, about(BULK_KEEP, hash)));
    assert_true(put(world, text, hash, 7));
    assert_false(serve(world, about(BULK_STAT, hash))); /* not before it is kept */
    assert_true(serve(world, about(BULK_KEEP, hash)));
    assert_true(serve(world, about(BULK_KEEP, hash))); /* again: fine */
    assert_true(serve(world, about(BULK_STAT, hash)));
    assert_int_equal(world->reply.size, strlen(text));
    struct bulk_request get = about(BULK_GET, hash);
    get.offset = 5;
    get.n = 6;
    assert_true(serve(world, get));
    assert_int_equal(world->reply.bytes.n, 6);
    assert_memory_equal(world->reply.bytes.p, text + 5, 6);
    get.offset = 1000;
    assert_true(serve(world, get));
    assert_int_equal(world->reply.bytes.n, 0);
}

static void what_does_not_have_its_hash_is_refused_and_begins_anew(void **state)
{
    struct world *world = *state;
    char hash[SHA256_HEX];
    sha256_of("right", 5, hash);
    assert_false(put(world, "wrong", hash, 3));
    assert_int_equal(world->err.code, NX_E_DATA);
    assert_false(serve(world, about(BULK_KEEP, hash)));
    assert_true(put(world, "right", hash, 3));
    assert_true(serve(world, about(BULK_KEEP, hash)));
    struct bulk_request beyond = about(BULK_PUT, hash);
    beyond.size = 3;
    beyond.bytes = TEXT("long");
    assert_false(serve(world, beyond));
    assert_int_equal(world->err.code, NX_E_INVALID);
    assert_false(serve(world, about(BULK_PUT, "")));
}

static void a_folder_is_put_with_its_manifest(void **state)
{
    struct world *world = *state;
    char a[SHA256_HEX], empty[SHA256_HEX], hash[SHA256_HEX];
    struct buf manifest = {0};
    sha256_of("aaa", 3, a);
    sha256_of("", 0, empty);
    buf_printf(&manifest, "nexus-folder 1\n%s 3 a\n%s 3 b/same\n%s 0 empty\n", a, a, empty);
    sha256_of(manifest.data, manifest.len, hash);
    struct bulk_request keep = about(BULK_KEEP, hash);
    keep.folder = 1;
    assert_true(put(world, manifest.data, hash, 50));
    assert_false(serve(world, keep));
    assert_non_null(strstr(world->err.text, "has not come"));
    assert_true(put(world, "aaa", a, 2));
    assert_true(put(world, "", empty, 2));
    if (!serve(world, keep))
        fail_msg("%s", world->err.text);
    assert_true(serve(world, about(BULK_STAT, hash)));
    assert_true(world->reply.folder);
    struct bulk_request get = about(BULK_GET, hash);
    get.n = 100;
    get.path = TEXT("b/same");
    assert_true(serve(world, get));
    assert_memory_equal(world->reply.bytes.p, "aaa", 3);
    get.path = TEXT("../../../nexus.db");
    assert_false(serve(world, get));
    assert_int_equal(world->err.code, NX_E_INVALID);
    buf_fini(&manifest);
}

static void a_manifest_cannot_reach_outside(void **state)
{
    struct world *world = *state;
    char a[SHA256_HEX], hash[SHA256_HEX], outside[100];
    struct buf manifest = {0};
    sha256_of("aaa", 3, a);
    buf_printf(&manifest, "nexus-folder 1\n%s 3 ../../../escaped\n", a);
    sha256_of(manifest.data, manifest.len, hash);
    struct bulk_request keep = about(BULK_KEEP, hash);
    keep.folder = 1;
    assert_true(put(world, "aaa", a, 3) && put(world, manifest.data, hash, 500));
    assert_false(serve(world, keep));
    assert_int_equal(world->err.code, NX_E_INVALID);
    snprintf(outside, sizeof outside, "%s/escaped", world->home);
    assert_false(path_exists(outside));
    buf_fini(&manifest);
}

static struct bulk_request log_piece(uint64_t offset, const char *text)
{
    return (struct bulk_request){.kind = BULK_LOG,
                                 .session = 9,
                                 .number = 12,
                                 .map = -1,
                                 .attempt = 1,
                                 .path = TEXT("train"),
                                 .offset = offset,
                                 .bytes = TEXT(text)};
}

static void a_log_is_written_at_its_offset_and_sent_again_harmlessly(void **state)
{
    struct world *world = *state;
    char path[100];
    struct buf text = {0};
    assert_true(serve(world, log_piece(0, "one\n")));
    assert_int_equal(world->reply.offset, 4);
    assert_true(serve(world, log_piece(0, "one\n")));
    assert_int_equal(world->reply.offset, 4);
    assert_true(serve(world, log_piece(9, "far"))); /* a gap is not made */
    assert_int_equal(world->reply.offset, 4);
    assert_true(serve(world, log_piece(4, "two\n")));
    assert_true(serve(world, log_piece(2, "e\n")));
    assert_int_equal(world->reply.offset, 8);
    snprintf(path, sizeof path, "%s/logs/12/train/1.log", world->home);
    assert_true(path_read(path, 100, &text, &world->err));
    assert_string_equal(buf_text(&text), "one\ntwo\n");
    buf_fini(&text);
}

static void a_log_is_written_by_the_worker_alone_that_has_the_attempt(void **state)
{
    struct world *world = *state;
    struct bulk_request piece = log_piece(0, "x");
    assert_true(serve(world, piece)); /* late, of an attempt that has ended */
    piece.attempt = 2;
    assert_false(serve(world, piece));
    assert_int_equal(world->err.code, NX_E_CONFLICT);
    piece.attempt = 3;
    assert_true(serve(world, piece));
    piece.path = TEXT("load"); /* it has another task */
    assert_false(serve(world, piece));
    assert_int_equal(world->err.code, NX_E_CONFLICT);
    piece.path = TEXT("train");
    piece.map = 0;
    assert_false(serve(world, piece));
    piece.map = -1;
    piece.number = 13;
    assert_false(serve(world, piece));
    piece.number = 12;
    piece.session = 7; /* another worker with the same token */
    assert_false(serve(world, piece));
    assert_int_equal(world->err.code, NX_E_CONFLICT);
    piece.session = 9;
    world->token = "other"; /* another token's worker that knows this one's incarnation */
    assert_false(serve(world, piece));
    assert_int_equal(world->err.code, NX_E_BUSY);
    piece.session = 8;
    assert_false(serve(world, piece)); /* that of the lost attempt, in the next one's log */
    assert_int_equal(world->err.code, NX_E_CONFLICT);
    piece.attempt = 2;
    assert_true(serve(world, piece));
    piece.session = 1; /* it has not reported yet, or is a former one */
    assert_false(serve(world, piece));
    assert_int_equal(world->err.code, NX_E_BUSY);
}

static void a_log_of_nothing_is_refused(void **state)
{
    struct world *world = *state;
    struct bulk_request bad[6];
    for (size_t i = 0; i < 6; i++)
        bad[i] = log_piece(0, "x");
    bad[0].path = TEXT("../../x");
    bad[1].path = TEXT("");
    bad[2].map = -2;
    bad[3].what = PATH_KINDS;
    bad[4].number = 0;
    bad[5].offset = 1ull << 50;
    for (size_t i = 0; i < 6; i++)
        assert_false(serve(world, bad[i]));
}

static void the_files_of_a_version_are_listed_and_got(void **state)
{
    struct world *world = *state;
    char folder[100], path[150], hash[SHA256_HEX];
    struct bulk_request list = {.kind = BULK_FILES, .number = 3, .n = 10};
    struct bulk_request file = {
        .kind = BULK_FILE, .number = 3, .n = 100, .path = TEXT("sub/run.sh")};
    struct buf text = {0};
    assert_false(serve(world, list));
    assert_int_equal(world->err.code, NX_E_NOT_FOUND);
    snprintf(folder, sizeof folder, "%s/files/3/sub", world->home);
    snprintf(path, sizeof path, "%s/run.sh", folder);
    assert_true(path_make_folders(folder, &world->err));
    assert_true(path_write(path, "true\n", 5, &world->err));
    chmod(path, 0755);
    do {
        list.offset = text.len;
        assert_true(serve(world, list));
        buf_add(&text, world->reply.bytes.p, world->reply.bytes.n);
    } while (text.len < world->reply.size);
    sha256_of("true\n", 5, hash);
    assert_memory_equal(text.data, hash, 64);
    assert_string_equal(text.data + 64, " x 5 sub/run.sh\n");
    assert_true(serve(world, file));
    assert_memory_equal(world->reply.bytes.p, "true\n", 5);
    file.path = TEXT("sub/../../../workers.pem");
    assert_false(serve(world, file));
    buf_fini(&text);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_through_and_cut_ones_do_not),
        cmocka_unit_test(replies_come_through_and_cut_ones_do_not),
        cmocka_unit_test(an_envelope_has_a_token_and_a_request),
        cmocka_unit_test(a_path_stays_below_its_folder),
        cmocka_unit_test(addresses_are_found_in_any_text),
        cmocka_unit_test(a_token_is_good_until_it_expires_or_is_revoked),
        WITH_WORLD(a_file_is_put_piece_by_piece_and_got_back),
        WITH_WORLD(what_does_not_have_its_hash_is_refused_and_begins_anew),
        WITH_WORLD(a_folder_is_put_with_its_manifest),
        WITH_WORLD(a_manifest_cannot_reach_outside),
        WITH_WORLD(a_log_is_written_at_its_offset_and_sent_again_harmlessly),
        WITH_WORLD(a_log_is_written_by_the_worker_alone_that_has_the_attempt),
        WITH_WORLD(a_log_of_nothing_is_refused),
        WITH_WORLD(the_files_of_a_version_are_listed_and_got),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
