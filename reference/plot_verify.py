#!/usr/bin/env python3
"""Draws docs/verify.svg: how far each stage is from the record, beside what is allowed.

    python3 reference/plot_verify.py target/release/mobilevlm docs/verify.svg NAME=GOLDEN...

Each GOLDEN is a folder that `mobilevlm verify --golden` takes, with its checkpoint inside.
"""
import json
import math
import subprocess
import sys

STAGES = [("vision_features", "vision features"), ("image_embeds", "image embeds"), ("logits", "logits")]
LEFT, WIDTH, ROW, TOP = 132, 190, 20, 62
LEAST, MOST = -7.0, -3.0


def x(column, value):
    share = (math.log10(max(value, 1e-7)) - LEAST) / (MOST - LEAST)
    return LEFT + column * (WIDTH + 18) + share * WIDTH


def main():
    program, target, *sets = sys.argv[1:]
    rows = []
    for name, golden in (s.split("=", 1) for s in sets):
        command = [program, "verify", "-m", f"{golden}/checkpoint", "--golden", golden, "--json"]
        result = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
        model = result["model"]
        equal = sum(c["equal_ids"] for c in model["cases"])
        recorded = sum(c["recorded_ids"] for c in model["cases"])
        rows.append((name, model["stages"], equal, recorded))
    height = TOP + ROW * len(rows) + 34
    right = LEFT + 3 * (WIDTH + 18)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 110} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="12" y="22" font-size="14" font-weight="bold">Largest difference from upstream\'s own numbers, in standard deviations of the stage</text>',
        f'<text x="{right}" y="{TOP - 14}">equal tokens</text>',
    ]
    bottom = TOP + ROW * len(rows)
    for column, (key, label) in enumerate(STAGES):
        left = x(column, 1e-7)
        out.append(f'<text x="{left}" y="{TOP - 14}">{label}</text>')
        for power in range(-7, -2):
            at = x(column, 10.0**power)
            out.append(f'<line x1="{at:.1f}" y1="{TOP - 6}" x2="{at:.1f}" y2="{bottom}" stroke="#ddd"/>')
            if -7 < power < -3:
                out.append(f'<text x="{at:.1f}" y="{bottom + 16}" fill="#666" font-size="10" text-anchor="middle">1e{power}</text>')
        allowed = x(column, rows[0][1][key]["tolerance"])
        out.append(f'<line x1="{allowed:.1f}" y1="{TOP - 6}" x2="{allowed:.1f}" y2="{bottom}" stroke="#c33" stroke-width="1.5"/>')
    out.append(f'<text x="12" y="{height - 6}" fill="#c33" font-size="11">red line: what verify allows</text>')
    for index, (name, stages, equal, recorded) in enumerate(rows):
        y = TOP + ROW * index + 10
        out.append(f'<text x="12" y="{y + 4}">{name}</text>')
        for column, (key, _) in enumerate(STAGES):
            end = x(column, stages[key]["max_over_std"])
            out.append(f'<rect x="{x(column, 1e-7):.1f}" y="{y - 5}" width="{end - x(column, 1e-7):.1f}" height="10" fill="#3a7ca5"/>')
        out.append(f'<text x="{right}" y="{y + 4}">{equal} of {recorded}</text>')
    out.append("</svg>")
    with open(target, "w") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
