#!/usr/bin/env python3
"""Records what upstream computes on your weights, for `mobilevlm verify -m CHECKPOINT --golden OUT`.

Upstream is github.com/Meituan-AutoML/MobileVLM at 688fdec, run in float32 on the CPU with the
packages of requirements.txt (torch 2.0.1, transformers 4.33.1, timm 0.9.12, Pillow 12.0.0, Python
3.11); the versions in use are written to OUT/record.json.

    python make_golden.py --upstream MobileVLM --checkpoint MobileVLM_V2-1.7B --out my-golden \\
        --question "What is in this picture?" photo.jpg other.png
"""

import argparse
import json
import sys
from pathlib import Path

import torch

import record
import upstream


def main():
    args = arguments()
    commit = upstream.enter(args.upstream)
    cases = recorded_cases(args) if args.cases else asked_cases(args)
    tokenizer, model, processor = upstream.load(args.checkpoint, args.vision_tower)
    mode = "pad" if model.config.image_aspect_ratio == "pad" else "square"
    pixels = record.Pixels(processor, mode, args.images)
    about = dict(upstream=upstream.REPOSITORY, commit=commit, script="make_golden.py")
    run = runner(tokenizer, model)
    record.write_set(args.out, cases, run, pixels, about)
    link = Path(args.out) / "checkpoint"
    if args.link and not link.exists():
        link.symlink_to(Path(args.checkpoint).resolve(), target_is_directory=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", nargs="*", type=Path, help="asked about with every question")
    parser.add_argument("--upstream", required=True, help="a clone of upstream at 688fdec")
    parser.add_argument("--checkpoint", required=True, help="a released folder")
    parser.add_argument("--vision-tower", help="the CLIP folder, if the checkpoint has no tower")
    parser.add_argument("--question", action="append", default=[], help="may be given again")
    parser.add_argument("--cases", help="a cases.json to record again, instead of questions")
    parser.add_argument("--images", type=Path, help="where the pictures of --cases are")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--link", action="store_true", help="make OUT/checkpoint a link")
    parser.add_argument("--out", required=True, help="the folder to write")
    args = parser.parse_args()
    if args.cases:
        args.images = args.images or Path(args.cases).parent / "images"
        return args
    if not args.question:
        parser.error('expected --question "…" or --cases FILE')
    folders = {picture.parent for picture in args.pictures} or {Path(".")}
    if len(folders) > 1:
        parser.error(f"pictures must lie in one folder, found {sorted(map(str, folders))}")
    args.images = folders.pop()
    return args


def recorded_cases(args):
    keys = ["name", "images", "prompt", "max_new_tokens"]
    return [{key: case[key] for key in keys} for case in json.loads(Path(args.cases).read_text())]


def asked_cases(args):
    """Every question about every picture; without pictures, every question by itself."""
    from mobilevlm.conversation import conv_templates

    cases = []
    for picture in args.pictures or [None]:
        for number, question in enumerate(args.question, 1):
            conversation = conv_templates["v1"].copy()
            message = question if picture is None else f"<image>\n{question}"
            conversation.append_message(conversation.roles[0], message)
            conversation.append_message(conversation.roles[1], None)
            cases.append(dict(
                name=f"{picture.stem if picture else 'text'}-{number}",
                images=[picture.name] if picture else [],
                prompt=conversation.get_prompt(),
                max_new_tokens=args.max_new_tokens,
            ))
    if len({case["name"] for case in cases}) < len(cases):
        sys.exit("two pictures have the same name without their extension: rename one")
    return cases


def runner(tokenizer, model):
    """Greedy generation as in upstream's `scripts/inference.py`, watched by hooks."""
    from mobilevlm.conversation import conv_templates
    from mobilevlm.utils import KeywordsStoppingCriteria, tokenizer_image_token

    seen = {}
    tower, projector = model.get_vision_tower(), model.get_model().mm_projector
    tower.register_forward_hook(lambda _m, _in, out: seen.__setitem__("features", list(out)))
    projector.register_forward_hook(lambda _m, _in, out: seen.__setitem__("embeds", list(out)))
    model.lm_head.register_forward_hook(lambda _m, _in, out: seen["logits"].append(out[0, -1]))
    stop = conv_templates["v1"].sep2

    def run(case, pictures):
        seen.update(features=[], embeds=[], logits=[])
        ids = tokenizer_image_token(case["prompt"], tokenizer, return_tensors="pt").unsqueeze(0)
        with torch.inference_mode():
            out = model.generate(
                ids,
                images=torch.stack(pictures) if pictures else None,
                do_sample=False,
                num_beams=1,
                max_new_tokens=case["max_new_tokens"],
                use_cache=True,
                stopping_criteria=[KeywordsStoppingCriteria([stop], tokenizer, ids)],
            )
        output_ids = out[0, ids.shape[1]:].tolist()
        return record.Run(
            input_ids=ids[0].tolist(),
            output_ids=output_ids,
            logits=torch.stack(seen["logits"]),
            text=tokenizer.decode(output_ids, skip_special_tokens=True),
            features=seen["features"],
            embeds=seen["embeds"],
        )

    return run


if __name__ == "__main__":
    main()
