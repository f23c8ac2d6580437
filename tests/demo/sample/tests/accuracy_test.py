"""Fails unless the weights are those that were built, and are not all zero."""

import argparse
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "scripts"))
import safetensors  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("model")
arguments.add_argument("--digest", required=True)
arguments = arguments.parse_args()
_, digest = safetensors.read(arguments.model)
if digest != arguments.digest:
    sys.exit(f"the model is {digest}, and {arguments.digest} was built")
with open(arguments.model, "rb") as file:
    body = file.read()
(length,) = struct.unpack("<Q", body[:8])
weights = body[8 + length :]
if not any(weights):
    sys.exit("every weight is zero")
print(f"{len(weights)} bytes of weights, {sum(1 for byte in weights if byte)} of them not zero")
