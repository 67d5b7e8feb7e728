"""Writes `golden/gguf/`: pairs of GGUF files of the micro model, and the logits that they mean.

    pip install gguf==0.19.0 numpy==2.4.6 pillow==12.0.0 safetensors==0.8.0 sentencepiece==0.2.3
    python reference/make_gguf.py

Files, names, row order and quantised bytes come from the `gguf` package and from what is written
here of llama.cpp's conventions (`docs/layouts.md`); logits come from those files, read back with the
package, in numpy and float64. Nothing of the engine takes part.
"""

import hashlib
import json
import math
import pathlib

import gguf
import numpy as np
import sentencepiece
from PIL import Image
from safetensors.numpy import load_file, save_file

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
OUT = GOLDEN / "gguf"
TYPES = gguf.GGMLQuantizationType

BLOCK = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
# The first layer of the tower's feed-forward part is called `ffn_down`, as old converters do.
VISION_BLOCK = {
    "layer_norm1": "ln1", "layer_norm2": "ln2", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.out_proj": "attn_out",
    "mlp.fc1": "ffn_down", "mlp.fc2": "ffn_up",
}
TOWER = "model.vision_tower.vision_tower.vision_model."


def paired(weight, heads):
    """Rows so that those of a rotary pair are neighbours."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def language_name(name):
    if name.startswith("model.layers."):
        layer, part = name.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
        return f"blk.{layer}.{BLOCK[part]}.weight"
    return {"model.embed_tokens.weight": "token_embd.weight", "lm_head.weight": "output.weight",
            "model.norm.weight": "output_norm.weight"}.get(name)


def projector_name(name, blocks):
    if name.startswith("model.mm_projector."):
        return name.replace("model.mm_projector.mlp.", "mm.model.").replace("model.mm_projector.peg.", "mm.model.")
    if not name.startswith(TOWER):
        return None
    name = name.removeprefix(TOWER)
    if name.startswith("encoder.layers."):
        layer, rest = name.removeprefix("encoder.layers.").split(".", 1)
        part, kind = rest.rsplit(".", 1)
        return f"v.blk.{layer}.{VISION_BLOCK[part]}.{kind}" if int(layer) < blocks else None
    return {"embeddings.class_embedding": "v.class_embd", "embeddings.patch_embedding.weight": "v.patch_embd.weight",
            "embeddings.position_embedding.weight": "v.position_embd.weight", "pre_layrnorm.weight": "v.pre_ln.weight",
            "pre_layrnorm.bias": "v.pre_ln.bias"}.get(name)


def add(writer, name, value, kind):
    if value.ndim == 1:
        kind = TYPES.F32
    data = value.astype({TYPES.F32: np.float32, TYPES.F16: np.float16}.get(kind, np.float32))
    if kind not in (TYPES.F32, TYPES.F16):
        data = gguf.quants.quantize(data, kind)
    writer.add_tensor(name, data, raw_dtype=kind)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_language(path, config, weights, kinds):
    """`kinds` names the type of some tensors; the others are F16, vectors F32."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("micro")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(GOLDEN / "checkpoint/tokenizer.model"))
    ids = range(pieces.vocab_size())
    kind = lambda i: (2 if pieces.is_unknown(i) else 3 if pieces.is_control(i) else 6 if pieces.is_byte(i) else 5 if pieces.is_unused(i) else 1)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([pieces.id_to_piece(i) for i in ids])
    writer.add_token_scores([pieces.get_score(i) for i in ids])
    writer.add_token_types([kind(i) for i in ids])
    for stored, value in weights.items():
        if name := language_name(stored):
            if ".attn_q." in name or ".attn_k." in name:
                value = paired(value, config["num_attention_heads"])
            add(writer, name, value, kinds.get(name, TYPES.F16))
    finish(writer)


def write_projector(path, config, vision, weights):
    blocks = vision["num_hidden_layers"] - 1
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "ldpv2")
    for key, value in [("image_size", vision["image_size"]), ("patch_size", vision["patch_size"]),
                       ("embedding_length", vision["hidden_size"]), ("feed_forward_length", vision["intermediate_size"]),
                       ("projection_dim", vision["projection_dim"]), ("block_count", blocks),
                       ("attention.head_count", vision["num_attention_heads"])]:
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", vision["layer_norm_eps"])
    writer.add_array("clip.vision.image_mean", [0.48145466, 0.4578275, 0.40821073])
    writer.add_array("clip.vision.image_std", [0.26862954, 0.26130258, 0.27577711])
    for stored, value in weights.items():
        if name := projector_name(stored, blocks):
            # The converter in use squeezes the convolution's weight.
            value = value.squeeze(1) if name == "mm.model.peg.0.weight" else value
            add(writer, name, value, TYPES.F32 if value.ndim > 2 and "peg" in name else TYPES.F16)
    finish(writer)


class File:
    """The tensors of a file in float64, and its keys."""

    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        self.tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64).reshape(t.shape[::-1])
                        for t in self.reader.tensors}

    def __getitem__(self, name):
        return self.tensors[name]

    def key(self, name):
        return self.reader.fields[name].contents()


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def norm(x, weight, bias, eps):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight + bias


def attention(query, key, value, heads, mask=0.0):
    split = lambda x: x.reshape(len(x), heads, -1).swapaxes(0, 1)
    query, key, value = split(query), split(key), split(value)
    scores = query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1]) + mask
    return (softmax(scores) @ value).swapaxes(0, 1).reshape(query.shape[1], -1)


def image_embeds(file, pixels):
    """Tower and projector: class embedding first, all blocks of the file, exact GELU."""
    key = lambda name: file.key(f"clip.vision.{name}")
    eps, heads, patch = key("attention.layer_norm_epsilon"), key("attention.head_count"), key("patch_size")
    side = key("image_size") // patch
    mean, std = np.array(key("image_mean")), np.array(key("image_std"))
    x = ((pixels / 255 - mean) / std).transpose(2, 0, 1).reshape(3, side, patch, side, patch)
    x = x.transpose(1, 3, 0, 2, 4).reshape(side * side, -1)
    x = x @ file["v.patch_embd.weight"].reshape(key("embedding_length"), -1).T
    x = np.vstack([file["v.class_embd"], x]) + file["v.position_embd.weight"]
    x = norm(x, file["v.pre_ln.weight"], file["v.pre_ln.bias"], eps)
    for i in range(key("block_count")):
        get = lambda name: (file[f"v.blk.{i}.{name}.weight"], file[f"v.blk.{i}.{name}.bias"])
        linear = lambda x, name: x @ get(name)[0].T + get(name)[1]
        n = norm(x, *get("ln1"), eps)
        x = x + linear(attention(linear(n, "attn_q"), linear(n, "attn_k"), linear(n, "attn_v"), heads), "attn_out")
        h = linear(norm(x, *get("ln2"), eps), "ffn_down")
        x = x + linear(h / (1 + np.exp(-1.702 * h)), "ffn_up")
    linear = lambda x, name: x @ file[f"{name}.weight"].T + file[f"{name}.bias"]
    h = linear(x[1:], "mm.model.mlp.0")
    x = linear(h * 0.5 * (1 + np.vectorize(math.erf)(h / math.sqrt(2))), "mm.model.mlp.2")
    # 12 x 12 patches are pooled to 12 x 12: nothing changes.
    assert side == 12
    grid = np.pad(x.reshape(side, side, -1), ((1, 1), (1, 1), (0, 0)))
    weight = file["mm.model.peg.0.weight"]
    around = sum(grid[a:a + side, b:b + side] * weight[:, a, b] for a in range(3) for b in range(3))
    return x + (around + file["mm.model.peg.0.bias"]).reshape(x.shape)


def rotate(x, heads):
    """Rotary positions of rows whose pairs are neighbours."""
    x = x.reshape(len(x), heads, -1, 2)
    angles = np.arange(len(x))[:, None] * 10000.0 ** (-np.arange(x.shape[2]) / x.shape[2])
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    a, b = x[..., 0], x[..., 1]
    return np.stack([a * cos - b * sin, b * cos + a * sin], -1).reshape(len(x), -1)


def last_logits(file, x):
    """`x`: embeddings of a prompt. The logits of its last position."""
    heads, eps = file.key("llama.attention.head_count"), file.key("llama.attention.layer_norm_rms_epsilon")
    rms = lambda x, name: x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * file[f"{name}.weight"]
    mask = np.triu(np.full((len(x), len(x)), -np.inf), 1)
    for i in range(file.key("llama.block_count")):
        linear = lambda x, name: x @ file[f"blk.{i}.{name}.weight"].T
        n = rms(x, f"blk.{i}.attn_norm")
        query, key = rotate(linear(n, "attn_q"), heads), rotate(linear(n, "attn_k"), heads)
        x = x + linear(attention(query, key, linear(n, "attn_v"), heads, mask), "attn_output")
        n = rms(x, f"blk.{i}.ffn_norm")
        gate = linear(n, "ffn_gate")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(n, "ffn_up"), "ffn_down")
    return rms(x[-1], "output_norm") @ file["output.weight"].T


def main():
    config = json.loads((GOLDEN / "checkpoint/config.json").read_text())
    vision = json.loads((GOLDEN / "checkpoint/vision_config.json").read_text())
    weights = {name: value.astype(np.float32) for name, value in load_file(GOLDEN / "checkpoint/model.safetensors").items()}
    OUT.mkdir(exist_ok=True)
    # Only the rows of `ffn_down`, 96 long, are whole blocks.
    kinds = {"blk.0.ffn_down.weight": TYPES.Q8_0, "blk.1.ffn_down.weight": TYPES.Q4_0}
    write_language(OUT / "micro-f16.gguf", config, weights, {})
    write_language(OUT / "micro-mixed.gguf", config, weights, kinds)
    write_projector(OUT / "mmproj-micro-f16.gguf", config, vision, weights)

    recorded = load_file(GOLDEN / "reference.safetensors")
    projector = File(OUT / "mmproj-micro-f16.gguf")
    cases = [{key: case[key] for key in ["name", "images", "input_ids"]}
             for case in json.loads((GOLDEN / "cases.json").read_text())]
    embeds = {}
    for case in cases:
        for i, image in enumerate(case["images"]):
            name = f"{case['name']}.{i}.image_embeds"
            pixels = np.asarray(Image.open(GOLDEN / f"preprocess/{image}.pad.168.png").convert("RGB"), dtype=np.float64)
            embeds[name] = image_embeds(projector, pixels)
            if name in recorded:
                worst = abs(embeds[name] - recorded[name]).max() / recorded[name].std()
                assert worst < 1e-5, f"{name}: {worst} of a standard deviation away from upstream's"
                embeds[name] = recorded[name].astype(np.float64)
    files, tensors = {}, {}
    for kind in ["f16", "mixed"]:
        path = OUT / f"micro-{kind}.gguf"
        file = File(path)
        rows = []
        for case in cases:
            pictures = iter(range(len(case["images"])))
            parts = [embeds[f"{case['name']}.{next(pictures)}.image_embeds"] if id == -200 else file["token_embd.weight"][id:id + 1]
                     for id in case["input_ids"]]
            rows.append(last_logits(file, np.vstack(parts)))
        best = [np.sort(row)[::-1] for row in rows]
        if kind == "f16":
            for case, row in zip(cases, rows):
                upstream = recorded[f"{case['name']}.logits"][0]
                assert abs(row - upstream).max() / upstream.std() < 1e-4, case["name"]
        tensors[f"{kind}.reference"] = np.array(rows, dtype=np.float32)
        files[path.name] = {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "argmax": [int(row.argmax()) for row in rows],
            "margin_over_std": [round(float((top[0] - top[1]) / row.std()), 4) for top, row in zip(best, rows)],
        }
    save_file(tensors, OUT / "expected.safetensors")
    (OUT / "expected.json").write_text(json.dumps({"cases": cases, "files": files}, indent=1) + "\n")
    for path in sorted(OUT.iterdir()):
        print(path.stat().st_size, path.name)


if __name__ == "__main__":
    main()
