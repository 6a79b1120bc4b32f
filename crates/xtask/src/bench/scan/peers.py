"""Runs the other scanners in this process: `found FOLDER` says of each thing in a folder whether a scanner speaks
against it; `time PATH REPEAT NAME` says how many seconds one scanner takes for a path. Python's start and the imports
are not counted."""

import contextlib
import io
import json
import logging
import pathlib
import sys
import time
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)


def picklescan():
    from picklescan import scanner

    def scan(path):
        walk = scanner.scan_directory_path if path.is_dir() else scanner.scan_file_path
        result = walk(str(path))
        return result.issues_count + result.suspicious_count > 0 or result.scan_err

    return scan


def modelscan():
    from modelscan.modelscan import ModelScan

    def scan(path):
        result = ModelScan().scan(str(path))
        return bool(result.get("issues")) or bool(result.get("errors"))

    return scan


def modelaudit():
    from modelaudit.core import scan_model_directory_or_file

    def scan(path):
        result = scan_model_directory_or_file(str(path), cache_enabled=False)
        return any(str(getattr(issue.severity, "value", issue.severity)) in ("warning", "critical") for issue in result.issues)

    return scan


def adaptersentry():
    from adaptersentry import scan as one

    def scan(path):
        files = sorted(path.rglob("adapter_model.safetensors")) if path.is_dir() else []
        if path.is_file() and path.suffix == ".safetensors":
            files = [path]
        verdicts = [json.loads(one(file).model_dump_json()) for file in files]
        return any("review" in json.dumps(verdict.get("verdict")) or "block" in json.dumps(verdict.get("verdict")) for verdict in verdicts)

    return scan


PEERS = {"picklescan": picklescan, "modelscan": modelscan, "modelaudit": modelaudit, "adaptersentry": adaptersentry}


def quietly(scan, path):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return bool(scan(path))
        except Exception:
            # A scanner that stops speaks against nothing.
            return False


if sys.argv[1] == "found":
    found = {}
    for name, make in PEERS.items():
        scan = make()
        found[name] = [path.name for path in sorted(pathlib.Path(sys.argv[2]).iterdir()) if quietly(scan, path)]
    print(json.dumps(found))
else:
    scan = PEERS[sys.argv[4]]()
    times = []
    for _ in range(int(sys.argv[3])):
        begin = time.perf_counter()
        quietly(scan, pathlib.Path(sys.argv[2]))
        times.append(time.perf_counter() - begin)
    times.sort()
    print(json.dumps({"s": times[len(times) // 2]}))
