"""Hostile vocabularies and texts."""

from .containers import block, field, piece, varint
from .seeds import vocabulary


def model():
    good = vocabulary(byte_pieces=False)
    unknown = piece("<unk>", 0, 2)
    nan, infinite = float("nan"), float("inf")
    groups = b"\x0b" * 1000
    nested = b""
    for _ in range(60):
        nested = block(1, nested)
    return {
        "empty": (b"", "no bytes: a valid message without pieces"),
        "length-max": (b"\x0a" + b"\xff" * 9 + b"\x01", "a piece of 2^64-1 bytes"),
        "length-4g": (block(1, b"a", 2**32), "a piece of 4 GiB"),
        "length-past-end": (good + block(1, b"a", 2), "the last piece is cut"),
        "inner-past-outer": (unknown + block(1, block(1, b"a", 100)), "a text longer than its piece"),
        "varint-endless": (b"\x80" * 200, "a number that never ends"),
        "varint-overflow": (b"\x0a" + b"\xff" * 9 + b"\x7f", "a number beyond 64 bits"),
        "field-0": (field(0, 0, b"\1"), "field number 0"),
        "field-max": (field(2**61 - 1, 0, b"\1"), "field number beyond 29 bits"),
        "wire-7": (b"\x0f\0", "wire type that does not exist"),
        "groups": (groups, "1000 open groups"),
        "end-group": (b"\x0c", "a group that ends and never began"),
        "nested": (nested, "pieces in pieces"),
        "wrong-wire": (field(1, 0, b"\5") + field(2, 1, bytes(8)), "pieces that are numbers"),
        "piece-wrong-wire": (block(1, field(1, 0, b"\5") + block(2, b"abcd") + block(3, b"x")), "fields of a piece with other types"),
        "not-utf8": (unknown + piece(b"\xff\xc0\x80", 0), "a piece that is no UTF-8"),
        "piece-empty": (unknown + piece("", 0) * 3, "pieces without characters"),
        "pieces-same": (good + piece("ab", 9) * 20, "one piece many times"),
        "scores-nan": (good + piece("abc", nan) + piece("bc", nan) + piece("▁ab", infinite) + piece("aa", -infinite), "scores that do not compare"),
        "kind-99": (unknown + piece("a", 0, 99), "a kind that does not exist"),
        "no-unknown": (piece("a") + piece("b"), "no unknown piece"),
        "two-unknown": (unknown * 2, "two unknown pieces"),
        "no-bytes": (good, "byte fallback without byte pieces"),
        "bytes-wrong": (unknown + b"".join(piece(f"<0x{b:X}ZZ>", 0, 6) for b in range(20)), "byte pieces that name no byte"),
        "bytes-twice": (unknown + piece("<0x41>", 0, 6) * 2, "one byte, two pieces"),
        "control-only": (piece("<s>", 0, 3) * 3, "nothing to write text with"),
        "unigram": (unknown + block(2, field(3, 0, varint(1))), "another algorithm"),
        "normaliser": (good + block(3, block(2, b"\xff\xff\xff\xff" + bytes(40))), "a compiled normaliser whose length lies"),
        "long-piece": (unknown + piece("a" * 2000, 1), "a piece of 2000 characters"),
        "ladder": (unknown + b"".join(piece("a" * n, n) for n in range(1, 60)), "pieces that make merging quadratic"),
        "trailing-zero": (good + bytes(50), "zeros after the end"),
    }


def text():
    return {
        "one-letter": (b"a" * 1500, "merges that all tie"),
        "no-space": ("▁".encode() * 300, "only word marks"),
        "pictures": (b"<image>" * 50, "50 pictures"),
        "controls": (b"</s><s><unk>" * 80, "control tokens side by side"),
        "half-controls": (b"</</s</s><ima<image<image" * 40, "control tokens that begin and do not end"),
        "bytes-as-text": (b"<0x0A><0xFF>" * 50, "byte pieces spelled out"),
        "combining": (("e" + "\u0301" * 500).encode(), "500 accents on one letter"),
        "emoji": ("👩‍👩‍👧‍👦".encode() * 40, "long joined characters"),
        "controls-terminal": (b"\0\x1b[2J\r\x7f\xc2\x85", "terminal control"),
        "directions": ("\u202e\u2066abc\u2069\ufeff\uffff\U0010ffff".encode(), "text directions, marks and the last character"),
        "not-utf8": (b"a\xff\xc0\x80\xed\xa0\x80b", "bytes that are no UTF-8"),
    }
