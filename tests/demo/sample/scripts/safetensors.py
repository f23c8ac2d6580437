"""Reads the header of a safetensors file: eight bytes of length, JSON, then the tensors."""

import hashlib
import json
import struct

HEADER_MAX = 100_000_000  # bytes, as the format's own readers allow


def read(path):
    """The header and the digest of the whole file; raises ValueError for a file that is none."""
    with open(path, "rb") as file:
        body = file.read()
    if len(body) < 8:
        raise ValueError(f"{path} has {len(body)} bytes, which is no safetensors file")
    (length,) = struct.unpack("<Q", body[:8])
    if length > min(HEADER_MAX, len(body) - 8):
        raise ValueError(f"{path} claims a header of {length} bytes and has {len(body) - 8}")
    header = json.loads(body[8 : 8 + length])
    data = len(body) - 8 - length
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        begin, end = tensor["data_offsets"]
        if not 0 <= begin <= end <= data:
            raise ValueError(f"{path}: tensor {name} lies at {begin}..{end} of {data} bytes")
    return header, hashlib.sha256(body).hexdigest()
