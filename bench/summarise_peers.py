#!/usr/bin/env python3
"""Makes summary.json and summary.md from the raw logs of `peers.sh`.

    python summarise_peers.py FOLDER

Every figure is the median of the rounds. A ratio is ours by the best peer's on the same side, so
that more than 1 is better: rates are divided, times and memory the other way round.
"""

import argparse
import json
import re
import statistics
from collections import defaultdict
from pathlib import Path

PROGRAMS = ["ours", "llama.cpp", "ik", "ik rtr"]
SIDES = ["native", "avx2"]

# What is shown, with the unit and whether more is better.
METRICS = {
    "prefill": ("prefill, tokens/s", True),
    "step": ("decode, batch 1, tokens/s", True),
    "batch8": ("decode, batch 8, tokens/s", True),
    "vision": ("vision and projector, s", False),
    "first_token": ("process start to first token, s", False),
    "peak_rss": ("peak memory, MiB", False),
    "loaded step": ("decode with a core loaded, tokens/s", True),
    "loaded vision": ("vision with a core loaded, s", False),
    "loaded first_token": ("first token with a core loaded, s", False),
}

NAME = re.compile(
    r"(?P<round>\d+)-(?P<part>[a-z]+)-(?P<program>ours|llama\.cpp|ik)"
    r"-(?P<side>native|avx2)(?P<rtr>-rtr)?-(?P<variant>\w+)\.log"
)
ENCODED = re.compile(r"(?:encoding done|slice encoded) in (\d+) ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    raw = folder / "raw"
    values = read(raw)
    in_time = sorted(raw.glob("limits-*.log"), key=lambda path: path.stat().st_mtime)
    limits = {path.stem: json.loads(path.read_text()) for path in in_time}
    shares = read_shares(raw)
    summary = {
        "settings": read_settings(raw),
        "limits": limits,
        "metrics": [
            {"metric": metric, "variant": variant, "side": side, "program": program}
            | {"median": statistics.median(found), "values": found}
            for (metric, variant, side, program), found in sorted(values.items())
        ],
        "ours": shares,
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    (folder / "summary.md").write_text(page(summary, values))


def read(raw):
    """(metric, variant, side, program) to the values of all rounds."""
    values = defaultdict(list)
    for path in sorted(raw.glob("*.log")):
        name = NAME.fullmatch(path.name)
        text = path.read_text(errors="replace")
        if name and name["part"] == "batch":
            # Where ik_llama.cpp prints its table.
            text += path.with_suffix(".err").read_text(errors="replace")
        if not name or not text.strip():
            continue
        program = name["program"] + (" rtr" if name["rtr"] else "")
        loaded = "loaded " if name["part"].startswith("loaded") else ""
        for metric, value in figures(name, text, path):
            values[loaded + metric, name["variant"], name["side"], program].append(value)
    return values


def figures(name, text, path):
    ours, part = name["program"] == "ours", name["part"]
    if part in ["picture", "loadedpicture"]:
        found = json.loads(text)
        if found["first_token_s"] is not None:
            yield "first_token", found["first_token_s"]
        yield "peak_rss", found["peak_rss_mib"]
        encoded = ENCODED.search(path.with_suffix(".streams").read_text())
        if not ours and encoded:
            yield "vision", int(encoded[1]) / 1e3
    elif ours:
        stages = json.loads(text)["stages"]
        yield "prefill", stages["prefill"]["tokens_per_s"]
        yield "step", stages["step"]["tokens_per_s"]
        yield "batch8", stages["batch_step"]["tokens_per_s"]
        if name["variant"] == "q4_k_m":
            yield "vision", (stages["vision"]["median_ms"] + stages["projector"]["median_ms"]) / 1e3
    elif part == "batch":
        # Columns: PP TG B N_KV T_PP S_PP T_TG S_TG T S
        for line in text.splitlines():
            columns = [column.strip() for column in line.split("|")][1:-1]
            if len(columns) == 10 and columns[2] == "8":
                yield "batch8", float(columns[7])
    else:
        for run in json.loads(text):
            yield ("step" if run["n_gen"] else "prefill"), run["avg_ts"]


def read_shares(raw):
    """Per side and weights: the report of our last round."""
    reports = {}
    for path in sorted(raw.glob("*-language-ours-*.log")):
        name = NAME.fullmatch(path.name)
        text = path.read_text()
        if name and text.strip():
            reports[f"{name['side']} {name['variant']}"] = json.loads(text)
    return reports


def read_settings(raw):
    lines = (raw / "settings.txt").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)


def page(summary, values):
    lines = ["# Beside other engines", ""]
    settings = ", ".join(f"{key} {value}" for key, value in summary["settings"].items())
    lines += [f"Settings: {settings}. Medians; more than 1 is better in the last column.", ""]
    lines += ["| limit | " + " | ".join(summary["limits"]) + " |"]
    lines += ["|---" * (len(summary["limits"]) + 1) + "|"]
    for key in next(iter(summary["limits"].values()), {}):
        cells = [str(limits.get(key)) for limits in summary["limits"].values()]
        lines.append(f"| {key} | " + " | ".join(cells) + " |")
    lines += ["", "| what | files | side | " + " | ".join(PROGRAMS) + " | ours by best peer |"]
    lines += ["|---" * (len(PROGRAMS) + 4) + "|"]
    for metric, (title, more) in METRICS.items():
        # Our tower has one format, whose time stands beside each of theirs.
        found = [key for key in values if key[0] == metric]
        theirs = [key for key in found if key[3] != "ours"] if "vision" in metric else []
        for variant in sorted({key[1] for key in theirs or found}):
            for side in SIDES:
                lines.append(row(metric, title, more, variant, side, values))
    lines += ["", "With a core loaded, by without:", ""]
    lines += ["| what | files | side | " + " | ".join(PROGRAMS) + " |"]
    lines += ["|---" * (len(PROGRAMS) + 3) + "|"]
    for metric in ["step", "vision", "first_token"]:
        for variant in sorted({key[1] for key in values if key[0] == f"loaded {metric}"}):
            for side in SIDES:
                cells = [slowdown(metric, variant, side, name, values) for name in PROGRAMS]
                title = METRICS[metric][0].split(",")[0]
                lines.append(f"| {title} | {variant} | {side} | " + " | ".join(cells) + " |")
    lines += ["", "Ours, of the limits measured in the same run:", ""]
    lines += ["| tables, weights | stage | ms | share | matrix share |", "|---|---|---|---|---|"]
    for name, report in summary["ours"].items():
        for stage, found in report["stages"].items():
            lines.append(
                f"| {report['kernels']}, {name.split()[1]} | {stage} | {found['median_ms']:.1f} "
                f"| {found['share']:.1%} | {found['matrix_share']:.1%} |"
            )
    return "\n".join(lines) + "\n"


def row(metric, title, more, variant, side, values):
    medians = {
        program: statistics.median(values[metric, variant, side, program])
        for program in PROGRAMS
        if values.get((metric, variant, side, program))
    }
    ours = medians.get("ours")
    if ours is None and "vision" in metric:
        found = values.get((metric, "q4_k_m", side, "ours"))
        ours = statistics.median(found) if found else None
    theirs = [value for program, value in medians.items() if program != "ours"]
    ratio = ""
    if ours and theirs:
        best = max(theirs) if more else min(theirs)
        ratio = f"{ours / best if more else best / ours:.2f}"
    shown = {**medians, **({"ours": ours} if ours else {})}
    cells = [f"{shown[program]:.2f}" if program in shown else "" for program in PROGRAMS]
    return f"| {title} | {variant} | {side} | " + " | ".join(cells) + f" | {ratio} |"


def slowdown(metric, variant, side, program, values):
    alone = values.get((metric, variant, side, program))
    loaded = values.get((f"loaded {metric}", variant, side, program))
    if not alone or not loaded:
        return ""
    return f"{statistics.median(loaded) / statistics.median(alone):.2f}"


if __name__ == "__main__":
    main()
