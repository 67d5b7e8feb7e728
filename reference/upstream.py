"""Loads a checkpoint with upstream's own classes, in float32 on the CPU.

Upstream's `load_pretrained_model` loads float16 to a GPU and fetches the vision tower by name.
`load` does the same steps without either: it lays the tower out in a folder of its own and gives
upstream that folder's name. No code of upstream is changed.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel
from transformers.utils import logging

REPOSITORY = "https://github.com/Meituan-AutoML/MobileVLM"
COMMIT = "688fdec914810485c8766da96c63d9d2ce15f750"
TOWER = "model.vision_tower.vision_tower."

# openai/clip-vit-large-patch14-336, the tower of every release.
CLIP_L_336 = dict(
    hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16,
    image_size=336, patch_size=14, projection_dim=768, hidden_act="quick_gelu",
    layer_norm_eps=1e-5,
)


def enter(clone):
    """Makes upstream's package importable and returns the clone's commit."""
    clone = Path(clone).resolve()
    if not (clone / "mobilevlm/model/mobilellama.py").is_file():
        sys.exit(f"{clone}: expected a clone of {REPOSITORY}, found no mobilevlm/model")
    sys.path.insert(0, str(clone))
    git = subprocess.run(["git", "-C", clone, "rev-parse", "HEAD"], capture_output=True, text=True)
    commit = git.stdout.strip() or "unknown"
    if commit != COMMIT:
        print(f"warning: upstream is at {commit}, references are made at {COMMIT}", file=sys.stderr)
    return commit


def weights(folder):
    """Yields (name, tensor) of a checkpoint in any released file layout."""
    files = sorted(folder.glob("model*.safetensors"))
    if files:
        for file in files:
            with safe_open(file, "pt") as tensors:
                for name in tensors.keys():
                    yield name, tensors.get_tensor(name)
        return
    files = sorted(folder.glob("pytorch_model*.bin"))
    if not files:
        sys.exit(f"{folder}: expected model*.safetensors or pytorch_model*.bin, found neither")
    for file in files:
        yield from torch.load(file, map_location="cpu").items()


def tower_folder(checkpoint, config, given, scratch):
    """The folder (or hub name) with the tower that belongs to `checkpoint`.

    A tower inside the checkpoint is the one that was trained, so it counts first; upstream itself
    reads it for `v2` projectors only.
    """
    inside = {n[len(TOWER):]: t.float() for n, t in weights(checkpoint) if n.startswith(TOWER)}
    if inside:
        described = checkpoint / "vision_config.json"
        sizes = json.loads(described.read_text()) if described.is_file() else CLIP_L_336
        tower = CLIPVisionModel(CLIPVisionConfig(**sizes))
        state = tower.state_dict()
        # `position_ids` is a constant that older files store.
        state.update({name: inside[name] for name in state if "position_ids" not in name})
        tower.load_state_dict(state)
        tower.save_pretrained(scratch)
        size = tower.config.image_size
        CLIPImageProcessor(size={"shortest_edge": size}, crop_size=size).save_pretrained(scratch)
        return scratch
    named = config.mm_vision_tower
    places = [given, named, checkpoint / named, checkpoint / "clip", checkpoint.parent / "clip"]
    for place in places:
        if place is not None and Path(place).is_dir():
            return Path(place).resolve()
    return named


def load(checkpoint, given_tower=None):
    """Returns (tokenizer, model, image processor) of a checkpoint; `enter` comes first."""
    from mobilevlm.model.mobilellama import MobileLlamaForCausalLM, MobileVLMConfig

    # It reports a tower outside of the checkpoint as missing; what counts is checked below.
    logging.set_verbosity_error()
    checkpoint = Path(checkpoint).resolve()
    config = MobileVLMConfig.from_pretrained(checkpoint)
    with tempfile.TemporaryDirectory() as scratch:
        tower = tower_folder(checkpoint, config, given_tower, Path(scratch))
        config.mm_vision_tower = str(tower)
        # LLaVA's configurations lack this key, and upstream knows one type.
        config.vision_tower_type = getattr(config, "vision_tower_type", "clip")
        config.image_aspect_ratio = getattr(config, "image_aspect_ratio", None)
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, use_fast=False)
        model, report = MobileLlamaForCausalLM.from_pretrained(
            checkpoint, config=config, torch_dtype=torch.float32, output_loading_info=True
        )
        lost = [name for name in report["missing_keys"] if not name.startswith(TOWER)]
        if lost or report["mismatched_keys"]:
            sys.exit(f"{checkpoint}: missing {lost}, misshaped {report['mismatched_keys']}")
        model.get_vision_tower().load_model()
    model.eval()
    return tokenizer, model, model.get_vision_tower().image_processor
