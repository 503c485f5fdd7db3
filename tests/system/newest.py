# SPDX-License-Identifier: BSD-2-Clause
"""The newest QEMU of Debian's, for what the system's own does not have."""
import functools
import os
import subprocess

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.environ.get("BUILD") or os.path.join(TOP, "build"))


@functools.cache
def fetch():
    """Its path, or None and what went wrong."""
    out = os.path.join(BUILD, "qemu")
    if not os.path.exists(os.path.join(out, "qemu")):
        try:
            result = subprocess.run([os.path.join(TOP, "scripts", "fetch-qemu"), out], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            return None, "scripts/fetch-qemu takes too long"
        if result.returncode:
            return None, "no newer QEMU: " + (result.stdout.splitlines() or [""])[-1]
    return os.path.join(out, "qemu"), None
