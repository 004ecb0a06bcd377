# A real scheduler and worker for end-to-end tests in bash: to be sourced from the root of the tree.
# Makes $dir with dags/ and home/; everything that is started is ended at exit, and nothing of it may
# be left. Every process has TEST_HOME=$dir in its environment.

bin=${NEXUS_BIN:-$PWD/build/release/bin}
slower=1
case ${NEXUS_MODE:-} in asan) slower=4 ;; tsan) slower=8 ;; esac
dir=$(mktemp -d)
dir=$(cd "$dir" && pwd -P)
mkdir "$dir/dags" "$dir/home"
unset NEXUS_HOME NEXUS_URL NEXUS_AUTH NEXUS_TOKEN NEXUS_LISTEN NEXUS_DAGS NEXUS_SLOTS NEXUS_GRACE NEXUS_LOG_MAX NEXUS_LOST_AFTER
export TEST_HOME=$dir NO_COLOR=1
passed=0 failed=0 url='' scheduler='' worker=''

finish() {
    [[ -z $worker ]] || kill -9 "$worker" 2>/dev/null
    [[ -z $scheduler ]] || kill -9 "$scheduler" 2>/dev/null
    wait 2>/dev/null
    local file pid
    for file in $(grep -lszF "TEST_HOME=$dir" /proc/[0-9]*/environ 2>/dev/null); do
        pid=${file#/proc/} pid=${pid%/environ}
        [[ $pid == "$$" || $pid == "$BASHPID" ]] || kill -9 "$pid" 2>/dev/null
    done
    chmod -R u+w "$dir"
    rm -rf "$dir"
}
trap finish EXIT

fail() { # TEXT...
    failed=$((failed + 1))
    echo "FAILED: line ${BASH_LINENO[1]}: $*"
}

# holds NAME COMMAND...
holds() {
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else fail "$name: $*"; fi
}

# within SECONDS COMMAND...: true as soon as the command is
within() {
    local ms=$(($1 * 1000 * slower)) start=${EPOCHREALTIME/[.,]/}
    shift
    while ! "$@"; do
        ((${EPOCHREALTIME/[.,]/} - start < ms * 1000)) || return 1
        sleep 0.01
    done
}

url_of() { # the address of the scheduler that is this process
    [[ $(jq -r .pid "$dir/home/run/scheduler.json" 2>/dev/null) == "$scheduler" ]] || return 1
    url=$(jq -r .url "$dir/home/run/scheduler.json")
}

start_scheduler() {
    (cd "$dir" && exec "$bin/nexus-scheduler" --home home --dags dags --listen 127.0.0.1:0 >>"$dir/scheduler.log" 2>&1) &
    scheduler=$!
    within 10 url_of && within 10 curl -fso /dev/null "$url/health/ready" && return
    echo "the scheduler does not start:"
    tail -5 "$dir/scheduler.log"
    exit 1
}

start_worker() { # [OPTION...]
    (cd "$dir" && exec "$bin/nexus-worker" --home home "$@" >>"$dir/worker.log" 2>&1) &
    worker=$!
}

stop() { # PID [SIGNAL]
    kill "-${2:-TERM}" "$1" && wait "$1" 2>/dev/null
}

# The answer's body in $dir/answer, its status in $status.
api() { # METHOD PATH [BODY]
    status=$(curl -sS -o "$dir/answer" -w '%{http_code}' -X "$1" ${3:+-H 'Content-Type: application/json' -d "$3"} \
        "$url/api/v1$2" 2>/dev/null) || status=0
}

# check NAME JQ-EXPRESSION: true of the last answer
check() {
    if jq -e "$2" "$dir/answer" >/dev/null 2>&1; then
        passed=$((passed + 1))
    else
        fail "$1: $2"
        head -c 1500 "$dir/answer"
        echo
    fi
}

is() { # PATH JQ-EXPRESSION: true of what the API says now
    api GET "$1"
    jq -e "$2" "$dir/answer" >/dev/null 2>&1
}

trigger() { # DAG: the run's id is in $run
    api POST "/dags/$1/runs" '{}'
    run=$(jq -r '.id // empty' "$dir/answer")
    [[ $run ]] || fail "no run of $1: $(head -c 500 "$dir/answer")"
}

ended() { is "/runs/$run" '.state | IN("success", "failed", "cancelled")'; }

# Waits for the end of $run.
await_run() { # [SECONDS]
    within "${1:-20}" ended && return
    fail "run $run does not end"
    api GET "/runs/$run/explain"
    head -c 1500 "$dir/answer"
    tail -5 "$dir/scheduler.log" "$dir/worker.log"
}

# A task's instance and the log of an attempt.
task() { api GET "/runs/$run/tasks/$1"; }
log_of() { # TASK [ATTEMPT]
    curl -sS "$url/api/v1/runs/$run/tasks/$1/attempts/${2:-1}/log"
}

# No process carries a mark of an attempt of this home, but for the children that wait for work.
no_attempts_left() {
    local file
    for file in $(grep -lszF "TEST_HOME=$dir" /proc/[0-9]*/environ 2>/dev/null); do
        ! tr '\0' '\n' <"$file" 2>/dev/null | grep -q '^NEXUS_LEASE=.*\.' || return 1
    done
}

# Ends both in order; then nothing of this home may be there.
stop_all() {
    [[ -z $worker ]] || holds 'the worker ends in order' stop "$worker"
    [[ -z $scheduler ]] || holds 'the scheduler ends in order' stop "$scheduler"
    worker='' scheduler=''
    local file pid
    for file in $(grep -lszF "TEST_HOME=$dir" /proc/[0-9]*/environ 2>/dev/null); do
        pid=${file#/proc/} pid=${pid%/environ}
        [[ $pid != "$$" && $pid != "$BASHPID" && -s /proc/$pid/cmdline ]] || continue
        fail "left behind: process $pid: $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")"
    done
}

the_end() {
    stop_all
    echo "$passed passed, $failed failed"
    [[ $failed == 0 ]]
    exit
}
