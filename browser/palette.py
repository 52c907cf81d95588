"""A screenshot as a PNG of at most 256 colours: what a page of text needs, in a third of the bytes."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST = 256


def reduced(png: bytes) -> bytes:
    """``png``: 8 bits a channel, RGB or RGBA, not interlaced, as a browser takes it."""
    pixels = _pixels(png)
    height, width, _ = pixels.shape
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colours, places, counts = np.unique(packed, return_inverse=True, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:MOST])
    rgb = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.int32)
    nearest = np.array([np.argmin(((rgb[kept] - each) ** 2).sum(axis=1)) for each in rgb], np.uint8)
    rows = np.zeros((height, width + 1), np.uint8)  # in front of each: filter 0
    rows[:, 1:] = nearest[places].reshape(height, width)
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": rgb[kept].astype(np.uint8).tobytes(),
        b"IDAT": zlib.compress(rows.tobytes(), 9),
        b"IEND": b"",
    }
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in parts.items())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _pixels(png: bytes) -> Any:
    """Height × width × 3, unsigned bytes.  Alpha is dropped: a page is opaque."""
    at, data, width, height, channels = len(SIGNATURE), b"", 0, 0, 3
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack(">IIBB", body[:10])
            channels = {2: 3, 6: 4}[colour]
        elif kind == b"IDAT":
            data += body
        at += 12 + length
    raw = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    lines = np.zeros((height, width, channels), np.uint8)
    above = np.zeros((width, channels), np.uint8)
    for number, row in enumerate(raw):
        above = lines[number] = _unfiltered(int(row[0]), row[1:].reshape(width, channels), above)
    return lines[:, :, :3]


def _unfiltered(kind: int, row: Any, above: Any) -> Any:
    """PNG (ISO/IEC 15948) 9.2: none, sub, up, average, Paeth."""
    if kind == 0:
        return row
    if kind == 1:
        return np.cumsum(row, axis=0, dtype=np.uint8)
    if kind == 2:
        return row + above
    made = np.zeros(row.shape, np.int32)
    left, corner = np.zeros(row.shape[1], np.int32), np.zeros(row.shape[1], np.int32)
    for at, (each, up) in enumerate(zip(row.astype(np.int32), above.astype(np.int32), strict=True)):
        if kind == 3:
            guess = (left + up) // 2
        else:
            near = np.abs(np.stack([up - corner, left - corner, left + up - 2 * corner])).argmin(axis=0)
            guess = np.choose(near, [left, up, corner])
        left = made[at] = (each + guess) & 255
        corner = up
    return made.astype(np.uint8)
