#!/usr/bin/env python3
"""Makes small random checkpoints in the `llava-hf` layouts and records what transformers computes.

Packages: torch 2.2.2, transformers 4.57.1, numpy 1.26.4, Pillow 12.0.0, sentencepiece 0.1.99,
safetensors 0.8.0 (Python 3.11): `LlavaForConditionalGeneration` is newer than upstream's version.

    python make_llava_hf.py --upstream MobileVLM
"""

import argparse
from pathlib import Path

import torch
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaTokenizer,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

import record
import small
import upstream

PACKAGES = {
    "torch": "2.2.2",
    "transformers": "4.57.1",
    "sentencepiece": "0.1.99",
    "numpy": "1.26.4",
    "Pillow": "12.0.0",
}

# As in the releases, two tokens beyond the vocabulary's pieces, and rows up to a round number.
IMAGE, PAD, ROWS = 384, 385, 400

# How names begin: in the releases, and as transformers holds them since 4.52.
OLD_NAMES = [
    ("model.language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
    ("model.vision_tower.", "vision_tower."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--upstream", required=True, help="a clone of upstream, for its prompts")
    parser.add_argument("--out", type=Path, default=small.GOLDEN / "relatives")
    args = parser.parse_args()
    commit = upstream.enter(args.upstream)
    model = make_model()
    for name in ["llava-hf", "llava-hf-new"]:
        print(f"== {name}")
        folder = args.out / name
        processor = write_checkpoint(folder / "checkpoint", model, name == "llava-hf")
        tokenizer = LlamaTokenizer.from_pretrained(folder / "checkpoint", legacy=True)
        # These processors know no padding: the mode is "square".
        pixels = record.Pixels(processor, "square", small.GOLDEN / "images")
        about = dict(upstream=upstream.REPOSITORY, commit=commit, script="make_llava_hf.py")
        record.write_set(
            folder, small.cases(), runner(tokenizer, model), pixels, about, 1, False, PACKAGES
        )


def make_model():
    text = dict(small.TEXT, vocab_size=ROWS, rms_norm_eps=1e-5, pad_token_id=PAD)
    text.pop("rope_scaling")
    config = LlavaConfig(
        text_config=LlamaConfig(**text),
        vision_config=CLIPVisionConfig(**small.VISION),
        image_token_index=IMAGE,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        projector_hidden_act="gelu",
        attn_implementation="eager",
    )
    return small.fill(LlavaForConditionalGeneration(config), 102)


def write_checkpoint(folder, model, old):
    """Writes the model with the releases' names, or with those since transformers 4.52."""
    text = dict(small.TEXT, vocab_size=ROWS, rms_norm_eps=1e-5, pad_token_id=PAD)
    small.write_config(
        folder / "config.json",
        architectures=["LlavaForConditionalGeneration"],
        ignore_index=-100,
        image_token_index=IMAGE,
        model_type="llava",
        pad_token_id=PAD,
        projector_hidden_act="gelu",
        text_config=dict(text, architectures=["LlamaForCausalLM"], model_type="llama"),
        tie_word_embeddings=False,
        torch_dtype="float16",
        vision_config=dict(small.VISION, model_type="clip_vision_model", vocab_size=ROWS),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    tensors = model.state_dict()
    if old:
        tensors = {old_name(name): tensor for name, tensor in tensors.items()}
    small.save_safetensors(folder / "model.safetensors", tensors)
    small.copy_tokenizer(folder)
    small.write_config(folder / "added_tokens.json", **{"<image>": IMAGE, "<pad>": PAD})
    size = small.VISION["image_size"]
    processor = CLIPImageProcessor(size={"shortest_edge": size}, crop_size=size)
    processor.save_pretrained(folder)
    return processor


def old_name(name):
    new, old = next(pair for pair in OLD_NAMES if name.startswith(pair[0]))
    return old + name.removeprefix(new)


def runner(tokenizer, model):
    from mobilevlm.utils import tokenizer_image_token

    seen = {}

    def projected(_module, inputs, output):
        width = inputs[0].shape[-1]
        seen["features"] = list(inputs[0].reshape(-1, seen["tokens"], width))
        seen["embeds"] = list(output.reshape(-1, seen["tokens"], output.shape[-1]))

    model.model.multi_modal_projector.register_forward_hook(projected)
    model.lm_head.register_forward_hook(lambda _m, _in, out: seen["logits"].append(out[0, -1]))
    vision = model.config.vision_config
    tokens = (vision.image_size // vision.patch_size) ** 2

    def run(case, pictures):
        seen.update(features=[], embeds=[], logits=[], tokens=tokens)
        ids = tokenizer_image_token(case["prompt"], tokenizer)
        expanded = [i for id in ids for i in ([IMAGE] * tokens if id == -200 else [id])]
        prompt = torch.tensor([expanded])
        with torch.inference_mode():
            out = model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                pixel_values=torch.stack(pictures) if pictures else None,
                do_sample=False,
                max_new_tokens=case["max_new_tokens"],
                eos_token_id=2,
                pad_token_id=PAD,
            )
        output_ids = out[0, prompt.shape[1]:].tolist()
        return record.Run(
            input_ids=ids,
            output_ids=output_ids,
            logits=torch.stack(seen["logits"]),
            text=tokenizer.decode([i for i in output_ids if i < IMAGE], skip_special_tokens=True),
            features=seen["features"],
            embeds=seen["embeds"],
        )

    return run


if __name__ == "__main__":
    main()
