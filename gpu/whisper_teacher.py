"""The encoder of Whisper base (74 M, MIT) as a teacher: audio -> 512 numbers, 50 times a second. Pure torch.

    teacher = load("whisper_base_encoder.npz", "cuda", torch.bfloat16)      # frozen, eval
    y = teacher.features(samples, lengths)      # float32 [B, N] at 16 kHz, int [B] -> [B, T, 512]; T = teacher.frames(N)

A batch is padded to its longest clip + 1 s, not to 30 s; frames of y after lengths[i] / 320 are silence or rubbish.
"""
import math
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

RATE, HOP, FFT, TAIL, SEEN = 16000, 160, 400, 16000, 8000       # a batch gets 1 s of silence, each clip sees 0.5 s of it


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.value, self.out = (nn.Linear(width, width) for _ in range(3))
        self.key = nn.Linear(width, width, bias=False)

    def forward(self, x, mask):
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        return self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attn, self.attn_ln, self.mlp_ln = Attention(width, heads), nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x, mask):
        x = x + self.attn(self.attn_ln(x), mask)
        return x + self.mlp(self.mlp_ln(x))


class WhisperEncoder(nn.Module):
    def __init__(self, width=512, heads=8, layers=6, mels=80, positions=1500):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(mels, width, 3, padding=1), nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_post = nn.LayerNorm(width)
        self.register_buffer("positional_embedding", torch.zeros(positions, width))
        self.register_buffer("mel_filters", torch.zeros(mels, FFT // 2 + 1))

    @staticmethod
    def frames(n):
        return math.ceil((n + TAIL) / (2 * HOP))

    @torch.no_grad()
    def mel(self, samples, lengths):
        """[B, N], [B] -> [B, 80, 2 T] float32, whatever autocast says; nothing after a clip's own length is heard."""
        with torch.autocast(samples.device.type, enabled=False):
            x = samples.float() * (torch.arange(samples.shape[1], device=samples.device) < lengths[:, None])
            x = F.pad(x, (0, 2 * HOP * self.frames(samples.shape[1]) - samples.shape[1]))
            window = torch.hann_window(FFT, device=x.device)
            power = torch.stft(x, FFT, HOP, window=window, center=True, return_complex=True)[..., :-1].abs().square()
            y = (self.mel_filters.float() @ power).clamp_min(1e-10).log10()
            return (torch.maximum(y, y.amax((1, 2), keepdim=True) - 8) + 4) / 4

    def forward(self, mel, mask=None):
        """[B, 80, 2 T], bool [B, T] (True: is attended to) or None -> [B, T, 512]."""
        x = F.gelu(self.conv1(mel.to(self.conv1.weight.dtype)))
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positional_embedding[:x.shape[1]].to(x.dtype)
        mask = None if mask is None else mask[:, None, None, :]
        for block in self.blocks:
            x = block(x, mask)
        return self.ln_post(x)

    @torch.no_grad()
    def features(self, samples, lengths):
        lengths = lengths.to(samples.device)
        mel = self.mel(samples, lengths)
        at = torch.arange(mel.shape[-1] // 2, device=mel.device) * 2 * HOP
        return self(mel, at < lengths[:, None] + SEEN)


def load(path, device="cpu", dtype=torch.float32):
    held = {n: torch.from_numpy(x) for n, x in np.load(path).items()}
    model = WhisperEncoder(heads=int(held.pop("n_head")))
    model.load_state_dict(held)                                 # float16 into float32, then to dtype
    model = model.to(device=device, dtype=dtype).eval().requires_grad_(False)
    model.mel_filters = held["mel_filters"].to(device, torch.float32)
    return model
