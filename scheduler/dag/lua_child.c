/* Running a Lua DAG file in a process of its own. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/apart.h"
#include "lib/base/buf.h"
#include "lib/base/path.h"
#include "lib/script/program.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/dag/lua.h"

#define CHILD "nexus-scheduler"
#define CHILD_MEMORY_MAX (2ull * 1024 * 1024 * 1024) /* of addresses */
#define OUT_MAX (2u * NX_LUA_TREE_MAX)

/* ---- The child ---- */

int lua_child(void)
{
    struct buf text, tree;
    struct rlimit none = {0, 0}, cpu = {NX_LUA_CPU_S, NX_LUA_CPU_S + 1};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_CPU, &cpu);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    struct rlimit memory = {CHILD_MEMORY_MAX, CHILD_MEMORY_MAX};
    setrlimit(RLIMIT_AS, &memory);
#endif
    buf_init(&text);
    buf_init(&tree);
    bool ok = apart_read(STDIN_FILENO, &text, NX_DAG_FILE_MAX);
    if (ok) {
        program_run(buf_text(&text), text.len, &tree);
        ok = apart_write(STDOUT_FILENO, buf_text(&tree), tree.len);
    }
    buf_fini(&text);
    buf_fini(&tree);
    return ok ? 0 : 1;
}

/* ---- Its parent ---- */

static json_t *error_tree(const char *message, const char *hint)
{
    return json_pack("{s:{s:i,s:o,s:o}}", "error", "line", 0, "message", js_string(message), "hint",
                     js_string(hint));
}

/* The text as a file that can be read from its beginning; -1: errno. */
static int text_file(const char *text, size_t n)
{
    int fd = memfd_create("lua", MFD_CLOEXEC);
    if (fd < 0)
        return -1;
    if (!apart_write(fd, text, n) || lseek(fd, 0, SEEK_SET) != 0) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static json_t *tree_of(enum apart_end end, int status, const struct buf *out)
{
    char text[128];
    struct nx_err err;
    bool late = end == APART_LATE || end == APART_TOO_LONG;
    if (late || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)) {
        snprintf(text, sizeof text, "the file ran for more than %d s and was stopped",
                 late ? NX_LUA_MS / 1000 : NX_LUA_CPU_S);
        return error_tree(text, "a DAG file only says what is to be done: let tasks do the work");
    }
    json_t *tree = status == 0 ? js_read(buf_text(out), out->len, "Lua", &err) : NULL;
    if (tree)
        return tree;
    snprintf(text, sizeof text, "the process that runs the file ended with %s %d",
             WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return error_tree(text, "does it build too much? Each file may take 128 MiB of memory");
}

json_t *lua_run_apart(const char *text, size_t n)
{
    char program[PATH_MAX_BYTES];
    const char *argv[] = {program, LUA_CHILD_OPTION, NULL};
    struct nx_err err;
    struct buf out;
    int status = 0;
    if (!path_find_program(CHILD, program, sizeof program, &err))
        return error_tree(err.text, "Lua files are run by it: is the installation complete?");
    int in = text_file(text, n);
    const struct apart apart = {
        .argv = argv, .in = in, .out_max = OUT_MAX, .timeout_ms = NX_LUA_MS};
    buf_init(&out);
    enum apart_end end = in < 0 ? APART_NOT_STARTED : apart_run(&apart, &out, &status);
    json_t *tree;
    if (end == APART_NOT_STARTED) {
        nx_fail(&err, NX_E_IO, "cannot start the process that runs it: %s", strerror(errno));
        tree = error_tree(err.text, "save the file again to have it tried again");
    } else {
        tree = tree_of(end, status, &out);
    }
    buf_fini(&out);
    if (in >= 0)
        close(in);
    return tree;
}
