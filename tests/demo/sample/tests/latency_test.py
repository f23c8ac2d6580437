"""Fails when the model's settings promise a slower median than users are promised."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "scripts"))
import safetensors  # noqa: E402

LIMIT_MS = 500

header, _ = safetensors.read(sys.argv[1])
median = json.loads(header["__metadata__"]["settings"])["latency_ms"]["p50"]
print(f"median {median} ms, limit {LIMIT_MS} ms")
sys.exit(0 if median <= LIMIT_MS else 1)
