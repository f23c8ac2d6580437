"""Writes what a serving image is made with, as NAME=value lines: the model's settings and its digest.

The settings lie in the file's metadata. Pushing an image takes a token; here it is only checked that the step has one.
"""

import argparse
import json
import os
import sys

import safetensors

arguments = argparse.ArgumentParser()
arguments.add_argument("model")
arguments.add_argument("--version", required=True)
arguments = arguments.parse_args()
if not os.environ.get("REGISTRY_TOKEN"):
    sys.exit("REGISTRY_TOKEN is not set, so nothing can be pushed")
header, digest = safetensors.read(arguments.model)
settings = json.loads(header["__metadata__"]["settings"])
settings["version"] = arguments.version
print("MODEL=" + json.dumps(settings, separators=(",", ":")))
print("DIGEST=" + digest)
