#include "cli/part.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/net/fetch.h"

bool part_init(struct part *part, const char *name, struct nx_err *err)
{
    *part = (struct part){.name = name, .output_fd = -1};
    if (!home_program(name, part->program, sizeof part->program, err))
        return false;
    part->argv[part->n_argv++] = part->program;
    return true;
}

void part_arg(struct part *part, const char *option, const char *value)
{
    must(part->n_argv + 2 <= PART_ARGS_MAX);
    part->argv[part->n_argv++] = option;
    part->argv[part->n_argv++] = value;
}

void part_flag(struct part *part, const char *option)
{
    must(part->n_argv < PART_ARGS_MAX);
    part->argv[part->n_argv++] = option;
}

/* In the child: a process group of its own, so that Ctrl-C reaches only us and we end it in order.
 */
_Noreturn static void become(const struct part *part, pid_t parent)
{
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null_fd = open("/dev/null", O_RDONLY);
    if (null_fd > 0)
        dup2(null_fd, STDIN_FILENO);
    if (part->output_fd >= 0) {
        dup2(part->output_fd, STDOUT_FILENO);
        dup2(part->output_fd, STDERR_FILENO);
    }
    execv(part->program, (char *const *)(uintptr_t)part->argv);
    _exit(127);
}

bool part_start(struct part *part, struct nx_err *err)
{
    pid_t parent = getpid();
    must(part->pid == 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return nx_fail(err, NX_E_IO, "cannot start %s: %s", part->name, strerror(errno));
    if (pid == 0)
        become(part, parent);
    part->pid = pid;
    part->started_ms = clock_mono_ms();
    part->n_starts++;
    return true;
}

void part_signal(const struct part *part, int number)
{
    if (part->pid > 0)
        kill(part->pid, number);
}

bool part_wait(struct part *part, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    while (part->pid > 0) {
        pid_t ended = waitpid(part->pid, NULL, WNOHANG);
        if (ended == part->pid || (ended < 0 && errno == ECHILD)) {
            part->pid = 0;
        } else if (clock_mono_ms() >= until) {
            return false;
        } else {
            clock_sleep_ms(5);
        }
    }
    return true;
}

const char *part_end_text(const struct part *part, int status, char *to, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(to, size, "by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(to, size, "with status %d%s", WEXITSTATUS(status),
                 WEXITSTATUS(status) == 75 && str_eq(part->name, "nexus-scheduler")
                     ? " (a commit failed: is the disk full?)"
                 : WEXITSTATUS(status) == 127 ? " (it could not be started)"
                                              : "");
    return to;
}

bool part_ready(struct cli *cli, const char *home, pid_t pid, char *url)
{
    struct home_part part;
    struct fetch_response answer = {0};
    struct nx_err err;
    char path[600];
    if (!home_read_part(home, "scheduler", &part) || part.pid != pid || !part.url[0])
        return false;
    snprintf(path, sizeof path, "%s/health/ready", part.url);
    struct fetch_request request = {.url = path, .connect_ms = 500, .timeout_ms = 2000};
    if (!cli->fetch)
        cli->fetch = fetch_new();
    if (!fetch_run(cli->fetch, &request, &answer, &err))
        return false;
    bool ready = answer.status == 200;
    fetch_response_fini(&answer);
    if (ready)
        str_copy(url, 512, part.url);
    return ready;
}
