"""``python -m hostile FOLDER [WORDS]``, in the folder of the tests: each case in a process of its own.

With seconds and memory; of the cases whose names hold all the words.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from hostile import cases, harmless
from hostile._case import CANARY, MOST_LINES, Case

_RUN = (
    "import sys; sys.argv[0] = 'robustcheck'; from robustcheck.cli import main; sys.exit(main(sys.argv[1:]))"
)


def measured(case: Case, folder: Path, *, seconds: float = 60.0) -> dict[str, Any]:
    """Run a case in a process of its own."""
    folder.mkdir(parents=True)
    case.make(folder)
    before = set(folder.rglob("*"))
    began = time.monotonic()
    with (folder.parent / f"{folder.name}.err").open("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", _RUN, *case.words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
            start_new_session=True,
        )
        code = None
        while code is None and time.monotonic() - began < seconds:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if pid else None
            time.sleep(0.01)
        if code is None:
            os.killpg(process.pid, 9)
            _, _, usage = os.wait4(process.pid, 0)
        err.seek(0)
        said = err.read()
    return {
        "name": case.name, "code": code, "expected": case.code, "seconds": round(time.monotonic() - began, 1),
        "MiB": usage.ru_maxrss // 1024, "canary": bool(list(folder.rglob(CANARY))), "said": said[-2000:],
        "new": sorted(str(p.relative_to(folder)) for p in set(folder.rglob("*")) - before)[:3],
    }  # fmt: skip


def main() -> int:
    """All cases, or those whose name holds the words given."""
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wrong = 0
    for number, case in enumerate([*cases(), *harmless()]):
        if not all(word in case.name for word in words):
            continue
        found = measured(case, folder / f"{number:03d}")
        shutil.rmtree(folder / f"{number:03d}")
        lines = [line for line in found["said"].splitlines() if line.startswith("error:")]
        said = found["said"].replace("\n", " ")
        clear = case.code == 0 or (
            1 <= len(lines) <= MOST_LINES
            and "error: all is well" not in lines
            and "Traceback" not in said
            and all(part in said for part in case.says)
        )
        good = (
            found["code"] == case.code
            and clear
            and not found["canary"]
            and found["MiB"] < 2048
            and found["seconds"] < 20
        )
        wrong += not good
        last = " ".join(lines[0].split()) if lines else found["said"][-150:].replace("\n", " ")
        cost = f"{found['seconds']:5.1f} s {found['MiB']:6d} MiB{' CANARY' if found['canary'] else ''}"
        outcome = f"{'ok   ' if good else 'WRONG'} {found['code']!s:>4} of {case.code}"
        print(f"{outcome} {cost}  {case.name}: {last[:170]}", flush=True)
    print(f"{wrong} wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
