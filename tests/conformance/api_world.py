"""A real scheduler and worker with some of everything, for the tests of the API's document."""
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

BIN = os.environ.get("NEXUS_BIN") or os.path.join(os.getcwd(), "build/release/bin")
SLOWER = {"asan": 4, "tsan": 8}.get(os.environ.get("NEXUS_MODE", "release"), 1)

DAGS = {
    "etl.yaml": """
id: etl
description: Loads <b>what</b> "came" in
schedule: ["0 3 * * *", {every: 1h}]
tags: [nightly, ml]
params:
  days: {type: integer, default: 30, min: 1, max: 365, help: Days of history}
  mode: {type: string, default: full, choices: [full, quick]}
tasks:
  fetch:
    run: 'echo "days=${{ params.days }}"; echo "rows=3" >> "$NEXUS_OUTPUT"; echo "0.5 half" >> "$NEXUS_PROGRESS"'
    produces: [raw]
  check: {run: "for i in 1 2 3; do echo line $i; done; printf 'day,n\\n1,2\\n' >$NEXUS_ARTIFACTS/days.csv; mkdir $NEXUS_ARTIFACTS/more; echo 1 >$NEXUS_ARTIFACTS/more/one", needs: fetch, group: checks}
  join: {run: "true", needs: check, if: "params.days > 0", concurrency: {key: joins, limit: 2}}
  tidy: {run: "true", finally: true}
""",
    "fails.yaml": """
id: fails
tasks:
  bad: {run: "echo oh no >&2; exit 3", retries: 1, retry_delay: 0s, on_failure: [{command: ["true"]}]}
  after: {run: "true", needs: bad}
""",
    "maps.yaml": """
id: maps
schedule: {dataset: raw}
tasks:
  list: {run: "echo '{\\"items\\": [0,1,2]}' >> $NEXUS_OUTPUT", consumes: [raw]}
  each: {for_each: "${{ outputs.list.items }}", if: "index ~= 1", run: "true", needs: list}
  sum: {run: "true", needs: each, trigger_rule: all_done, produces: [sums]}
""",
    "ask.yaml": """
id: ask
tasks:
  may: {uses: flow.approve, with: {message: "Ship it?", form: {reason: {type: string, required: true}}}}
  ship: {run: "echo shipped", needs: may}
""",
    "long.yaml": """
id: long
tasks:
  sleepy: {run: "echo '0.25 a quarter' >> $NEXUS_PROGRESS; echo begun; sleep 600"}
  gated: {run: "true", pool: nowhere}
""",
    "broken.yaml": "id: broken\ntasks:\n  a: {run: 'true', neeeds: b}\n",
}


class World:
    """with World() as world: ..."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp()
        self.processes = []
        os.makedirs(self.dir + "/dags")
        os.makedirs(self.dir + "/home")
        for name, text in DAGS.items():
            with open(f"{self.dir}/dags/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def start(self):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("NEXUS_")}
        clean.update(TEST_HOME=self.dir, NEXUS_CONN_OUTSIDE="https://example.invalid/x", NEXUS_SECRET_OUTSIDE="s")
        self.env = clean
        self.spawn("nexus-scheduler", "--dags", "dags", "--listen", "127.0.0.1:0")
        self.until(self.read_url)
        self.until(lambda: self.ask("GET", "/health/ready")[0] == 200)
        self.spawn("nexus-worker", "--slots", "4")
        self.until(lambda: self.json("GET", "/api/v1/workers")["items"])

    def spawn(self, program, *options):
        log = open(f"{self.dir}/{program}.log", "ab")
        self.processes.append(subprocess.Popen([f"{BIN}/{program}", "--home", "home", *options], cwd=self.dir,
                                               env=self.env, stdout=log, stderr=log))
        log.close()

    def read_url(self):
        try:
            with open(self.dir + "/home/run/scheduler.json", encoding="utf-8") as file:
                self.url = json.load(file)["url"]
        except (OSError, ValueError):
            return False
        self.port = int(self.url.rsplit(":", 1)[1])
        return True

    def until(self, condition, seconds=20):
        end = time.monotonic() + seconds * SLOWER
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"waited in vain for {condition}: {self.log()}")
            time.sleep(0.02)

    def log(self):
        with open(self.dir + "/nexus-scheduler.log", encoding="utf-8", errors="replace") as file:
            return file.read()[-3000:]

    def alive(self):
        return all(process.poll() is None for process in self.processes)

    def ask(self, method, path, body=None, headers=None):
        """status, headers, bytes"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        given = dict(headers or {})
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if body is not None:
            given.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, given)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, response.headers, data

    def json(self, method, path, body=None, headers=None):
        status, _, data = self.ask(method, path, body, headers)
        if status >= 400:
            raise SystemExit(f"{method} {path}: {status} {data.decode()}")
        return json.loads(data)

    def trigger(self, dag):
        return self.json("POST", f"/api/v1/dags/{dag}/runs", {})["id"]

    def ended(self, run):
        return self.json("GET", f"/api/v1/runs/{run}")["state"] in ("success", "failed", "cancelled")

    def fill(self):
        """Some of everything; self.runs has a run of each DAG."""
        api = "/api/v1"
        self.json("PATCH", api + "/dags/etl", {"paused": True})
        self.runs = {dag: self.trigger(dag) for dag in ("etl", "fails", "maps", "ask", "long")}
        for dag in ("etl", "fails", "maps"):
            self.until(lambda dag=dag: self.ended(self.runs[dag]))
        self.json("PATCH", api + "/runs/" + self.runs["etl"], {"note": "a note"})
        self.json("POST", api + "/pools", {"name": "gate", "slots": 2, "description": "narrow"})
        self.json("POST", api + "/variables", {"name": "colour", "value": {"red": [1, 2]}})
        self.json("POST", api + "/secrets", {"name": "key", "value": "hush"})
        self.json("POST", api + "/connections", {"name": "warehouse", "uri": "postgres://u:p@127.0.0.1:1/x"})
        self.json("POST", api + "/datasets/raw/events", {"rows": 7, "note": "by hand"})
        self.json("POST", api + "/tokens", {"role": "viewer", "name": "reader", "expires": "7d"})
        self.json("POST", api + "/dags/etl/backfills",
                  {"from": "2026-01-01", "to": "2026-01-02", "max_active": 1})
        self.until(lambda: self.json("GET", api + "/approvals")["items"])
        self.until(lambda: self.json("GET", api + "/notifications?state=sent")["items"])
        self.until(lambda: self.json("GET", api + "/datasets/sums/events")["items"])
        self.until(lambda: self.json("GET", api + "/backfills/1")["state"] == "done")
        self.until(lambda: not self.json("GET", api + "/runs?state=running&dag=etl")["items"])
        self.until(lambda: any(task["progress"] for task in self.json("GET", f"{api}/runs/{self.runs['long']}/tasks")["items"]))

    def cancel_all(self):
        """No attempt may outlive its worker."""
        left = []

        def all_ended():
            left[:] = self.json("GET", "/api/v1/runs?limit=1000&q=state:queued,running,stopping")["items"]
            for run in left:
                if run["state"] != "stopping":
                    self.ask("POST", f"/api/v1/runs/{run['id']}/cancel", {})
            return not left

        try:
            self.until(all_ended, 60)
        finally:
            for run in left[:3]:
                print(run, self.ask("GET", f"/api/v1/runs/{run['id']}/explain")[2].decode())

    def end(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(30 * SLOWER)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __exit__(self, *_):
        try:
            if self.alive():
                self.cancel_all()
        finally:
            self.end()
