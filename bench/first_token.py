#!/usr/bin/env python3
"""Runs a program and says how long after its start the first token came.

    python first_token.py --log FILE -- PROGRAM ARGUMENTS…

The first token is the first byte on standard output: llama.cpp writes a line break there when the
prompt has been read, ik_llama.cpp flushes what it has held back when the token is there. Prints
one JSON object: `first_token_s`, `total_s`, `peak_rss_mib`, `exit`. Both streams go to FILE, each
piece with the seconds since the start.
"""

import argparse
import json
import os
import selectors
import subprocess
import sys
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--log", required=True)
    parser.add_argument("program", nargs="+")
    args = parser.parse_args()
    start = time.monotonic()
    process = subprocess.Popen(args.program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with open(args.log, "w", encoding="utf-8") as log:
        first = watch(process, start, log)
    _, status, usage = os.wait4(process.pid, 0)
    print(
        json.dumps(
            {
                "first_token_s": first,
                "total_s": time.monotonic() - start,
                "peak_rss_mib": usage.ru_maxrss / 1024,
                "exit": os.waitstatus_to_exitcode(status),
            }
        )
    )
    sys.exit(status != 0 or first is None)


def watch(process, start, log):
    """Copies both streams to `log` until they end; when the first token came, or None."""
    first = None
    selector = selectors.DefaultSelector()
    for stream in [process.stdout, process.stderr]:
        selector.register(stream, selectors.EVENT_READ)
    while selector.get_map():
        for key, _ in selector.select():
            piece = os.read(key.fd, 1 << 16)
            now = time.monotonic() - start
            if not piece:
                selector.unregister(key.fileobj)
                continue
            text = piece.decode("utf-8", "replace")
            name = "out" if key.fileobj is process.stdout else "err"
            log.write(f"{now:.4f} {name} {text!r}\n")
            if first is None and name == "out":
                first = now
    return first


if __name__ == "__main__":
    main()
