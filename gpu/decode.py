"""Shards (tar of Opus and a manifest) to blocks that training reads: decode.py OUT SHARD.tar ... ; noise.tar to noise.npz."""

import io
import json
import multiprocessing
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import soundfile


def decode(job):
    out, name, rows = job
    samples, lines, at = [], [], 0
    for row, data in rows:
        x, rate = soundfile.read(io.BytesIO(data), dtype="int16")
        assert rate == 16000
        x = x if x.ndim == 1 else x[:, 0]
        lines.append({**{k: row[k] for k in ("text", "split", "weight", "id")},
                      "corpus": row["corpus"] + ("_heard" if row.get("heard") else ""), "offset": at, "samples": len(x)})
        samples.append(x)
        at += len(x)
    np.save(out / f"{name}.npy", np.concatenate(samples))
    (out / f"{name}.part").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (out / f"{name}.part").replace(out / f"{name}.jsonl")
    return at / 16000


def noise(path, out):
    with tarfile.open(path) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}
    kept = json.loads(members["noise/heldout.json"])
    held = {Path(x).name for x in (*kept["background"], *kept["rooms"])}
    noises, rooms = [], []
    for name, data in sorted(members.items()):
        if Path(name).name in held:
            continue
        if "/background/" in name and name.endswith((".ogg", ".opus")):
            x, rate = soundfile.read(io.BytesIO(data), dtype="int16")
            noises.append(x)
        elif "/rooms/" in name and name.endswith(".flac"):
            x, rate = soundfile.read(io.BytesIO(data), dtype="float32")
            direct = int(np.argmax(np.abs(x) >= np.abs(x).max() / 2))
            x = x[direct : direct + 12000]
            rooms.append((x / np.sqrt((x**2).sum())).astype(np.float32))
    np.savez(out, noises=np.array(noises, object), rooms=np.array(rooms, object))
    print(len(noises), "noises", sum(map(len, noises)) / 16000 / 60, "min", len(rooms), "rooms")


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    labels = {}
    if os.path.exists(os.environ.get("LABELS", "")):
        labels = {d["id"]: d for d in map(json.loads, open(os.environ["LABELS"]))}
    jobs = []
    for shard in map(Path, sys.argv[2:]):
        if shard.name == "noise.tar":
            noise(shard, out.parent / "noise.npz")
            continue
        with tarfile.open(shard) as tar:
            data = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}
        manifest = next(n for n in data if n.endswith("manifest.jsonl"))
        rows = [json.loads(line) for line in data[manifest].decode().splitlines()]
        for row in rows:
            if row["id"] in labels:
                row["text"], row["weight"] = labels[row["id"]]["text"], labels[row["id"]]["weight"]
        rows = [(row, data[row["audio"]]) for row in rows if row["text"] and row["weight"] > 0]
        jobs += [(out, f"real{shard.stem}-{i // 150:03d}", rows[i : i + 150]) for i in range(0, len(rows), 150)]
    with multiprocessing.Pool() as pool:
        print(sum(pool.imap_unordered(decode, jobs)) / 3600, "h")
