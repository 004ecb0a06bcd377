#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/artifact/artifact.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "tests/unit/test.h"

struct world {
    char folder[64], root[80];
    struct artifact_store *store;
};

static int open_world(void **state)
{
    struct world *world = mem_alloc(sizeof *world);
    str_copy(world->folder, sizeof world->folder, "/tmp/nexus-artifact-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->root, sizeof world->root, "%s/store", world->folder);
    *state = world;
    return artifact_open(world->root, &world->store, NULL) ? 0 : -1;
}

static int close_world(void **state)
{
    struct world *world = *state;
    artifact_close(world->store);
    assert_true(path_remove_tree(world->folder, NULL));
    mem_free(world);
    return 0;
}

/* A file below the test's folder; its path stays until the fourth call after. */
static const char *write_file(struct world *world, const char *name, const char *content)
{
    static char paths[4][200];
    static unsigned next;
    char *path = paths[next++ % 4], parent[200];
    snprintf(path, 200, "%s/%s", world->folder, name);
    str_copy(parent, sizeof parent, path);
    *strrchr(parent, '/') = 0;
    assert_true(path_make_folders(parent, NULL));
    assert_true(path_write(path, content, strlen(content), NULL));
    return path;
}

static const char *content_of(const char *path)
{
    static struct buf buf;
    static char text[200];
    buf_init(&buf);
    assert_true(path_read(path, 10000, &buf, NULL));
    str_copy(text, sizeof text, buf_text(&buf));
    buf_fini(&buf);
    return text;
}

static struct artifact_info put(struct world *world, const char *path, enum artifact_how how)
{
    struct artifact_info info = {0};
    struct nx_err err = {0};
    if (!artifact_put(world->store, path, how, &info, &err))
        fail_msg("%s", err.text);
    return info;
}

static void assert_same(const struct artifact_info *a, const struct artifact_info *b)
{
    assert_string_equal(a->address, b->address);
    assert_int_equal(a->is_folder, b->is_folder);
    assert_int_equal(a->n_files, b->n_files);
    assert_int_equal(a->n_bytes, b->n_bytes);
}

static const char *path_of(struct world *world, const char *address)
{
    static char path[PATH_MAX_BYTES];
    struct nx_err err = {0};
    if (!artifact_path(world->store, address, path, sizeof path, &err))
        fail_msg("%s", err.text);
    return path;
}

static int count_in(struct world *world, const char *folder)
{
    char command[200], line[32];
    snprintf(command, sizeof command, "find %s/%s -mindepth 1 | wc -l", world->root, folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(fgets(line, sizeof line, pipe));
    pclose(pipe);
    return atoi(line);
}

static bool count_one(void *arg, const char *address, int64_t put_wall_ms)
{
    (void)put_wall_ms;
    assert_true(artifact_is_address(address));
    return ++*(int *)arg < 100;
}

static int count_all(struct world *world)
{
    int n = 0;
    assert_true(artifact_list(world->store, count_one, &n, NULL));
    return n;
}

static void a_file_is_found_by_the_hash_of_its_content(void **state)
{
    struct world *world = *state;
    const char *source = write_file(world, "a.txt", "abc");
    struct artifact_info info = put(world, source, ARTIFACT_COPY), found;
    struct stat st;
    assert_string_equal(info.address,
                        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff"
                        "61f20015ad");
    assert_false(info.is_folder);
    assert_int_equal(info.n_bytes, 3);
    assert_true(path_exists(source));
    assert_string_equal(content_of(path_of(world, info.address)), "abc");
    assert_int_equal(stat(path_of(world, info.address), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0444);
    assert_true(artifact_stat(world->store, info.address, &found, NULL));
    assert_same(&found, &info);
    assert_true(artifact_verify(world->store, info.address, NULL));
    put(world, source, ARTIFACT_MOVE);
    assert_false(path_exists(source));
    assert_int_equal(count_all(world), 1);
    assert_int_equal(count_in(world, "tmp"), 0);
}

static void an_empty_file_and_an_empty_folder_are_artifacts(void **state)
{
    struct world *world = *state;
    char folder[200];
    struct artifact_info file = put(world, write_file(world, "e", ""), ARTIFACT_MOVE);
    assert_int_equal(file.n_bytes, 0);
    snprintf(folder, sizeof folder, "%s/empty", world->folder);
    assert_true(path_make_folders(folder, NULL));
    struct artifact_info info = put(world, folder, ARTIFACT_COPY);
    assert_true(info.is_folder);
    assert_int_equal(info.n_files, 0);
    assert_true(path_is_folder(path_of(world, info.address)));
    assert_true(artifact_verify(world->store, info.address, NULL));
}

static const char *make_folder(struct world *world, const char *name)
{
    static char path[200];
    char file[200];
    static const char *const files[] = {"model.json", "b/two", "b.txt", "a/deep/er/one"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(file, sizeof file, "%s/%s", name, files[i]);
        write_file(world, file, files[i]);
    }
    snprintf(path, sizeof path, "%s/%s/hollow/inside", world->folder, name);
    assert_true(path_make_folders(path, NULL));
    snprintf(path, sizeof path, "%s/%s", world->folder, name);
    return path;
}

static void a_folder_has_the_hash_of_its_manifest(void **state)
{
    struct world *world = *state;
    struct buf text;
    char hex[SHA256_HEX], one[SHA256_HEX], expected[PATH_MAX_BYTES];
    static const char *const sorted[] = {"a/deep/er/one", "b.txt", "b/two", "model.json"};
    struct artifact_info copied = put(world, make_folder(world, "first"), ARTIFACT_COPY), found;
    struct artifact_info moved = put(world, make_folder(world, "second"), ARTIFACT_MOVE);
    buf_init(&text);
    buf_str(&text, "nexus-folder 1\n");
    for (size_t i = 0; i < 4; i++) {
        sha256_of(sorted[i], strlen(sorted[i]), one);
        buf_printf(&text, "%s %zu %s\n", one, strlen(sorted[i]), sorted[i]);
    }
    sha256_of(text.data, text.len, hex);
    buf_fini(&text);
    assert_string_equal(copied.address + 7, hex);
    assert_same(&copied, &moved);
    assert_int_equal(copied.n_files, 4);
    assert_int_equal(copied.n_bytes, 13 + 5 + 5 + 10);
    snprintf(expected, sizeof expected, "%s/a/deep/er/one", path_of(world, copied.address));
    assert_string_equal(content_of(expected), "a/deep/er/one");
    snprintf(expected, sizeof expected, "%s/hollow", path_of(world, copied.address));
    assert_false(path_exists(expected));
    assert_true(path_exists(make_folder(world, "first")));
    snprintf(expected, sizeof expected, "%s/second", world->folder);
    assert_false(path_exists(expected));
    assert_true(artifact_stat(world->store, copied.address, &found, NULL));
    assert_same(&found, &copied);
    assert_true(artifact_verify(world->store, copied.address, NULL));
    assert_int_equal(count_in(world, "tmp"), 0);
}

struct listing {
    struct buf text;
    size_t most;
};

static bool add_entry(void *arg, const struct artifact_entry *entry)
{
    struct listing *listing = arg;
    buf_printf(&listing->text, "%s %d\n", entry->path, (int)entry->n_bytes);
    return --listing->most > 0;
}

static const char *files_from(struct world *world, const char *address, uint64_t from, size_t most)
{
    static char text[400];
    struct listing listing = {.most = most};
    assert_true(artifact_files(world->store, address, from, add_entry, &listing, NULL));
    snprintf(text, sizeof text, "%s", buf_text(&listing.text));
    buf_fini(&listing.text);
    return text;
}

static void the_files_of_a_folder_are_listed_from_anywhere(void **state)
{
    struct world *world = *state;
    struct nx_err err;
    struct artifact_info folder = put(world, make_folder(world, "f"), ARTIFACT_COPY);
    write_file(world, "one", "single");
    char path[300];
    snprintf(path, sizeof path, "%s/one", world->folder);
    struct artifact_info file = put(world, path, ARTIFACT_COPY);
    assert_string_equal(files_from(world, folder.address, 0, 100),
                        "a/deep/er/one 13\nb.txt 5\nb/two 5\nmodel.json 10\n");
    assert_string_equal(files_from(world, folder.address, 1, 2), "b.txt 5\nb/two 5\n");
    assert_string_equal(files_from(world, folder.address, 4, 100), "");
    assert_false(artifact_files(world->store, file.address, 0, add_entry, NULL, &err));
    assert_int_equal(err.code, NX_E_INVALID);
}

static void one_file_is_opened_by_the_path_of_the_list_alone(void **state)
{
    struct world *world = *state;
    static const char *const wrong[] = {"",           "b",      "b/",          "./b.txt",
                                        "b/../b.txt", "../f",   "/etc/passwd", "B.TXT",
                                        "b.txt ",     "a/deep", "zz"};
    struct artifact_info folder = put(world, make_folder(world, "f"), ARTIFACT_COPY);
    char sha256[SHA256_HEX], wanted[SHA256_HEX], text[16] = "";
    uint64_t n;
    int fd;
    struct nx_err err;
    assert_true(artifact_open_file(world->store, folder.address, "b/two", &fd, &n, sha256, NULL));
    assert_int_equal(n, 5);
    assert_int_equal(read(fd, text, sizeof text), 5);
    assert_string_equal(text, "b/two");
    close(fd);
    sha256_of("b/two", 5, wanted);
    assert_string_equal(sha256, wanted);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(
            artifact_open_file(world->store, folder.address, wrong[i], &fd, &n, sha256, &err));
        assert_int_equal(err.code, NX_E_NOT_FOUND);
    }
    assert_false(artifact_open_file(world->store, folder.address, NULL, &fd, &n, sha256, &err));
    assert_int_equal(err.code, NX_E_INVALID);
    write_file(world, "one", "single");
    char path[300];
    snprintf(path, sizeof path, "%s/one", world->folder);
    struct artifact_info file = put(world, path, ARTIFACT_COPY);
    assert_true(artifact_open_file(world->store, file.address, NULL, &fd, &n, sha256, NULL));
    close(fd);
    assert_string_equal(sha256, file.address + 7);
}

static void what_cannot_be_kept_is_refused_and_stays_where_it_is(void **state)
{
    struct world *world = *state;
    struct artifact_info info;
    struct nx_err err;
    char path[300];
    const char *folder = make_folder(world, "linked");
    snprintf(path, sizeof path, "%s/link", folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_false(artifact_put(world->store, folder, ARTIFACT_MOVE, &info, &err));
    assert_int_equal(err.code, NX_E_INVALID);
    assert_non_null(strstr(err.text, "linked/link"));
    assert_true(path_exists(folder));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(artifact_put(world->store, folder, ARTIFACT_COPY, &info, &err));
    assert_false(artifact_put(world->store, path, ARTIFACT_COPY, &info, &err));
    assert_int_equal(unlink(path), 0);
    write_file(world, "linked/two\nlines", "x");
    assert_false(artifact_put(world->store, folder, ARTIFACT_COPY, &info, &err));
    assert_false(artifact_put(world->store, "/nowhere/at/all", ARTIFACT_COPY, &info, &err));
    assert_int_equal(err.code, NX_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    assert_int_equal(count_in(world, "tmp"), 0);
    assert_int_equal(count_all(world), 0);
}

static void an_address_is_checked_before_it_is_a_path(void **state)
{
    struct world *world = *state;
    char path[PATH_MAX_BYTES];
    struct nx_err err;
    static const char *const bad[] = {
        "",
        "sha256:",
        "sha256:../../../../etc/passwd",
        "sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0",
        "sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(artifact_path(world->store, bad[i], path, sizeof path, &err));
        assert_int_equal(err.code, NX_E_INVALID);
    }
    const char *missing = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_false(artifact_path(world->store, missing, path, sizeof path, &err));
    assert_int_equal(err.code, NX_E_NOT_FOUND);
    assert_non_null(strstr(err.text, missing));
}

static void damage_is_found(void **state)
{
    struct world *world = *state;
    struct nx_err err;
    char path[PATH_MAX_BYTES];
    struct artifact_info file = put(world, write_file(world, "f", "right"), ARTIFACT_MOVE);
    struct artifact_info folder = put(world, make_folder(world, "d"), ARTIFACT_MOVE);
    path_join(path, sizeof path, path_of(world, folder.address), "b/two");
    chmod(path, 0644);
    assert_true(path_write(path, "B/two", 5, NULL));
    assert_false(artifact_verify(world->store, folder.address, &err));
    assert_int_equal(err.code, NX_E_DATA);
    assert_non_null(strstr(err.text, "b/two"));
    assert_int_equal(unlink(path), 0);
    assert_false(artifact_verify(world->store, folder.address, &err));
    assert_non_null(strstr(err.text, "lacks"));
    str_copy(path, sizeof path, path_of(world, file.address));
    chmod(path, 0644);
    assert_true(path_write(path, "wrong!", 6, NULL));
    assert_false(artifact_verify(world->store, file.address, &err));
    assert_int_equal(err.code, NX_E_DATA);
    /* Another size is seen when it is put again: the right one replaces it. */
    put(world, write_file(world, "f", "right"), ARTIFACT_MOVE);
    assert_true(artifact_verify(world->store, file.address, &err));
}

static bool keep_this(void *arg, const char *address)
{
    return str_eq(arg, address);
}

static void old_and_unreferenced_artifacts_are_swept(void **state)
{
    struct world *world = *state;
    uint64_t n = 0;
    struct nx_err err;
    char path[PATH_MAX_BYTES];
    struct artifact_info kept = put(world, write_file(world, "kept", "kept"), ARTIFACT_MOVE);
    struct artifact_info file = put(world, write_file(world, "file", "file"), ARTIFACT_MOVE);
    struct artifact_info folder = put(world, make_folder(world, "d"), ARTIFACT_MOVE);
    struct artifact_info fresh = put(world, write_file(world, "new", "new"), ARTIFACT_MOVE);
    clock_sleep_ms(30);
    int64_t then = clock_wall_ms();
    clock_sleep_ms(30);
    /* Putting it again makes it new. */
    put(world, write_file(world, "new", "new"), ARTIFACT_COPY);
    assert_true(artifact_sweep(world->store, then, keep_this, kept.address, &n, &err));
    assert_int_equal(n, 2);
    assert_true(artifact_path(world->store, kept.address, path, sizeof path, &err));
    assert_true(artifact_path(world->store, fresh.address, path, sizeof path, &err));
    assert_false(artifact_path(world->store, file.address, path, sizeof path, &err));
    assert_false(artifact_path(world->store, folder.address, path, sizeof path, &err));
    assert_int_equal(count_all(world), 2);
    assert_int_equal(count_in(world, "tmp"), 0);
    assert_int_equal(count_in(world, "sha256 -type f"), 2);
}

static void leftovers_of_a_crash_are_swept_once_they_are_old(void **state)
{
    struct world *world = *state;
    char path[PATH_MAX_BYTES];
    write_file(world, "store/tmp/0123/a/b", "half");
    write_file(world, "store/tmp/4567", "half");
    /* The files of a folder whose manifest never came. */
    write_file(world,
               "store/sha256/ab/"
               "ab7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.d/file",
               "x");
    assert_true(artifact_sweep(world->store, clock_wall_ms() - 60000, NULL, NULL, NULL, NULL));
    assert_int_equal(count_in(world, "tmp"), 4);
    assert_false(artifact_path(world->store,
                               "sha256:"
                               "ab7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                               path, sizeof path, NULL));
    clock_sleep_ms(20);
    assert_true(artifact_sweep(world->store, clock_wall_ms(), NULL, NULL, NULL, NULL));
    assert_int_equal(count_in(world, "tmp"), 0);
    assert_int_equal(count_in(world, "sha256/ab"), 0);
}

/* Puts the same files and folders as its siblings, in another order. */
static int put_many(struct world *world, int which)
{
    struct artifact_store *store;
    struct artifact_info info;
    struct nx_err err;
    if (!artifact_open(world->root, &store, &err))
        return 1;
    for (int i = 0; i < 40; i++) {
        char name[40], content[40];
        int n = which % 2 ? i : 39 - i;
        snprintf(name, sizeof name, "p%d/d%d/file", which, n);
        snprintf(content, sizeof content, "content %d", n);
        const char *file = write_file(world, name, content);
        char folder[200];
        str_copy(folder, sizeof folder, file);
        *strrchr(folder, '/') = 0;
        if (!artifact_put(store, file, ARTIFACT_COPY, &info, &err) ||
            !artifact_put(store, folder, n % 3 ? ARTIFACT_MOVE : ARTIFACT_COPY, &info, &err)) {
            fprintf(stderr, "%s\n", err.text);
            return 2;
        }
        if (n % 7 == 0)
            artifact_sweep(store, 0, NULL, NULL, NULL, NULL);
    }
    artifact_close(store);
    return 0;
}

static bool verify_one(void *arg, const char *address, int64_t put_wall_ms)
{
    struct world *world = arg;
    struct nx_err err = {0};
    (void)put_wall_ms;
    if (!artifact_verify(world->store, address, &err))
        fail_msg("%s", err.text);
    return true;
}

static void processes_put_the_same_things_at_once(void **state)
{
    struct world *world = *state;
    enum { N = 4 };
    for (int i = 0; i < N; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(put_many(world, i));
    }
    for (int i = 0; i < N; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_all(world), 80);
    assert_true(artifact_list(world->store, verify_one, world, NULL));
    assert_int_equal(count_in(world, "tmp"), 0);
}

static void a_process_killed_while_putting_harms_nothing(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(put_many(world, i));
        clock_sleep_ms(i);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
    assert_true(artifact_list(world->store, verify_one, world, NULL));
    assert_int_equal(put_many(world, 21), 0);
    assert_int_equal(count_all(world), 80);
    assert_true(artifact_list(world->store, verify_one, world, NULL));
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(a_file_is_found_by_the_hash_of_its_content),
        WITH_WORLD(an_empty_file_and_an_empty_folder_are_artifacts),
        WITH_WORLD(a_folder_has_the_hash_of_its_manifest),
        WITH_WORLD(the_files_of_a_folder_are_listed_from_anywhere),
        WITH_WORLD(one_file_is_opened_by_the_path_of_the_list_alone),
        WITH_WORLD(what_cannot_be_kept_is_refused_and_stays_where_it_is),
        WITH_WORLD(an_address_is_checked_before_it_is_a_path),
        WITH_WORLD(damage_is_found),
        WITH_WORLD(old_and_unreferenced_artifacts_are_swept),
        WITH_WORLD(leftovers_of_a_crash_are_swept_once_they_are_old),
        WITH_WORLD(processes_put_the_same_things_at_once),
        WITH_WORLD(a_process_killed_while_putting_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
