"""Times toy training steps of mobilevlm-train beside PyTorch's, alternating, and writes a record.

usage: run.py BINARY PYTHON OUT [--rounds N] [--steps N] [--threads N]

BINARY   target/release/examples/train_speed
PYTHON   an interpreter that has torch
OUT      bench/record/training: writes OUT.json (every step) and OUT.md (medians)

A program is started anew for every round and its first step is not counted. Per stage and shape it
prints samples per second from the median step, the seconds of CPU time that a step takes on all
threads together (which other load on the machine disturbs less), and both ratios to PyTorch.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("binary")
parser.add_argument("python")
parser.add_argument("out")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--steps", type=int, default=6, help="of a round, one more for warming up")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--cases", nargs="*", default=["stage2 small", "stage2 large", "tower small", "tower large"])
arguments = parser.parse_args()

threads, steps = str(arguments.threads), str(arguments.steps + 1)
toy = str(Path(__file__).with_name("toy.py"))


def programs(stage, shape):
    yield "PyTorch", [arguments.python, toy, stage, shape, threads, steps]
    yield "ours", [arguments.binary, stage, shape, "0", steps]
    if arguments.threads > 1:
        yield f"ours, {threads} replicas", [arguments.binary, stage, shape, threads, steps]


runs = []
for _ in range(arguments.rounds):
    for case in arguments.cases:
        for name, command in programs(*case.split()):
            load = os.getloadavg()[0]
            environment = {**os.environ, "RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            run = json.loads(done.stdout)
            runs.append({"name": name, "case": case, "load_before": load, **run})
            print(f"{case:14} {name:18} {run['batch'] / statistics.median(run['wall'][1:]):6.1f} samples/s, load {load:.1f}", flush=True)


def median(case, name, what):
    return statistics.median(x for run in runs if run["case"] == case and run["name"] == name for x in run[what][1:])


cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
flags = next((line for line in open("/proc/cpuinfo") if line.startswith("flags")), "")
torch = next(run["program"] for run in runs if run["name"] == "PyTorch")
loads = [run["load_before"] for run in runs]
lines = [
    "# Training speed on the CPU",
    "",
    f"Machine: {cpu}, {os.cpu_count()} cores{', AVX-512' if 'avx512f' in flags else ''}, {platform.system()}. {torch} with fused attention. Both: {threads} thread{'s' * (arguments.threads > 1)}, float32, batch 32.",
    f"Method: `bench/train/run.py`, {arguments.rounds} rounds in turn of {arguments.steps} counted steps each; medians. Load average before the runs: {min(loads):.1f} to {max(loads):.1f}{' (the machine was shared)' if max(loads) > arguments.threads + 1 else ''}.",
    "",
    "| stage, shape | program | samples/s | of PyTorch | CPU s per step | of PyTorch | peak memory |",
    "|---|---|---|---|---|---|---|",
]
for case in arguments.cases:
    for name, _ in programs(*case.split()):
        wall, used = median(case, name, "wall"), median(case, name, "cpu")
        memory = max(run["peak_kb"] for run in runs if run["case"] == case and run["name"] == name)
        lines.append(
            f"| {case} | {name} | {32 / wall:.1f} | {median(case, 'PyTorch', 'wall') / wall:.2f} "
            f"| {used:.2f} | {median(case, 'PyTorch', 'cpu') / used:.2f} | {memory / 2**20:.2f} GiB |"
        )
text = "\n".join(lines) + "\n"
Path(arguments.out + ".md").write_text(text)
Path(arguments.out + ".json").write_text(json.dumps(runs, indent=1) + "\n")
print(text)
