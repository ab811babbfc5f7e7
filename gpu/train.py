"""Training on a GPU: the kit's model under Keras's torch backend, speech and augmentation in GPU memory."""

import argparse
import copy
import json
import math
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))
from sound import Augmenter, Drawing, FrontEnd, Speech

from ds2edge.train.model import DeepSpeech2
from ds2edge.train.recipe import Convolution, ModelSettings

p = argparse.ArgumentParser()
p.add_argument("--out", required=True)
p.add_argument("--blocks", default="/tmp/blocks")
p.add_argument("--noise", default="/tmp/noise.npz")
p.add_argument("--pieces", default=str(Path(__file__).parent / "pieces.model"))
p.add_argument("--teacher", default="")
p.add_argument("--taught", type=float, default=1.0, help="weight of the teacher's loss")
p.add_argument("--consistency", type=float, default=0.2)
p.add_argument("--level", default="total", choices=("fixed", "total", "band"))
p.add_argument("--fall", type=float, default=0.003)
p.add_argument("--rise", type=float, default=0.2)
p.add_argument("--width", type=int, default=512)
p.add_argument("--depth", type=int, default=6)
p.add_argument("--ahead", type=int, default=1)
p.add_argument("--lookahead", type=int, default=1)
p.add_argument("--warmup-steps-of-silence", type=int, default=3)
p.add_argument("--dropout", type=float, default=0.1)
p.add_argument("--minutes", type=float, default=1.0)
p.add_argument("--steps", type=int, default=0, help="end after so many steps, whatever the time")
p.add_argument("--flat", type=float, default=0.4, help="share of the time at the full learning rate")
p.add_argument("--rate", type=float, default=2.5e-3)
p.add_argument("--decay", type=float, default=0.02)
p.add_argument("--batch-seconds", type=float, default=1200)
p.add_argument("--draw-hours", type=float, default=25)
p.add_argument("--synthetic", type=float, default=0.3, help="share of the seconds drawn")
p.add_argument("--heard", type=float, default=1.0, help="weight of clips whose text was heard")
p.add_argument("--wait", type=float, default=0.0, help="do not begin before there are so many hours of real speech")
p.add_argument("--capacity", type=float, default=3e9)
p.add_argument("--precision", default="bfloat16")
p.add_argument("--device", default="cuda")
p.add_argument("--only", default="", help="only blocks whose name begins so (comma)")
p.add_argument("--eval-every", type=float, default=120)
p.add_argument("--ema", type=float, default=0.999)
p.add_argument("--init", default="")
p.add_argument("--seed", type=int, default=1)
p.add_argument("--deadline", type=float, default=0, help="unix time at which training must have ended; overrides minutes")
a = p.parse_args()

import sentencepiece

torch.manual_seed(a.seed)
torch.backends.cuda.matmul.allow_tf32 = True
torch.backends.cudnn.allow_tf32 = True
device = torch.device(a.device)
out = Path(a.out)
out.mkdir(parents=True, exist_ok=True)
log_file = (out / "log.txt").open("a")


def say(*words):
    line = " ".join(map(str, words))
    print(line, flush=True)
    print(line, file=log_file, flush=True)


say(json.dumps(vars(a)))
pieces = sentencepiece.SentencePieceProcessor(model_file=a.pieces)
ALPHABET = ["", *(pieces.id_to_piece(i).replace("\u2581", " ") for i in range(1, pieces.vocab_size()))]
SYNTHETIC = ("warp", "flite", "synthetic_kokoro")

teacher = None
if a.teacher:
    from whisper_teacher import load

    teacher = load(a.teacher, device, torch.bfloat16 if a.device == "cuda" else torch.float32)
    teacher.eval()
speech = Speech(a.blocks, int(a.capacity), lambda text: np.array(pieces.encode(text), np.int32), device, teacher)
only = (lambda name: name.startswith(tuple(a.only.split(",")))) if a.only else None
drawing = Drawing(views=2 if a.consistency else 1)
front = FrontEnd(a.level, device, a.rise, a.fall)
noise = np.load(a.noise, allow_pickle=True) if os.path.exists(a.noise) else None
sounds = (list(noise["noises"]), list(noise["rooms"])) if noise is not None else ([], [])
settings = ModelSettings(
    (Convolution(16, (5, 9), (2, 2)), Convolution(24, (5, 5), (2, 4)), Convolution(a.width, (3, 8), (2, 8))),
    "qrnn", a.width, a.depth, a.lookahead, a.warmup_steps_of_silence, ahead=a.ahead, dropout=a.dropout,
)
keras.utils.set_random_seed(a.seed)
keras.config.set_dtype_policy("mixed_bfloat16" if a.precision == "bfloat16" else "float32")
model = DeepSpeech2(settings, 64, len(ALPHABET))
names = [v.path for v in model.weights]
values = [v.value for v in model.weights]
trained = [v.value for v in model.trainable_weights]
if a.init:
    saved = np.load(a.init)
    for name, value in zip(names, values):
        value.data.copy_(torch.from_numpy(saved[name.replace("/", "|")].astype(np.float32)))
head = torch.nn.Linear(a.width, 4 * 512).to(device) if a.teacher else None
augmenter = Augmenter(speech, sounds, front, drawing, device, settings.warmup, settings.delay, a.seed)


def hours(test):
    c = speech.clips
    return sum(int(s) for s, k, sp in zip(c.samples, c.corpus, c.split) if sp == "train" and test(k)) / 16000 / 3600


def poll():
    new = speech.poll(only)
    if new:
        say(f"{new} clips more: real {hours(lambda k: k not in SYNTHETIC):.2f} h, synthetic {hours(lambda k: k in SYNTHETIC):.2f} h")
    return new


poll()
while hours(lambda k: k not in SYNTHETIC) < a.wait:
    time.sleep(2)
    poll()


def statistics():
    """Mean and deviation of features over drawn training clips."""
    batches = augmenter.draw(3600, lambda k, s: 1.0 * (s == "train"), a.batch_seconds)
    total, square, count = 0, 0, 0
    front.mean.zero_()
    front.deviation.fill_(1)
    keep, drawing.views = drawing.views, 0
    for rows in batches[: max(1, int(3600 / a.batch_seconds))]:
        x, frames, *_ = augmenter.assemble(rows)
        valid = torch.arange(x.shape[1], device=device)[None] < frames[:, None]
        valid[:, : settings.warmup * 8 + 30] = False
        x = x[valid].double()
        total, square, count = total + x.sum(0), square + (x**2).sum(0), count + len(x)
    drawing.views = keep
    front.mean.copy_(total / count)
    front.deviation.copy_((square / count - (total / count) ** 2).sqrt().clamp_min(8.0))


statistics()
say("mean", [round(x, 1) for x in front.mean.tolist()[::9]], "deviation", [round(x, 1) for x in front.deviation.tolist()[::9]])

matrices = [v for v in trained if v.ndim > 1]
vectors = [v for v in trained if v.ndim <= 1] + (list(head.parameters()) if head else [])
optimizer = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": a.decay}, {"params": vectors, "weight_decay": 0.0}],
    lr=1e-4, betas=(0.9, 0.98), fused=a.device == "cuda",
)
averages = [v.detach().float().clone() for v in values]
say(f"{sum(v.numel() for v in trained)} weights, delay {settings.delay} steps")


def distance(x, y):
    row = list(range(len(y) + 1))
    for i, p_ in enumerate(x, 1):
        previous, row[0] = row[0], i
        for j, q in enumerate(y, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (p_ != q))
    return row[-1]


@torch.no_grad()
def judge(gain=1.0):
    """WER and CER on dev by corpus, with the averages."""
    kept = [v.detach().clone() for v in values]
    for v, average in zip(values, averages):
        v.data.copy_(average)
    c = speech.clips
    dev = np.array([i for i, s in enumerate(c.split) if s == "dev"])
    clip = np.full((len(dev), 3), -1)
    clip[:, 0] = dev
    counts, examples = {}, []
    for rows in augmenter.batches(clip, a.batch_seconds):
        rows["gain"] = rows["gain"] * np.float32(gain)
        x, frames, *_ = augmenter.assemble(rows, augment=False)
        logits = model({"features": x, "lengths": frames}, training=False)
        best = logits.argmax(-1).cpu().numpy()
        steps = model.output_lengths(frames).cpu().numpy()
        for row, n, i in zip(best, steps, rows["clip"][:, 0]):
            row = row[:n]
            ids = [int(k) for k, before in zip(row, [0, *row[:-1]]) if k and k != before]
            heard = "".join(ALPHABET[k] for k in ids).strip()
            said = c.text[i]
            w = counts.setdefault(c.corpus[i], [0, 0, 0, 0])
            w[0] += distance(said.split(), heard.split())
            w[1] += len(said.split())
            if a.device == "cpu" or len(examples) < 3:
                examples.append(f"   {said} | {heard}")
            if "rapidfuzz" in sys.modules or True:
                try:
                    from rapidfuzz.distance import Levenshtein

                    w[2] += Levenshtein.distance(said, heard)
                    w[3] += len(said)
                except ImportError:
                    pass
    for v, value in zip(values, kept):
        v.data.copy_(value)
    return {k: (round(100 * w[0] / w[1], 2), round(100 * w[2] / max(1, w[3]), 2)) for k, w in sorted(counts.items())}, examples[:3]


def save(name):
    arrays = {n.replace("/", "|"): x.cpu().numpy().astype(np.float16 if "norm" not in n else np.float32) for n, x in zip(names, averages)}
    meta = {"settings": vars(a), "alphabet": ALPHABET, "mean": front.mean.tolist(), "deviation": front.deviation.tolist(), "log": history}
    np.savez(out / f"{name}.part.npz", meta=json.dumps(meta), **arrays)
    (out / f"{name}.part.npz").replace(out / f"{name}.npz")


history = []
step, heard_seconds, began, last_eval = 0, 0.0, time.time(), time.time()
last_poll = time.time()
length = (a.deadline - began if a.deadline else a.minutes * 60)
batches = []
running = torch.zeros(4, device=device)
model_seconds = 0
while True:
    share = min(1.0, (time.time() - began) / length) if not a.steps else step / a.steps
    if share >= 1:
        break
    if not batches:
        if not a.steps:
            poll()
        c = speech.clips
        synthetic_hours = hours(lambda k: k in SYNTHETIC)
        real = sum(int(s) * w for s, w, k, sp in zip(c.samples, c.weight, c.corpus, c.split) if sp == "train" and k not in SYNTHETIC) / 57.6e6
        fake = a.synthetic / (1 - a.synthetic) * real / synthetic_hours if synthetic_hours else 0.0
        fake = min(fake, 2.0)
        batches = augmenter.draw(
            a.draw_hours * 3600,
            lambda k, s: 0.0 if s != "train" else fake if k in SYNTHETIC else a.heard if k.endswith("_heard") else 1.0,
            a.batch_seconds,
        )
    rows = batches.pop()
    warm = min(1.0, (step + 1) / 400)
    rate = a.rate * warm * (1.0 if share < a.flat else max(0.0, 1 - (share - a.flat) / (1 - a.flat)))
    for group in optimizer.param_groups:
        group["lr"] = rate
    x, frames, labels, sizes, targets = augmenter.assemble(rows)
    views = x.shape[0] // len(frames)
    both = frames.repeat(views)
    hidden = model.encode({"features": x, "lengths": both}, training=True)
    logits = model.dense(hidden).float()
    steps = model.output_lengths(frames)
    chances = F.log_softmax(logits, -1)
    labels, sizes = labels.to(device, non_blocking=True), sizes.to(device, non_blocking=True)
    ctc = F.ctc_loss(
        chances.transpose(0, 1), labels.repeat(views), steps.repeat(views), sizes.repeat(views),
        blank=0, reduction="sum", zero_infinity=True,
    ) / (views * sizes.sum())
    loss = ctc
    n = len(frames)
    valid = torch.arange(logits.shape[1], device=device)[None] < steps[:, None]
    if views == 2:
        one, two = chances[:n], chances[n:]
        agree = (one.detach().exp() * (one.detach() - two)).sum(-1) + (two.detach().exp() * (two.detach() - one)).sum(-1)
        agree = (agree * valid).sum() / (2 * sizes.sum())
        loss = loss + a.consistency * agree
        running[1] += agree.detach()
    if targets is not None and a.taught:
        known = (targets >= 0).all(-1) & valid
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=a.precision == "bfloat16"):
            y = head(hidden[:n][known] if views == 1 else torch.cat([hidden[:n][known], hidden[n:][known]]))
        plain = speech.features[targets[known].reshape(-1)].float()
        if step == 0:
            teacher_mean, teacher_deviation = plain.mean(0), plain.std(0) + 1e-3
        wanted = (plain - teacher_mean) / teacher_deviation
        y = y.float().reshape(views, -1, 512)
        trusted = plain.norm(dim=-1) > 28  # the others carry nothing of their place
        taught = ((1 - F.cosine_similarity(y, wanted[None], dim=-1)) * trusted).sum() / (views * trusted.sum().clamp_min(1))
        loss = loss + a.taught * taught
        running[2] += taught.detach()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0, foreach=True)
    optimizer.step()
    momentum = min(a.ema, (1 + step) / (10 + step))
    torch._foreach_lerp_(averages, [v.detach().float() for v in values], 1 - momentum)
    running[0] += ctc.detach()
    running[3] += 1
    step += 1
    heard_seconds += float(rows["ends"].sum()) / 16000
    if step in (20, 100, 300) or step % 1000 == 0 or (a.device == "cpu"):
        spent = time.time() - began
        r = (running / running[3]).tolist()
        say(f"step {step}, {spent:.0f} s, {heard_seconds / 3600:.1f} h heard ({heard_seconds / spent:.0f} s/s), rate {rate:.2e}, ctc {r[0]:.4f}, consistency {r[1]:.4f}, teacher {r[2]:.4f}")
        running.zero_()
        if not math.isfinite(r[0]):
            say("not finite")
            sys.exit(1)
    if time.time() - last_eval > a.eval_every:
        last_eval = time.time()
        wer, examples = judge()
        history.append({"step": step, "hours": heard_seconds / 3600, "seconds": time.time() - began, "wer": wer})
        say("   dev", json.dumps(wer), f"({time.time() - last_eval:.1f} s)")
        print("\n".join(examples), flush=True)
        save("last")
wer, examples = judge()
say(f"END step {step}, {heard_seconds / 3600:.1f} h heard, {time.time() - began:.0f} s, dev", json.dumps(wer))
quiet, _ = judge(10 ** (-30 / 20))
say("   at -30 dB", json.dumps(quiet))
history.append({"step": step, "hours": heard_seconds / 3600, "seconds": time.time() - began, "wer": wer, "quiet": quiet})
print("\n".join(examples))
save("final")
if a.device == "cuda":
    say(f"memory {torch.cuda.max_memory_allocated() / 1e9:.1f} GB")
say("DONE")
