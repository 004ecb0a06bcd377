/* nexus-task: runs operators and scripts, one attempt at a time, each child a process of its own.
 *
 *   --child            serve a worker's attempts on descriptor 3
 *   --run FILE | -     one attempt by itself (--result FILE: where its result goes, else stdout)
 *   --rows REQUEST     rows of the table on stdin, as JSON (rows.h)
 *   --catalog          all operators as JSON
 *   --version */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/text/json.h"
#include "tasks/catalog.h"
#include "tasks/once.h"
#include "tasks/rows.h"
#include "tasks/serve.h"

#define SPEC_MAX (32 * 1024 * 1024)

/* What a signal handler can reach. */
static struct cancel *the_cancel;

static void on_terminate(int number)
{
    (void)number;
    if (the_cancel)
        cancel_signal(the_cancel);
}

static void prepare(struct runtime *runtime)
{
    the_cancel = &runtime->cancel;
    struct sigaction terminate = {.sa_handler = on_terminate};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &terminate, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    /* A terminal's Ctrl-C reaches the worker too, and the worker decides. */
    sigaction(SIGINT, runtime->alone ? &terminate : &ignore, NULL);
    if (!runtime->alone)
        sigaction(SIGHUP, &ignore, NULL);
    /* What a script leaves behind becomes our child, so that it can be found. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        die(1, "cannot open /dev/null: %s", strerror(errno));
    dup2(null_fd, STDIN_FILENO);
    close(null_fd);
}

static int child(void)
{
    int fd = CHILD_FD;
    struct runtime runtime;
    struct nx_err err;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        die(2, "--child needs the worker's socket as descriptor %d", CHILD_FD);
    runtime_init(&runtime, fd, (struct sink){serve_send, &fd});
    prepare(&runtime);
    bool ok = serve_run(&runtime, fd, &err);
    runtime_fini(&runtime);
    if (!ok)
        die(1, "%s", err.text);
    return 0;
}

static bool read_spec(const char *path, struct buf *spec, struct nx_err *err)
{
    return path_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, SPEC_MAX, spec, err);
}

static int once(const char *path, const char *result_path)
{
    struct runtime runtime;
    struct nx_err err;
    struct buf spec;
    json_t *result = json_object();
    buf_init(&spec);
    json_object_set_new(result, "metrics", json_array());
    if (!read_spec(path, &spec, &err))
        die(2, "%s", err.text);
    runtime_init(&runtime, -1, (struct sink){once_collect, &result});
    runtime.alone = true;
    prepare(&runtime);
    if (!once_run(&runtime, buf_text(&spec), spec.len, &err))
        die(2, "%s: %s", path, err.text);
    runtime_fini(&runtime);
    char *text = js_text(result);
    if (result_path && !path_write(result_path, text, strlen(text), &err))
        die(1, "%s", err.text);
    if (!result_path)
        printf("%s\n", text);
    const char *outcome = js_get_text(result, "outcome", "failed");
    int status = strcmp(outcome, "success") == 0 || strcmp(outcome, "skipped") == 0 ? 0 : 1;
    mem_free(text);
    json_decref(result);
    buf_fini(&spec);
    return status;
}

static int catalog(void)
{
    struct buf text;
    buf_init(&text);
    catalog_write(&text);
    size_t n = fwrite(text.data, 1, text.len, stdout);
    if (n != text.len || fflush(stdout) != 0)
        die(1, "cannot write the catalog: %s", strerror(errno));
    buf_fini(&text);
    return 0;
}

int main(int argc, char **argv)
{
    log_open("nexus-task", LOG_INFO);
    const char *mode = argc > 1 ? argv[1] : "";
    clock_begin(false);
    if (strcmp(mode, "--child") == 0 && argc == 2)
        return child();
    if (strcmp(mode, "--catalog") == 0 && argc == 2)
        return catalog();
    if (strcmp(mode, "--rows") == 0 && argc == 3)
        return rows_child(argv[2]);
    if (strcmp(mode, "--run") == 0 && argc == 3)
        return once(argv[2], NULL);
    if (strcmp(mode, "--run") == 0 && argc == 5 && strcmp(argv[3], "--result") == 0)
        return once(argv[2], argv[4]);
    if (strcmp(mode, "--version") == 0 && argc == 2) {
        printf("nexus-task %s\n", NEXUS_VERSION);
        return 0;
    }
    fprintf(stderr,
            "usage: nexus-task --child | --run SPEC.json [--result FILE] | --rows REQUEST | "
            "--catalog | --version\n");
    return 2;
}
