#!/usr/bin/env python3
"""A scheduler that only pretends: the /api/v1 that the command line needs, over runs that advance
with the clock. For tests of the command line alone; takes the options of nexus-scheduler.

Params of a run steer it: fail=TASK makes that task fail, slow=SECONDS is how long each task takes.
"""
import fcntl
import json
import os
import sys
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TASKS = ["greet", "count", "report"]
runs = {}
dags = {"hello": False, "weekly-report": True}
drained = set()
requests = []


def when(t):
    if t is None:
        return None
    return datetime.fromtimestamp(t, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def instances(run):
    """The tasks of a run as they stand now."""
    now, items, dead = time.time(), [], False
    slow = float(run["params"].get("slow", 0.05))
    for i, name in enumerate(TASKS):
        start, end = run["created"] + i * slow, run["created"] + (i + 1) * slow
        fails = run["params"].get("fail") == name
        state = "waiting" if now < start else "running" if now < end else \
            "failed" if fails else "success"
        if dead:
            state = "upstream_failed"
        if run["cancelled"] and state in ("waiting", "running"):
            state = "cancelled"
        ran = state in ("running", "success", "failed")
        over = state in ("success", "failed")
        items.append({
            "run": run["id"], "task": name, "map_index": None, "state": state,
            "attempt": 1 if ran else 0, "max_attempts": 1, "worker": "w1" if ran else None,
            "pool": None, "queue": "default",
            "reason": {"code": "upstream", "text": "waits for what it needs"},
            "ready_at": when(start), "started_at": when(start) if ran else None,
            "finished_at": when(end) if over else None,
            "outputs": {"letters": 13, "table": {
                "artifact": "sha256:00", "kind": "table", "rows": 120, "bytes": 99,
            }, "auc": 0.712345} if state == "success" else None,
            "error": f"KeyError: \x1b[31mcustomer_id ({name}.py:41)" if state == "failed" else None,
            "progress": {"fraction": 0.5, "text": "half"} if state == "running" else None})
        dead = dead or state == "failed"
    return items


def run_json(run):
    items, counts = instances(run), {}
    for item in items:
        counts[item["state"]] = counts.get(item["state"], 0) + 1
    state = "running"
    if not counts.keys() & {"waiting", "running"}:
        state = "cancelled" if run["cancelled"] else "failed" if "failed" in counts else "success"
    ended = state != "running"
    last = max((i["finished_at"] for i in items if i["finished_at"]), default=None)
    return {"id": run["id"], "dag": run["dag"], "dag_version": "1", "state": state,
            "cause": "manual", "interval": {"start": None, "finish": None},
            "params": run["params"], "created_at": when(run["created"]),
            "started_at": when(run["created"]), "finished_at": last if ended else None,
            "deadline_at": None, "late_at": None, "counts": counts, "note": run["note"]}


def dag_json(name):
    return {"id": name, "file": f"{name}.yaml", "version": "1", "description": "A greeting",
            "tags": ["demo"], "paused": dags[name], "valid": True, "schedule": [],
            "timezone": "UTC", "next_fire_at": None, "max_active_runs": None, "errors": [],
            "params": [{"name": "name", "type": "string", "default": "world", "help": "Whom"}],
            "tasks": [{"id": t, "uses": None, "needs": TASKS[:i][-1:], "trigger_rule": "all_success",
                       "pool": None, "group": None, "mapped": False}
                      for i, t in enumerate(TASKS)]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, value, content_type="application/json"):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def fail(self, status, code, message):
        self.answer(status, {"error": {"code": code, "message": message, "details": None}})

    def page(self, items):
        """By pages of two, so that cursors are followed."""
        at = int(self.query.get("cursor", ["0"])[0])
        limit = min(2, int(self.query.get("limit", ["100"])[0]))
        rest = items[at:at + limit]
        more = at + limit < len(items)
        self.answer(200, {"items": rest, "next": str(at + limit) if more else None})

    def route(self):
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        n = int(self.headers.get("Content-Length") or 0)
        self.body = json.loads(self.rfile.read(n) or b"null") if n else None
        requests.append(f"{self.command} {self.path}")
        if url.path in ("/health", "/health/ready"):
            return self.answer(200, {"status": "ok"})
        if url.path == "/requests":
            return self.answer(200, requests)
        if url.path == "/html/api/v1/dags":
            return self.answer(200, b"<html>hello</html>", "text/html")
        parts = [unquote(p) for p in url.path.split("/")[1:]]
        if parts[:2] != ["api", "v1"]:
            return self.fail(404, "not_found", f"no route {url.path}")
        return self.api(parts[2:])

    do_GET = do_POST = do_PATCH = route

    def api(self, p):
        if p == ["dags"]:
            return self.page([dag_json(d) for d in dags])
        if p == ["workers"]:
            return self.page([self.worker()])
        if p == ["runs"]:
            items = [run_json(r) for r in reversed(runs.values())]
            for key in ("dag", "state"):
                if key in self.query:
                    items = [i for i in items if i[key] == self.query[key][0]]
            return self.page(items)
        if p[0] == "dags" and len(p) > 1:
            return self.dag(p[1], p[2:])
        if p[0] == "runs" and len(p) > 1:
            return self.run(p[1], p[2:])
        if p[0] == "workers" and len(p) == 2 and self.command == "PATCH":
            (drained.add if self.body["drain"] else drained.discard)(p[1])
            return self.answer(200, self.worker())
        return self.fail(404, "not_found", "no such route")

    def worker(self):
        return {"id": "w1", "host": "here", "state": "draining" if "w1" in drained else "online",
                "slots": 4, "busy": 1, "queues": ["default"], "version": "0.1.0",
                "last_seen_at": when(time.time())}

    def dag(self, name, rest):
        if name not in dags:
            return self.fail(404, "not_found", f"no DAG '{name}'")
        if rest == ["runs"] and self.command == "POST":
            return self.trigger(name)
        if not rest and self.command == "PATCH":
            dags[name] = self.body["paused"]
        return self.answer(200, dag_json(name))

    def trigger(self, name):
        if "bad" in self.body["params"]:
            return self.fail(422, "invalid", "param 'bad' is unknown; did you mean 'name'?")
        run = {"id": str(len(runs) + 1), "dag": name, "params": self.body["params"],
               "note": self.body["note"], "created": time.time(), "cancelled": False}
        runs[run["id"]] = run
        return self.answer(201, run_json(run))

    def run(self, number, rest):
        run = runs.get(number)
        if not run:
            return self.fail(404, "not_found", f"no run '{number}'")
        if not rest:
            return self.answer(200, run_json(run))
        if rest == ["tasks"]:
            return self.page(instances(run))
        if rest == ["explain"]:
            return self.answer(200, {"items": [
                {"task": i["task"], "map_index": None, "state": i["state"],
                 "reasons": [{**i["reason"], "since": i["ready_at"]}]} for i in instances(run)],
                "next": None})
        if rest == ["log"]:
            return self.page([
                {"task": i["task"], "map_index": None, "attempt": 1, "offset": 0, "bytes": 12,
                 "whole": True, "at": i["started_at"], "stream": "out", "group": None,
                 "text": f"{i['task']} line {n}"}
                for i in instances(run) if i["attempt"] for n in range(1, 21)])
        if rest == ["cancel"]:
            run["cancelled"] = True
            return self.answer(200, run_json(run))
        if rest[0] == "tasks":
            return self.task(run, rest[1], rest[2:])
        return self.fail(404, "not_found", "no such route")

    def task(self, run, name, rest):
        found = [i for i in instances(run) if i["task"] == name]
        if not found:
            return self.fail(404, "not_found", f"no task '{name}' in run {run['id']}")
        if not rest:
            return self.answer(200, found[0])
        if found[0]["attempt"] < 1:
            return self.fail(404, "not_found", "no such attempt")
        log = "".join(f"{name} line {n}\n" for n in range(1, 21)).encode() + b"\x00\xff end"
        if found[0]["state"] == "running":
            log = log[:40]
        return self.answer(200, log[int(self.query.get("offset", ["0"])[0]):], "text/plain")


def main():
    options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    home = options["--home"]
    os.makedirs(home + "/run", exist_ok=True)
    with open(home + "/scheduler-arguments", "w") as file:
        file.write(" ".join(sys.argv[1:]))
    if os.environ.get("FAKE_SCHEDULER_STATUS"):
        sys.exit(int(os.environ["FAKE_SCHEDULER_STATUS"]))
    lock = open(home + "/run/lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    host, port = options.get("--listen", "127.0.0.1:0").rsplit(":", 1)
    server = ThreadingHTTPServer((host, int(port)), Handler)
    state = {"url": f"http://{host}:{server.server_port}", "pid": os.getpid(),
             "started_at": when(time.time())}
    with open(home + "/run/scheduler.json.new", "w") as file:
        json.dump(state, file)
    os.rename(home + "/run/scheduler.json.new", home + "/run/scheduler.json")
    server.serve_forever()


main()
