#include "cli/templates.h"

/* The texts of dags/, kept equal by tests/e2e/test_cli_local. */
/* clang-format off */
static const char hello_yaml[] =
    "# A first DAG: three tasks, each a shell script. `nexus run dags/hello.yaml -p name=you` runs it.\n"
    "id: hello\n"
    "description: Greets somebody and counts the letters\n"
    "params:\n"
    "  name: {type: string, default: world, help: Whom to greet}\n"
    "\n"
    "tasks:\n"
    "  greet:\n"
    "    run: |\n"
    "      greeting=\"Hello, ${{ params.name }}!\"\n"
    "      echo \"$greeting\"\n"
    "      echo \"greeting=$greeting\" >> \"$NEXUS_OUTPUT\"\n"
    "\n"
    "  count:\n"
    "    needs: greet\n"
    "    run: |\n"
    "      text=\"${{ outputs.greet.greeting }}\"\n"
    "      echo \"letters=${#text}\" >> \"$NEXUS_OUTPUT\"\n"
    "\n"
    "  report:\n"
    "    needs: [greet, count]\n"
    "    run: echo \"'${{ outputs.greet.greeting }}' has ${{ outputs.count.letters }} characters\"\n";

static const char retries_yaml[] =
    "# What happens when something fails: a task that succeeds on its second attempt, one that may fail,\n"
    "# one that runs in any case, and one that cleans up at the very end.\n"
    "id: retries\n"
    "description: Retries, timeouts, trigger rules and a task that always cleans up\n"
    "defaults:\n"
    "  retries: 2\n"
    "  retry_delay: 100ms\n"
    "  timeout: 1m\n"
    "\n"
    "tasks:\n"
    "  flaky:\n"
    "    run: |\n"
    "      echo \"attempt $NEXUS_ATTEMPT\"\n"
    "      [ \"$NEXUS_ATTEMPT\" -ge 2 ]      # any other exit status than 0 is a failure\n"
    "\n"
    "  optional:\n"
    "    retries: 0\n"
    "    run: |\n"
    "      echo \"nothing to do today\"\n"
    "      exit 99                         # 99 means: skipped\n"
    "\n"
    "  combine:\n"
    "    needs: [flaky, optional]\n"
    "    trigger_rule: none_failed         # skipped ones do not matter\n"
    "    run: echo \"both have ended well\"\n"
    "\n"
    "  clean_up:\n"
    "    finally: true                     # runs when everything else has ended, also after a failure\n"
    "    run: echo \"cleaning up\"\n";

static const char report_yaml[] =
    "# A DAG with a script of its own: report.sh belongs to the DAG's version and lies in the working\n"
    "# folder of every attempt.\n"
    "id: report\n"
    "description: Measures two folders side by side and writes a report\n"
    "files: [report.sh]\n"
    "params:\n"
    "  left: {type: string, default: /usr/bin, help: A folder}\n"
    "  right: {type: string, default: /usr/lib, help: Another}\n"
    "\n"
    "tasks:\n"
    "  left:\n"
    "    run: echo \"count=$(ls \"${{ params.left }}\" | wc -l)\" >> \"$NEXUS_OUTPUT\"\n"
    "\n"
    "  right:\n"
    "    run: echo \"count=$(ls \"${{ params.right }}\" | wc -l)\" >> \"$NEXUS_OUTPUT\"\n"
    "\n"
    "  write:\n"
    "    needs: [left, right]\n"
    "    run: |\n"
    "      ./report.sh \"${{ params.left }}\" \"${{ outputs.left.count }}\" \\\n"
    "                  \"${{ params.right }}\" \"${{ outputs.right.count }}\" > \"$NEXUS_ARTIFACTS/report.txt\"\n"
    "      cat \"$NEXUS_ARTIFACTS/report.txt\"\n";

static const char report_sh[] =
    "#!/bin/sh\n"
    "# report.sh LEFT COUNT RIGHT COUNT: a table of two folders.\n"
    "set -eu\n"
    "printf '%-20s %6s\\n' folder entries \"$1\" \"$2\" \"$3\" \"$4\"\n";

static const char settings[] =
    "# Settings of this project; flags and NEXUS_* variables go before them.\n"
    "#listen: 127.0.0.1:8000   # address of API and page\n"
    "#slots: 4                 # tasks at a time (default: the number of CPUs)\n"
    "#pools: {database: 2}     # tasks with `pool: database` run at most two at a time\n"
    "#vars: {region: eu}       # ${{ vars.region }} in DAG files\n";

static const char ignore[] = ".nexus/\n";

const struct template_file template_common[] = {
    {"nexus.yaml", settings, false},
    {".gitignore", ignore, false},
    {0},
};

static const struct template_file hello_files[] = {
    {"dags/hello.yaml", hello_yaml, false},
    {0},
};

static const struct template_file retries_files[] = {
    {"dags/retries.yaml", retries_yaml, false},
    {0},
};

static const struct template_file report_files[] = {
    {"dags/report.yaml", report_yaml, false},
    {"dags/report.sh", report_sh, true},
    {0},
};

const struct template templates[] = {
    {"hello", "three tasks that hand values on", "nexus run dags/hello.yaml -p name=you", hello_files},
    {"retries", "retries, timeouts, trigger rules, cleaning up", "nexus run dags/retries.yaml", retries_files},
    {"report", "a DAG with a script of its own and an artifact", "nexus run dags/report.yaml", report_files},
};
/* clang-format on */

const size_t n_templates = sizeof templates / sizeof *templates;
