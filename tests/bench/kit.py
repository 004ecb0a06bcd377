"""What the benchmarks written in Python share: where the programs are, floors, tasks run alone."""
import copy
import datetime
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("NEXUS_BUILD", os.path.join(ROOT, "build/release"))
BIN = os.environ.get("NEXUS_BIN", os.path.join(BUILD, "bin"))
CPUS = os.cpu_count()


def program(name):
    return os.path.join(BUILD, "tests/bench", name)


def run(argv, **more):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    if done.returncode:
        raise SystemExit(f"{argv[0]} ended with {done.returncode}: {done.stderr[-2000:]}{done.stdout[-500:]}")
    return done.stdout


def floor(kind, n=0):
    """One floor in microseconds: a dictionary with mean, p50, p99."""
    return json.loads(run([program("floors"), kind] + ([str(n)] if n else [])))


class Commits:
    """The floor of commits, on one log that stays open: until the end of the with-block."""

    def __enter__(self):
        self.process = subprocess.Popen([program("floors"), "commits"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.measure(50)
        return self

    def measure(self, n):
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def bare(n, lanes, argv):
    """Seconds of n processes, so many at a time, without Nexus."""
    return list(bare_with_cpu(n, lanes, argv))[0]


def bare_with_cpu(n, lanes, argv):
    """And the seconds of CPU that they and their spawner took."""
    return map(float, run([program("floors"), "spawn", str(n), str(lanes)] + argv).split())


def env_int(name, fallback):
    return int(os.environ.get(name, fallback))


def tell(what, text):
    print(f"{what:<12} {text}", flush=True)


def median(values):
    return statistics.median(values)


def share(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))]


class Alone:
    """Tasks by `nexus-task --run`, in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("project", "store"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)

    def task(self, uses, with_, cpus=CPUS):
        spec = {"definition": {"uses": uses, "with": with_}, "limits": {"cpus": cpus},
                "folders": {"work": f"{self.folder}/work", "artifacts": f"{self.folder}/store",
                            "project": f"{self.folder}/project"}}
        with open(f"{self.folder}/spec.json", "w") as file:
            json.dump(spec, file)
        start = time.monotonic()
        run([f"{BIN}/nexus-task", "--run", f"{self.folder}/spec.json", "--result", f"{self.folder}/result"])
        seconds = time.monotonic() - start
        with open(f"{self.folder}/result") as file:
            result = json.load(file)
        if result["outcome"] != "success":
            raise SystemExit(f"{uses}: {result['error']}")
        return result["outputs"], seconds

    def path(self, table):
        hash_ = table["artifact"].removeprefix("sha256:")
        return f"{self.folder}/store/sha256/{hash_[:2]}/{hash_}"

    def forget(self, table):
        os.unlink(self.path(table))


def temporary():
    return tempfile.TemporaryDirectory(prefix="bench-")


# ---- Processes ----

def cpu_s(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_cpu_s(pid):
    """Of its children, theirs, and those of them that have ended."""
    total = 0
    for process in [pid] + children(pid):
        try:
            with open(f"/proc/{process}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(map(int, fields[13 if process == pid else 11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def children(pid):
    """Its children and theirs."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children") as file:
                for child in map(int, file.read().split()):
                    found += [child] + children(child)
        except OSError:
            pass
    return found


def pss_mb(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total / 1024


def instant(text):
    """Seconds since 1970 of an RFC 3339 text in UTC."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def stamping_bin(folder):
    """A folder of programs whose nexus-task notes when attempts come and go."""
    os.makedirs(folder)
    shutil.copy(f"{BIN}/nexus-worker", f"{folder}/nexus-worker")
    shutil.copy(program("peer_child"), f"{folder}/nexus-task")
    os.symlink(f"{BIN}/nexus-task", f"{folder}/nexus-task.real")
    return folder


class Server:
    """A scheduler, and a worker when one is started, in a home of their own."""

    def __init__(self, folder, bin_=BIN):
        self.home, self.dags, self.bin = f"{folder}/home", f"{folder}/dags", bin_
        self.scheduler = self.worker = self.url = self.connection = None
        self.workers, self.listen = [], "127.0.0.1:0"
        self.log_path = f"{folder}/scheduler.log"
        self.worker_log_path = f"{folder}/worker.log"
        os.makedirs(self.home, exist_ok=True)

    def start_scheduler(self, wait=True):
        os.makedirs(self.dags, exist_ok=True)
        try:
            os.unlink(f"{self.home}/run/scheduler.json")
        except OSError:
            pass
        self.log_seen = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "a") as log:
            self.scheduler = subprocess.Popen(
                [f"{self.bin}/nexus-scheduler", "--home", self.home, "--dags", self.dags, "--listen", self.listen,
                 "--parent"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            self.wait_ready(60)

    @staticmethod
    def beside(server):
        """The same server with a connection of its own: for another thread."""
        other = copy.copy(server)
        other.connection = None
        return other

    def start_worker(self, slots, name="bench", more=()):
        with open(self.worker_log_path, "a") as log:
            self.workers.append(subprocess.Popen(
                [f"{self.bin}/nexus-worker", "--home", self.home, "--slots", str(slots), "--name", name,
                 "--project", self.dags, "--parent", *more], stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        self.worker = self.workers[0]

    def call(self, method, path, body=None, headers=None, missing=False):
        """The answer's JSON, over one connection that is kept; None for 404 when that may be."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        text = None if body is None else json.dumps(body)
        all_headers = {"Content-Type": "application/json"} if text else {}
        all_headers.update(headers or {})
        try:
            self.connection.request(method, path, text, all_headers)
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise
        if answer.status == 404 and missing:
            return None
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {content[:500]}")
        return json.loads(content)

    def add_dag(self, id_, tasks, more=""):
        """A DAG file, and until it is live. Tasks: lines of YAML."""
        self.skip_log()
        with open(f"{self.dags}/.{id_}", "w") as file:
            file.write(f"id: {id_}\n{more}tasks:\n" + "".join(f"  {line}\n" for line in tasks))
        os.rename(f"{self.dags}/.{id_}", f"{self.dags}/{id_}.yaml")
        self.wait_log(f"DAG '{id_}' is loaded", 60)
        while self.call("GET", f"/api/v1/dags/{id_}", missing=True) is None:  # said before the commit
            time.sleep(0.002)

    def wait_dags(self, n, seconds=60):
        """Until so many are known."""
        end = time.monotonic() + seconds
        while sum(d["version"] is not None for d in self.call("GET", "/api/v1/dags?limit=1000")["items"]) < n:
            if time.monotonic() > end:
                raise SystemExit(f"there are no {n} DAGs after {seconds} s")
            time.sleep(0.05)

    def create(self, dag):
        return self.call("POST", f"/api/v1/dags/{dag}/runs", {})["id"]

    def newest(self, dag):
        return self.call("GET", f"/api/v1/dags/{dag}/runs?limit=1")["items"][0]

    def wait_run(self, dag, seconds=300):
        """Until its newest run has ended; looked for in a list, which tells no tasks."""
        end = time.monotonic() + seconds
        pause = 0.002
        while time.monotonic() < end:
            self.alive()
            run_ = self.newest(dag)
            if run_["finished_at"]:
                if run_["state"] != "success":
                    raise SystemExit(f"the run of {dag} ended as {run_['state']}: {run_['counts']}")
                return run_
            time.sleep(pause)
            pause = min(0.05, pause * 1.5)
        raise SystemExit(f"the run of {dag} has not ended after {seconds} s: {self.newest(dag)}")

    def time_run(self, dag, seconds=300):
        """Seconds from before the POST to the run's end as it is stored."""
        start = time.time()
        self.create(dag)
        return instant(self.wait_run(dag, seconds)["finished_at"]) - start

    def alive(self):
        if self.scheduler.poll() is not None:
            with open(self.log_path) as log:
                raise SystemExit(f"the scheduler ended with {self.scheduler.returncode}: {log.read()[-2000:]}")

    def wait_ready(self, seconds):
        """Until /health/ready says so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.alive()
            try:
                with open(f"{self.home}/run/scheduler.json") as file:
                    self.url = json.load(file)["url"]
                with urllib.request.urlopen(f"{self.url}/health/ready", timeout=5):
                    return
            except (OSError, ValueError):
                time.sleep(0.002)
        raise SystemExit(f"the scheduler is not ready after {seconds} s")

    def cpu(self):
        """Seconds of CPU so far, by part."""
        return {"scheduler": cpu_s(self.scheduler.pid), "worker": cpu_s(self.worker.pid),
                "children": children_cpu_s(self.worker.pid)}

    def skip_log(self):
        self.log_seen = os.path.getsize(self.log_path)

    def wait_log(self, text, seconds):
        """Until the scheduler's log has the text after what was looked at before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with open(self.log_path) as log:
                log.seek(self.log_seen)
                found = log.read()
            if " problems; see " in found:
                raise SystemExit(found[-1000:])
            if text in found:
                self.log_seen += found.index(text) + len(text)
                return
            time.sleep(0.002)
        raise SystemExit(f"the log does not say '{text}' after {seconds} s")

    @staticmethod
    def end(processes, now):
        for process in processes:
            if process.poll() is None:
                process.kill() if now else process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stop_workers(self):
        self.end(self.workers, False)
        self.workers, self.worker = [], None

    def stop(self, now=False):
        self.end(self.workers + [self.scheduler] * (self.scheduler is not None), now)
        if self.connection:
            self.connection.close()
        self.workers, self.worker, self.scheduler, self.connection = [], None, None, None
