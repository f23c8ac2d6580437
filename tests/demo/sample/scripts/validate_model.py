"""Fails unless the file is a whole safetensors file with at least one tensor."""

import sys

import safetensors

header, digest = safetensors.read(sys.argv[1])
tensors = [name for name in header if name != "__metadata__"]
if not tensors:
    sys.exit(f"{sys.argv[1]} holds no tensor")
print(f"{len(tensors)} tensors, sha256 {digest}")
