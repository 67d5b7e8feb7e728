"""Hostile pictures. Sizes that are declared and not filled are the common attack; a picture that
declares much and stays within one byte per 2,000 pixels is the costliest that is accepted."""

import struct
import zlib

from . import seeds
from .containers import PNG_HEAD, chunk, idat, ihdr
from .containers import png as png_file

M = 0xFFFFFFFF


def png():
    small = idat(seeds.rows(15, 4))
    bomb = zlib.compress(bytes(1_000_000), 9)
    big_bomb = zlib.compress(bytes(17_000_000), 9)
    fill = chunk(b"teSt", bytes(1700))
    apng = chunk(b"acTL", struct.pack(">II", M, 0))
    frame = lambda w, h, x, y: chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, w, h, x, y, 1, 1, 0, 0))
    return {
        "signature": (PNG_HEAD, "ends after the signature"),
        "16384": (png_file(ihdr(16384, 16384), small), "16384 x 16384 in 100 bytes: 768 MiB"),
        "side-2-31": (png_file(ihdr(2**31 - 1, 2**31 - 1, 16, 6), small), "2^62 pixels of 8 bytes"),
        "side-max": (png_file(ihdr(M, M), small), "sides of 2^32-1"),
        "side-16385": (png_file(ihdr(16385, 1), small), "one pixel beyond the side limit"),
        "thin": (png_file(ihdr(1, 16384, 8, 0), idat(bytes(2 * 16384))), "one column of 16384"),
        "zero": (png_file(ihdr(0, 0), small), "no pixels"),
        "zero-width": (png_file(ihdr(0, 10), small), "no columns"),
        "costly": (png_file(ihdr(2000, 2000, 1, 0), idat(bytes(251 * 2000)), fill), "4 Mpixel in 2 kB, one byte per 2,000 pixels: accepted"),
        "costly-rgba16": (png_file(ihdr(500, 500, 16, 6), idat(bytes(4001 * 500))), "8 bytes per pixel, deflated 1000 to 1"),
        "costly-interlaced": (png_file(ihdr(1500, 1500, 8, 2, 1), idat(bytes(1000)), chunk(b"teSt", bytes(1100))), "large, interlaced, data missing"),
        "depth-3": (png_file(ihdr(5, 4, 3, 2), small), "3 bits"),
        "depth-colour": (png_file(ihdr(5, 4, 16, 3), small), "a palette of 16 bits"),
        "colour-5": (png_file(ihdr(5, 4, 8, 5), small), "colour type that does not exist"),
        "interlace-2": (png_file(ihdr(5, 4, 8, 2, 2), small), "interlacing that does not exist"),
        "method-1": (png_file(ihdr(5, 4, 8, 2, 0, 1, 1), small), "compression and filter methods that do not exist"),
        "filter-9": (png_file(ihdr(5, 4), idat(b"\x09" + bytes(63))), "row filter that does not exist"),
        "header-short": (png_file(chunk(b"IHDR", bytes(5)), small), "a header of 5 bytes"),
        "header-twice": (png_file(ihdr(5, 4), ihdr(5000, 5000), small), "second header with other sizes"),
        "header-late": (png_file(small, ihdr(5, 4)), "data before the header"),
        "no-palette": (png_file(ihdr(6, 3, 4, 3), idat(seeds.rows(3, 3))), "palette picture without a palette"),
        "palette-short": (png_file(ihdr(6, 3, 8, 3), chunk(b"PLTE", b"\1\2\3"), idat(seeds.rows(6, 3))), "indices beyond the palette"),
        "palette-odd": (png_file(ihdr(6, 3, 8, 3), chunk(b"PLTE", b"\1\2\3\4"), idat(seeds.rows(6, 3))), "a palette of one and a third colours"),
        "palette-late": (png_file(ihdr(6, 3, 8, 3), idat(seeds.rows(6, 3)), chunk(b"PLTE", bytes(768))), "palette after the data"),
        "transparency-long": (png_file(ihdr(6, 3, 4, 3), chunk(b"PLTE", bytes(6)), chunk(b"tRNS", bytes(300)), idat(seeds.rows(3, 3))), "more transparency than colours"),
        "length-2-31": (PNG_HEAD + ihdr(5, 4) + chunk(b"IDAT", b"", 2**31 - 1), "a chunk of 2 GiB"),
        "length-max": (PNG_HEAD + ihdr(5, 4) + chunk(b"teSt", b"", M), "a chunk of 4 GiB"),
        "checksum": (PNG_HEAD + ihdr(5, 4) + small[:-4] + b"\0\0\0\0", "wrong checksum"),
        "no-data": (png_file(ihdr(5, 4)), "no data"),
        "data-empty": (png_file(ihdr(5, 4), *[chunk(b"IDAT", b"")] * 100), "a hundred empty data chunks"),
        "data-garbage": (png_file(ihdr(5, 4), chunk(b"IDAT", b"\xff" * 60)), "data that is no zlib stream"),
        "data-short": (png_file(ihdr(5, 4), idat(bytes(5))), "too few rows"),
        "data-bomb": (png_file(ihdr(5, 4), chunk(b"IDAT", bomb)), "1 MB of data for 20 pixels"),
        "text-bomb": (png_file(ihdr(5, 4), chunk(b"zTXt", b"k\0\0" + bomb), small), "1 MB of compressed text"),
        "text-bomb-utf8": (png_file(ihdr(5, 4), chunk(b"iTXt", b"k\0\1\0\0\0" + bomb), small), "1 MB of compressed international text"),
        "profile-bomb": (png_file(ihdr(5, 4), chunk(b"iCCP", b"k\0\0" + big_bomb), small), "17 MB of colour profile"),
        "frames-max": (png_file(ihdr(5, 4), apng, frame(5, 4, 0, 0), small), "2^32-1 frames"),
        "frame-outside": (png_file(ihdr(5, 4), apng, frame(M, M, M, M), small), "a frame outside the canvas"),
        "exif-loop": (png_file(ihdr(5, 4), chunk(b"eXIf", tiff_loop()), small), "an EXIF directory that follows itself"),
        "chunks-many": (png_file(ihdr(5, 4), *[chunk(b"teSt", b"")] * 150, small), "150 unknown chunks"),
        "critical-unknown": (png_file(ihdr(5, 4), chunk(b"HACK", b""), small), "a critical chunk that nobody knows"),
    }


def tiff_loop():
    return b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x0112, 3, 1, 6, 8)


def tiff(entries, first=8, count=None, order="<"):
    mark = b"II" if order == "<" else b"MM"
    out = mark + struct.pack(order + "HIH", 42, first, len(entries) if count is None else count)
    return out + b"".join(struct.pack(order + "HHII", *entry) for entry in entries) + bytes(4)


def segment(marker, body, length=None):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2 if length is None else length) + body


def frame(width, height, components=((1, 0x11, 0),), precision=8, marker=0xC0, count=None):
    body = struct.pack(">BHHB", precision, height, width, len(components) if count is None else count)
    return segment(marker, body + b"".join(bytes(c) for c in components))


TABLE = segment(0xDB, b"\0" + b"\1" * 64)
CODES = segment(0xC4, b"\0" + bytes([0, 1] + [0] * 14) + b"\0") + segment(0xC4, b"\x10" + bytes([0, 1] + [0] * 14) + b"\0")
SCAN = segment(0xDA, bytes([1, 1, 0, 0, 63, 0]))


def jpeg():
    def whole(*parts, data=b"\0" * 8):
        return b"\xff\xd8" + b"".join(parts) + data + b"\xff\xd9"

    def picture(*before, frame=frame(16, 16), scan=SCAN, data=bytes(8)):
        return whole(*before, TABLE, frame, CODES, scan, data=data)

    def exif(body):
        return picture(segment(0xE1, b"Exif\0\0" + body))

    scan_empty = segment(0xDA, bytes([1, 1, 0, 0, 0, 0]))
    fill = segment(0xFE, bytes(2400))
    return {
        "start": (b"\xff\xd8", "ends after the start"),
        "start-end": (b"\xff\xd8\xff\xd9", "start and end"),
        "65535": (picture(frame=frame(65535, 65535)), "65535 x 65535 in 200 bytes"),
        "16384": (picture(frame=frame(16384, 16384, ((1, 0x44, 0), (2, 0x11, 0), (3, 0x11, 0)))), "16384 x 16384 with subsampling"),
        "costly": (picture(fill, frame=frame(2000, 2000, ((1, 0x22, 0), (2, 0x11, 0), (3, 0x11, 0)))), "4 Mpixel in 2 kB: accepted"),
        "scans": (whole(TABLE, frame(1500, 1500, marker=0xC2), CODES, *[scan_empty + b"\0"] * 300), "300 progressive scans of nothing"),
        "height-0": (picture(frame=frame(16, 0)), "height that comes later"),
        "width-0": (picture(frame=frame(0, 16)), "no columns"),
        "components-255": (picture(frame=frame(16, 16, count=255)), "255 components announced"),
        "components-0": (picture(frame=frame(16, 16, ())), "no components"),
        "components-2": (picture(frame=frame(16, 16, ((1, 0x11, 0), (2, 0x11, 0)))), "two components"),
        "components-same": (picture(frame=frame(16, 16, ((1, 0x11, 0),) * 3)), "three components of one name"),
        "sampling-0": (picture(frame=frame(16, 16, ((1, 0x00, 0),))), "sampling 0: division by zero"),
        "sampling-15": (picture(frame=frame(1000, 1000, ((1, 0xFF, 0), (2, 0x11, 0), (3, 0x11, 0)))), "sampling 15 x 15"),
        "sampling-3": (picture(frame=frame(16, 16, ((1, 0x31, 0), (2, 0x12, 0), (3, 0x23, 0)))), "sampling that does not divide"),
        "precision-12": (picture(frame=frame(16, 16, precision=12)), "12 bits"),
        "precision-0": (picture(frame=frame(16, 16, precision=0)), "0 bits"),
        "arithmetic": (picture(frame=frame(16, 16, marker=0xC9)), "arithmetic coding"),
        "lossless": (picture(frame=frame(16, 16, marker=0xC3)), "the lossless process"),
        "hierarchical": (picture(frame=frame(16, 16, marker=0xC5)), "the hierarchical process"),
        "frame-twice": (picture(frame(16, 16), frame=frame(3000, 3000)), "second frame with other sizes"),
        "frame-after-scan": (whole(TABLE, frame(16, 16), CODES, SCAN, bytes(4), frame(4000, 4000), SCAN), "a frame between scans"),
        "no-frame": (whole(TABLE, CODES, SCAN), "a scan without a frame"),
        "no-table": (whole(frame(16, 16), CODES, SCAN), "no quantisation table"),
        "table-9": (picture(frame=frame(16, 16, ((1, 0x11, 9),))), "quantisation table 9"),
        "table-short": (whole(segment(0xDB, b"\0" + bytes(10)), frame(16, 16), CODES, SCAN), "a cut quantisation table"),
        "no-codes": (whole(TABLE, frame(16, 16), SCAN), "no Huffman tables"),
        "codes-overfull": (whole(TABLE, frame(16, 16), segment(0xC4, b"\0" + b"\xff" * 16 + bytes(255)), SCAN), "4080 Huffman codes"),
        "codes-overlap": (whole(TABLE, frame(16, 16), segment(0xC4, b"\0" + bytes([3] + [0] * 15) + bytes(3)), SCAN), "three codes of one bit"),
        "codes-empty": (whole(TABLE, frame(16, 16), segment(0xC4, b"\0" + bytes(16)), segment(0xC4, b"\x10" + bytes(16)), SCAN), "Huffman tables without codes"),
        "codes-class": (whole(TABLE, frame(16, 16), segment(0xC4, b"\x77" + bytes([1] + [0] * 15) + b"\0"), SCAN), "table class and number that do not exist"),
        "codes-category": (whole(TABLE, frame(16, 16), segment(0xC4, b"\0" + bytes([1] + [0] * 15) + b"\xff"), SCAN), "a difference of 255 bits"),
        "scan-unknown": (picture(scan=segment(0xDA, bytes([1, 9, 0, 0, 63, 0]))), "scan of a component that does not exist"),
        "scan-tables": (picture(scan=segment(0xDA, bytes([1, 1, 0xFF, 0, 63, 0]))), "scan with tables 15"),
        "scan-components": (picture(scan=segment(0xDA, bytes([200, 1, 0, 0, 63, 0]))), "scan of 200 components"),
        "scan-spectrum": (picture(frame=frame(16, 16, marker=0xC2), scan=segment(0xDA, bytes([1, 1, 0, 60, 200, 0xDD]))), "spectral selection beyond 63"),
        "scan-zero": (picture(scan=segment(0xDA, b"")), "an empty scan header"),
        "length-0": (whole(segment(0xE0, b"", 0)), "a segment of length 0"),
        "length-1": (whole(segment(0xE0, b"", 1)), "a segment of length 1"),
        "length-max": (b"\xff\xd8" + segment(0xE0, b"", 65535), "a segment beyond the end"),
        "fill": (b"\xff\xd8" + b"\xff" * 1000, "fill bytes without end"),
        "restart-1": (picture(segment(0xDD, b"\0\1"), data=b"\xff\xd0\xff\xd1\xff\xd7\xff\xd0"), "restart markers without data"),
        "restarts-wrong": (picture(segment(0xDD, b"\0\1"), data=b"\0\xff\xd5" * 30), "restart markers in the wrong order"),
        "adobe-9": (picture(segment(0xEE, b"Adobe\0\x64\0\0\0\0\x09")), "an Adobe transform that does not exist"),
        "profile-parts": (picture(*[segment(0xE2, b"ICC_PROFILE\0" + bytes([255, 255]) + bytes(9))] * 9), "a colour profile of 255 parts"),
        "exif-loop": (exif(tiff_loop()), "an EXIF directory that follows itself"),
        "exif-offset": (exif(tiff([(0x0112, 3, 1, 6)], first=M)), "directory outside the segment"),
        "exif-count": (exif(tiff([(0x0112, 3, 1, 6)], count=65535)), "65535 entries"),
        "exif-value": (exif(tiff([(0x0112, 3, M, M)])), "a value of 2^32-1 numbers at 2^32-1"),
        "exif-turn-200": (exif(tiff([(0x0112, 3, 1, 200)])), "orientation 200"),
        "exif-type": (exif(tiff([(0x0112, 99, 1, 6)])), "a value of an unknown type"),
        "exif-short": (exif(b"MM\0"), "EXIF of 3 bytes"),
    }


def riff(*chunks, size=None, form=b"WEBP"):
    body = form + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def part(kind, data, size=None):
    return kind + struct.pack("<I", len(data) if size is None else size) + data + b"\0" * (len(data) % 2)


def canvas(width, height, flags=0):
    return part(b"VP8X", bytes([flags, 0, 0, 0]) + struct.pack("<I", width - 1 & 0xFFFFFF)[:3] + struct.pack("<I", height - 1 & 0xFFFFFF)[:3])


def vp8(width, height, data=bytes(30), first=None):
    tag = len(data) << 5 | 0x10 if first is None else first
    return part(b"VP8 ", struct.pack("<I", tag)[:3] + b"\x9d\x01\x2a" + struct.pack("<HH", width, height) + data)


def vp8l(width, height, data=bytes(20)):
    return part(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + data)


def webp():
    def u24(value):
        return struct.pack("<I", value)[:3]

    def animated(x, y, width, height, inner=vp8(6, 5)):
        return part(b"ANMF", u24(x) + u24(y) + u24(width - 1) + u24(height - 1) + bytes(4) + inner)

    control = part(b"ANIM", bytes(6))
    alpha = lambda data: part(b"ALPH", data)
    return {
        "riff": (riff(), "no chunks"),
        "size-max": (riff(vp8(6, 5), size=M), "a file of 4 GiB"),
        "size-zero": (riff(vp8(6, 5), size=0), "a file of 0 bytes"),
        "form": (riff(vp8(6, 5), form=b"AVI "), "another RIFF form"),
        "chunk-max": (riff(part(b"VP8 ", bytes(20), M)), "a chunk of 4 GiB"),
        "chunk-extended-max": (riff(canvas(6, 5), part(b"XMP ", b"", M)), "metadata of 4 GiB"),
        "canvas-16384": (riff(canvas(16384, 16384), vp8(6, 5)), "a canvas of 16384 x 16384"),
        "canvas-max": (riff(canvas(2**24, 2**24), vp8(6, 5)), "a canvas of 2^48 pixels"),
        "canvas-other": (riff(canvas(6, 5), vp8(600, 500)), "a picture larger than its canvas"),
        "canvas-twice": (riff(canvas(6, 5), canvas(900, 900), vp8(6, 5)), "two canvases"),
        "canvas-only": (riff(canvas(6, 5)), "a canvas without a picture"),
        "lossy-16383": (riff(vp8(16383, 16383)), "16383 x 16383 in 60 bytes"),
        "lossy-zero": (riff(vp8(0, 0)), "no pixels"),
        "lossy-scaled": (riff(vp8(6 | 3 << 14, 5 | 3 << 14)), "upscaling bits"),
        "lossy-costly": (riff(vp8(1900, 1900, bytes(2000))), "3.6 Mpixel in 2 kB: accepted"),
        "lossy-partition": (riff(vp8(6, 5, first=0xFFFFF0 | 0x10)), "first partition beyond the end"),
        "lossy-partitions": (riff(vp8(6, 5, b"\xff" * 30)), "eight partitions in 30 bytes"),
        "lossy-not-key": (riff(vp8(6, 5, first=0x11)), "a frame that is no key frame"),
        "lossy-short": (riff(part(b"VP8 ", bytes(4))), "a frame of 4 bytes"),
        "lossless-16384": (riff(vp8l(16384, 16384)), "16384 x 16384 in 50 bytes"),
        "lossless-costly": (riff(vp8l(1900, 1900, bytes(2000))), "3.6 Mpixel in 2 kB: accepted"),
        "lossless-ones": (riff(vp8l(40, 40, b"\xff" * 60)), "every transform and a cache of too many bits"),
        "lossless-version": (riff(part(b"VP8L", b"\x2f" + b"\xff" * 20)), "version 7"),
        "lossless-transforms": (riff(vp8l(7, 5, b"\x55" * 40)), "transforms repeated"),
        "lossless-empty": (riff(part(b"VP8L", b"\x2f")), "a lossless picture of one byte"),
        "alpha-missing": (riff(canvas(6, 5, 0x10), vp8(6, 5)), "alpha announced and missing"),
        "alpha-empty": (riff(canvas(6, 5, 0x10), alpha(b""), vp8(6, 5)), "an alpha plane of no bytes"),
        "alpha-short": (riff(canvas(600, 500, 0x10), alpha(b"\0\1\2"), vp8(600, 500)), "an alpha plane that is cut"),
        "alpha-method": (riff(canvas(6, 5, 0x10), alpha(b"\xff" + bytes(30)), vp8(6, 5)), "alpha compression that does not exist"),
        "alpha-lossless": (riff(canvas(6, 5, 0x10), alpha(b"\x01" + b"\xff" * 30), vp8(6, 5)), "a broken lossless alpha plane"),
        "frames-none": (riff(canvas(6, 5, 2), control), "an animation without frames"),
        "frame-outside": (riff(canvas(6, 5, 2), control, animated(0xFFFFFF, 0xFFFFFF, 6, 5)), "a frame outside the canvas"),
        "frame-huge": (riff(canvas(6, 5, 2), control, animated(0, 0, 2**24, 2**24)), "a frame of 2^48 pixels"),
        "frame-other": (riff(canvas(6, 5, 2), control, animated(0, 0, 6, 5, vp8(3000, 3000))), "a picture larger than its frame"),
        "frame-empty": (riff(canvas(6, 5, 2), control, part(b"ANMF", b"")), "a frame of no bytes"),
        "frame-nested": (riff(canvas(6, 5, 2), control, animated(0, 0, 6, 5, animated(0, 0, 6, 5))), "a frame in a frame"),
        "control-missing": (riff(canvas(6, 5, 2), animated(0, 0, 6, 5)), "frames without their control chunk"),
        "chunks-many": (riff(canvas(6, 5), *[part(b"xxxx", b"")] * 200, vp8(6, 5)), "200 unknown chunks"),
        "exif-loop": (riff(canvas(6, 5, 8), vp8(6, 5), part(b"EXIF", tiff_loop())), "an EXIF directory that follows itself"),
    }


def gif():
    def head(width, height, flags=0x80, background=0):
        table = bytes(3 << ((flags & 7) + 1)) if flags & 0x80 else b""
        return b"GIF89a" + struct.pack("<HHBBB", width, height, flags, background, 0) + table

    def frame(x, y, width, height, flags=0, code_size=2, data=b"\x02\x4c\x01\x00"):
        return b"," + struct.pack("<HHHHB", x, y, width, height, flags) + bytes([code_size]) + data

    good = frame(0, 0, 1, 1)
    return {
        "head": (b"GIF89a", "ends after the signature"),
        "version": (b"GIF99z" + head(1, 1)[6:] + good + b";", "version that does not exist"),
        "65535": (head(65535, 65535) + good + b";", "a screen of 65535 x 65535"),
        "frame-65535": (head(1, 1) + frame(0, 0, 65535, 65535) + b";", "a frame of 65535 x 65535"),
        "frame-outside": (head(4, 4) + frame(65535, 65535, 4, 4) + b";", "a frame outside the screen"),
        "frame-larger": (head(4, 4) + frame(2, 2, 900, 900) + b";", "a frame larger than the screen"),
        "frame-zero": (head(4, 4) + frame(0, 0, 0, 0) + b";", "a frame without pixels"),
        "screen-zero": (head(0, 0) + good + b";", "a screen without pixels"),
        "costly": (head(2000, 2000) + b"!\xfe" + (b"\xff" + bytes(255)) * 8 + b"\0" + good + b";", "4 Mpixel in 2 kB: accepted"),
        "no-table": (head(4, 4, 0) + good + b";", "no colour table"),
        "index-outside": (head(1, 1, 0x80, 255) + frame(0, 0, 1, 1, 0, 8, b"\x03\x00\xff\x01\x00") + b";", "colours beyond the table"),
        "code-size-0": (head(4, 4) + frame(0, 0, 4, 4, 0, 0) + b";", "codes of 0 bits"),
        "code-size-12": (head(4, 4) + frame(0, 0, 4, 4, 0, 12) + b";", "codes of 12 bits from the start"),
        "code-size-255": (head(4, 4) + frame(0, 0, 4, 4, 0, 255) + b";", "codes of 255 bits"),
        "codes-wrong": (head(4, 4) + frame(0, 0, 4, 4, 0, 2, b"\xff" + b"\xff" * 255 + b"\0") + b";", "codes that were never defined"),
        "codes-too-many": (head(4, 4) + frame(0, 0, 4, 4, 0, 2, (b"\xff" + bytes(255)) * 4 + b"\0") + b";", "data for more pixels than the frame has"),
        "codes-none": (head(4, 4) + frame(0, 0, 4, 4, 0, 2, b"\0") + b";", "no data"),
        "interlaced-short": (head(40, 40) + frame(0, 0, 40, 40, 0x40) + b";", "interlaced, rows missing"),
        "blocks-endless": (head(4, 4) + b"!\xf9" + b"\x01\x00" * 1500, "a control extension that never ends"),
        "block-past-end": (head(4, 4) + b"!\xff\xff", "a block beyond the end"),
        "extension-unknown": (head(4, 4) + b"!\x77\x01\x00\x00" + good + b";", "an unknown extension"),
        "control-short": (head(4, 4) + b"!\xf9\x01\x00\x00" + good + b";", "a control extension of one byte"),
        "transparent-255": (head(4, 4) + b"!\xf9\x04\x01\0\0\xff\0" + good + b";", "a transparent colour beyond the table"),
        "block-unknown": (head(4, 4) + b"\x99" + good + b";", "an unknown block"),
        "trailer-first": (head(4, 4) + b";" + good, "the end before the picture"),
        "frames-many": (head(4, 4) + good * 150 + b";", "150 frames"),
    }


def bmp():
    make = seeds.bmp
    grey = bytes(64)
    return {
        "head": (b"BM", "ends after the signature"),
        "width-max": (make(2**31 - 1, 2, 24, bytes(24)), "width of 2^31-1"),
        "both-max": (make(2**31 - 1, 2**31 - 1, 32, bytes(24)), "2^62 pixels"),
        "16384": (make(16384, 16384, 24, bytes(24)), "16384 x 16384 in 80 bytes"),
        "width-negative": (make(-3, 2, 24, bytes(24)), "negative width"),
        "height-min": (make(3, -(2**31), 24, bytes(24)), "height whose negation overflows"),
        "zero": (make(0, 0, 24, b""), "no pixels"),
        "costly": (make(2000, 2000, 8, bytes(2000), 1, palette=grey, colours=16), "4 Mpixel of run lengths in 2 kB: accepted"),
        "bits-0": (make(3, 2, 0, bytes(24)), "0 bits"),
        "bits-3": (make(3, 2, 3, bytes(24)), "3 bits"),
        "bits-65535": (make(3, 2, 65535, bytes(24)), "65535 bits"),
        "planes": (make(3, 2, 24, bytes(24), planes=65535), "65535 planes"),
        "compression-9": (make(3, 2, 24, bytes(24), 9), "compression that does not exist"),
        "jpeg-inside": (make(3, 2, 0, b"\xff\xd8\xff\xd9", 4), "a JPEG inside"),
        "colours-max": (make(3, 2, 8, bytes(8), palette=grey, colours=M), "a palette of 2^32-1 colours"),
        "colours-few": (make(3, 2, 8, b"\xff" * 8, palette=grey[:8], colours=2), "indices beyond the palette"),
        "palette-missing": (make(3, 2, 8, b"", colours=256), "a palette that is not there"),
        "size-0": (make(3, 2, 24, bytes(24), size=0), "a header of 0 bytes"),
        "size-max": (make(3, 2, 24, bytes(24), size=M), "a header of 4 GiB"),
        "size-124": (make(3, 2, 24, bytes(8), size=124), "a header longer than the file"),
        "size-12": (b"BM" + struct.pack("<IHHIIHHHH", 26, 0, 0, 26, 12, 65535, 65535, 1, 1), "an OS/2 header of 65535 x 65535"),
        "start-max": (make(3, 2, 24, bytes(24), start=M), "data at 2^32-1"),
        "start-zero": (make(3, 2, 24, bytes(24), start=0), "data at the header"),
        "data-short": (make(300, 200, 24, bytes(24)), "data for eight of 60,000 pixels"),
        "rle-outside": (make(6, 2, 8, b"\0\2\xff\xff\x05\1\0\1", 1, palette=grey, colours=16), "a jump outside the picture"),
        "rle-long": (make(6, 2, 8, b"\xff\1" * 200 + b"\0\1", 1, palette=grey, colours=16), "runs longer than their row"),
        "rle-rows": (make(6, 2, 8, b"\0\0" * 500 + b"\0\1", 1, palette=grey, colours=16), "more rows than there are"),
        "rle-literal": (make(6, 2, 8, b"\0\xff\1", 1, palette=grey, colours=16), "a literal run that is cut"),
        "rle-no-end": (make(6, 2, 8, b"\1\1" * 6, 1, palette=grey, colours=16), "run lengths without an end"),
        "rle4": (make(7, 3, 4, b"\xff\xab\0\7\1\2\3\4\0\2\1\xff\0\1", 2, palette=grey, colours=16), "run lengths of 4 bits"),
        "rle24": (make(6, 2, 24, b"\3\1\2\3\0\1", 4), "run lengths of 24 bits"),
        "masks-zero": (make(2, 2, 16, bytes(8), 3, masks=bytes(12)), "colour masks of no bits"),
        "masks-overlap": (make(2, 2, 16, bytes(8), 3, masks=b"\xff" * 12), "colour masks that overlap"),
        "masks-gaps": (make(2, 2, 32, bytes(16), 3, masks=struct.pack("<III", 0xAAAA0000, 0x5555, 0x80000001)), "colour masks with holes"),
        "masks-missing": (make(2, 2, 16, b"", 3), "no colour masks"),
        "top-down-rle": (make(6, -2, 8, b"\4\3\0\1", 1, palette=grey, colours=16), "run lengths from the top, which is not allowed"),
    }
