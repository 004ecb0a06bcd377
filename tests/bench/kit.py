"""What the benchmarks written in Python share: where the programs are, floors, tasks run alone."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

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


def bare(n, lanes, argv):
    """Seconds of n processes, so many at a time, without Nexus."""
    return float(run([program("floors"), "spawn", str(n), str(lanes)] + argv))


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
