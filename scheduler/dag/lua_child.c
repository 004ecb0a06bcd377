/* Running a Lua DAG file in a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/path.h"
#include "lib/script/program.h"
#include "lib/text/json.h"
#include "nexus/limits.h"
#include "scheduler/dag/lua.h"

#define CHILD "nexus-scheduler"
#define CHILD_MEMORY_MAX (2ull * 1024 * 1024 * 1024) /* of addresses */
#define OUT_MAX (2u * NX_LUA_TREE_MAX)

extern char **environ;

/* ---- The child ---- */

static bool read_all(int fd, struct buf *to, size_t max)
{
    for (;;) {
        ssize_t n = read(fd, buf_reserve(to, 65536), 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        to->len += (size_t)n;
        if (to->len > max)
            return false;
    }
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0) {
            p += written;
            n -= (size_t)written;
        }
    }
    return true;
}

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
    bool ok = read_all(STDIN_FILENO, &text, NX_DAG_FILE_MAX);
    if (ok) {
        program_run(buf_text(&text), text.len, &tree);
        ok = write_all(STDOUT_FILENO, buf_text(&tree), tree.len);
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
    if (!write_all(fd, text, n) || lseek(fd, 0, SEEK_SET) != 0) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

/* Starts the child; 0, or errno. */
static int spawn(const char *program, int in, int out, pid_t *pid)
{
    char option[] = LUA_CHILD_OPTION;
    char *argv[] = {(char *)(uintptr_t)program, option, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t no_signals;
    sigemptyset(&no_signals);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &no_signals);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    int e = posix_spawn(pid, program, &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return e;
}

/* Reads until the end, or the deadline; false: the deadline, or too much. */
static bool read_answer(int fd, struct buf *to)
{
    int64_t until = clock_mono_ms() + NX_LUA_MS, left;
    while ((left = until - clock_mono_ms()) > 0) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, (int)left) <= 0)
            continue;
        ssize_t n = read(fd, buf_reserve(to, 65536), 65536);
        if (n <= 0)
            return true;
        to->len += (size_t)n;
        if (to->len > OUT_MAX)
            return false;
    }
    return false;
}

static json_t *tree_of(pid_t pid, int fd)
{
    struct buf out;
    struct nx_err err;
    char text[128];
    int status = 0;
    json_t *tree;
    buf_init(&out);
    bool in_time = read_answer(fd, &out);
    if (!in_time)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!in_time || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)) {
        snprintf(text, sizeof text, "the file ran for more than %d s and was stopped",
                 in_time ? NX_LUA_CPU_S : NX_LUA_MS / 1000);
        tree = error_tree(text, "a DAG file only says what is to be done: let tasks do the work");
    } else if (status != 0 || !(tree = js_read(buf_text(&out), out.len, "Lua", &err))) {
        snprintf(text, sizeof text, "the process that runs the file ended with %s %d",
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        tree = error_tree(text, "does it build too much? Each file may take 128 MiB of memory");
    }
    buf_fini(&out);
    return tree;
}

json_t *lua_run_apart(const char *text, size_t n)
{
    char program[PATH_MAX_BYTES];
    struct nx_err err;
    int fds[2] = {-1, -1}, e = 0;
    pid_t pid;
    json_t *tree = NULL;
    if (!path_find_program(CHILD, program, sizeof program, &err))
        return error_tree(err.text, "Lua files are run by it: is the installation complete?");
    int in = text_file(text, n);
    if (in < 0 || pipe2(fds, O_CLOEXEC) != 0)
        e = errno;
    else
        e = spawn(program, in, fds[1], &pid);
    if (fds[1] >= 0)
        close(fds[1]);
    if (e == 0) {
        tree = tree_of(pid, fds[0]);
    } else {
        nx_fail(&err, NX_E_IO, "cannot start the process that runs it: %s", strerror(e));
        tree = error_tree(err.text, "save the file again to have it tried again");
    }
    if (fds[0] >= 0)
        close(fds[0]);
    if (in >= 0)
        close(in);
    return tree;
}
