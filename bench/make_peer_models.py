#!/usr/bin/env python3
"""Makes random models in the shape of MobileVLM V2 1.7B, as llama.cpp and ik_llama.cpp read them.

Packages: gguf 0.19.0, numpy 2.4.6 (Python 3.11). The values mean nothing; speed does not depend
on them. The vocabulary is taken from any GGUF file that has the 32000 pieces of LLaMA.

    python make_peer_models.py OUT --vocab llama-spm.gguf --quantize llama.cpp/bin/llama-quantize

writes to OUT

    q4_k_m.gguf  q4_0.gguf  q8_0.gguf     the language model, through llama-quantize
    mmproj-f16.gguf  mmproj-q8_0.gguf     the tower and the projector
"""

import argparse
import subprocess
from pathlib import Path

import gguf
import numpy

LAYERS, WIDTH, HEADS, FFN, CONTEXT = 24, 2048, 16, 5632, 2048

# CLIP ViT-L/14 at 336 pixels. The last of its 24 blocks is never run, so none is written.
BLOCKS, VISION_WIDTH, VISION_HEADS, VISION_FFN = 23, 1024, 16, 4096
IMAGE, PATCH = 336, 14
POSITIONS = (IMAGE // PATCH) ** 2 + 1

SPREAD = 0.02

F16 = gguf.GGMLQuantizationType.F16
F32 = gguf.GGMLQuantizationType.F32
Q8_0 = gguf.GGMLQuantizationType.Q8_0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--vocab", type=Path, required=True, help="a GGUF file with the pieces")
    parser.add_argument("--quantize", type=Path, required=True, help="llama.cpp's llama-quantize")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    write_projector(args.out / "mmproj-f16.gguf", F16)
    write_projector(args.out / "mmproj-q8_0.gguf", Q8_0)
    full = args.out / "f16.gguf"
    write_language(full, args.vocab)
    for kind in ["Q4_K_M", "Q4_0", "Q8_0"]:
        out = args.out / f"{kind.lower()}.gguf"
        subprocess.run([args.quantize, full, out, kind, str(args.threads)], check=True)
    full.unlink()


def write_language(path, vocab):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random weights in the shape of MobileVLM V2 1.7B")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    pieces = add_tokenizer(writer, vocab)
    tensors = [
        ("token_embd", (pieces, WIDTH), F16),
        ("output_norm", (WIDTH,), F32),
        ("output", (pieces, WIDTH), F16),
    ]
    for layer in range(LAYERS):
        tensors += [
            (f"blk.{layer}.{name}", shape, kind)
            for name, shape, kind in [
                ("attn_norm", (WIDTH,), F32),
                ("ffn_norm", (WIDTH,), F32),
                ("attn_q", (WIDTH, WIDTH), F16),
                ("attn_k", (WIDTH, WIDTH), F16),
                ("attn_v", (WIDTH, WIDTH), F16),
                ("attn_output", (WIDTH, WIDTH), F16),
                ("ffn_gate", (FFN, WIDTH), F16),
                ("ffn_up", (FFN, WIDTH), F16),
                ("ffn_down", (WIDTH, FFN), F16),
            ]
        ]
    write(writer, [(f"{name}.weight", shape, kind) for name, shape, kind in tensors])


def add_tokenizer(writer, vocab):
    fields = gguf.GGUFReader(vocab).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores(fields["tokenizer.ggml.scores"].contents())
    writer.add_token_types(fields["tokenizer.ggml.token_type"].contents())
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    return len(tokens)


def write_projector(path, matrix):
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_name("random weights in the shape of MobileVLM V2 1.7B")
    writer.add_file_type(
        gguf.LlamaFileType.MOSTLY_F16 if matrix == F16 else gguf.LlamaFileType.MOSTLY_Q8_0
    )
    writer.add_bool("clip.has_text_encoder", False)
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.has_llava_projector", True)
    writer.add_string("clip.projector_type", "ldpv2")
    writer.add_bool("clip.use_gelu", False)
    for key, value in [
        ("image_size", IMAGE),
        ("patch_size", PATCH),
        ("embedding_length", VISION_WIDTH),
        ("feed_forward_length", VISION_FFN),
        ("projection_dim", 768),
        ("attention.head_count", VISION_HEADS),
        ("block_count", BLOCKS),
    ]:
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.48145466, 0.4578275, 0.40821073])
    writer.add_array("clip.vision.image_std", [0.26862954, 0.26130258, 0.27577711])
    # Without it llama.cpp takes one block off `block_count` again.
    writer.add_array("clip.vision.feature_layer", [BLOCKS])
    width, ffn = VISION_WIDTH, VISION_FFN
    tensors = [
        ("v.class_embd", (width,), F32),
        ("v.patch_embd.weight", (width, 3, PATCH, PATCH), F16),
        ("v.position_embd.weight", (POSITIONS, width), F16),
        *norm("v.pre_ln", width),
        *linear("mm.model.mlp.0", width, WIDTH, matrix),
        *linear("mm.model.mlp.2", WIDTH, WIDTH, matrix),
        ("mm.model.peg.0.weight", (WIDTH, 3, 3), F16),
        ("mm.model.peg.0.bias", (WIDTH,), F32),
    ]
    for block in range(BLOCKS):
        at = f"v.blk.{block}"
        tensors += norm(f"{at}.ln1", width) + norm(f"{at}.ln2", width)
        for name in ["attn_q", "attn_k", "attn_v", "attn_out"]:
            tensors += linear(f"{at}.{name}", width, width, matrix)
        # Named the wrong way round, as the converter for MobileVLM does.
        tensors += linear(f"{at}.ffn_down", width, ffn, matrix)
        tensors += linear(f"{at}.ffn_up", ffn, width, matrix)
    write(writer, tensors)


def norm(name, width):
    return [(f"{name}.weight", (width,), F32), (f"{name}.bias", (width,), F32)]


def linear(name, inputs, outputs, kind):
    return [(f"{name}.weight", (outputs, inputs), kind), (f"{name}.bias", (outputs,), F32)]


def write(writer, tensors):
    """Writes random tensors, one in memory at a time."""
    for name, shape, kind in tensors:
        length = int(numpy.prod(shape))
        numbers, size = gguf.GGML_QUANT_SIZES[kind]
        dtype = numpy.float32 if kind == F32 else numpy.float16
        writer.add_tensor_info(name, shape, dtype, length // numbers * size, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    random = numpy.random.default_rng(0)
    for name, shape, kind in tensors:
        if "norm" in name or ("ln" in name and name.endswith(".weight")):
            values = numpy.ones(shape, numpy.float32)
        else:
            values = random.standard_normal(shape, numpy.float32) * numpy.float32(SPREAD)
        writer.write_tensor_data(gguf.quantize(values, kind))
    writer.close()


if __name__ == "__main__":
    main()
