#!/usr/bin/env python3
"""Makes small random checkpoints of MobileVLM's relatives and records what upstream computes.

Packages: requirements.txt. The `llava-hf` layouts need another version of transformers and have
a script of their own, make_llava_hf.py.

    python make_relatives.py --upstream MobileVLM
"""

import argparse
import tempfile
from pathlib import Path

import torch
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel
from transformers.utils import logging

import record
import small
import upstream
from make_golden import runner

MULTIMODAL = dict(
    mm_hidden_size=small.VISION["hidden_size"],
    mm_projector_type="mlp2x_gelu",
    mm_use_im_patch_token=False,
    mm_use_im_start_end=False,
    mm_vision_select_feature="patch",
    mm_vision_select_layer=-2,
    mm_vision_tower="openai/clip-vit-large-patch14-336",
    image_aspect_ratio="pad",
    use_mm_proj=True,
    torch_dtype="float16",
)

LLAVA = dict(
    architectures=["LlavaLlamaForCausalLM"], model_type="llava", rms_norm_eps=1e-5,
    max_position_embeddings=4096,
)
SHARE = dict(
    architectures=["Share4VLlamaForCausalLM"], model_type="share4v", rms_norm_eps=1e-5,
    mm_vision_tower="Lin-Chen/ShareGPT4V-7B_Pretrained_vit-large336-l12",
)
LDPV2 = dict(
    architectures=["MobileLlamaForCausalLM"], model_type="mobilevlm", vision_tower_type="clip",
    mm_projector_type="ldpnetv2",
)

# Per set: what its config.json says beyond the defaults, and the tower's image size. The variants
# of ldpnetv2 also differ in what small sets are cheap for: layers read, heads, tied embeddings.
SETS = {
    "llava-1.5": (LLAVA, 56),
    "sharegpt4v": (SHARE, 56),
    "ldpv2-no-pool": (
        dict(LDPV2, mm_projector_variant="no-pool", mm_vision_select_layer=-3), 84
    ),
    "ldpv2-pool": (
        dict(LDPV2, mm_projector_variant="pool", mm_vision_select_layer=-1, num_key_value_heads=1),
        56,
    ),
    "ldpv2-pool-positions": (
        dict(LDPV2, mm_projector_variant="pool+positions", tie_word_embeddings=True), 56
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--upstream", required=True, help="a clone of upstream at 688fdec")
    parser.add_argument("--out", type=Path, default=small.GOLDEN / "relatives")
    args = parser.parse_args()
    commit = upstream.enter(args.upstream)
    logging.set_verbosity_error()
    for seed, (name, (values, image_size)) in enumerate(SETS.items()):
        print(f"== {name}")
        values = {**small.TEXT, **MULTIMODAL, **values}
        vision = dict(small.VISION, image_size=image_size)
        tokenizer, model, processor = make(args.out / name, values, vision, seed)
        pixels = record.Pixels(processor, "pad", small.GOLDEN / "images")
        about = dict(upstream=upstream.REPOSITORY, commit=commit, script="make_relatives.py")
        run = runner(tokenizer, model)
        record.write_set(args.out / name, small.cases(), run, pixels, about, 1, images=False)


def make(folder, values, vision, seed):
    """Writes `folder/checkpoint` and returns (tokenizer, model, processor) with its weights."""
    from mobilevlm.model.mobilellama import MobileLlamaForCausalLM, MobileVLMConfig
    from transformers import LlamaTokenizer

    with tempfile.TemporaryDirectory() as scratch:
        CLIPVisionModel(CLIPVisionConfig(**vision)).save_pretrained(scratch)
        names = {**values, "mm_vision_tower": scratch, "vision_tower_type": "clip"}
        names.pop("architectures"), names.pop("model_type"), names.pop("torch_dtype")
        model = MobileLlamaForCausalLM(MobileVLMConfig(**names))
    if "mm_projector_variant" in values:
        model.model.mm_projector = Variant(values["mm_projector_variant"], model.config)
    small.fill(model, seed)

    checkpoint = folder / "checkpoint"
    small.write_config(checkpoint / "config.json", **values)
    small.copy_tokenizer(checkpoint)
    tensors = model.state_dict()
    if values["tie_word_embeddings"]:
        del tensors["lm_head.weight"]
    size = vision["image_size"]
    processor = CLIPImageProcessor(size={"shortest_edge": size}, crop_size=size)
    if values["model_type"] == "llava":
        tower = {n: t for n, t in tensors.items() if n.startswith(upstream.TOWER)}
        small.save_bins(checkpoint, {n: t for n, t in tensors.items() if n not in tower}, 2)
        own = {n.removeprefix(upstream.TOWER): t for n, t in tower.items()}
        small.save_safetensors(folder / "clip/model.safetensors", own)
        clip = dict(vision, architectures=["CLIPVisionModel"], model_type="clip_vision_model")
        small.write_config(folder / "clip/config.json", **clip)
        processor.save_pretrained(folder / "clip")
    else:
        small.save_safetensors(checkpoint / "model.safetensors", tensors)
        small.write_config(checkpoint / "vision_config.json", **vision)
    return LlamaTokenizer.from_pretrained(checkpoint), model, processor


class Variant(torch.nn.Module):
    """LDPv2 with parts left out or exchanged (the paper's Table 4), from upstream's own parts.

    `no-pool`: no pooling; `pool`: no positions; `pool+positions`: learned positions, added after
    the pooling, instead of the convolution's.
    """

    def __init__(self, variant, config):
        from mobilevlm.model.vision_projector import FeatureIRLayer, PosInjectLayer, TokenDownLayer

        super().__init__()
        self.mlp = FeatureIRLayer(config.mm_hidden_size, config.hidden_size)
        self.dwn = torch.nn.Identity() if variant == "no-pool" else TokenDownLayer((12, 12))
        if variant == "no-pool":
            self.peg = PosInjectLayer(config.hidden_size, config.hidden_size)
        if variant == "pool+positions":
            self.positions = torch.nn.Parameter(torch.empty(144, config.hidden_size))

    def forward(self, x):
        x = self.dwn(self.mlp(x))
        if hasattr(self, "peg"):
            x = self.peg(x)
        if hasattr(self, "positions"):
            x = x + self.positions
        return x


if __name__ == "__main__":
    main()
