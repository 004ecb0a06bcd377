"""A store with a long history: ended runs of TASKS tasks each, of DAGS DAGs, written with SQL into the real schema."""
import os
import sqlite3
import time

DAGS, TASKS, CHUNK = 100, 10, 50000
OLD = 1000  # only the first runs are of old_one: it is far from the newest
SUCCESS, FAILED, CANCELLED = 3, 4, 5
MANUAL, SCHEDULE = 0, 1
DAG = f"case when i <= {OLD} then 'old_one' else 'dag_' || (i % {DAGS}) end"

# One in 50 failed, one in 1,000 was cancelled, one in 5,000 late; dag_7 has only successes, dag_99 only failures.
STATE = f"""case when i % {DAGS} = 7 then {SUCCESS} when i % {DAGS} = 99 then {FAILED}
 when i % 1000 = 1 then {CANCELLED} when i % 50 = 3 then {FAILED} else {SUCCESS} end"""
NUMBERS = "with recursive n(i) as (select ?1 union all select i + 1 from n where i < ?2)"
# One in 100,000 was started by hand; one in 20,000 has a note, one alone the word needle.
RUN = f"""insert into run (run, dag, version, state, cause, reason, backfill, interval_start, interval_finish, params,
 note, created_at, started_at, finished_at, counts, claims, late_at, deadline_at) {NUMBERS}
 select i, v.id, v.version, {STATE}, case when i % 100000 = 5 then {MANUAL} else {SCHEDULE} end, 0, 0,
 i * 1000, i * 1000 + 1000, '{{}}',
 case when i = 13 then 'the needle' when i % 20000 = 11 then 'looked at by ' || i end,
 ?3 + i * 1000, ?3 + i * 1000 + 5, ?3 + i * 1000 + 900, '0,0,0,0,0,0,0,0,{TASKS}', 1,
 case when i % 5000 = 0 then ?3 + i * 1000 + 800 end, ?3 + i * 1000 + 800
 from n join dag v on v.id = {DAG}"""
INSTANCE = f"""insert into task_instance (run, task, map_index, state, reason, answered, attempt, lease, failures, losses,
 worker, ready_at, started_at, finished_at, outcome, exit_code, cpu_us) {NUMBERS},
 t(k) as (values {", ".join(f"({k})" for k in range(TASKS))})
 select i, k, -1, 8, 0, 0, 1, 1, 0, 0, 1, ?3 + i * 1000, ?3 + i * 1000 + 5, ?3 + i * 1000 + 900, 1, 0, 500
 from n cross join t"""
OUTPUT = f"""insert into output (run, task, map_index, json) {NUMBERS} select i, 0, -1, '{{"rows":1}}' from n
 where i % 10 = 0"""
ATTEMPT = f"""insert into attempt (run, task, map_index, attempt, outcome, worker, started_at, finished_at) {NUMBERS}
 select i, 1, -1, 0, 2, 1, ?3 + i * 1000, ?3 + i * 1000 + 5 from n where i % 50 = 3"""
AUDIT = f"""insert into audit (at, who, what, target) {NUMBERS} select ?3 + i, 'bench', 'dag.trigger', 'x' from n
 where i % 10 = 0"""


def write_dags(folder):
    """Their files; the operator and the tag of old_one are of no other."""
    os.makedirs(folder, exist_ok=True)
    for name in ["old_one"] + [f"dag_{i}" for i in range(DAGS)]:
        old = name == "old_one"
        with open(f"{folder}/{name}.yaml", "w") as file:
            file.write(f"id: {name}\ntags: [{'rare' if old else 'usual'}]\nschedule: '@daily'\ntasks:\n"
                       + "".join(f"  {'old' if old else 't'}{k}: {{uses: flow.{'join' if old else 'noop'}"
                                 + (f", needs: {'old' if old else 't'}{k - 1}" if k else "") + "}\n" for k in range(TASKS)))


def fill(path, n):
    """n runs, the last an hour ago, one each second before; the store's DAGs are those of write_dags."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("pragma synchronous = off")
    db.execute("pragma cache_size = -200000")
    began = int((time.time() - n - 3600) * 1000)
    for first in range(1, n + 1, CHUNK):
        span = {"1": first, "2": min(first + CHUNK - 1, n), "3": began}
        db.execute("begin")
        for text in (RUN, INSTANCE, OUTPUT, ATTEMPT, AUDIT):
            used = [span[c] for c in "123" if f"?{c}" in text]
            db.execute(text, used)
        db.execute("commit")
    db.execute("pragma wal_checkpoint(truncate)")
    db.close()


def make(server, n):
    """Fills the store of a server that was never started: how long it took, in seconds. The server does not run."""
    write_dags(server.dags)
    server.start_scheduler()
    server.wait_dags(DAGS + 1)
    server.stop()
    start = time.monotonic()
    fill(f"{server.home}/nexus.db", n)
    return time.monotonic() - start
