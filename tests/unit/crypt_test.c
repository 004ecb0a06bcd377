#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/path.h"
#include "lib/crypt/crypt.h"
#include "lib/crypt/sha256.h"
#include "tests/unit/test.h"

static void sha256_gives_the_published_hashes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } vectors[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
         "lmnopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    char hex[SHA256_HEX];
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        sha256_of(vectors[i].text, strlen(vectors[i].text), hex);
        assert_string_equal(hex, vectors[i].hex);
    }
}

static void sha256_of_a_million_letters_in_uneven_pieces(void **state)
{
    (void)state;
    struct sha256 sha;
    char letters[997], hex[SHA256_HEX];
    memset(letters, 'a', sizeof letters);
    sha256_init(&sha);
    size_t left = 1000000;
    for (size_t n = 1; left; n = n % 991 + 1) {
        size_t piece = n < left ? n : left;
        sha256_add(&sha, letters, piece);
        left -= piece;
    }
    sha256_end_hex(&sha, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void both_ways_to_hash_agree(void **state)
{
    (void)state;
    uint32_t plain[8], fast[8];
    uint8_t blocks[64 * 33];
    if (!sha256_has_instructions())
        skip();
    crypt_random(blocks, sizeof blocks);
    crypt_random(plain, sizeof plain);
    memcpy(fast, plain, sizeof fast);
    sha256_blocks_plain(plain, blocks, 33);
    sha256_blocks_fast(fast, blocks, 33);
    assert_memory_equal(plain, fast, sizeof plain);
}

static void a_file_is_hashed_and_measured(void **state)
{
    char path[300], hex[SHA256_HEX], expected[SHA256_HEX];
    static char content[700001];
    uint64_t n = 0;
    struct nx_err err;
    crypt_random(content, sizeof content);
    path_join(path, sizeof path, *state, "file");
    assert_true(path_write(path, content, sizeof content, &err));
    sha256_of(content, sizeof content, expected);
    assert_true(sha256_of_file(path, hex, &n, &err));
    assert_string_equal(hex, expected);
    assert_int_equal(n, sizeof content);
    assert_false(sha256_of_file("/nowhere/at/all", hex, &n, &err));
    assert_int_equal(err.code, NX_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
}

static void random_ids_differ_and_use_all_letters(void **state)
{
    (void)state;
    char a[21], b[21], many[5001];
    crypt_random_id(a, 20);
    crypt_random_id(b, 20);
    assert_int_equal(strlen(a), 20);
    assert_string_not_equal(a, b);
    crypt_random_id(many, 5000);
    for (const char *c = "abcdefghijklmnopqrstuvwxyz0123456789"; *c; c++)
        assert_non_null(strchr(many, *c));
    assert_int_equal(strspn(many, "abcdefghijklmnopqrstuvwxyz0123456789"), 5000);
}

static void equal_compares_all_bytes(void **state)
{
    (void)state;
    assert_true(crypt_equal("abcd", "abcd", 4));
    assert_false(crypt_equal("abcd", "abce", 4));
    assert_false(crypt_equal("abcd", "bbcd", 4));
    assert_true(crypt_equal("abcd", "abxx", 2));
}

static void a_sealed_secret_comes_back_and_a_changed_one_does_not(void **state)
{
    char path[300];
    struct crypt_key key, other;
    struct nx_err err;
    struct buf sealed, twice, open;
    path_join(path, sizeof path, *state, "key");
    assert_true(crypt_key_open(path, &key, &err));
    path_join(path, sizeof path, *state, "key2");
    assert_true(crypt_key_open(path, &other, &err));
    buf_init(&sealed), buf_init(&twice), buf_init(&open);
    crypt_seal(&key, "swordfish", 9, &sealed);
    crypt_seal(&key, "swordfish", 9, &twice);
    assert_int_equal(sealed.len, 49);
    assert_memory_not_equal(sealed.data, twice.data, 49);
    buf_str(&open, "is: ");
    assert_true(crypt_unseal(&key, sealed.data, sealed.len, &open, &err));
    assert_string_equal(buf_text(&open), "is: swordfish");
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 1;
        assert_false(crypt_unseal(&key, sealed.data, sealed.len, &open, &err));
        assert_int_equal(err.code, NX_E_DENIED);
        sealed.data[i] ^= 1;
    }
    assert_false(crypt_unseal(&other, sealed.data, sealed.len, &open, &err));
    assert_false(crypt_unseal(&key, sealed.data, 12, &open, &err));
    assert_string_equal(buf_text(&open), "is: swordfish");
    buf_clear(&sealed), buf_clear(&open);
    crypt_seal(&key, NULL, 0, &sealed);
    assert_true(crypt_unseal(&key, sealed.data, sealed.len, &open, &err));
    assert_int_equal(open.len, 0);
    buf_fini(&sealed), buf_fini(&twice), buf_fini(&open);
}

static void a_key_file_is_private_and_made_once(void **state)
{
    char path[300];
    struct crypt_key key, again;
    struct nx_err err;
    struct stat st;
    path_join(path, sizeof path, *state, "private");
    assert_true(crypt_key_open(path, &key, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(crypt_key_open(path, &again, &err));
    assert_memory_equal(key.bytes, again.bytes, sizeof key.bytes);
    chmod(path, 0640);
    assert_false(crypt_key_open(path, &again, &err));
    assert_int_equal(err.code, NX_E_DENIED);
    assert_non_null(strstr(err.text, "chmod 600"));
    path_join(path, sizeof path, *state, "short");
    assert_true(path_write(path, "1234", 4, &err));
    chmod(path, 0600);
    assert_false(crypt_key_open(path, &again, &err));
    assert_int_equal(err.code, NX_E_DATA);
}

static void processes_that_make_the_key_at_once_get_the_same(void **state)
{
    char path[300];
    int ends[2];
    enum { N = 6 };
    path_join(path, sizeof path, *state, "shared");
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < N; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct crypt_key key;
            bool ok = crypt_key_open(path, &key, NULL);
            ok = ok && write(ends[1], key.bytes, sizeof key.bytes) == sizeof key.bytes;
            _exit(ok ? 0 : 1);
        }
    }
    struct crypt_key first, next;
    assert_int_equal(read(ends[0], first.bytes, 32), 32);
    for (int i = 1; i < N; i++) {
        assert_int_equal(read(ends[0], next.bytes, 32), 32);
        assert_memory_equal(first.bytes, next.bytes, 32);
    }
    for (int i = 0; i < N; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    close(ends[0]), close(ends[1]);
}

static int make_folder(void **state)
{
    static char folder[] = "/tmp/nexus-crypt-XXXXXX";
    *state = mkdtemp(folder);
    return *state ? 0 : -1;
}

static int remove_folder(void **state)
{
    return path_remove_tree(*state, NULL) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_hashes),
        cmocka_unit_test(sha256_of_a_million_letters_in_uneven_pieces),
        cmocka_unit_test(both_ways_to_hash_agree),
        cmocka_unit_test(a_file_is_hashed_and_measured),
        cmocka_unit_test(random_ids_differ_and_use_all_letters),
        cmocka_unit_test(equal_compares_all_bytes),
        cmocka_unit_test(a_sealed_secret_comes_back_and_a_changed_one_does_not),
        cmocka_unit_test(a_key_file_is_private_and_made_once),
        cmocka_unit_test(processes_that_make_the_key_at_once_get_the_same),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
