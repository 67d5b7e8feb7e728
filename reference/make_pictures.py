#!/usr/bin/env python3
"""Draws the small pictures in crates/mobilevlm-processor/tests/pictures and records what Pillow
makes of them in expected.json: the first 8 bytes of the SHA-256 of the RGB bytes as stored, turned
upright by EXIF, and prepared as upstream does (pad and square) at 56 pixels.

Usage: python reference/make_pictures.py   (Python 3.11, numpy 1.25.0, Pillow 12.0.0)
"""

import hashlib
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps

FOLDER = Path(__file__).parents[1] / "crates/mobilevlm-processor/tests/pictures"
SIZE = 56
BACKGROUND = (122, 116, 104)
ImageFile.MAXBLOCK = 1 << 20  # tiny JPEGs do not fit Pillow's default buffer
random = np.random.default_rng(7)


def draw(width, height, noise=6):
    y, x = np.mgrid[0:height, 0:width].astype(float)
    waves = [127 + 120 * np.sin(x / 7 + y / 31), 127 + 120 * np.cos(x / 19 - y / 5), (3 * x + 2 * y) % 256]
    levels = np.stack(waves, -1)
    levels[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2] = [250, 10, 30]
    levels += random.normal(0, noise, levels.shape)
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def encoded(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def jpegs():
    for subsampling, name in enumerate(["444", "422", "420"]):
        yield f"{name}.jpg", encoded(draw(37, 29), "JPEG", subsampling=subsampling)
        yield f"{name}-progressive.jpg", encoded(draw(41, 23), "JPEG", subsampling=subsampling, progressive=True)
    for width, height in [(1, 1), (1, 30), (30, 3), (5, 4)]:
        yield f"{width}x{height}.jpg", encoded(draw(width, height), "JPEG")
    yield "quality-1.jpg", encoded(draw(40, 33), "JPEG", quality=1)
    yield "quality-100.jpg", encoded(draw(24, 17), "JPEG", quality=100)
    yield "restart.jpg", encoded(draw(50, 20), "JPEG", restart_marker_blocks=2)
    yield "gray.jpg", encoded(draw(19, 30).convert("L"), "JPEG")
    yield "rgb.jpg", encoded(draw(20, 21), "JPEG", keep_rgb=True)
    cmyk = encoded(draw(27, 20).convert("CMYK"), "JPEG")
    yield "cmyk.jpg", cmyk
    adobe = cmyk.index(b"Adobe")
    yield "ycck.jpg", cmyk[: adobe + 11] + b"\2" + cmyk[adobe + 12 :]
    yield "cmyk-no-adobe.jpg", cmyk[: adobe - 4] + cmyk[adobe + 12 :]
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        yield f"exif-{orientation}.jpg", encoded(draw(9, 6), "JPEG", exif=exif)
    yield "exif-6.png", encoded(draw(9, 6), "PNG", exif=exif)
    yield "exif-8.webp", encoded(draw(9, 6), "WEBP", exif=exif, lossless=True)


def png(width, height, colour, depth, interlaced, palette=b""):
    """A PNG of random samples: Pillow writes few of the types that it reads."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def rows(samples):
        for row in samples.reshape(len(samples), -1):
            bits = "".join(f"{value:0{depth}b}" for value in row)
            bits += "0" * (-len(bits) % 8)
            yield bytes([0]) + int(bits, 2).to_bytes(len(bits) // 8, "big")

    samples = random.integers(0, 2**depth, (height, width, {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]))
    steps = [(0, 0, 1, 1)]
    if interlaced:
        steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [samples[y::dy, x::dx] for x, y, dx, dy in steps]
    data = b"".join(b"".join(rows(part)) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    chunks = chunk(b"IHDR", header) + (chunk(b"PLTE", palette) if palette else b"")
    return b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def pngs():
    for colour, depths in {0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]}.items():
        for depth in depths:
            palette = random.bytes(3 * 2**depth) if colour == 3 else b""
            for interlaced in (0, 1):
                yield f"{colour}-{depth}-{interlaced}.png", png(11, 9, colour, depth, interlaced, palette)
    yield "short-palette.png", png(9, 7, 3, 8, 0, random.bytes(30))
    yield "colour-key.png", encoded(draw(10, 10), "PNG", transparency=(250, 10, 30))


def bmp(width, height, bits, compression=0, palette=b"", masks=(), data=None, header=40, top_down=False):
    stride = (width * bits + 31) // 32 * 4
    data = random.bytes(stride * height) if data is None else data
    stored = -height if top_down else height
    info = struct.pack("<IiiHHIIiiII", header, width, stored, 1, bits, compression, len(data), 0, 0, 0, 0)
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    info += b"".join(struct.pack("<I", mask) for mask in masks)
    info = info.ljust(header, b"\0") + palette
    start = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + data


def bmps():
    for bits in (1, 4, 8):
        yield f"{bits}.bmp", bmp(13, 7, bits, palette=random.bytes(4 * 2**bits), top_down=bits == 4)
    yield "core.bmp", bmp(13, 7, 4, palette=random.bytes(48), header=12)
    for bits in (16, 24, 32):
        yield f"{bits}.bmp", bmp(13, 7, bits, top_down=bits == 24)
    yield "565.bmp", bmp(13, 7, 16, 3, masks=(0xF800, 0x7E0, 0x1F))
    yield "rgba.bmp", bmp(6, 7, 32, 3, masks=(0xFF, 0xFF00, 0xFF0000, 0xFF000000), header=108)
    runs = b"\x05\x12\x00\x04\x34\x56\x00\x00\x09\x78\x00\x00\x00\x01"
    yield "rle4.bmp", bmp(9, 2, 4, 2, palette=random.bytes(64), data=runs)
    runs = b"\x05\x12\x00\x04\x34\x56\x01\x02\x00\x00\x09\x78\x00\x00\x00\x01"
    yield "rle8.bmp", bmp(9, 2, 8, 1, palette=random.bytes(1024), data=runs)


def animations():
    frames = [draw(20, 15).quantize(16) for _ in range(2)]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], transparency=3)
    yield "frames.gif", gif
    # The same frame on a larger screen, and one that the frame exceeds.
    frame = gif.index(b",", 13 + 3 * 2 ** ((gif[10] & 7) + 1))
    placed = gif[: frame + 1] + struct.pack("<HH", 4, 3) + gif[frame + 5 :]
    yield "offset.gif", placed[:6] + struct.pack("<HH", 30, 25) + placed[10:]
    yield "exceeding.gif", placed[:6] + struct.pack("<HH", 10, 25) + placed[10:]
    yield "interlaced.gif", encoded(draw(20, 15).quantize(16), "GIF", interlace=1)
    yield "gray.gif", encoded(draw(10, 15).convert("L"), "GIF")
    frames = [draw(20, 15, noise=0) for _ in range(2)]
    for frame in frames:
        frame.putalpha(Image.fromarray(random.integers(0, 3, (15, 20), dtype=np.uint8) * 100))
    yield "frames.webp", encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    yield "alpha.webp", encoded(frames[0], "WEBP", lossless=True, exact=True)
    yield "plain.webp", encoded(Image.new("RGB", (300, 200), (1, 2, 3)), "WEBP", lossless=True)


def prepared(picture, mode):
    if mode == "pad":
        side = max(picture.size)
        canvas = Image.new("RGB", (side, side), BACKGROUND)
        canvas.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
        picture = canvas
    short, long = sorted(picture.size)
    longer = int(SIZE * long / short)
    width, height = (SIZE, longer) if picture.width <= picture.height else (longer, SIZE)
    left, top = (width - SIZE) // 2, (height - SIZE) // 2
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    return resized.crop((left, top, left + SIZE, top + SIZE))


def main():
    FOLDER.mkdir(exist_ok=True)
    rows = []
    for source in (jpegs, pngs, bmps, animations):
        for name, data in source():
            (FOLDER / name).write_bytes(data)
            opened = Image.open(io.BytesIO(data))
            picture = opened.convert("RGB")
            upright = ImageOps.exif_transpose(opened).convert("RGB")
            pictures = {
                "rgb": picture,
                "upright": upright,
                "pad": prepared(picture, "pad"),
                "square": prepared(picture, "square"),
            }
            hashes = {key: hashlib.sha256(value.tobytes()).hexdigest()[:16] for key, value in pictures.items()}
            rows.append({"file": name, "width": picture.width, "height": picture.height, **hashes})
    lines = ",\n".join(json.dumps(row) for row in rows)
    (FOLDER / "expected.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
