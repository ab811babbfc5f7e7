"""Speech, noise and rooms in GPU memory, what augmentation makes of them, and features: all as ds2edge does, in torch."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ds2edge.runtime.features import FeatureSettings, mel_filters
from ds2edge.runtime.specification import silence_after

RATE, HOP, WINDOW = 16000, 160, 320
STRIDE, STEP = 8, 8 * 160
PARTS = 3
FLOOR = -120.0


@dataclass
class Clips:
    offset: np.ndarray
    samples: np.ndarray
    weight: np.ndarray
    text: list
    labels: list
    corpus: list
    split: list
    name: list


class Speech:
    """All clips in one int16 buffer."""

    def __init__(self, folder, capacity, encode, device, teacher=None):
        self.folder, self.encode, self.device, self.teacher = Path(folder), encode, device, teacher
        self.pcm = torch.empty(capacity, dtype=torch.int16, device=device)
        self.used, self.seen = 1000, set()
        self.features = None  # the teacher's [frames, 512], float16
        self.pcm[:1000] = 0
        self.clips = Clips(*(np.zeros(0, t) for t in (np.int64, np.int64, np.float64)), [], [], [], [], [])
        self.taught = np.zeros(0, np.int64)
        self.label_sizes = np.zeros(0, np.int64)

    def poll(self, only=None):
        """Takes in blocks that have appeared."""
        new = 0
        for listing in sorted(self.folder.glob("*.jsonl")):
            if listing.name in self.seen or (only and not only(listing.name)):
                continue
            self.seen.add(listing.name)
            block = np.load(listing.with_suffix(".npy"))
            if self.used + len(block) + 2000 > len(self.pcm):
                print("buffer is full", flush=True)
                return new
            base = self.used
            self.pcm[base : base + len(block)] = torch.from_numpy(block).to(self.device)
            self.used += len(block) + 1000
            rows = [json.loads(line) for line in listing.open()]
            c = self.clips
            c.offset = np.concatenate([c.offset, [base + r["offset"] for r in rows]]).astype(np.int64)
            c.samples = np.concatenate([c.samples, [r["samples"] for r in rows]]).astype(np.int64)
            c.weight = np.concatenate([c.weight, [r.get("weight", 1.0) for r in rows]])
            c.text += [r["text"] for r in rows]
            c.labels += [self.encode(r["text"]) for r in rows]
            self.label_sizes = np.concatenate([self.label_sizes, [len(x) for x in c.labels[-len(rows) :]]]).astype(np.int64)
            c.corpus += [r["corpus"] for r in rows]
            c.split += [r.get("split", "train") for r in rows]
            c.name += [r.get("id", "") for r in rows]
            if self.teacher is not None and rows[0]["corpus"] in ("warp", "flite"):
                self.taught = np.concatenate([self.taught, np.full(len(rows), -1)])
            elif self.teacher is not None:
                self.teach(np.arange(len(c.offset) - len(rows), len(c.offset)))
            new += len(rows)
        return new

    @torch.no_grad()
    def teach(self, which):
        """Adds the teacher's features of clips."""
        c = self.clips
        if self.features is None:
            self.features = torch.zeros((int(min(len(self.pcm), 45 * 57.6e6) / 320 * 1.05) + 1000, 512), dtype=torch.float16, device=self.device)
            self.taught_used = 0
        taught = np.zeros(len(which), np.int64)
        order = np.argsort(c.samples[which])
        group = []
        seconds = 0.0
        for position in [*order, None]:
            if position is None or (group and (len(group) + 1) * c.samples[which[position]] > 1200 * RATE):
                longest = int(max(c.samples[which[g]] for g in group))
                batch = torch.zeros((len(group), longest), device=self.device)
                for row, g in enumerate(group):
                    i = which[g]
                    batch[row, : c.samples[i]] = self.pcm[c.offset[i] : c.offset[i] + c.samples[i]].float() / 32768
                peak = batch.abs().amax(1, keepdim=True).clamp_min(1e-4)
                lengths = torch.tensor([int(c.samples[which[g]]) for g in group], device=self.device)
                with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
                    y = self.teacher.features(batch / peak * 0.5, lengths)
                for row, g in enumerate(group):
                    frames = min(y.shape[1], int(c.samples[which[g]]) // 320 + 1)
                    taught[g] = self.taught_used
                    self.features[self.taught_used : self.taught_used + frames] = y[row, :frames].half()
                    self.taught_used += int(c.samples[which[g]]) // 320 + 2
                group = []
            if position is not None:
                group.append(position)
        self.taught = np.concatenate([self.taught, taught])


class FrontEnd:
    """ds2edge.runtime.features in torch, with a level."""

    def __init__(self, level, device, rise=0.2, fall=0.003, low=-60.0, high=40.0):
        self.level, self.rise, self.fall, self.low, self.high = level, rise, fall, low, high
        settings = FeatureSettings(mel_bands=64)
        window = np.hanning(WINDOW + 1)[:-1]
        self.window = torch.tensor(window / (window.sum() / 2), dtype=torch.float32, device=device)
        self.filters = torch.tensor(mel_filters(settings).T, dtype=torch.float32, device=device)
        self.mean, self.deviation = torch.zeros(64, device=device), torch.ones(64, device=device)

    def decibels(self, samples):
        """[rows, n] -> [rows, frames, 64]."""
        frames = samples.unfold(1, WINDOW, HOP)
        out = []
        for part in frames.split(max(1, 400_000 // frames.shape[1])):
            spectrum = torch.fft.rfft(part * self.window)
            power = spectrum.real**2 + spectrum.imag**2
            out.append(10 * torch.log10((power @ self.filters).clamp_min(10 ** (FLOOR / 10))))
        return torch.cat(out)

    def relative(self, x):
        """dB relative to the level, before statistics."""
        from kernels import follow

        if self.level == "fixed":
            return x.clamp(-80, 0)
        if self.level == "band":
            levels = follow(x, self.rise, self.fall, FLOOR + 1)
        else:
            total = 10 * torch.log10((10 ** (x / 10)).sum(-1, keepdim=True))
            levels = follow(total, self.rise, self.fall, FLOOR + 20)
        return torch.where(levels < -900, self.low, (x - levels).clamp(self.low, self.high))

    def normalise(self, x):
        return (x - self.mean) / self.deviation


@dataclass
class Drawing:
    """How hard to augment."""

    joined: float = 0.2
    speed: float = 0.12
    room: float = 0.2
    noise: float = 0.45
    white: float = 0.3
    snr: tuple = (3.0, 35.0)
    clipped: float = 0.04
    telephone: float = 0.04
    tilt: float = 5.0
    views: int = 2
    masks_per_second: float = 0.6


class Augmenter:
    """Batches of rows, each of one to three clips, as they might sound."""

    def __init__(self, speech, noise_folder, front, drawing, device, warmup, delay, seed=1):
        self.speech, self.front, self.drawing, self.device = speech, front, drawing, device
        self.warmup, self.delay = warmup, delay
        self.random = np.random.default_rng(seed)
        noises, rooms = noise_folder
        self.noise = torch.cat([torch.from_numpy(n) for n in noises]).to(device) if noises else None
        if rooms:
            size = max(map(len, rooms))
            self.rooms = torch.stack([torch.nn.functional.pad(torch.from_numpy(r), (0, size - len(r))) for r in rooms]).to(device)
        else:
            self.rooms = None

    def draw(self, seconds, shares, batch_seconds, most=1024):
        """Draws rows for so many seconds of speech and returns them as batches of about equal length: a list of dicts of
        arrays [rows, PARTS]: clip (-1: none), start, speed, gain; and ends [rows], in samples."""
        c, d, random = self.speech.clips, self.drawing, self.random
        weight = c.weight * np.array([shares(corpus, split) for corpus, split in zip(c.corpus, c.split)])
        weight = weight / weight.sum()
        mean = float((weight * c.samples).sum()) / RATE
        drawn = random.choice(len(weight), int(seconds / mean) + PARTS, p=weight)
        lists, i = [], 0
        sizes = c.samples[drawn]
        counts = np.where(random.random(len(drawn)) < d.joined, random.integers(2, PARTS + 1, len(drawn)), 1)
        while i < len(drawn) - PARTS:
            count = int(counts[i])
            while count > 1 and sizes[i : i + count].sum() > 18 * RATE:
                count -= 1
            lists.append([*drawn[i : i + count], *[-1] * (PARTS - count)])
            i += count
        return self.batches(np.array(lists), batch_seconds, most, True)

    def batches(self, clip, batch_seconds, most=1024, augment=False):
        c, d, random = self.speech.clips, self.drawing, self.random
        real = clip >= 0
        n = len(clip)
        speed, gain, gap = np.ones((n, PARTS)), np.ones((n, PARTS), np.float32), np.zeros((n, PARTS))
        if augment:
            speed = np.where(random.random((n, PARTS)) < 0.25, 1.0, random.uniform(1 - d.speed, 1 + d.speed, (n, PARTS)))
            gap = random.uniform(0.0, 0.5, (n, PARTS)) * ((random.random((n, 1)) < 0.7) | (np.arange(PARTS) > 0))
            gain = np.where(real[:, 1:2], 10 ** (random.uniform(-8, 8, (n, PARTS)) / 20), 1.0).astype(np.float32)
        heard = np.where(real, (c.samples[clip] / speed).astype(np.int64), 0)
        gap = np.where(real, (gap * RATE).astype(np.int64), 0)
        start = np.cumsum(heard + gap, 1) - heard
        ends = start[:, -1] + heard[:, -1]
        order = np.argsort(-ends * (random.uniform(0.95, 1.05, n) if augment else 1), kind="stable")
        groups, first, longest = [], 0, 0
        for i in range(n):
            now = max(longest, ends[order[i]])
            if i > first and ((i - first + 1) * now > batch_seconds * RATE or i - first >= most):
                groups.append(order[first:i])
                first, now = i, ends[order[i]]
            longest = now
        groups.append(order[first:])
        made = [dict(clip=clip[g], start=start[g], speed=speed[g], gain=gain[g], ends=ends[g]) for g in groups]
        return [made[b] for b in random.permutation(len(made))] if augment else made

    def assemble(self, rows, augment=True):
        """features [views x rows, frames, 64], frame counts [rows], labels, label lengths, teacher indexes [rows, steps, 4]."""
        from kernels import cut

        c, d, device = self.speech.clips, self.drawing, self.device
        clip, speed, ends = rows["clip"], rows["speed"], rows["ends"]
        real, n = clip >= 0, len(clip)
        start = np.where(real, rows["start"], 1 << 40)
        length, offset = np.where(real, c.samples[clip], 0), np.where(real, c.offset[clip], 0)
        settings = FeatureSettings(mel_bands=64)
        before = self.warmup * STEP
        total = np.array([before + e + silence_after(int(e), settings, STRIDE, self.delay) for e in ends])
        frames = (total - WINDOW) // HOP + 1
        quantum = STRIDE * 8
        most = -(-int(frames.max()) // quantum) * quantum
        samples = (most - 1) * HOP + WINDOW
        arrays = (start + before, length, offset, speed, rows["gain"])
        ready = [torch.from_numpy(np.ascontiguousarray(x)).to(device, non_blocking=True) for x in arrays]
        x = cut(self.speech.pcm, *ready, samples)
        if augment:
            x = self.distort(x, torch.from_numpy(before + ends).to(device), before)
        decibels = self.front.decibels(x)
        if augment:
            decibels = self.colour(decibels)
        features = self.front.normalise(self.front.relative(decibels))
        if augment and d.views:
            features = torch.cat([self.mask(features, frames) for _ in range(d.views)])
        labels = [c.labels[i] for row in clip for i in row if i >= 0]
        sizes = np.where(real, self.speech.label_sizes[clip], 0).sum(1)
        flat = torch.from_numpy(np.concatenate(labels).astype(np.int32))
        targets = None
        if len(self.speech.taught):
            steps = most // STRIDE - self.warmup - self.delay
            p = np.arange(steps * 4) * 320 + 160
            taught = np.where(real, self.speech.taught[clip], -1)
            index = np.full((n, steps * 4), -1, np.int64)
            for k in range(PARTS):
                source = (p[None] - start[:, k : k + 1]) * speed[:, k : k + 1]
                inside = (source >= 0) & (source < length[:, k : k + 1]) & (taught[:, k : k + 1] >= 0)
                index = np.where(inside, taught[:, k : k + 1] + (source / 320).astype(np.int64), index)
            targets = torch.from_numpy(index.reshape(n, steps, 4)).to(device, non_blocking=True)
        return features, torch.from_numpy(frames).to(device), flat, torch.from_numpy(sizes), targets

    def distort(self, x, until, before):
        d, random, device = self.drawing, self.random, self.device
        n, samples = x.shape
        position = torch.arange(samples, device=device)
        inside = (position >= before) & (position[None] < until[:, None])
        count = (until - before).clamp_min(1)
        power = (x**2).sum(1) / count
        if self.rooms is not None:
            chosen = np.flatnonzero(random.random(n) < d.room)
            if len(chosen):
                which = torch.from_numpy(chosen).to(device)
                response = self.rooms[torch.from_numpy(random.integers(len(self.rooms), size=len(chosen))).to(device)]
                size = samples + response.shape[1]
                size = 1 << (size - 1).bit_length() if size < 1 << 17 else -(-size // 65536) * 65536
                wet = torch.fft.irfft(torch.fft.rfft(x[which], size) * torch.fft.rfft(response, size), size)[:, :samples]
                wet = wet * inside[which]
                wet = wet * (power[which] / ((wet**2).sum(1) / count[which]).clamp_min(1e-12)).sqrt()[:, None]
                x[which] = wet
        chosen = np.flatnonzero(random.random(n) < d.noise)
        if self.noise is not None and len(chosen):
            which = torch.from_numpy(chosen).to(device)
            first = torch.from_numpy(random.integers(0, len(self.noise) - samples - 1, len(chosen))).to(device)
            noise = self.noise[first[:, None] + position[None]].float() / 32768
            snr = torch.from_numpy(random.uniform(*d.snr, len(chosen)).astype(np.float32)).to(device)
            scale = (power[which] * 10 ** (-snr / 10) / (noise**2).mean(1).clamp_min(1e-10)).sqrt().clamp_max(100.0)
            quiet = torch.from_numpy(random.random(len(chosen)) < 0.5).to(device)  # half the time nothing before the clip
            mask = torch.where(quiet[:, None], inside[which], (position < (until[which] + 0)[:, None]) & (position >= before))
            x[which] += noise * scale[:, None] * mask
        chosen = np.flatnonzero(random.random(n) < d.white)
        if len(chosen):
            which = torch.from_numpy(chosen).to(device)
            snr = torch.from_numpy(random.uniform(15, 55, len(chosen)).astype(np.float32)).to(device)
            x[which] += torch.randn((len(chosen), samples), device=device) * (power[which] * 10 ** (-snr / 10)).sqrt()[:, None] * inside[which]
        peak = x.abs().amax(1).clamp_min(1e-5)
        level = 10 ** (random.uniform(-38, 0, n) / 20)
        level = np.where(random.random(n) < d.clipped, random.uniform(1.5, 4.0, n), level)
        x = x * (torch.from_numpy(level.astype(np.float32)).to(device) / peak)[:, None]
        return torch.round(x.clamp(-1, 1) * 32767) / 32768

    def colour(self, decibels):
        """A microphone's frequency response, or a telephone's."""
        d, random, device = self.drawing, self.random, self.device
        n = len(decibels)
        grid = np.linspace(0, 1, 64)
        curve = random.normal(0, d.tilt, (n, 1)) * (grid - 0.5)[None] * 2
        for k in (2, 3, 4):
            curve += random.normal(0, d.tilt / 2.5, (n, 1)) * np.cos(np.pi * k * grid + random.uniform(0, np.pi, (n, 1)))
        phone = random.random(n) < d.telephone
        band = 44 + random.integers(0, 10, n)
        curve[phone] -= 45.0 * (np.arange(64)[None] >= band[phone][:, None])
        curve = torch.from_numpy(curve.astype(np.float32)).to(device)
        return torch.where(decibels > FLOOR + 1, (decibels + curve[:, None]).clamp_min(FLOOR + 1.5), decibels)

    def mask(self, features, frames):
        d, random, device = self.drawing, self.random, self.device
        n, time, bands = features.shape
        band, position = torch.arange(bands, device=device), torch.arange(time, device=device)
        hidden = torch.zeros((n, 1, bands), dtype=torch.bool, device=device)
        for _ in range(2):
            width = random.integers(0, 12, n)
            first = (random.random(n) * (bands - width)).astype(np.int64)
            first, last = (torch.from_numpy(v).to(device)[:, None] for v in (first, first + width))
            hidden[:, 0] |= (band >= first) & (band < last)
        times = torch.zeros((n, time), dtype=torch.bool, device=device)
        per = np.maximum(1, (frames / 100 * d.masks_per_second)).astype(np.int64)
        for k in range(int(per.max())):
            width = random.integers(0, 31, n) * (k < per)
            first = (random.random(n) * np.maximum(1, frames - width)).astype(np.int64)
            first, last = (torch.from_numpy(v).to(device)[:, None] for v in (first, first + width))
            times |= (position >= first) & (position < last)
        return features.masked_fill(hidden | times[:, :, None], 0.0)
