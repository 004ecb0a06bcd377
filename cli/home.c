#include "cli/home.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/text/json.h"

/* `path` made absolute: relative ones start where we stand. */
static bool make_absolute(const char *project, const char *path, char *to)
{
    while (path[0] == '.' && path[1] == '/')
        path += 2;
    return path_join(to, PATH_MAX_BYTES, project, path);
}

int home_find(const struct cli *cli, struct home *home)
{
    struct nx_err err;
    if (!getcwd(home->project, sizeof home->project))
        return cli_fail(CLI_FAILED, "the current folder cannot be read: %s", strerror(errno));
    settings_init(&home->settings);
    if (!settings_load(&home->settings, "", &err)) {
        settings_fini(&home->settings);
        return cli_fail(CLI_USAGE, "%s", err.text);
    }
    const char *path = cli_get(cli, "home"), *dags = cli_get(cli, "dags");
    path = path ? path : home->settings.home ? home->settings.home : ".nexus";
    dags = dags ? dags : home->settings.dags ? home->settings.dags : "dags";
    home->listen = cli_get(cli, "listen");
    if (!home->listen)
        home->listen = home->settings.listen ? home->settings.listen : SETTINGS_LISTEN;
    if (!*path || !*dags || !make_absolute(home->project, path, home->path) ||
        !make_absolute(home->project, dags, home->dags)) {
        settings_fini(&home->settings);
        return cli_fail(CLI_USAGE, "the path of home or dags is empty or too long");
    }
    return CLI_DONE;
}

void home_fini(struct home *home)
{
    settings_fini(&home->settings);
}

static bool run_file(const char *home, const char *name, const char *end, char *to)
{
    int n = snprintf(to, PATH_MAX_BYTES, "%s/run/%s%s", home, name, end);
    return n > 0 && n < PATH_MAX_BYTES;
}

void home_command_of(pid_t pid, char *to, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    to[0] = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, to, size - 1);
    close(fd);
    size_t len = n > 0 ? (size_t)n : 0;
    while (len && !to[len - 1])
        len--;
    to[len] = 0;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)to[i] < 32)
            to[i] = ' ';
    }
}

bool home_read_part(const char *home, const char *name, struct home_part *part)
{
    char path[PATH_MAX_BYTES];
    struct buf text = {0};
    *part = (struct home_part){0};
    if (!run_file(home, name, ".json", path) || !path_read(path, 65536, &text, NULL)) {
        buf_fini(&text);
        return false;
    }
    json_t *json = js_read(buf_text(&text), text.len, path, NULL);
    buf_fini(&text);
    part->pid = (pid_t)js_get_int(json, "pid", 0);
    str_copy(part->url, sizeof part->url, js_get_text(json, "url", ""));
    str_copy(part->started_at, sizeof part->started_at, js_get_text(json, "started_at", ""));
    json_decref(json);
    if (part->pid <= 0 || (kill(part->pid, 0) != 0 && errno == ESRCH))
        return false;
    home_command_of(part->pid, part->command, sizeof part->command);
    return true;
}

bool home_locked(const char *home, const char *name)
{
    char path[PATH_MAX_BYTES];
    if (!run_file(home, name, "", path))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return held;
}

bool home_program(const char *name, char *to, size_t size, struct nx_err *err)
{
    return path_find_program(name, to, size, err);
}

/* The inode of the socket that listens on the port, from /proc/net/tcp or tcp6; 0: none. */
static unsigned long listening_inode(const char *table, uint16_t port)
{
    char line[512];
    unsigned long inode = 0;
    FILE *file = fopen(table, "re");
    while (file && !inode && fgets(line, sizeof line, file)) {
        unsigned local = 0, state = 0;
        unsigned long found = 0;
        int n = sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu",
                       &local, &state, &found);
        if (n == 3 && state == 0x0a && local == port)
            inode = found;
    }
    if (file)
        fclose(file);
    return inode;
}

/* Whether the process has that socket open. */
static bool holds_socket(const char *pid, const char *wanted)
{
    char folder[300], path[600], target[64];
    bool found = false;
    snprintf(folder, sizeof folder, "/proc/%s/fd", pid);
    DIR *fds = opendir(folder);
    for (struct dirent *e; fds && !found && (e = readdir(fds));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        ssize_t n = readlink(path, target, sizeof target - 1);
        target[n > 0 ? n : 0] = 0;
        found = str_eq(target, wanted);
    }
    if (fds)
        closedir(fds);
    return found;
}

pid_t home_port_owner(uint16_t port)
{
    char wanted[64];
    pid_t owner = 0;
    unsigned long inode = listening_inode("/proc/net/tcp", port);
    if (!inode)
        inode = listening_inode("/proc/net/tcp6", port);
    if (!inode)
        return 0;
    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    DIR *proc = opendir("/proc");
    for (struct dirent *e; proc && !owner && (e = readdir(proc));) {
        int64_t pid;
        if (str_parse_int(e->d_name, &pid) && holds_socket(e->d_name, wanted))
            owner = (pid_t)pid;
    }
    if (proc)
        closedir(proc);
    return owner;
}

static bool try_bind(const struct addrinfo *address)
{
    int one = 1;
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true; /* then it is not the port that is wrong */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool taken = bind(fd, address->ai_addr, address->ai_addrlen) != 0 && errno == EADDRINUSE;
    if (!taken)
        taken = listen(fd, 1) != 0 && errno == EADDRINUSE;
    close(fd);
    return !taken;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    const struct sockaddr_in *ip4 = (const void *)address;
    return address->sa_family == AF_INET && ntohl(ip4->sin_addr.s_addr) >> 24 == 127;
}

bool home_port_free(const char *host, uint16_t port, bool auth, struct nx_err *err)
{
    char service[8], command[256];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    snprintf(service, sizeof service, "%u", port);
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0)
        return nx_fail(err, NX_E_INVALID, "cannot listen on %s: %s", host, gai_strerror(rc));
    bool welcome = auth || is_loopback(found->ai_addr), free_port = !welcome || try_bind(found);
    freeaddrinfo(found);
    if (!welcome)
        return nx_fail(err, NX_E_DENIED,
                       "will not listen on %s: other machines could reach it, and nobody is asked "
                       "who he is; --auth tokens asks, or use 127.0.0.1",
                       host);
    if (free_port || port == 0)
        return true;
    pid_t owner = home_port_owner(port);
    if (!owner)
        return nx_fail(err, NX_E_BUSY, "port %u of %s is held by another program", port, host);
    home_command_of(owner, command, sizeof command);
    return nx_fail(err, NX_E_BUSY, "port %u of %s is held by process %d (%.200s)", port, host,
                   (int)owner, command);
}

/* The server that is meant, when it is not the home's. */
static const char *url_said(const struct cli *cli)
{
    const char *said = cli_get(cli, "url");
    said = said ? said : getenv("NEXUS_URL");
    return said && *said ? said : NULL;
}

void home_token(const struct cli *cli, char *to, size_t size)
{
    struct home home;
    struct buf text = {0};
    char path[PATH_MAX_BYTES + 16];
    const char *said = getenv("NEXUS_TOKEN");
    to[0] = 0;
    if (said && *said) {
        str_copy(to, size, said);
        return;
    }
    if (url_said(cli) || home_find(cli, &home) != CLI_DONE)
        return;
    snprintf(path, sizeof path, "%s/run/token", home.path);
    if (path_read(path, size - 1, &text, NULL))
        str_copy(to, size, buf_text(&text));
    buf_fini(&text);
    home_fini(&home);
}

int home_url(const struct cli *cli, char *to, size_t size)
{
    struct home home;
    struct home_part part;
    const char *said = url_said(cli), *named = getenv("NEXUS_HOME");
    if (said) {
        if (!str_starts(said, "http://") && !str_starts(said, "https://"))
            return cli_fail(CLI_USAGE, "the address '%s' does not begin with http:// or https://",
                            said);
        bool fits = str_copy(to, size, said);
        for (size_t n = strlen(to); n && to[n - 1] == '/';)
            to[--n] = 0;
        return fits ? CLI_DONE : cli_fail(CLI_USAGE, "the address is too long");
    }
    int status = home_find(cli, &home);
    if (status)
        return status;
    if (home_read_part(home.path, "scheduler", &part) && part.url[0])
        str_copy(to, size, part.url);
    else if (cli_given(cli, "home") || (named && *named))
        /* Who names a home does not mean what runs elsewhere. */
        status =
            cli_fail(CLI_UNREACHABLE,
                     "nothing runs on the home %s; `nexus up --home %s` starts it, --url names "
                     "a server elsewhere",
                     home.path, home.path);
    else
        snprintf(to, size, "http://%s%s", home.listen[0] == ':' ? "127.0.0.1" : "", home.listen);
    home_fini(&home);
    return status;
}
