"""Small random checkpoints: sizes, weights, cases, files."""

import json
import math
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

GOLDEN = Path(__file__).resolve().parent.parent / "golden"

TEXT = dict(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=2, vocab_size=384, max_position_embeddings=2048, rms_norm_eps=1e-6,
    hidden_act="silu", bos_token_id=1, eos_token_id=2, pad_token_id=0, rope_scaling=None,
    tie_word_embeddings=False, use_cache=True,
)

VISION = dict(
    hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2,
    image_size=56, patch_size=14, num_channels=3, projection_dim=16, hidden_act="quick_gelu",
    layer_norm_eps=1e-5, attention_dropout=0.0,
)

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. "
)


def cases():
    """Few rows of logits: the sets lie in the repository."""
    rows = [
        ("one-picture", ["a.png"], "USER: <image>\nWhat is this? ASSISTANT:", 10),
        ("two-pictures", ["b.jpg", "a.png"], "USER: <image>\n<image>\nSame? ASSISTANT:", 6),
        ("text-only", [], "USER: Name one colour. ASSISTANT:", 4),
        ("multi-turn", ["a.png"], "USER: <image>\nDog? ASSISTANT: No.</s>USER: Why? ASSISTANT:", 4),
    ]
    return [
        dict(name=name, images=images, prompt=SYSTEM + text, max_new_tokens=most)
        for name, images, text, most in rows
    ]


def fill(model, seed):
    """Random weights that float16 holds exactly, scaled so that no stage is flat or saturated."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in sorted(model.named_parameters()):
        value = torch.randn(weight.shape, generator=generator)
        if name.endswith("bias"):
            value *= 0.1
        elif name.endswith("lm_head.weight"):
            value *= 4 / math.sqrt(weight.shape[1])
        elif "position" in name:
            value *= 0.5
        elif weight.dim() == 1 and not name.endswith("class_embedding"):
            value = 1 + 0.1 * value
        elif name.endswith("embed_tokens.weight"):
            # Small beside what attention adds, so that answers depend on the picture.
            value *= 0.3
        elif weight.dim() > 1:
            value *= (2 if "v_proj" in name or "o_proj" in name else 1)
            value /= math.sqrt(weight[0].numel())
        weight.data = value.half().float()
    model.tie_weights()
    return model.eval()


def copy_tokenizer(folder):
    for name in ["tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"]:
        shutil.copyfile(GOLDEN / "checkpoint" / name, folder / name)


def write_config(path, **values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")


def save_safetensors(path, tensors):
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, path, metadata={"format": "pt"})


def save_bins(folder, tensors, count):
    """Sharded `pytorch_model-*.bin` with an index, as torch and transformers write them."""
    names = list(tensors)
    weight_map = {}
    for part in range(count):
        file = f"pytorch_model-{part + 1:05}-of-{count:05}.bin"
        mine = names[part * len(names) // count:(part + 1) * len(names) // count]
        torch.save({name: tensors[name].half().clone() for name in mine}, folder / file)
        weight_map.update(dict.fromkeys(mine, file))
    index = dict(metadata=dict(total_size=sum(t.numel() * 2 for t in tensors.values())))
    write_config(folder / "pytorch_model.bin.index.json", weight_map=weight_map, **index)
