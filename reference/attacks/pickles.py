"""Pickle streams written opcode by opcode, so that a file may say what no pickler would."""

import struct

PROTO = b"\x80\x02"
STOP = b"."


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value):
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def many(values):
    return b"(" + b"".join(number(v) for v in values) + b"t"


def tensor(key, shape, stride=None, kind="HalfStorage", numel=None, offset=0, legacy=False):
    """What `torch.save` writes for one tensor: a rebuild call on a storage named by `key`."""
    if stride is None:
        stride, step = [], 1
        for length in reversed(shape):
            stride.insert(0, step)
            step *= length
    if numel is None:
        numel = 1
        for length in shape:
            numel *= length
    storage = b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key) + text("cpu")
    storage += number(numel) + (b"N" if legacy else b"") + b"tQ"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + number(offset)
        + many(shape)
        + many(stride)
        + b"\x89ccollections\nOrderedDict\n)Rt"
        + b"R"
    )


def state(entries):
    """A dictionary of tensors, `entries` as pairs of name and pickled tensor."""
    return PROTO + b"}q\x00(" + b"".join(text(name) + value for name, value in entries) + b"u" + STOP


def call(module, name, argument):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n" + text(argument) + b"\x85R"
