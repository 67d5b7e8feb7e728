"""Writes what a model computes as a folder that `mobilevlm verify` takes.

`golden/README.md` describes the folder. Models differ; all that `write_set` asks of one is a function
from a case and its pixels to a `Run`.
"""

import importlib.metadata
import json
import platform
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

# What the recorded numbers depend on, with the versions of requirements.txt.
PACKAGES = {
    "torch": "2.0.1",
    "torchvision": "0.15.2",
    "transformers": "4.33.1",
    "timm": "0.9.12",
    "sentencepiece": "0.1.99",
    "numpy": "1.25.0",
    "Pillow": "12.0.0",
}


@dataclass
class Run:
    """One case as a model computed it. All tensors are float32."""

    input_ids: list
    output_ids: list
    logits: torch.Tensor  # [len(output_ids), vocabulary]
    text: str
    features: list = field(default_factory=list)  # per picture [patches, tower hidden]
    embeds: list = field(default_factory=list)  # per picture [tokens, hidden]


class Pixels:
    """Prepares pictures as upstream does, and keeps the 8-bit pixels before normalising."""

    def __init__(self, processor, mode, images):
        self.processor, self.mode, self.images = processor, mode, Path(images)
        crop = processor.crop_size
        self.size = crop["height"] if isinstance(crop, dict) else crop
        self.levels = {}

    def __call__(self, name):
        """The pixels of picture `name`: float32 [3, size, size]."""
        image = Image.open(self.images / name).convert("RGB")
        if self.mode == "pad":
            image = pad(image, tuple(int(x * 255) for x in self.processor.image_mean))
        levels = self.processor.preprocess(image, do_rescale=False, do_normalize=False)
        self.levels[name] = np.asarray(levels["pixel_values"][0]).astype(np.uint8)
        return self.processor.preprocess(image, return_tensors="pt")["pixel_values"][0].float()

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        index = []
        for name, levels in sorted(self.levels.items()):
            file = f"{name}.{self.mode}.{self.size}.png"
            Image.fromarray(levels.transpose(1, 2, 0), "RGB").save(folder / file, optimize=True)
            index.append(dict(file=file, picture=name, mode=self.mode, size=self.size))
        write_json(folder / "index.json", index)


def pad(image, colour):
    """Upstream's `expand2square` (`utils.py`)."""
    width, height = image.size
    side = max(width, height)
    square = Image.new("RGB", (side, side), colour)
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square


def write_set(out, cases, run, pixels, about, embeds_of=2, images=True, packages=PACKAGES):
    """Runs `cases` and writes the folder `out`.

    `cases`: dicts with `name`, `images`, `prompt`, `max_new_tokens`. `run(case, pixels)` returns a
    `Run`. Vision features are kept of the first case with a picture, embeddings of the first
    `embeds_of` such cases: larger sets would say nothing more about those stages.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tensors, records, pictured = {}, [], 0
    for case in cases:
        result = run(case, [pixels(name) for name in case["images"]])
        name = case["name"]
        tensors[f"{name}.logits"] = result.logits
        if case["images"]:
            for i, (features, embeds) in enumerate(zip(result.features, result.embeds)):
                if pictured == 0:
                    tensors[f"{name}.{i}.vision_features"] = features
                if pictured < embeds_of:
                    tensors[f"{name}.{i}.image_embeds"] = embeds
            pictured += 1
        best = result.logits.topk(2).values
        records.append(dict(
            name=name,
            images=case["images"],
            prompt=case["prompt"],
            input_ids=result.input_ids,
            max_new_tokens=case["max_new_tokens"],
            output_ids=result.output_ids,
            margins=[round(float(a - b), 5) for a, b in best],
            text=result.text,
        ))
        print(f"{name}: {len(result.output_ids)} ids, {result.text!r}")
    tensors = {name: tensor.detach().float().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, out / "reference.safetensors", metadata={"format": "pt"})
    write_json(out / "cases.json", records)
    pixels.write(out / "preprocess")
    if images:
        (out / "images").mkdir(exist_ok=True)
        for name in pixels.levels:
            shutil.copyfile(pixels.images / name, out / "images" / name)
    write_json(out / "record.json", dict(about, versions=versions(packages)))


def versions(expected=PACKAGES):
    """The versions in use, with a warning for each that is not the expected one."""
    found = dict(python=platform.python_version())
    for package, version in expected.items():
        # torch and torchvision add the build after a plus sign.
        found[package] = importlib.metadata.version(package)
        if found[package].split("+")[0] != version:
            print(f"warning: {package} {found[package]}, expected {version}", file=sys.stderr)
    return found


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")
