#!/usr/bin/env python3
"""Draws where the time of one question goes, from reports of `mobilevlm bench --json`.

    python draw_question.py REPORT.json… --out question.svg

One bar for each report: reading a photo and a question, as far as the first word, and ten further
tokens. Prints the same as a table. A stage's time outside products is what its `median_ms` has
beyond its `matrix_ms`; "other" is what the first word takes beyond vision, projector and prefill:
the photo's decoding and preprocessing, less the system prompt, whose state is kept.
"""

import argparse
import json

PARTS = [
    ("vision, products", "#1f5fa8"),
    ("vision, else", "#8db8e8"),
    ("projector", "#0f8a6d"),
    ("prefill, products", "#b4530f"),
    ("prefill, else", "#f0b27a"),
    ("other", "#8a8a8a"),
    ("ten tokens", "#6b4fa0"),
]
LEFT, RIGHT, WIDTH, BAR, GAP, TOP = 90, 90, 860, 30, 18, 66


def parts(report):
    stages = report["stages"]
    vision, projector, prefill = (stages[name] for name in ("vision", "projector", "prefill"))
    read = sum(stage["median_ms"] for stage in (vision, projector, prefill))
    other = report["first_word_ms"] - read
    # The system prompt's state is at hand for the first word but not for the stage's own figure.
    prefill_scale = 1 + min(other, 0) / prefill["median_ms"]
    return [
        vision["matrix_ms"],
        vision["median_ms"] - vision["matrix_ms"],
        projector["median_ms"],
        prefill["matrix_ms"] * prefill_scale,
        (prefill["median_ms"] - prefill["matrix_ms"]) * prefill_scale,
        max(other, 0),
        10 * stages["step"]["median_ms"],
    ]


def table(reports):
    rows = [(report["kernels"], parts(report)) for report in reports]
    lines = ["| ms | " + " | ".join(f"`{name}`" for name, _ in rows) + " |"]
    lines.append("|---" * (len(rows) + 1) + "|")
    for index, (name, _) in enumerate(PARTS):
        cells = " | ".join(f"{values[index]:.0f}" for _, values in rows)
        lines.append(f"| {name} | {cells} |")
    first = " | ".join(f"{report['first_word_ms']:.0f}" for report in reports)
    lines.append(f"| to the first word | {first} |")
    return "\n".join(lines)


def draw(reports):
    most = max(sum(parts(report)) for report in reports)
    scale = (WIDTH - LEFT - RIGHT) / most
    height = TOP + len(reports) * (BAR + GAP) + 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        '<text x="12" y="22" font-size="14" font-weight="bold">'
        "One photo, one question, ten tokens of answer: where the time goes</text>",
    ]
    x = 12
    for name, colour in PARTS:
        out.append(f'<rect x="{x}" y="36" width="11" height="11" fill="{colour}"/>')
        out.append(f'<text x="{x + 15}" y="46">{name}</text>')
        x += 32 + 6.6 * len(name)
    for row, report in enumerate(reports):
        y, x = TOP + row * (BAR + GAP), LEFT
        out.append(f'<text x="12" y="{y + BAR / 2 + 4}">{report["kernels"]}</text>')
        for value, (_, colour) in zip(parts(report), PARTS):
            width = value * scale
            out.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>'
            )
            x += width
        total = sum(parts(report)) / 1000
        out.append(f'<text x="{x + 6:.1f}" y="{y + BAR / 2 + 4}">{total:.2f} s</text>')
        first = LEFT + report["first_word_ms"] * scale
        out.append(
            f'<path d="M{first:.1f} {y - 5}v{BAR + 10}" stroke="#000" stroke-width="1.5"/>'
            f'<text x="{first:.1f}" y="{y + BAR + 14}" font-size="10" text-anchor="middle">'
            "first word</text>"
        )
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("reports", nargs="+")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    reports = []
    for path in args.reports:
        with open(path, encoding="utf-8") as file:
            reports.append(json.load(file))
    with open(args.out, "w", encoding="utf-8") as file:
        file.write(draw(reports))
    print(table(reports))


if __name__ == "__main__":
    main()
