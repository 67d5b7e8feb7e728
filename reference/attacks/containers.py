"""Builders for the containers: ZIP, legacy torch files, safetensors, GGUF, protobuf, PNG."""

import json
import struct
import zlib

from . import pickles


def safetensors(header, data=b"", length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def entry(name, data, **lies):
    return {"name": name.encode() if isinstance(name, str) else name, "data": data, **lies}


def zipped(entries, comment=b"", **lies):
    """A ZIP of `entries`; any field of a header can be made to lie by its name."""
    body, central = b"", b""
    for item in entries:
        data = item["data"]
        method = item.get("method", 0)
        packed = item.get("packed", data)
        crc = item.get("crc", zlib.crc32(data))
        size, packed_size = item.get("size", len(data)), item.get("packed_size", len(packed))
        flags, extra = item.get("flags", 0), item.get("extra", b"")
        offset = item.get("offset", len(body))
        if not item.get("no_local"):
            name = item.get("local_name", item["name"])
            body += struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, flags, method, 0, 0, crc, packed_size, size, len(name), len(extra))
            body += name + extra + packed
        central += struct.pack(
            "<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, flags, method, 0, 0, crc, packed_size, size,
            len(item["name"]), len(item.get("central_extra", b"")), 0, 0, 0, 0, offset,
        )
        central += item["name"] + item.get("central_extra", b"")
    count = lies.get("count", len(entries))
    start = lies.get("start", len(body))
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, lies.get("central_size", len(central)), start, lies.get("comment_length", len(comment)))
    return body + central + lies.get("before_end", b"") + end + comment


def torch_zip(pickle, storages, root="archive", **lies):
    entries = [entry(f"{root}/data.pkl", pickle)]
    entries += [entry(f"{root}/data/{key}", data) for key, data in storages.items()]
    entries.append(entry(f"{root}/version", b"3\n"))
    return zipped(entries, **lies)


MAGIC = pickles.PROTO + b"\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."


def torch_legacy(pickle, storages, keys=None, magic=MAGIC, version=1001, system=None, numel=None, width=2):
    system = system or pickles.PROTO + b"}(" + pickles.text("protocol_version") + pickles.number(1001) + pickles.text("little_endian") + b"\x88u."
    keys = list(storages) if keys is None else keys
    out = magic + pickles.PROTO + b"M" + struct.pack("<H", version) + b"." + system + pickle
    out += pickles.PROTO + b"](" + b"".join(pickles.text(key) for key in keys) + b"e."
    for data in storages.values():
        out += struct.pack("<q", len(data) // width if numel is None else numel) + data
    return out


U8, U32, F32, BOOL, STRING, ARRAY, U64 = 0, 4, 6, 7, 8, 9, 10


def gguf_string(value, length=None):
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw) if length is None else length) + raw


def gguf_key(name, kind, value):
    return gguf_string(name) + struct.pack("<I", kind) + value


def gguf_array(kind, values, count=None):
    return struct.pack("<IQ", kind, len(values) if count is None else count) + b"".join(values)


def gguf_tensor(name, shape, kind, offset, dimensions=None):
    count = len(shape) if dimensions is None else dimensions
    return gguf_string(name) + struct.pack("<I", count) + b"".join(struct.pack("<Q", n) for n in shape) + struct.pack("<IQ", kind, offset)


def gguf(keys, tensors=(), data=b"", version=3, tensor_count=None, key_count=None, magic=b"GGUF", alignment=32):
    head = magic + struct.pack("<IQQ", version, len(tensors) if tensor_count is None else tensor_count, len(keys) if key_count is None else key_count)
    head += b"".join(keys) + b"".join(tensors)
    if data:
        head += b"\0" * (-len(head) % alignment)
    return head + data


def varint(value):
    out = b""
    while True:
        out += bytes([value & 127 | (128 if value > 127 else 0)])
        value >>= 7
        if not value:
            return out


def field(number, wire, payload):
    return varint(number << 3 | wire) + payload


def block(number, payload, length=None):
    return field(number, 2, varint(len(payload) if length is None else length) + payload)


def piece(text, score=0.0, kind=None):
    raw = text.encode() if isinstance(text, str) else text
    out = block(1, raw) + field(2, 5, struct.pack("<f", score))
    return block(1, out + (field(3, 0, varint(kind)) if kind else b""))


PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def chunk(kind, data, length=None, crc=None):
    sum_ = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data) if length is None else length) + kind + data + struct.pack(">I", sum_)


def ihdr(width, height, depth=8, colour=2, interlace=0, method=0, filters=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, method, filters, interlace))


def png(*chunks):
    return PNG_HEAD + b"".join(chunks) + chunk(b"IEND", b"")


def idat(raw):
    return chunk(b"IDAT", zlib.compress(raw, 9))
