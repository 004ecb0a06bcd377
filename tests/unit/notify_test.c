/* What a notification is made of: signatures, e-mails, texts with places. */
#include "tests/unit/test.h"

#include "lib/crypt/crypt.h"
#include "lib/text/fill.h"
#include "lib/text/mime.h"
#include "scheduler/notify_deliver.h"
#include "scheduler/notify_send.h"
#include "scheduler/notify_text.h"

/* RFC 4231, test cases 1, 2, 3 and 6. */
static void an_hmac_is_the_published_one(void **state)
{
    char hex[SHA256_HEX];
    uint8_t key[131], data[50];
    (void)state;
    memset(key, 0x0b, 20);
    hmac_sha256(key, 20, "Hi There", 8, hex);
    assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, 20);
    memset(data, 0xdd, 50);
    hmac_sha256(key, 20, data, 50, hex);
    assert_string_equal(hex, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    memset(key, 0xaa, 131);
    hmac_sha256(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54, hex);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void a_signature_covers_time_and_body(void **state)
{
    struct arena arena;
    char hex[SHA256_HEX], wanted[128];
    (void)state;
    arena_init(&arena);
    hmac_sha256("key", 3, "1700000000.{\"a\":1}", 18, hex);
    snprintf(wanted, sizeof wanted, "t=1700000000,v1=%s", hex);
    assert_string_equal(deliver_signature(&arena, "key", 1700000000, "{\"a\":1}", 7), wanted);
    assert_string_not_equal(deliver_signature(&arena, "key", 1700000001, "{\"a\":1}", 7), wanted);
    arena_fini(&arena);
}

/* ---- E-mails ---- */

static void an_address_is_one_word_of_ascii(void **state)
{
    static const char *const good[] = {"a@b.c", "first.last+tag@sub.example.com", "x@localhost"};
    static const char *const bad[] = {"",        "a",       "@b",         "a@",
                                      "a@b@c",   "a b@c.d", "a@b.c\r\n",  "a@b\nBcc: x",
                                      "<a@b.c>", "a,b@c.d", "\xc3\xa4@b", "\"a\"@b.c",
                                      "-f@b.c",  "a@.b",    "a.@b"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(mime_is_address(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (mime_is_address(bad[i]))
            fail_msg("'%s' is no address", bad[i]);
    }
}

static char *mail_of(const char *subject, const char *body)
{
    static const char *const to[] = {"a@b.c", "d@e.f", NULL};
    static struct buf text;
    const struct mime_mail mail = {.from = "from@nexus",
                                   .to = to,
                                   .subject = subject,
                                   .body = body,
                                   .message_id = "id@nexus",
                                   .wall_ms = 1709210096789}; /* 2024-02-29T12:34:56.789Z */
    buf_fini(&text);
    buf_init(&text);
    mime_write(&mail, &text);
    return text.data;
}

static void a_mail_has_its_headers(void **state)
{
    (void)state;
    assert_string_equal(mail_of("a subject", "hello\nworld\n"),
                        "From: <from@nexus>\r\n"
                        "To: <a@b.c>,\r\n <d@e.f>\r\n"
                        "Subject: a subject\r\n"
                        "Date: Thu, 29 Feb 2024 12:34:56 +0000\r\n"
                        "Message-ID: <id@nexus>\r\n"
                        "MIME-Version: 1.0\r\n"
                        "Content-Type: text/plain; charset=utf-8\r\n"
                        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                        "hello\r\nworld\r\n");
}

static const char *subject_of(const char *subject)
{
    static char line[2000];
    char *start = strstr(mail_of(subject, ""), "Subject: ") + 9;
    char *end = strstr(start, "\r\nDate: ");
    memcpy(line, start, (size_t)(end - start));
    line[end - start] = 0;
    return line;
}

static void a_subject_adds_no_header(void **state)
{
    char large[1000];
    (void)state;
    assert_string_equal(subject_of("x\r\nBcc: evil@example.com"), "x  Bcc: evil@example.com");
    assert_string_equal(subject_of("Gr\xc3\xb6\xc3\x9f"
                                   "e"),
                        "=?utf-8?B?R3LDtsOfZQ==?=");
    assert_string_equal(subject_of("=?utf-8?B?QQ==?="), "=?utf-8?B?PT91dGYtOD9CP1FRPT0/PQ==?=");
    /* long ones are folded, and no character is cut: 45 bytes at most are in one word */
    for (size_t i = 0; i < sizeof large - 1; i += 3)
        memcpy(large + i, "\xe2\x82\xac", 3);
    large[sizeof large - 1] = 0;
    const char *text = subject_of(large);
    size_t n_words = 0;
    for (const char *p = text; p; p = strstr(p, "\r\n ")) {
        p += n_words ? 3 : 0;
        assert_true(strncmp(p, "=?utf-8?B?4oKs", 14) == 0); /* each begins with a whole one */
        assert_true(strcspn(p, "\r") <= 75);
        n_words++;
    }
    assert_int_equal(n_words, 12); /* of 500 bytes, of which 498 are whole characters */
}

static const char *body_of(const char *body)
{
    return strstr(mail_of("s", body), "\r\n\r\n") + 4;
}

static void a_body_is_quoted_where_it_must_be(void **state)
{
    (void)state;
    assert_string_equal(body_of("a = b"), "a =3D b\r\n");
    assert_string_equal(body_of("\xc3\xa4"), "=C3=A4\r\n");
    assert_string_equal(body_of(".\n..x\nFrom y\nend \n"),
                        "=2E\r\n=2E.x\r\n=46rom y\r\nend=20\r\n");
    assert_string_equal(body_of("tab\tin\t"), "tab\tin=09\r\n");
    assert_string_equal(body_of("a\r\nb"), "a\r\nb\r\n");
    assert_string_equal(body_of("\r"), "=0D\r\n");
    assert_string_equal(body_of(""), "");
    char large[300];
    memset(large, '=', sizeof large - 1);
    large[sizeof large - 1] = 0;
    for (const char *line = body_of(large); *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\r") <= 76);
}

/* ---- Texts ---- */

static void places_are_checked_and_filled(void **state)
{
    static const char *const names[] = {"dag", "task"};
    static const char *const values[] = {"flights", NULL};
    static const struct {
        const char *text, *filled, *wrong;
    } cases[] = {
        {"plain", "plain", NULL},
        {"{dag}:{task}.", "flights:.", NULL},
        {"{{dag}} {{{dag}}}", "{dag} {flights}", NULL},
        {"{dags}", NULL, "did you mean {dag}"},
        {"{wholly_other}", NULL, "there are {dag} {task}"},
        {"{", NULL, "written twice: {{"},
        {"x}", NULL, "written twice: }}"},
        {"{dag", NULL, "written twice"},
        {"{dag{task}}", NULL, "written twice"},
        {"{}", NULL, "there is no {}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct nx_err err = {0};
        struct buf to;
        bool ok = fill_check(cases[i].text, names, 2, NULL, &err);
        if (ok != (cases[i].filled != NULL) || (!ok && !strstr(err.text, cases[i].wrong)))
            fail_msg("%s: %s", cases[i].text, err.text);
        if (!ok)
            continue;
        buf_init(&to);
        fill_text(cases[i].text, names, values, 2, &to);
        assert_string_equal(buf_text(&to), cases[i].filled);
        buf_fini(&to);
    }
}

static void an_event_says_what_happened(void **state)
{
    struct arena arena;
    const struct core_run_row run = {.id = {7},
                                     .dag = "flights",
                                     .state = NX_RS_RUNNING,
                                     .cause = NX_RC_SCHEDULE,
                                     .interval_start_ms = 86400000,
                                     .interval_finish_ms = 2 * 86400000};
    struct tale tale = {.event = "task.failure",
                        .run = &run,
                        .dag_version = 3,
                        .task = "train",
                        .map_index = 2,
                        .state = "failed",
                        .attempt = 1,
                        .max_attempts = 1,
                        .reason = NX_WHY_ERROR,
                        .reason_text = "its last attempt failed",
                        .error = "line one\nline two",
                        .url = "http://h",
                        .at_ms = 1000};
    (void)state;
    arena_init(&arena);
    json_t *body = tale_json(&tale, "abc");
    assert_string_equal(tale_subject(body, &arena),
                        "flights: task train[2] failed in run 7: line one");
    assert_non_null(strstr(tale_details(body, &arena), "line one\nline two"));
    assert_non_null(strstr(tale_details(body, &arena), "1970-01-02T00:00:00.000Z"));
    json_decref(body);
    tale.event = "task.retry";
    tale.error = NULL;
    body = tale_json(&tale, "abc");
    assert_string_equal(
        tale_subject(body, &arena),
        "flights: task train[2] of run 7 is tried again (attempt 1 of 1): its last attempt failed");
    json_decref(body);
    const struct notification summary = {.delivery = "d", .dag = "flights", .more = 12};
    body = tale_summary(&summary);
    assert_non_null(strstr(tale_subject(body, &arena), "12 more notifications"));
    assert_non_null(strstr(tale_details(body, &arena), "faster than"));
    json_decref(body);
    arena_fini(&arena);
}

static void delays_double_up_to_a_bound(void **state)
{
    (void)state;
    assert_int_equal(sender_delay(5000, 1, 900000), 5000);
    assert_int_equal(sender_delay(5000, 2, 900000), 10000);
    assert_int_equal(sender_delay(5000, 8, 900000), 640000);
    assert_int_equal(sender_delay(5000, 9, 900000), 900000);
    assert_int_equal(sender_delay(5000, 1000000000, 900000), 900000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hmac_is_the_published_one),
        cmocka_unit_test(a_signature_covers_time_and_body),
        cmocka_unit_test(an_address_is_one_word_of_ascii),
        cmocka_unit_test(a_mail_has_its_headers),
        cmocka_unit_test(a_subject_adds_no_header),
        cmocka_unit_test(a_body_is_quoted_where_it_must_be),
        cmocka_unit_test(places_are_checked_and_filled),
        cmocka_unit_test(an_event_says_what_happened),
        cmocka_unit_test(delays_double_up_to_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
