"""Hostile configurations and indexes."""

import json

from . import seeds

BIG = 2**63 - 1


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def lies(base, **changes):
    return compact({**base, **changes}).encode()


def common(base):
    """What any JSON file can do wrong."""
    return {
        "empty": (b"", "no bytes"),
        "not-utf8": (b'{"a": "\xff\xfe"}', "no UTF-8"),
        "utf16": (compact(base).encode("utf-16"), "UTF-16"),
        "mark": (b"\xef\xbb\xbf" + compact(base).encode(), "a byte order mark"),
        "list": (b"[]", "a list"),
        "number": (b"1e999", "an infinite number"),
        "surrogate": (b'{"a": "\\ud800"}', "half a character"),
        "nulls": (compact({key: None for key in base}).encode(), "null for every value"),
        "texts": (compact({key: "x" for key in base}).encode(), "text for every value"),
        "zeros": (compact({key: 0 for key in base}).encode(), "0 for every value"),
        "lists": (compact({key: [1] for key in base}).encode(), "a list for every value"),
        "deep": (b'{"a":' * 200, "200 open objects"),
        "trailing": (compact(base).encode() + b"{}", "two values"),
    }


SIZES = ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size", "max_position_embeddings"]


def config():
    base = seeds.CONFIG
    files = common(base)
    files["deep-5000"] = (b"[" * 5000, "5000 open brackets")
    for value, name in [(0, "zero"), (-1, "negative"), (BIG, "max"), (2**64, "2-64"), (1.5, "fraction"), (1e300, "float")]:
        files[f"sizes-{name}"] = (lies(base, **{key: value for key in SIZES}), f"{value} for every size")
    for key in SIZES:
        files[f"{key}-billion"] = (lies(base, **{key: 10**9}), f"`{key}` of a billion")
    for name, changes, purpose in [
        ("heads-zero", {"num_attention_heads": 0}, "division by zero heads"),
        ("heads-odd", {"num_attention_heads": 3}, "heads that do not divide the width"),
        ("kv-heads-odd", {"num_attention_heads": 4, "num_key_value_heads": 3}, "key heads that do not divide the heads"),
        ("kv-heads-more", {"num_key_value_heads": 64}, "more key heads than heads"),
        ("theta-zero", {"rope_theta": 0}, "rotary base 0"),
        ("theta-negative", {"rope_theta": -10000.0}, "negative rotary base"),
        ("eps-negative", {"rms_norm_eps": -1e9}, "root of a negative number"),
        ("projector-depth", {"mm_projector_type": "mlp99999999999999999999x_gelu"}, "a projector of 10^20 layers"),
        ("projector-million", {"mm_projector_type": "mlp1000000000x_gelu"}, "a projector of a billion layers"),
        ("projector-zero", {"mm_projector_type": "mlp0x_gelu"}, "a projector of no layers"),
        ("projector-unknown", {"mm_projector_type": "qformer"}, "an unknown projector"),
        ("variant-unknown", {"mm_projector_variant": "x" * 500}, "an unknown variant"),
        ("select-min", {"mm_vision_select_layer": -(2**63)}, "select layer whose negation overflows"),
        ("select-past", {"mm_vision_select_layer": 10**6}, "select layer beyond the tower"),
        ("tower-path", {"mm_vision_tower": "../../../../etc"}, "a tower outside the checkpoint"),
        ("tower-absolute", {"mm_vision_tower": "/dev/zero"}, "a tower that is a device"),
        ("tower-nul", {"mm_vision_tower": "a\0b"}, "a path with a zero byte"),
        ("tower-url", {"mm_vision_tower": "http://127.0.0.1:1/x"}, "a tower on the network"),
        ("bos-negative", {"bos_token_id": -7, "eos_token_id": 2**40}, "control tokens outside the vocabulary"),
        ("eos-list", {"eos_token_id": [2] * 100}, "100 end tokens"),
        ("rope-scaling", {"rope_scaling": {"type": "dynamic", "factor": -1e308}}, "rotary scaling that is not read"),
        ("auto-map", {"auto_map": {"AutoModelForCausalLM": "evil.py"}}, "asks to run code"),
    ]:
        files[name] = (lies(base, **changes), purpose)
    files["duplicate"] = (b'{"hidden_size": 16, "hidden_size": 17}', "one key twice")
    files["llava-no-text"] = (lies(seeds.LLAVA, text_config=None, vision_config=[]), "nested parts of other types")
    return files


def vision():
    base = seeds.VISION
    files = common(base)
    for name, changes, purpose in [
        ("patch-zero", {"patch_size": 0}, "division by a patch of 0"),
        ("patch-larger", {"patch_size": 1000}, "a patch larger than the picture"),
        ("patch-odd", {"patch_size": 13}, "patches that do not divide the picture"),
        ("image-huge", {"image_size": 2**62}, "patches times patches overflow"),
        ("image-billion", {"image_size": 14 * 10**8}, "10^16 patches"),
        ("image-negative", {"image_size": -28}, "negative size"),
        ("heads-zero", {"num_attention_heads": 0}, "division by zero heads"),
        ("layers-billion", {"num_hidden_layers": 10**9}, "a billion blocks"),
        ("layers-zero", {"num_hidden_layers": 0}, "no blocks to select from"),
        ("hidden-max", {"hidden_size": BIG}, "width of 2^63-1"),
        ("channels", {"num_channels": 10**9}, "a billion colours"),
        ("eps-nan", {"layer_norm_eps": "NaN"}, "eps that is text"),
        ("activation", {"hidden_act": "os.system"}, "an unknown activation"),
    ]:
        files[name] = (lies(base, **changes), purpose)
    return files


def preprocessor():
    base = seeds.PREPROCESSOR
    files = common(base)
    for name, changes, purpose in [
        ("mean-two", {"image_mean": [0.5, 0.5]}, "two means"),
        ("mean-many", {"image_mean": [1] * 300}, "300 means"),
        ("mean-huge", {"image_mean": [1e308, -1e308, 1e39]}, "means beyond float32"),
        ("std-zero", {"image_std": [0, 0, 0]}, "division by zero"),
        ("std-negative", {"image_std": [-1, -1, -1]}, "negative deviation"),
        ("size-huge", {"size": 10**9, "crop_size": 10**9}, "pictures of 10^18 pixels"),
        ("size-negative", {"size": -1}, "negative size"),
        ("crop-larger", {"crop_size": {"height": 2000, "width": 28}}, "crop larger than the picture"),
        ("size-nested", {"size": {"shortest_edge": {"shortest_edge": 28}}}, "a size that is an object"),
    ]:
        files[name] = (lies(base, **changes), purpose)
    return files


def index():
    base = seeds.INDEX
    files = common(base)

    def mapped(entries):
        return compact({"metadata": {}, "weight_map": entries}).encode()

    files.update({
        "no-map": (b'{"metadata": {}}', "no weight_map"),
        "map-list": (b'{"weight_map": ["a", "b"]}', "a list of files"),
        "map-numbers": (mapped({"a": 1}), "files that are numbers"),
        "path-outside": (mapped({"a": "../../../../etc/passwd"}), "a file outside the checkpoint"),
        "path-absolute": (mapped({"a": "/etc/passwd"}), "an absolute path"),
        "path-windows": (mapped({"a": "..\\..\\secret", "b": "C:\\secret"}), "paths of another system"),
        "path-device": (mapped({"a": "/dev/zero"}), "a device without end"),
        "path-nul": (mapped({"a": "a\0.safetensors"}), "a zero byte in a path"),
        "path-empty": (mapped({"a": "", "b": ".", "c": "./"}), "paths that are folders"),
        "path-long": (mapped({"a": "x" * 1000}), "a name longer than systems allow"),
        "names-empty": (mapped({"": "model.safetensors"}), "a tensor without a name"),
        "itself": (mapped({"a": "model.safetensors.index.json"}), "the index as a shard"),
        "many-files": (mapped({f"t{i}": f"s{i}.safetensors" for i in range(60)}), "60 files that are not there"),
        "total-size": (b'{"metadata": {"total_size": 1e308}, "weight_map": {}}', "a total size that is no integer"),
    })
    return files
