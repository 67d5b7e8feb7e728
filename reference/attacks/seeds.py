"""Small valid files of every format that is read: what mutations start from."""

import io
import json
import struct

from PIL import Image

from . import pickles
from .containers import (
    ARRAY, F32, STRING, U32, block, chunk, entry, field, gguf, gguf_array, gguf_key, gguf_string, gguf_tensor, idat, ihdr,
    piece, png, safetensors, torch_legacy, torch_zip, varint,
)

HALVES = struct.pack("<6e", 0.5, -1, 2, 0.25, 3, -0.125)


def every():
    return {
        "safetensors": tensors(),
        "torch-zip": torch_zips(),
        "torch-legacy": torch_legacies(),
        "gguf": ggufs(),
        "tokenizer-model": {"small.model": (vocabulary(), "a BPE vocabulary with byte fallback")},
        "text": texts(),
        "config-json": {"mobilevlm.json": (as_json(CONFIG), "sizes of a tiny V2 model"), "llava-hf.json": (as_json(LLAVA), "the llava-hf layout")},
        "vision-json": {"clip.json": (as_json(VISION), "a tower's configuration"), "nested.json": (as_json({"vision_config": VISION}), "inside a whole CLIP model's")},
        "preprocessor-json": {
            "v1.json": (as_json(PREPROCESSOR), "sizes as numbers"),
            "v2.json": (as_json({**PREPROCESSOR, "size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}), "sizes as objects"),
        },
        "index-json": {"safetensors.json": (as_json(INDEX), "two shards")},
        "png": pngs(),
        "jpeg": jpegs(),
        "webp": webps(),
        "gif": {"two-frames.gif": (saved("GIF", picture("P", 5, 4), save_all=True, append_images=[picture("P", 5, 4, 3)]), "two frames")},
        "bmp": bmps(),
    }


def as_json(value):
    return json.dumps(value, indent=1).encode()


CONFIG = {
    "model_type": "mobilevlm", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 270, "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0, "max_position_embeddings": 64, "mm_projector_type": "ldpnetv2", "mm_hidden_size": 8,
    "mm_vision_select_layer": -2, "mm_vision_tower": "openai/clip-vit-large-patch14-336",
    "image_aspect_ratio": "pad", "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
}
VISION = {
    "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16, "num_hidden_layers": 2, "image_size": 28,
    "patch_size": 14, "layer_norm_eps": 1e-5, "hidden_act": "quick_gelu", "num_channels": 3,
}
LLAVA = {
    "model_type": "llava", "image_token_index": 269, "projector_hidden_act": "gelu", "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default", "vision_config": VISION,
    "text_config": {k: CONFIG[k] for k in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "rms_norm_eps")},
}
PREPROCESSOR = {
    "crop_size": 28, "do_center_crop": True, "do_normalize": True, "do_resize": True, "resample": 3, "size": 28,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
}
INDEX = {
    "metadata": {"total_size": 24},
    "weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors", "lm_head.weight": "model-00002-of-00002.safetensors"},
}


def tensors():
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [12, 16]},
        "c": {"dtype": "BF16", "shape": [], "data_offsets": [16, 18]},
    }
    return {"three.safetensors": (safetensors(header, bytes(18)), "three tensors of three types, with metadata")}


def torch_zips():
    state = pickles.state([
        ("a", pickles.tensor("0", [2, 3])),
        ("b", pickles.tensor("1", [3], kind="FloatStorage")),
        ("a.view", pickles.tensor("0", [3], numel=6, offset=3)),
    ])
    return {"three.bin": (torch_zip(state, {"0": HALVES, "1": bytes(12)}), "two tensors and a view")}


def torch_legacies():
    state = pickles.state([
        ("a", pickles.tensor("111", [2, 3], legacy=True)),
        ("b", pickles.tensor("222", [2], legacy=True, kind="BFloat16Storage")),
    ])
    return {"two.bin": (torch_legacy(state, {"111": HALVES, "222": bytes(4)}), "two tensors, the format before ZIP")}


PIECES = ["<unk>", "<s>", "</s>", "▁a", "b", "▁ab"]
GGUF_VOCABULARY = {
    "tokenizer.ggml.model": (STRING, gguf_string("llama")),
    "tokenizer.ggml.tokens": (ARRAY, gguf_array(STRING, [gguf_string(text) for text in PIECES])),
    "tokenizer.ggml.scores": (ARRAY, gguf_array(F32, [struct.pack("<f", -i) for i in range(6)])),
    "tokenizer.ggml.token_type": (ARRAY, gguf_array(5, [struct.pack("<i", k) for k in (2, 3, 3, 1, 1, 1)])),
    "tokenizer.ggml.bos_token_id": (U32, struct.pack("<I", 1)),
}


def sizes(prefix, **values):
    kind = lambda value: (F32, struct.pack("<f", value)) if isinstance(value, float) else (U32, struct.pack("<I", value))
    return {f"{prefix}.{name.replace('__', '.')}": kind(value) for name, value in values.items()}


# A language model of width 2, a tower of width 2 that sees 2 x 2 patches, two linear layers between.
LANGUAGE_SIZES = dict(
    context_length=8, embedding_length=2, block_count=1, feed_forward_length=32, attention__head_count=1,
    attention__layer_norm_rms_epsilon=1e-6,
)
TOWER_SIZES = dict(
    image_size=2, patch_size=1, embedding_length=2, feed_forward_length=1, block_count=1, attention__head_count=1,
    attention__layer_norm_epsilon=1e-5,
)
CHANNELS = {name: (ARRAY, gguf_array(F32, [struct.pack("<f", 0.5)] * 3)) for name in ("image_mean", "image_std")}
LANGUAGE_KEYS = {"general.architecture": (STRING, gguf_string("llama")), **sizes("llama", **LANGUAGE_SIZES), **GGUF_VOCABULARY}
PROJECTOR_KEYS = {
    "general.architecture": (STRING, gguf_string("clip")), "clip.projector_type": (STRING, gguf_string("mlp")),
    **sizes("clip.vision", **TOWER_SIZES), **{f"clip.vision.{name}": value for name, value in CHANNELS.items()},
}
WHOLE_KEYS = {
    "general.architecture": (STRING, gguf_string("mobilevlm")), "mobilevlm.projector.type": (STRING, gguf_string("mlp2x_gelu")),
    **sizes("mobilevlm.vision", **TOWER_SIZES), **sizes("mobilevlm.language", **LANGUAGE_SIZES),
    **{f"mobilevlm.preprocess.{name}": value for name, value in CHANNELS.items()}, **GGUF_VOCABULARY,
}
# ggml's numbers, 1000 more for panels of 16 rows, and the bytes of a row of so many numbers.
TENSOR_TYPES = {0: lambda n: 4 * n, 1: lambda n: 2 * n, 8: lambda n: n // 32 * 34, 1008: lambda n: n // 32 * 34}

# Name in a whole model, name in a pair, sizes fastest first, type.
LANGUAGE_TENSORS = [
    ("language.embed_tokens.weight", "token_embd.weight", [2, 6], 1), ("language.norm.weight", "output_norm.weight", [2], 0),
    ("language.lm_head.weight", "output.weight", [2, 6], 1),
    ("language.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight", [2], 0),
    ("language.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight", [2], 0),
    *[(f"language.layers.0.self_attn.{ours}_proj.weight", f"blk.0.attn_{theirs}.weight", [2, 2], 1)
      for ours, theirs in (("q", "q"), ("k", "k"), ("v", "v"), ("o", "output"))],
    ("language.layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight", [2, 32], 1),
    ("language.layers.0.mlp.up_proj.weight", "blk.0.ffn_up.weight", [2, 32], 1),
    ("language.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight", [32, 2], 8),
]
PROJECTOR_TENSORS = [
    ("vision.embeddings.class_embedding", "v.class_embd", [2], 0),
    ("vision.embeddings.patch_embedding.weight", "v.patch_embd.weight", [1, 1, 3, 2], 1),
    ("vision.embeddings.position_embedding.weight", "v.position_embd.weight", [2, 5], 1),
    *[row for kind in ("weight", "bias") for row in (
        (f"vision.pre_layrnorm.{kind}", f"v.pre_ln.{kind}", [2], 0),
        (f"vision.encoder.layers.0.layer_norm1.{kind}", f"v.blk.0.ln1.{kind}", [2], 0),
        (f"vision.encoder.layers.0.layer_norm2.{kind}", f"v.blk.0.ln2.{kind}", [2], 0),
        *[(f"vision.encoder.layers.0.self_attn.{ours}_proj.{kind}", f"v.blk.0.attn_{ours}.{kind}", [2, 2][:1 if kind == "bias" else 2], 0)
          for ours in ("q", "k", "v", "out")],
        (f"vision.encoder.layers.0.mlp.fc1.{kind}", f"v.blk.0.ffn_down.{kind}", [1] if kind == "bias" else [2, 1], 0),
        (f"vision.encoder.layers.0.mlp.fc2.{kind}", f"v.blk.0.ffn_up.{kind}", [2] if kind == "bias" else [1, 2], 0),
        (f"projector.0.{kind}", f"mm.0.{kind}", [2] if kind == "bias" else [2, 2], 0),
        (f"projector.2.{kind}", f"mm.2.{kind}", [2] if kind == "bias" else [2, 2], 0),
    )],
]


def gguf_model(keys, tensors):
    """A file with these keys and `(name, sizes, type)`, all numbers zero."""
    infos, data = [], b""
    for name, shape, kind in tensors:
        rows = 1
        for size in shape[1:]:
            rows *= size
        rows = -(-rows // 16) * 16 if kind >= 1000 else rows
        infos.append(gguf_tensor(name, shape, kind, len(data)))
        data += bytes(rows * TENSOR_TYPES[kind](shape[0]))
        data += bytes(-len(data) % 32)
    return gguf([gguf_key(name, kind, value) for name, (kind, value) in keys.items()], infos, data)


def of_pair(rows):
    return [(theirs, shape, kind) for _, theirs, shape, kind in rows]


def ggufs():
    keys = {"general.architecture": (STRING, gguf_string("llama")), "general.alignment": (U32, struct.pack("<I", 32)), **GGUF_VOCABULARY}
    listed = [gguf_key(name, kind, value) for name, (kind, value) in keys.items()]
    whole = [(ours, shape, 1008 if kind == 8 else kind) for ours, _, shape, kind in LANGUAGE_TENSORS + PROJECTOR_TENSORS]
    return {
        "vocabulary.gguf": (gguf(listed, [gguf_tensor("output_norm.weight", [4], 0, 0)], bytes(16)), "a vocabulary of six pieces and one tensor"),
        "language.gguf": (gguf_model(LANGUAGE_KEYS, of_pair(LANGUAGE_TENSORS)), "the language model of a pair"),
        "projector.gguf": (gguf_model(PROJECTOR_KEYS, of_pair(PROJECTOR_TENSORS)), "the projector that belongs to it"),
        "whole.gguf": (gguf_model(WHOLE_KEYS, whole), "a whole model in one file, a matrix in panels"),
    }


def vocabulary(byte_pieces=True):
    out = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3)
    if byte_pieces:
        out += b"".join(piece(f"<0x{b:02X}>", 0, 6) for b in range(256))
    out += b"".join(piece(t, -i) for i, t in enumerate(["▁a", "ab", "▁", "a", "b", "c"]))
    trainer = field(3, 0, varint(2)) + field(35, 0, varint(1)) + field(40, 0, varint(0))
    return out + block(2, trainer) + block(3, block(1, b"identity") + field(3, 0, varint(1)) + field(4, 0, varint(0)))


def texts():
    return {
        "prompt.txt": ("A chat. USER: <image>\nWhat is this? ASSISTANT: a</s>USER: ▁b\t😀 ASSISTANT:".encode(), "a prompt with a picture, control tokens and an emoji"),
    }


def picture(mode, width, height, turn=0):
    made = Image.new("RGB", (width, height))
    made.putdata([((37 * (x + turn) + 11 * y) % 256, (5 * x * y + turn) % 256, (91 * y + x) % 256) for y in range(height) for x in range(width)])
    return made if mode == "RGB" else made.convert(mode)


def saved(form, image, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def rows(width_bytes, height):
    return b"".join(b"\0" + bytes((17 * x + 29 * y) % 256 for x in range(width_bytes)) for y in range(height))


def pngs():
    palette = chunk(b"PLTE", bytes(range(48)))
    return {
        "rgb.png": (png(ihdr(5, 4), idat(rows(15, 4))), "RGB, 8 bits"),
        "gray16.png": (png(ihdr(3, 2, 16, 0), idat(rows(6, 2))), "grey, 16 bits"),
        "palette-trns.png": (png(ihdr(6, 3, 4, 3), palette, chunk(b"tRNS", b"\x00\x80"), idat(rows(3, 3))), "palette of 4 bits with transparency"),
        "rgba-interlaced.png": (png(ihdr(1, 1, 8, 6, 1), idat(rows(4, 1))), "RGBA, interlaced"),
        "bilevel.png": (png(ihdr(9, 2, 1, 0), idat(rows(2, 2))), "grey, 1 bit"),
    }


def jpegs():
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "baseline-420.jpg": (saved("JPEG", picture("RGB", 17, 9), quality=30, optimize=True, subsampling=2, exif=exif), "baseline 4:2:0 with an EXIF rotation"),
        "progressive.jpg": (saved("JPEG", picture("RGB", 9, 8), quality=30, progressive=True, subsampling=0), "progressive 4:4:4"),
        "gray-restart.jpg": (saved("JPEG", picture("L", 16, 16), quality=30, optimize=True, restart_marker_blocks=1), "grey with restart markers"),
        "cmyk.jpg": (saved("JPEG", picture("CMYK", 8, 8), quality=30, optimize=True), "four channels with Adobe's marker"),
    }


def webps():
    alpha = picture("RGBA", 6, 5)
    alpha.putalpha(picture("L", 6, 5))
    return {
        "lossy.webp": (saved("WEBP", picture("RGB", 17, 9), quality=40), "lossy"),
        "lossless.webp": (saved("WEBP", picture("RGB", 7, 5), lossless=True), "lossless"),
        "alpha.webp": (saved("WEBP", alpha, quality=40), "lossy with an alpha plane"),
        "animated.webp": (saved("WEBP", picture("RGB", 6, 5), save_all=True, append_images=[picture("RGB", 6, 5, 9)], quality=20), "two frames"),
    }


def bmp(width, height, bits, data, compression=0, palette=b"", masks=b"", colours=0, size=40, planes=1, start=None):
    head = struct.pack("<IiiHHIIiiII", size, width, height, planes, bits, compression, len(data), 2835, 2835, colours, 0) + masks + palette
    start = 14 + len(head) if start is None else start
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(data), 0, 0, start) + head + data


def bmps():
    grey = b"".join(bytes([v, v, v, 0]) for v in range(0, 256, 16))
    return {
        "rgb.bmp": (bmp(3, 2, 24, bytes(range(24))), "24 bits"),
        "palette.bmp": (bmp(5, -3, 4, bytes(range(12)), palette=grey, colours=16), "palette of 4 bits, top row first"),
        "rle8.bmp": (bmp(6, 2, 8, b"\x04\x03\x02\x05\x00\x00\x00\x04\x01\x02\x03\x04\x02\x05\x00\x01", 1, palette=grey, colours=16), "run lengths, 8 bits"),
        "masks.bmp": (bmp(2, 2, 16, bytes(range(8)), 3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F)), "16 bits with masks"),
    }
