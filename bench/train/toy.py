"""The training steps of crates/mobilevlm-train/examples/train_speed.rs in PyTorch.

usage: toy.py stage2|tower small|large THREADS STEPS     prints one line of JSON
"""

import json
import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

BATCH, PATCH, HEADS, LAYERS, VOCABULARY = 32, 8, 4, 3, 1024
SHAPES = {"small": (224, 608, 8, 40, 12), "large": (256, 704, 12, 48, 16)}

stage, shape, threads, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
HIDDEN, FFN, GRID, TEXT, ANSWER = SHAPES[shape]
PATCHES = GRID * GRID
torch.set_num_threads(threads)
torch.manual_seed(0)


def heads(x):
    rows, length, _ = x.shape
    return x.view(rows, length, HEADS, HIDDEN // HEADS).transpose(1, 2)


def joined(x):
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], HIDDEN)


class TowerBlock(nn.Module):
    """CLIPEncoderLayer."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.q, self.k, self.v, self.o = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(HIDDEN, FFN), nn.Linear(FFN, HIDDEN)

    def forward(self, x):
        y = self.norm1(x)
        y = F.scaled_dot_product_attention(heads(self.q(y)), heads(self.k(y)), heads(self.v(y)))
        x = x + self.o(joined(y))
        y = self.fc1(self.norm2(x))
        return x + self.fc2(y * torch.sigmoid(1.702 * y))


class Tower(nn.Module):
    """CLIPVisionModel up to the selected hidden state, without the class token."""

    def __init__(self):
        super().__init__()
        self.cls = nn.Parameter(torch.randn(HIDDEN) * 0.02)
        self.patches = nn.Conv2d(3, HIDDEN, PATCH, PATCH, bias=False)
        self.positions = nn.Parameter(torch.randn(1, PATCHES + 1, HIDDEN) * 0.02)
        self.norm = nn.LayerNorm(HIDDEN)
        self.blocks = nn.ModuleList(TowerBlock() for _ in range(LAYERS))

    def forward(self, pixels):
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(len(x), 1, HIDDEN), x), 1) + self.positions
        x = self.norm(x)
        for block in self.blocks:
            x = block(x)
        return x[:, 1:]


class Rms(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN))

    def forward(self, x):
        return F.rms_norm(x, (HIDDEN,), self.weight, 1e-5)


def rotated(x, rotary):
    cos, sin = rotary
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Decoder(nn.Module):
    """LlamaDecoderLayer."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = Rms(), Rms()
        self.q, self.k, self.v, self.o = (nn.Linear(HIDDEN, HIDDEN, False) for _ in range(4))
        self.gate, self.up = (nn.Linear(HIDDEN, FFN, False) for _ in range(2))
        self.down = nn.Linear(FFN, HIDDEN, False)

    def forward(self, x, rotary):
        y = self.norm1(x)
        q, k = rotated(heads(self.q(y)), rotary), rotated(heads(self.k(y)), rotary)
        y = F.scaled_dot_product_attention(q, k, heads(self.v(y)), is_causal=True)
        x = x + self.o(joined(y))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.projector = nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN))
        self.embeddings = nn.Embedding(VOCABULARY, HIDDEN)
        self.layers = nn.ModuleList(Decoder() for _ in range(LAYERS))
        self.norm = Rms()
        self.head = nn.Linear(HIDDEN, VOCABULARY, False)

    def forward(self, features, ids, targets, rotary):
        x = torch.cat((self.projector(features), self.embeddings(ids)), 1)
        for layer in self.layers:
            x = layer(x, rotary)
        # Logits only where something is supervised, as ours.
        x = x[:, PATCHES + TEXT - ANSWER - 1 : PATCHES + TEXT - 1]
        return F.cross_entropy(self.head(self.norm(x)).reshape(-1, VOCABULARY), targets)


tower = Tower()
pixels = torch.rand(BATCH, 3, GRID * PATCH, GRID * PATCH) * 2 - 1
ids = torch.randint(3, VOCABULARY, (BATCH, TEXT))
targets = ids[:, -ANSWER:].reshape(-1)
half = HIDDEN // HEADS // 2
angles = torch.arange(PATCHES + TEXT)[:, None] * 10000.0 ** (-torch.arange(half) / half)
angles = torch.cat((angles, angles), -1)
rotary = (angles.cos(), angles.sin())

if stage == "stage2":
    model = Model()
    tower.requires_grad_(False)

    def loss_of_batch():
        with torch.no_grad():
            features = tower(pixels)
        return model(features, ids, targets, rotary)

elif stage == "tower":
    model = tower

    def loss_of_batch():
        return tower(pixels).square().mean()

else:
    sys.exit(f"stage {stage}: expected stage2 or tower")

optimizer = torch.optim.AdamW(model.parameters(), 1e-3, (0.9, 0.95), 1e-8, 0.1)
wall, cpu, losses = [], [], []
for _ in range(steps):
    start, used = time.perf_counter(), time.process_time()
    loss = loss_of_batch()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())
    wall.append(time.perf_counter() - start)
    cpu.append(time.process_time() - used)
print(
    json.dumps(
        {
            "program": f"PyTorch {torch.__version__}",
            "stage": stage,
            "shape": shape,
            "parameters": sum(p.numel() for p in model.parameters()),
            "batch": BATCH,
            "wall": wall,
            "cpu": cpu,
            "loss": losses,
            "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }
    )
)
