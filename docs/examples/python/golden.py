"""Holds a generic msgpack library against the golden frames. python golden.py docs/protocol/frames.json"""
import json
import sys

import msgpack


def plain(v):
    """What was decoded, in the form of frames.json: byte strings as {"bin": hex}."""
    if isinstance(v, bytes):
        return {"bin": v.hex()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    return v


frames = json.load(open(sys.argv[1]))
for f in frames:
    raw = bytes.fromhex(f["hex"])
    assert int.from_bytes(raw[:4], "big") == len(raw) - 4, f["name"]
    decoded = msgpack.unpackb(raw[4:], raw=False)
    assert plain(decoded) == f["json"], f["name"]
    # Integers have their shortest width and keys keep their order, so the bytes are the same.
    assert msgpack.packb(decoded, use_bin_type=True) == raw[4:], f["name"]
print(f"{len(frames)} frames decoded and encoded again")
