#!/usr/bin/env python3
"""Zips the functions' programs for Lambda, and refuses what Lambda or a cold start would not like.

    package.py ARCHITECTURE FOLDER-OF-PROGRAMS INTO

Each program becomes INTO/FUNCTION/bootstrap.zip with the one file `bootstrap`. Ends with 1 and a line for each
thing that is wrong: the size, the machine it was built for, the C library it needs.
"""

import pathlib
import re
import struct
import sys
import zipfile

FUNCTIONS = ("approval-callback", "metric-check", "stage-executor", "webhook-intake")

# A program is read from a disk far away before it starts: 20 MB is what the guide promises.
SIZE_LIMIT = 20_000_000

# provided.al2023 has glibc 2.34.
GLIBC_LIMIT = (2, 34)

# e_machine of ELF.
MACHINES = {"x86_64": 62, "arm64": 183}

# A zip that is made again of the same programs is the same zip.
THE_SAME_DAY = (1980, 1, 1, 0, 0, 0)


def complaints(program, architecture):
    """What is wrong with a program, in words."""
    content = program.read_bytes()
    if content[:4] != b"\x7fELF":
        yield f"{program} is no program of Linux"
        return
    (machine,) = struct.unpack_from("<H", content, 18)
    if machine != MACHINES[architecture]:
        yield f"{program} is built for machine {machine}, not for {architecture}"
    if len(content) > SIZE_LIMIT:
        yield f"{program} has {len(content):,} bytes, at most {SIZE_LIMIT:,} are allowed"
    if newest(content) > GLIBC_LIMIT:
        yield f"{program} needs glibc {'.'.join(map(str, newest(content)))}, provided.al2023 has 2.34"


def newest(content):
    """The newest version of glibc that a program asks for."""
    found = re.findall(rb"GLIBC_(\d+)\.(\d+)", content)
    return max(((int(major), int(minor)) for major, minor in found), default=(0, 0))


def pack(program, into):
    """Makes the zip of a program; its size."""
    into.mkdir(parents=True, exist_ok=True)
    file = into / "bootstrap.zip"
    entry = zipfile.ZipInfo("bootstrap", THE_SAME_DAY)
    entry.external_attr = 0o755 << 16
    entry.create_system = 3
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(entry, program.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    return file.stat().st_size


def main(architecture, folder, into):
    wrong = []
    for function in FUNCTIONS:
        program = pathlib.Path(folder) / function
        found = list(complaints(program, architecture))
        wrong += found
        if not found:
            size, zipped = program.stat().st_size, pack(program, pathlib.Path(into) / function)
            glibc = ".".join(map(str, newest(program.read_bytes())))
            print(f"package: {architecture:6} {function:18} {size / 1e6:5.1f} MB, zip {zipped / 1e6:4.1f} MB, glibc {glibc}")
    for line in wrong:
        print(f"package: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in MACHINES:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
