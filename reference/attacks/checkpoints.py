"""Hostile checkpoints: safetensors, both torch formats, GGUF."""

import struct
import zlib

from . import pickles, seeds
from .containers import (
    ARRAY, BOOL, F32, MAGIC, STRING, U8, U32, U64, entry, gguf as gguf_file, gguf_array, gguf_key, gguf_string, gguf_tensor,
    safetensors as safetensors_file, torch_legacy as legacy, torch_zip as zip_of, zipped,
)
from .seeds import gguf_model

HUGE = 2**64 - 1


def safetensors():
    def one(**lies):
        return safetensors_file({"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4], **lies}}, bytes(4))

    def two(first, second, data=8):
        part = lambda offsets: {"dtype": "F16", "shape": [2], "data_offsets": offsets}
        return safetensors_file({"a": part(first), "b": part(second)}, bytes(data))

    def name(value):
        return safetensors_file({value: {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}, bytes(4))

    twice = b'{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}'
    return {
        "empty": (b"", "nothing at all"),
        "seven-bytes": (b"\2\0\0\0\0\0\0", "shorter than the length field"),
        "length-max": (struct.pack("<Q", HUGE) + b"{}", "header length 2^64-1: 8 + length overflows"),
        "length-i64-max": (struct.pack("<Q", 2**63 - 1) + b"{}", "header length 2^63-1"),
        "length-past-end": (safetensors_file({}, length=4096), "header longer than the file"),
        "length-4-gib": (safetensors_file({}, length=2**32), "a header to allocate 4 GiB for"),
        "not-utf8": (safetensors_file(b'{"\xff\xfe":1}'), "header that is no UTF-8"),
        "not-an-object": (safetensors_file(b"[1,2]"), "header that is a list"),
        "deep-nesting": (safetensors_file(b'{"a":' + b"[" * 1000), "1000 open brackets for a recursive parser"),
        "deep-metadata": (safetensors_file(b'{"__metadata__":' + b'{"a":' * 400), "nested metadata"),
        "overlap": (two([0, 4], [2, 6]), "two tensors share bytes"),
        "gap": (two([0, 4], [6, 10], 10), "bytes that belong to no tensor"),
        "trailing": (safetensors_file({"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}, bytes(64)), "bytes after the last tensor"),
        "reversed": (one(data_offsets=[4, 0]), "end before begin"),
        "offset-max": (one(data_offsets=[HUGE - 1, HUGE]), "offsets near 2^64"),
        "offset-wraps": (one(data_offsets=[HUGE - 3, 0]), "begin + length wraps around"),
        "shape-overflow": (one(shape=[2**32, 2**32, 2**32]), "product of the shape overflows"),
        "shape-wraps-to-4": (one(shape=[2**63, 2], data_offsets=[0, 0]), "product wraps to zero"),
        "shape-zero": (one(shape=[0, 2**63, 2**63], data_offsets=[0, 0]), "zero times overflow"),
        "shape-negative": (one(shape=[-2]), "negative length"),
        "shape-float": (one(shape=[2.5]), "length that is no integer"),
        "many-dimensions": (one(shape=[1] * 500 + [2]), "501 dimensions"),
        "same-name-twice": (safetensors_file(twice, bytes(4)), "one name, two entries"),
        "unknown-type": (one(dtype="F8_E9M9"), "a type that does not exist"),
        "type-number": (one(dtype=16), "a type that is a number"),
        "metadata-number": (safetensors_file({"__metadata__": {"a": 1}}), "metadata that is no text"),
        "number-1e999": (safetensors_file(b'{"a":{"dtype":"F16","shape":[1e999],"data_offsets":[0,4]}}', bytes(4)), "a number that is infinite"),
        "name-path": (name("../../../../etc/passwd"), "a tensor named like a path"),
        "name-control": (name("a\0\x1b[2J\n\u202eb"), "terminal control in a name"),
        "name-long": (name("n" * 500), "a name to fill an error message with"),
    }


def torch_zip():
    halves = bytes(12)
    good = pickles.state([("a", pickles.tensor("0", [2, 3]))])

    def pickled(body):
        return zipped([entry("archive/data.pkl", pickles.PROTO + body)])

    def tensor(**lies):
        return zip_of(pickles.state([("a", pickles.tensor("0", **lies))]), {"0": halves})

    def archive(*extra, **lies):
        return zip_of(good, {"0": halves}, **lies) if not extra else zipped([entry("archive/data.pkl", good), entry("archive/data/0", halves), *extra], **lies)

    laughs = b")q\0" + b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(100)) + b"."
    doubled = b"]q\0" + b"".join(b"]q" + bytes([i + 1]) + b"(" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"e" for i in range(60)) + b"."
    zip64 = struct.pack("<HHQQQ", 1, 24, HUGE, HUGE, HUGE)
    zip64_end = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, HUGE, HUGE, HUGE, HUGE) + struct.pack("<IIQI", 0x07064B50, 0, HUGE, 1)
    return {
        "bomb": (zipped([entry("archive/data.pkl", b"", method=8, packed=_deflated(bytes(4_000_000)), size=4_000_000, crc=zlib.crc32(bytes(4_000_000)))]), "4 MB of pickle deflated to 4 kB"),
        "bomb-lies": (zipped([entry("archive/data.pkl", b"", method=8, packed=_deflated(bytes(1_000_000)), size=10, crc=0)]), "deflated data longer than it says"),
        "size-4-gib": (zipped([entry("archive/data.pkl", good, size=2**32 - 2, packed_size=2**32 - 2)]), "an entry of 4 GiB in a file of 300 bytes"),
        "overlap": (zipped([entry("archive/data.pkl", good)] + [entry(f"archive/data/{i}", good, offset=0, no_local=True) for i in range(40)]), "forty entries over the same bytes"),
        "offset-past-end": (zipped([entry("archive/data.pkl", good, offset=2**32 - 2)]), "entry that begins outside"),
        "directory-past-end": (archive(start=2**32 - 2), "central directory outside the file"),
        "directory-negative": (archive(start=0, central_size=2**32 - 2), "central directory larger than the file"),
        "count-65534": (archive(count=65534), "more entries than there are"),
        "count-zero": (archive(count=0), "no entries"),
        "comment-length": (archive(comment_length=65535), "comment longer than the file"),
        "zip64-max": (archive(count=65535, start=2**32 - 1, central_size=2**32 - 1, before_end=zip64_end), "ZIP64 fields of 2^64-1"),
        "zip64-extra": (zipped([entry("archive/data.pkl", good, size=2**32 - 1, packed_size=2**32 - 1, offset=2**32 - 1, central_extra=zip64)]), "ZIP64 sizes of 2^64-1 for an entry"),
        "zip64-short": (zipped([entry("archive/data.pkl", good, size=2**32 - 1, central_extra=b"\1\0\xff\xff")]), "ZIP64 field longer than its place"),
        "no-pickle": (zipped([entry("archive/version", b"3\n")]), "no data.pkl"),
        "two-pickles": (archive(entry("other/data.pkl", good)), "two data.pkl"),
        "same-name-twice": (archive(entry("archive/data/0", bytes(2))), "one storage, two entries"),
        "method-99": (zipped([entry("archive/data.pkl", good, method=99)]), "unknown compression"),
        "encrypted": (zipped([entry("archive/data.pkl", good, flags=1)]), "encrypted entry"),
        "local-name": (zipped([entry("archive/data.pkl", good, local_name=b"archive/data.exe")]), "the two headers of an entry disagree"),
        "name-path": (archive(entry("archive/../../../../etc/cron.d/x", b"")), "entry named like a path outside"),
        "big-endian": (archive(entry("archive/byteorder", b"big")), "bytes in the other order"),
        "os-system": (pickled(pickles.call("posix", "system", "touch hostile-was-here") + b"."), "calls os.system"),
        "eval": (pickled(pickles.call("builtins", "eval", "__import__('os').abort()") + b"."), "calls eval"),
        "stack-global": (pickled(pickles.text("os") + pickles.text("system") + b"\x93" + pickles.text("id") + b"\x85R."), "names the function by text"),
        "instance": (pickled(b"(" + pickles.text("id") + b"ios\nsystem\n."), "the old opcode for calls"),
        "build": (pickled(b"ctorch\nHalfStorage\n)\x81}" + pickles.text("__setstate__") + b"cos\nsystem\nsb."), "sets state on an object"),
        "rebuild-other": (pickled(b"ctorch._utils\n_rebuild_device_tensor_from_numpy\n)R."), "a rebuild function that is not listed"),
        "extension": (pickled(b"\x82\x01."), "extension registry"),
        "memo-cycle": (pickled(b"}q\0" + pickles.text("a") + b"h\0s."), "a dictionary that contains itself"),
        "list-cycle": (pickled(b"]q\0h\0a."), "a list that contains itself"),
        "laughs": (pickled(laughs), "100 doublings of a tuple: 2^100 when copied"),
        "laughs-lists": (pickled(doubled), "60 doublings of a list"),
        "deep-tuples": (pickled(b")" + b"\x85" * 1500 + b"."), "1500 nested tuples: recursion when dropped"),
        "deep-lists": (pickled(b"]" * 1000 + b"a" * 999 + b"."), "1000 nested lists"),
        "deep-persistent": (pickled(b"N" + b"Q" * 1000 + b"."), "a storage named by a storage"),
        "memo-4g": (pickled(b"Nr\xff\xff\xff\xff."), "memo index 2^32-1: a vector of 4 G entries"),
        "memo-text": (pickled(b"Np99999999999999999999\n."), "memo index beyond 64 bits, as text"),
        "memo-unknown": (pickled(b"h\x07."), "memo entry that was never written"),
        "text-4g": (pickled(b"X\xff\xff\xff\xffa."), "text of 4 GiB"),
        "text-2-64": (pickled(b"\x8d" + b"\xff" * 8 + b"a."), "text of 2^64-1 bytes"),
        "bytes-2-64": (pickled(b"\x8e" + b"\xff" * 8 + b"a."), "bytes of 2^64-1"),
        "integer-2g": (pickled(b"\x8b\xff\xff\xff\x7f\x01."), "integer of 2 GiB"),
        "integer-negative": (pickled(b"\x8b\xff\xff\xff\xff."), "integer of length -1"),
        "frame": (pickled(b"\x95" + b"\xff" * 8 + b"N."), "frame of 2^64-1 bytes"),
        "empty-stack": (pickled(b"R."), "call on an empty stack"),
        "no-mark": (pickled(b"t."), "tuple without a mark"),
        "marks": (pickled(b"(" * 1000 + b"."), "1000 open marks"),
        "no-stop": (pickled(b"N"), "ends without STOP"),
        "empty-pickle": (zip_of(b"", {"0": halves}), "pickle of no bytes"),
        "odd-pairs": (pickled(b"}(" + pickles.text("a") + b"u."), "a key without a value"),
        "storage-missing": (zip_of(pickles.state([("a", pickles.tensor("9", [6]))]), {"0": halves}), "storage that is not in the archive"),
        "storage-path": (zip_of(pickles.state([("a", pickles.tensor("../version", [1]))]), {"0": halves}), "storage named like a path"),
        "numel": (tensor(shape=[6], numel=2**40), "a storage of 2^40 values in 12 bytes"),
        "shape-past-end": (tensor(shape=[7], numel=6), "tensor longer than its storage"),
        "shape-overflow": (tensor(shape=[2**31 - 1, 2**31 - 1, 2**31 - 1], numel=6), "product overflows"),
        "shape-2-62": (tensor(shape=[2**62, 2], stride=[2, 1], numel=6), "a shape near 2^63"),
        "shape-negative": (tensor(shape=[-2, 3], numel=6), "negative length"),
        "offset-negative": (tensor(shape=[1], numel=6, offset=-1), "reads before its storage"),
        "offset-2-62": (tensor(shape=[1], numel=6, offset=2**62), "offset times width overflows"),
        "stride-negative": (tensor(shape=[2], stride=[-1], numel=6, offset=1), "negative stride"),
        "stride-zero": (tensor(shape=[2**40], stride=[0], numel=6), "2^40 values out of one by stride 0"),
        "stride-overflow": (tensor(shape=[2, 3], stride=[2**62, 2**62], numel=6), "stride products overflow"),
        "stride-short": (tensor(shape=[2, 3], stride=[1], numel=6), "fewer strides than dimensions"),
        "storage-kind": (tensor(shape=[6], kind="QUInt4x2Storage"), "storage type that is not read"),
        "deep-shape": (pickled(b"ctorch._utils\n_rebuild_tensor_v2\n(N(K\x01" + b"\x85" * 500 + b"tR."), "a shape of nested tuples"),
        "not-a-dictionary": (pickled(b"K\x07."), "a number instead of tensors"),
        "key-number": (pickled(b"}K\x01K\x02s."), "a tensor's name that is a number"),
    }


def _deflated(data):
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeezer.compress(data) + squeezer.flush()


def torch_legacy():
    halves = {"111": bytes(12)}
    good = pickles.state([("a", pickles.tensor("111", [2, 3], legacy=True))])
    view = pickles.PROTO + b"}" + pickles.text("a") + pickles.tensor("111", [1], legacy=True).replace(b"NtQ", b"(" + pickles.text("v") + b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7ftQ") + b"s."
    return {
        "magic-only": (MAGIC, "ends after the magic number"),
        "magic-wrong": (legacy(good, halves, magic=pickles.PROTO + b"\x8a\x0a" + b"\7" * 10 + b"."), "another number"),
        "magic-long": (legacy(good, halves, magic=pickles.PROTO + b"\x8a\xff" + b"\x6c" * 255 + b"."), "a magic number of 255 bytes"),
        "protocol": (legacy(good, halves, version=65535), "protocol version from the future"),
        "system-calls": (legacy(good, halves, system=pickles.PROTO + pickles.call("posix", "system", "touch hostile-was-here") + b"."), "os.system in the system's description"),
        "big-endian": (legacy(good, halves, system=pickles.PROTO + b"}" + pickles.text("little_endian") + b"\x89s."), "says that its bytes are in the other order"),
        "numel-2-62": (legacy(good, halves, numel=2**62), "storage of 2^62 values: bytes overflow"),
        "numel-negative": (legacy(good, halves, numel=-1), "storage of -1 values"),
        "numel-short": (legacy(good, halves, numel=2), "storage smaller than its tensor"),
        "numel-zero": (legacy(good, halves, numel=0), "empty storage for a tensor"),
        "keys-none": (legacy(good, {}, keys=[]), "no storages"),
        "keys-other": (legacy(good, halves, keys=["999"]), "storage that no tensor names"),
        "keys-twice": (legacy(good, {"111": bytes(12)}, keys=["111", "111"]), "one storage listed twice"),
        "keys-many": (legacy(good, {}, keys=[str(i) for i in range(100)]), "100 storages without data"),
        "keys-number": (legacy(good, halves, keys=[]).replace(pickles.PROTO + b"](e.", pickles.PROTO + b"](K\x01K\x02e."), "storages named by numbers"),
        "view": (legacy(view, halves), "a view of 2^31 values at 2^31"),
        "pickles-many": (MAGIC * 200, "two hundred magic numbers"),
        "deep": (legacy(pickles.PROTO + b")" + b"\x85" * 1500 + b".", halves), "nested tuples"),
        "tar": (b"storages".ljust(100, b"\0") + b"0000644\0" * 3 + b"77777777777\0" * 2 + bytes(200), "the tar format of 2016, which is not read"),
    }


def gguf():
    u32 = lambda value: struct.pack("<I", value)
    name = gguf_key("general.architecture", STRING, gguf_string("llama"))

    def key(kind, value, title="k"):
        return gguf_file([name, gguf_key(title, kind, value)])

    def tensor(**lies):
        return gguf_file([name], [gguf_tensor("t", lies.get("shape", [4]), lies.get("kind", 0), lies.get("offset", 0), lies.get("dimensions"))], bytes(16))

    def vocabulary(tokens, scores=None, kinds=None):
        keys = [name, gguf_key("tokenizer.ggml.model", STRING, gguf_string("llama")), gguf_key("tokenizer.ggml.tokens", ARRAY, gguf_array(STRING, [gguf_string(t) for t in tokens]))]
        if scores is not None:
            keys.append(gguf_key("tokenizer.ggml.scores", ARRAY, gguf_array(F32, [struct.pack("<f", s) for s in scores])))
        if kinds is not None:
            keys.append(gguf_key("tokenizer.ggml.token_type", ARRAY, gguf_array(5, [struct.pack("<i", k) for k in kinds])))
        return gguf_file(keys)

    def model(**changes):
        return gguf_model({**seeds.LANGUAGE_KEYS, **{name.replace("__", "."): value for name, value in changes.items()}}, seeds.of_pair(seeds.LANGUAGE_TENSORS))

    def projector(changes):
        return gguf_model({**seeds.PROJECTOR_KEYS, **changes}, seeds.of_pair(seeds.PROJECTOR_TENSORS))

    def two(first, second):
        return gguf_file([name], [gguf_tensor("a", *first), gguf_tensor("b", *second)], bytes(64))

    nested = b"".join(struct.pack("<IQ", ARRAY, 1) for _ in range(200)) + struct.pack("<IQ", U8, 0)
    return {
        "magic-only": (b"GGUF", "ends after the magic"),
        "big-endian": (gguf_file([name], magic=b"FUGG"), "the magic backwards"),
        "version-0": (gguf_file([name], version=0), "version 0"),
        "version-1": (gguf_file([name], version=1), "version 1: other lengths"),
        "version-big-endian": (gguf_file([name], version=3 << 24), "version in the other byte order"),
        "tensors-max": (gguf_file([name], tensor_count=HUGE), "2^64-1 tensors"),
        "tensors-2-32": (gguf_file([name], tensor_count=2**32), "2^32 tensors"),
        "keys-max": (gguf_file([name], key_count=HUGE), "2^64-1 keys"),
        "keys-more": (gguf_file([name], key_count=2), "one key more than there is"),
        "name-max": (gguf_file([gguf_string("k", HUGE)]), "a key of 2^64-1 bytes"),
        "text-2-40": (key(STRING, gguf_string("v", 2**40)), "text of 2^40 bytes"),
        "text-not-utf8": (key(STRING, gguf_string(b"\xff\xfe")), "text that is no UTF-8"),
        "array-max": (key(ARRAY, gguf_array(U8, [], HUGE)), "array of 2^64-1 bytes"),
        "array-2-60": (key(ARRAY, gguf_array(U64, [], 2**61)), "array whose bytes overflow"),
        "array-strings": (key(ARRAY, gguf_array(STRING, [], 2**32)), "array of 2^32 texts in no bytes"),
        "array-of-empty-texts": (key(ARRAY, gguf_array(STRING, [gguf_string("")] * 100, 2**20)), "more texts than follow"),
        "array-nested": (key(ARRAY, nested), "arrays in arrays, 200 deep"),
        "array-unknown": (key(ARRAY, gguf_array(77, [], 1)), "array of an unknown type"),
        "array-arrays-empty": (key(ARRAY, gguf_array(ARRAY, [], 2**40)), "2^40 arrays in no bytes"),
        "type-unknown": (key(77, b"\0" * 8), "value of an unknown type"),
        "bool-7": (key(BOOL, b"\7"), "a truth value of 7"),
        "key-twice": (gguf_file([name, name]), "one key twice"),
        "key-empty": (key(U8, b"\0", ""), "a key without a name"),
        "alignment-0": (key(U32, u32(0), "general.alignment"), "alignment 0: division by zero"),
        "alignment-3": (key(U32, u32(3), "general.alignment"), "alignment that is no power of two"),
        "alignment-2-31": (key(U32, u32(2**31), "general.alignment"), "alignment beyond the file"),
        "alignment-text": (key(STRING, gguf_string("32"), "general.alignment"), "alignment as text"),
        "dimensions-max": (tensor(dimensions=2**32 - 1), "a tensor of 2^32-1 dimensions"),
        "dimensions-0": (tensor(shape=[]), "a tensor of no dimensions"),
        "shape-overflow": (tensor(shape=[2**32, 2**32]), "product overflows"),
        "shape-bytes-overflow": (tensor(shape=[2**62]), "bytes overflow"),
        "shape-zero": (tensor(shape=[0, HUGE]), "zero times 2^64-1"),
        "offset-max": (tensor(offset=HUGE - 31), "offset near 2^64"),
        "offset-odd": (tensor(offset=1), "offset that is not aligned"),
        "offset-past-end": (tensor(offset=32), "tensor outside the file"),
        "kind-unknown": (tensor(kind=250), "storage format that does not exist"),
        "kind-removed": (tensor(kind=4), "storage format that was removed"),
        "tensors-overlap": (two(([8], 0, 0), ([4], 0, 0)), "two tensors over the same bytes"),
        "tensors-overlap-by-one": (two(([9], 0, 0), ([4], 0, 32)), "a tensor that reaches into the next"),
        "tensors-2-63": (gguf_file([name], tensor_count=2**63), "2^63 tensors"),
        "panels-of-floats": (tensor(shape=[4], kind=1000), "panels of a type that has none"),
        "panels-overflow": (tensor(shape=[32, HUGE - 15], kind=1008), "panels whose rows overflow"),
        "blocks-overflow": (tensor(shape=[2**63, 2], kind=12), "blocks whose bytes overflow"),
        "blocks-negative": (model(llama__block_count=(11, struct.pack("<q", -1))), "-1 blocks"),
        "blocks-1024": (model(llama__block_count=(U32, u32(1024))), "a thousand blocks that are not there"),
        "heads-0": (model(llama__attention__head_count=(U32, u32(0))), "no heads: division by zero"),
        "width-max": (model(llama__embedding_length=(U64, struct.pack("<Q", HUGE))), "a width of 2^64-1"),
        "width-odd": (model(llama__embedding_length=(U32, u32(3))), "a width that is not the tensors'"),
        "head-odd": (model(llama__attention__key_length=(U32, u32(3))), "a head that has no rotary pairs"),
        "kv-heads-0": (model(llama__attention__head_count_kv=(U8, b"\0")), "no heads for keys"),
        "eps-nan": (model(llama__attention__layer_norm_rms_epsilon=(F32, struct.pack("<f", float("nan")))), "a number that is none"),
        "bos-past-end": (model(tokenizer__ggml__bos_token_id=(U32, u32(2**31))), "a first token that does not exist"),
        "split-2": (model(split__count=(2, b"\2\0")), "a part of a model"),
        "feature-layer-max": (projector({"clip.vision.feature_layer": (ARRAY, gguf_array(5, [struct.pack("<i", 2**31 - 1)]))}), "2^31-1 blocks to run"),
        "feature-layer-none": (projector({"clip.vision.feature_layer": (ARRAY, gguf_array(5, []))}), "a list of no blocks"),
        "feature-layer-texts": (projector({"clip.vision.feature_layer": (ARRAY, gguf_array(STRING, [gguf_string("")] * 9))}), "texts for numbers"),
        "patch-0": (projector({"clip.vision.patch_size": (U32, u32(0))}), "patches of no pixels"),
        "image-odd": (projector({"clip.vision.image_size": (U32, u32(3))}), "a picture that is not the tensors'"),
        "mean-short": (projector({"clip.vision.image_mean": (ARRAY, gguf_array(F32, [b"\0" * 4] * 2))}), "two numbers for three colours"),
        "std-0": (projector({"clip.vision.image_std": (ARRAY, gguf_array(F32, [b"\0" * 4] * 3))}), "division by zero"),
        "tensor-twice": (gguf_file([name], [gguf_tensor("t", [4], 0, 0)] * 2, bytes(16)), "one tensor twice"),
        "row-odd": (tensor(shape=[33], kind=8), "a row that is no whole number of blocks"),
        "scores-short": (vocabulary(["<unk>", "a"], [0.0]), "fewer scores than pieces"),
        "scores-nan": (vocabulary(["<unk>", "a", "b", "ab"], [float("nan"), float("inf"), float("-inf"), float("nan")], [2, 1, 1, 1]), "scores that do not compare"),
        "kinds-unknown": (vocabulary(["<unk>", "a"], [0.0, 0.0], [-5, 99]), "piece kinds that do not exist"),
        "pieces-none": (vocabulary([], [], []), "a vocabulary of no pieces"),
        "pieces-same": (vocabulary(["a"] * 20, [0.0] * 20, [1] * 20), "twenty times the same piece"),
        "pieces-empty": (vocabulary(["", ""], [0.0, 0.0], [1, 6]), "pieces without characters"),
    }
