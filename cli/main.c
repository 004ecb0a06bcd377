/* nexus: the command line. */
#include <signal.h>
#include <stdio.h>

#include "cli/api.h"
#include "cli/command.h"
#include "cli/live.h"

int main(int argc, char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct cli cli;
    cli_init(&cli);
    sigaction(SIGPIPE, &ignore, NULL);
    int status = cli_parse(&cli, argc, argv);
    if (status == CLI_OVER)
        status = CLI_DONE;
    else if (status == CLI_DONE)
        status = cli.command->run(&cli);
    api_fini(&cli);
    cli_fini(&cli);
    if (fflush(stdout) != 0 && status == CLI_DONE)
        status = CLI_FAILED;
    while (live_sleep(0)) /* a second Ctrl-C that came while it ended has nothing left to do */
        ;
    return status;
}
