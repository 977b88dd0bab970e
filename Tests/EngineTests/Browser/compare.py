# SPDX-License-Identifier: Apache-2.0
"""How different two pictures are: compare.py A.png B.png prints the share of pixels that differ.

A pixel differs when one of its colours does by more than 32 of 255: anti-aliasing may move a little
between versions of Chromium, and a missing letter must not pass. Other sizes are a difference of 1.
"""
import struct
import sys
import zlib


def pixels(path):
    """Width, height and the rows of an 8-bit PNG without interlacing, three bytes a pixel."""
    with open(path, "rb") as file:
        data = file.read()
    at, packed, channels = 8, b"", 0
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            channels = {2: 3, 6: 4}[colour]
            assert depth == 8 and body[12] == 0
        elif kind == b"IDAT":
            packed += body
        at += length + 12
    raw, stride = zlib.decompress(packed), width * channels
    rows, before = [], bytearray(stride)
    for y in range(height):
        start = y * (stride + 1)
        row = unfilter(raw[start], bytearray(raw[start + 1:start + 1 + stride]), before, channels)
        rows.append(row)
        before = row
    return width, height, channels, rows


def unfilter(kind, row, above, step):
    """One row as it was before PNG's filter (section 9 of the standard)."""
    for i in range(len(row)):
        left = row[i - step] if i >= step else 0
        up = above[i]
        corner = above[i - step] if i >= step else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        elif kind == 4:
            far = left + up - corner
            guess = min((left, up, corner), key=lambda one: abs(far - one))
        else:
            guess = 0
        row[i] = (row[i] + guess) & 255
    return row


def difference(one, other):
    (width, height, step, rows), (wide, high, pace, lines) = pixels(one), pixels(other)
    if (width, height) != (wide, high):
        return 1.0
    count = 0
    for row, line in zip(rows, lines):
        for x in range(width):
            a, b = row[x * step:x * step + 3], line[x * pace:x * pace + 3]
            count += any(abs(left - right) > 32 for left, right in zip(a, b))
    return count / (width * height)


if __name__ == "__main__":
    print(difference(sys.argv[1], sys.argv[2]))
