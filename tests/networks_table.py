"""Networks of different make, with an example each: what `insert_batchnorm` must do with them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.out = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.dropout(torch.tanh(self.fc2(x)), 0.1, self.training)
        return self.out(x)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 12, 3)
        self.fc1, self.fc2 = nn.Linear(12 * 5 * 5, 20), nn.Linear(20, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(self.conv2(x))
        return self.fc2(F.relu(self.fc1(x.view(x.size(0), -1))))


class Block(nn.Module):
    """A basic block of a ResNet, without its norms."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Conv2d(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        y = self.conv2(self.relu(self.conv1(x)))
        y += identity
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.relu, self.maxpool = nn.Conv2d(3, 8, 7, 2, 3), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(8, 8), Block(8, 8))
        self.layer2 = nn.Sequential(Block(8, 16, 2), Block(16, 16))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(16, 3)

    def forward(self, x):
        x = self.layer2(self.layer1(self.maxpool(self.relu(self.conv1(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class ResidualMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(8, 16)
        self.blocks = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        x = F.gelu(self.inside(x))
        for block in self.blocks:
            x = x + F.gelu(block(x))
        return self.out(x)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside, self.again, self.out = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x):
        x = torch.relu(self.inside(x))
        x = torch.relu(self.again(x))
        x = torch.relu(self.again(x))
        return self.out(x)


class Reshaped(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(8, 16), nn.Linear(16, 12)

    def forward(self, x):
        return self.out(F.silu(self.hidden(x))).view(-1, 3, 4)


class PerStep(nn.Module):
    """Linear layers on [N, T, F]: the channels come last."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.out(F.relu(self.hidden(x)).mean(1))


class LSTMClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.lstm = nn.Embedding(20, 8), nn.LSTM(8, 12, batch_first=True)
        self.head, self.out = nn.Linear(12, 16), nn.Linear(16, 3)

    def forward(self, x):
        _, (h, _) = self.lstm(self.embed(x))
        return self.out(F.relu(self.head(h[-1])))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder, self.out = nn.TransformerEncoder(layer, 2), nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.encoder(self.embed(x)).mean(1))


class DataDependent(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.out(F.relu(self.a(x) if x.sum() > 0 else self.b(x)))


class AsksItsLayers(nn.Module):
    """Puts an activation behind what is a Linear: a replaced layer would silently lose it."""

    def __init__(self):
        super().__init__()
        self.layers, self.out = nn.ModuleList([nn.Linear(8, 16), nn.Linear(16, 16)]), nn.Linear(16, 3)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.Linear):
                x = F.relu(x)
        return self.out(x)


class ShapeDependent(nn.Module):
    """`if` on shapes and len(): torch.fx cannot trace it, yet no value is looked at."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 3, padding=1), nn.Linear(8, 3)

    def forward(self, x):
        assert x.dim() == 3
        if x.shape[1] != 4:
            x = x.transpose(1, 2)
        x = F.relu(self.conv(x))
        return self.out(x.mean(-1) if len(x) > 0 else x)


class DenseBranches(nn.Module):
    """Inception-like: branches concatenated."""

    def __init__(self):
        super().__init__()
        self.one, self.three, self.mix = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        both = torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)
        return self.out(F.elu(self.mix(both)).mean((2, 3)))


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.middle = nn.Conv2d(1, 6, 3, 2, 1), nn.Conv2d(6, 2, 3, 2, 1)
        self.dec, self.out = nn.ConvTranspose2d(2, 6, 2, 2, groups=2), nn.ConvTranspose2d(6, 1, 2, 2)

    def forward(self, x):
        return torch.sigmoid(self.out(F.relu(self.dec(self.middle(F.relu(self.enc(x)))))))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))
        self.up, self.out = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x):
        a = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5, -1) @ self.v(x)
        return self.out(F.relu(self.up(x + a)).mean(1))


def _nested():
    block = lambda i, o: nn.Sequential(nn.Linear(i, o), nn.LeakyReLU())  # noqa: E731
    return nn.Sequential(nn.Flatten(), nn.Sequential(block(8, 16), nn.Sequential(block(16, 16))), nn.Linear(16, 3))


@dataclass(frozen=True)
class Row:
    name: str
    build: object
    shape: tuple
    normalised: tuple[str, ...] = ()  # layers that get a norm
    refused: str = ""  # or the error, or the note
    whole: bool = False  # whole-number inputs
    dtype: torch.dtype = torch.float32

    def example(self, count=6, seed=0):
        g = torch.Generator().manual_seed(seed)
        if self.whole:
            return torch.randint(0, 20, (count, *self.shape), generator=g)
        return torch.randn(count, *self.shape, generator=g, dtype=self.dtype)


_mlp = lambda: nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))  # noqa: E731
_conv1d = lambda: nn.Sequential(  # noqa: E731
    nn.Conv1d(4, 8, 3), nn.ReLU(), nn.Conv1d(8, 8, 3, groups=4), nn.ReLU(),
    nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 3),
)  # fmt: skip
_conv3d = lambda: nn.Sequential(nn.Conv3d(1, 4, 3), nn.SiLU(), nn.Flatten(), nn.Linear(4 * 64, 3))  # noqa: E731
_normed = lambda: nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 3))  # noqa: E731
_softmax = lambda: nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3), nn.LogSoftmax(1))  # noqa: E731

TABLE = [
    Row("Sequential MLP", _mlp, (8,), ("0", "2")),
    Row("MLP in float64", lambda: _mlp().double(), (8,), ("0", "2"), dtype=torch.float64),
    Row("functional, dropout by self.training", Functional, (8,), ("fc1", "fc2")),
    Row("nested Sequentials", _nested, (8,), ("1.0.0", "1.1.0.0")),
    Row("LeNet, functional, with view", LeNet, (1, 14, 14), ("conv1", "conv2", "fc1")),
    Row("ResNet without norm", ResNet, (3, 32, 32), ("conv1", "layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1",
        "layer1.1.conv2", "layer2.0.downsample", "layer2.0.conv1", "layer2.0.conv2", "layer2.1.conv1",
        "layer2.1.conv2")),
    Row("residual MLP in a loop", ResidualMLP, (8,), ("inside", "blocks.0", "blocks.1", "blocks.2")),
    Row("a layer shared by two steps", Shared, (8,), ("inside",)),
    Row("output reshaped", Reshaped, (8,), ("hidden",)),
    Row("Linear on sequences", PerStep, (5, 8), ("hidden",)),
    Row("Conv1d, grouped", _conv1d, (4, 12), ("0", "2")),
    Row("Conv3d", _conv3d, (1, 6, 6, 6), ("0",)),
    Row("branches concatenated", DenseBranches, (3, 9, 9), ("one", "three", "mix")),
    Row("autoencoder, transposed and grouped", Autoencoder, (1, 12, 12), ("enc", "dec")),
    Row("attention by hand", Attention, (5, 8), ("up",)),
    Row("softmax at the end", _softmax, (8,), ("0",)),
    Row("control flow on shapes", ShapeDependent, (4, 12), ("conv",)),
    Row("LSTM classifier", LSTMClassifier, (7,), ("head",), whole=True),
    Row("Transformer", Transformer, (7,), refused="left alone: it has LayerNorm of its own", whole=True),
    Row("with LayerNorm", _normed, (8,), refused="left alone: it has LayerNorm of its own"),
    Row("control flow on data", DataDependent, (8,), refused="forward calls bool on them"),
    Row("asks its layers what they are", AsksItsLayers, (8,), refused="asks its layers what they are"),
]  # fmt: skip
