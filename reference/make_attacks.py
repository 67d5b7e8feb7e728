"""Writes `attacks/`: small valid files that are mutated (`seeds/`), and files made to do harm.

    pip install pillow==12.0.0
    python reference/make_attacks.py

Everything is made from the builders in `reference/attacks/`; Pillow only writes the valid JPEG and
WebP pictures. Files that a fuzzer found are listed in `attacks/found.json` and left as they are.
"""

import json
import pathlib
import shutil

from attacks import checkpoints, configs, pictures, seeds, tokenizers

OUT = pathlib.Path(__file__).resolve().parent.parent / "attacks"
LIMIT = 260_000

HEAD = """# Hostile files, kept for ever

`seeds/PARSER/` holds small valid files: `cargo xtask hostile` mutates them byte by byte, and the
fuzz targets start from them. `PARSER/` holds files that were made to do harm. A test gives each of
them to its parser (`cargo test -p xtask`): every one must end in a message or a result, within the
limits that SECURITY.md states. All but the last table are written by `reference/make_attacks.py`.
A file that a fuzzer found is added by hand, with a line in `found.json` that says what it broke.
"""


def main():
    groups = {
        "safetensors": checkpoints.safetensors(),
        "torch-zip": checkpoints.torch_zip(),
        "torch-legacy": checkpoints.torch_legacy(),
        "gguf": checkpoints.gguf(),
        "tokenizer-model": tokenizers.model(),
        "text": tokenizers.text(),
        "config-json": configs.config(),
        "vision-json": configs.vision(),
        "preprocessor-json": configs.preprocessor(),
        "index-json": configs.index(),
        "png": pictures.png(),
        "jpeg": pictures.jpeg(),
        "webp": pictures.webp(),
        "gif": pictures.gif(),
        "bmp": pictures.bmp(),
    }
    OUT.mkdir(exist_ok=True)
    found_list = OUT / "found.json"
    found = json.loads(found_list.read_text()) if found_list.exists() else {}
    kept = {name: (OUT / name).read_bytes() for name in found}
    for old in OUT.iterdir():
        if old.is_dir():
            shutil.rmtree(old)

    lines = [HEAD]
    valid = seeds.every()
    for parser, files in [(f"seeds/{p}", f) for p, f in valid.items()] + list(groups.items()):
        folder = OUT / parser
        folder.mkdir(parents=True)
        lines += [f"## {parser}", "", "| file | what it is |" if "seeds" in parser else "| file | what it attacks |", "|---|---|"]
        for name, (content, purpose) in files.items():
            (folder / name).write_bytes(content)
            lines.append(f"| `{name}` | {purpose} |")
        lines.append("")
    lines += ["## Found by fuzzing", "", "| file | what it broke |", "|---|---|"]
    for name, content in kept.items():
        (OUT / name).write_bytes(content)
        lines.append(f"| `{name}` | {found[name]} |")
    if not kept:
        lines.append("| none yet | |")
    (OUT / "README.md").write_text("\n".join(lines) + "\n")
    found_list.write_text(json.dumps(found, indent=2) + "\n")

    total = sum(path.stat().st_size for path in OUT.rglob("*") if path.is_file() and path.name != "README.md")
    assert total < LIMIT, f"the files hold {total} bytes, the limit is {LIMIT}"
    print(f"{total} bytes in {OUT}")


if __name__ == "__main__":
    main()
