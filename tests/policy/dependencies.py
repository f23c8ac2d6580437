#!/usr/bin/env python3
"""Checks every dependency that ends up in the tree: licence, source, and what must not be there at all.

Reads `cargo tree` and nothing else; ends with 1 and one line for each thing found.
"""

import re
import subprocess
import sys

# Licences that a user of Apache-2.0 software can take along without further duties than notices.
LICENCES = {
    "Apache-2.0", "MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "0BSD", "BSL-1.0", "CC0-1.0",
    "Unlicense", "Unicode-3.0", "Unicode-DFS-2016", "CDLA-Permissive-2.0", "OpenSSL", "Apache-2.0 WITH LLVM-exception",
}

# Every crate is time to build and code to trust; the functions have as many as there are now, and a few.
FUNCTIONS_LIMIT = 240

# Why each of these must not be there.
BANNED = {
    "ring": "one crypto provider: aws-lc-rs",
    "openssl": "one TLS provider: rustls",
    "openssl-sys": "one TLS provider: rustls",
    "native-tls": "one TLS provider: rustls",
    "serde_yaml": "archived; serde-saphyr reads YAML",
    "chrono": "jiff is the time library, and Kubernetes' types use it",
}


def allowed(expression):
    """Whether some choice within an SPDX expression is allowed whole."""
    expression = expression.replace("/", " OR ").replace("(", " ( ").replace(")", " ) ")
    tokens = re.findall(r"\(|\)|AND|OR|[\w.+-]+(?: WITH [\w.+-]+)?", expression)

    def alternatives():
        value = conjunction()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            other = conjunction()
            value = value or other
        return value

    def conjunction():
        value = term()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            other = term()
            value = value and other
        return value

    def term():
        token = tokens.pop(0)
        if token == "(":
            value = alternatives()
            tokens.pop(0)
            return value
        return token in LICENCES

    return alternatives()


def complaints(crates):
    for name, version, note, licence in crates:
        if name in BANNED:
            yield f"{name} {version} is in the tree: {BANNED[name]}"
        if note.startswith("/"):
            continue
        if "://" in note:
            yield f"{name} {version} comes from {note}, expected a registry: nobody else can check what that is tomorrow"
        if not licence or not allowed(licence):
            expected = ", ".join(sorted(LICENCES))
            yield f"{name} {version} has licence {licence or 'none'}, expected one of: {expected}"


def tree(*arguments):
    """What is really built, with features as they are; a lock file also names what is switched off."""
    command = ["cargo", "tree", "--locked", "--prefix", "none", *arguments]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [line for line in lines if line]


crates = set()
for line in tree("--workspace", "--edges", "normal,build,dev", "--format", "{p}\t{l}"):
    package, _, licence = line.partition("\t")
    name, version, *notes = package.split(" ", 2)
    note = notes[0].replace("(proc-macro)", "").replace("(*)", "").strip().strip("()") if notes else ""
    crates.add((name, version, note, licence.replace(" (*)", "")))
found = sorted(complaints(crates))
of_functions = tree(
    "--package", "weir-functions", "--edges", "normal", "--no-dedupe", "--target", "x86_64-unknown-linux-gnu"
)
functions = len({tuple(line.split(" ")[:2]) for line in of_functions})
if functions > FUNCTIONS_LIMIT:
    found.append(f"the functions bring {functions} crates, expected at most {FUNCTIONS_LIMIT}: is the new one worth it?")
for line in found:
    print("dependencies:", line)
print(f"dependencies: {len(crates)} packages, {functions} in the functions, {len(found)} complaints")
sys.exit(1 if found else 0)
