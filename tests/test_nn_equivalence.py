"""Networks of all sorts: a stack of them is right, or they are trained one by one and the reason is said."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from zeroin.nn import Task, mlp
from zeroin.nn.data import order
from zeroin.nn.loop import Training, fresh, train_epoch
from zeroin.nn.recipe import recipe
from zeroin.nn.sequences import columns_and_texts
from zeroin.nn.stacking.equivalence import verdict
from zeroin.nn.stacking.grouping import signature
from zeroin.nn.stacking.stack import stack
from zeroin.nn.stacking.steps import BACKWARD, EACH

torch.set_num_threads(1)
CONFIG = {"lr": 0.01, "batch_size": 8}


def numbers(*shape):
    return np.random.default_rng(0).normal(size=(24, *shape)).astype(np.float32)


def words():
    return np.random.default_rng(0).integers(0, 9, size=(24, 5))


def both():
    return np.concatenate([numbers(3), words().astype(np.float32)], 1)


class Fn(nn.Module):
    """Layers by name, and a function of them and the inputs."""

    def __init__(self, f, **layers):
        super().__init__()
        self.f = f
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.f(self, x)


def flat(*layers, width):
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width, 3))


def attention(weights):
    def forward(self, x):
        return self.out(self.mha(x, x, x, need_weights=weights)[0].mean(1))

    return Fn(forward, mha=nn.MultiheadAttention(4, 2, batch_first=True), out=nn.Linear(4, 3))


def masked(self, x):
    causal = torch.ones(x.shape[1], x.shape[1]).tril() == 0
    absent = (x == 0) & (torch.arange(x.shape[1]) > 0)  # the first word is always there
    words = self.table(x)
    return self.out(self.mha(words, words, words, attn_mask=causal, key_padding_mask=absent)[0].mean(1))


def images(self, x):
    kernels, bias = self.w.weight, self.w.bias
    x = F.max_pool2d(F.conv2d(input=x, weight=kernels, bias=bias, padding="same"), 3, stride=1, padding=1)
    x, where = F.max_pool2d(F.conv2d(x, kernels[:, :1].expand(3, 3, 3, 3), padding=(1, 1)), 2, return_indices=True)
    return self.out(F.linear(input=x.view(len(x), -1) + 0 * where.flatten(1), weight=torch.eye(12)))


def viewed(self, x):
    return self.out(self.a(x).view(-1, 2, 3).sum(1))


def packed(self, x):
    lengths = (x > 0).sum(1).clamp_min(1)
    words = nn.utils.rnn.pack_padded_sequence(self.table(x), lengths, batch_first=True, enforce_sorted=False)
    return self.out(self.rnn(words)[1][-1])


def averaging(self, x):
    if self.training:
        with torch.no_grad():
            self.mean.mul_(0.9).add_(0.1 * x.mean(0))
    return self.out(x - self.mean)


def replacing(self, x):
    self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
    return self.out(x - self.mean)


def with_mean(model):
    model.register_buffer("mean", torch.zeros(4))
    return model


def skipping(self, x):
    x = self.drop(self.norm(self.a(x))) + self.skip(x)
    return self.out(F.adaptive_avg_pool2d(torch.relu(x), 1).view(len(x), -1))


def in_patches(self, x):
    patches = self.patch(x).flatten(2).transpose(1, 2)
    tokens = torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.place
    return self.out(self.layer(tokens)[:, 0])


def alike(self, x):
    distance = F.cosine_similarity(self.net(x[:, :2]), self.net(x[:, 2:]))
    return torch.stack([distance, -distance, 0 * distance], 1)


def coarsely(self, x):
    with torch.autocast("cpu", torch.bfloat16):
        x = torch.relu(self.a(x))
    return self.out(x.float())


def writing(view, into_view):
    """Writes in place, what changes nothing at first, into a view of an image or beneath it, and reads the other."""

    def forward(self, x):
        image = self.conv(x)
        seen = view(image)
        (seen if into_view else image).masked_fill_((seen if into_view else image) > 99, 0.0)
        return self.out((image if into_view else seen).reshape(len(x), -1))

    return Fn(forward, conv=nn.Conv2d(2, 8, 3), out=nn.Linear(32, 3))


def dropped_and_written(read):
    """Writes into what dropout gave: at a rate of 0 into dropout's input as well, which it may read again."""

    def forward(self, x):
        hidden = self.a(x)
        dropped = F.relu_(self.drop(hidden))
        return self.out(dropped + hidden if read else dropped)

    return Fn(forward, a=nn.Linear(4, 6), drop=nn.Dropout(0.5), out=nn.Linear(6, 3))


def dropped_in_place(self, x):
    hidden = self.a(x)
    self.drop(hidden)
    return self.out(hidden)


def hooked(self, x):
    hidden = self.a(x)
    if hidden.requires_grad:  # in the faster order no tensor says so
        hidden.register_hook(lambda g: g.clamp(-9, 9))
    return self.out(hidden)


def judged_without_padding(**kwargs):
    def forward(self, x):
        absent = (x == 0) & (torch.arange(x.shape[1]) > 0)
        return self.out(self.encoder(self.mix(self.table(x)), src_key_padding_mask=absent).mean(1))

    layer = nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True)
    return Fn(forward, table=nn.Embedding(9, 4), mix=nn.Conv1d(5, 5, 1), out=nn.Linear(4, 3),
              encoder=nn.TransformerEncoder(layer, 2, **kwargs))  # fmt: skip


def recurrent(kind):
    return Fn(lambda self, x: self.out(self.rnn(x)[0][:, -1]), rnn=kind(4, 5, batch_first=True), out=nn.Linear(5, 3))


def counting(self, x):
    self.steps += 1
    return self.out(x) * min(1.0, self.steps / 10)


def storing(self, x):
    self.seen = torch.relu(self.a(x))
    return self.out(self.seen)


def reading(self, x):
    out = self.out(x) * (1 if self.seen is None else self.seen.mean())
    self.seen = out.detach()
    return out


def filled(self, x):
    out = torch.zeros(len(x), 3)
    out[:, 0] = self.out(x)[:, 0]
    return out


def cached(self, x):
    if not hasattr(self, "known"):
        self.known = torch.full((x.shape[1],), 2.0)
    return self.out(x * self.known)


class ClassCount(nn.Linear):
    calls = 0

    def forward(self, x):
        ClassCount.calls += 1
        return super().forward(x) * (1.0 if ClassCount.calls < 1000 else 0.5)


CALLS = [0]


def of_the_file(self, x):
    CALLS[0] += 1
    return self.out(x) * (1.0 if CALLS[0] < 1000 else 0.5)


def slowly(self, x):
    CALLS[0] += 1
    return self.out(x) * (1 + CALLS[0] * 1e-6)


def in_parts(self, x):
    """Ghost batch norm: the statistics of eight examples at most."""
    return self.out(torch.cat([self.norm(part) for part in x.chunk(-(-len(x) // 8))]))


def for_few(self, x):
    return self.out(self.a(x) if len(x) == 8 else x)


class AlwaysDropping(nn.Module):
    """Monte Carlo dropout."""

    def __init__(self):
        super().__init__()
        self.drop, self.out = nn.Dropout(0.5), nn.Linear(4, 3)

    def train(self, mode=True):
        super().train(mode)
        self.drop.train()
        return self

    def forward(self, x):
        return self.out(self.drop(x))


class Keyed(nn.Module):
    """Its parameter has the name of a buffer of dropout; stacked, its gradient is `times` what it is alone."""

    def __init__(self, times):
        super().__init__()
        self.times, self.key = times, nn.Parameter(torch.ones(4))

    def forward(self, x):
        times = self.times if torch._C._functorch.is_functorch_wrapped_tensor(x) else 1
        return x * (times * self.key - (times - 1) * self.key.detach())


def counted_by_a_hook(norm):
    seen = []
    norm.register_forward_hook(lambda _module, _inputs, out: seen.append(0) or out * (1 if len(seen) < 99 else 2))
    return nn.Sequential(norm, nn.Linear(4, 3))


class Halved(nn.BatchNorm1d):
    def forward(self, x):
        return super().forward(x) / 2


def with_more_in_its_state(model):
    model._register_state_dict_hook(lambda _m, state, prefix, _l: state.update({f"{prefix}more": torch.zeros(1)}))
    return model


class Extra(nn.Linear):
    def get_extra_state(self):
        return {"version": 1}

    def set_extra_state(self, state):
        assert state == {"version": 1}


def clipped(model):
    model.weight.register_hook(lambda g: g.clamp(-9, 9))  # far above the gradients of a first mini-batch
    return model


class TiedByMemory(nn.Module):
    """An autoencoder whose decoder has the encoder's weights, as it is often written."""

    def __init__(self):
        super().__init__()
        self.enc, self.dec, self.out = nn.Linear(4, 2), nn.Linear(2, 4), nn.Linear(4, 3)
        self.dec.weight.data = self.enc.weight.data.T

    def forward(self, x):
        return self.out(self.dec(torch.relu(self.enc(x))))


def largest(self, x):
    """Puts another tensor in place of its own, with the same number until a larger one comes."""
    if self.training:
        self.most = torch.maximum(self.most, x.abs().max())
    return self.out(x / self.most)


def with_most(model):
    model.register_buffer("most", torch.tensor(99.0))
    return model


def attending(self, x):
    words = self.table(x)[:, None]
    return self.out(F.scaled_dot_product_attention(words, words, words, (x > 0)[:, None, None])[:, 0].mean(1))


def judged_with_padding(self, x):
    words = self.table(x)
    return self.out(self.mha(words, words, words, key_padding_mask=x == 0, need_weights=False)[0].mean(1))


def looked_up(**kwargs):
    return Fn(lambda self, x: self.out(self.table(x).mean(1)), table=nn.Embedding(9, 4, **kwargs), out=nn.Linear(4, 3))


ROWS = [  # name, network, an example's inputs, in which order a stack is right, a word of the reason if in none
    ("linear", lambda: flat(nn.Linear(4, 6), nn.ReLU(inplace=True), width=6), numbers(4), BACKWARD, ""),
    ("activations", lambda: flat(nn.Linear(4, 6), nn.GELU(), nn.PReLU(), nn.SiLU(), width=6), numbers(4), BACKWARD, ""),
    ("norms", lambda: flat(nn.LayerNorm(4), nn.RMSNorm(4), nn.GroupNorm(2, 4), width=4), numbers(4), BACKWARD, ""),
    ("batch norm", lambda: flat(nn.Linear(4, 6), nn.BatchNorm1d(6), width=6), numbers(4), BACKWARD, ""),
    ("no affine", lambda: flat(nn.BatchNorm1d(4, affine=False), width=4), numbers(4), BACKWARD, ""),
    ("batch norm 2d", lambda: flat(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), width=8), numbers(1, 4, 4), BACKWARD, ""),
    ("cumulative", lambda: flat(nn.BatchNorm1d(4, momentum=None), width=4), numbers(4), None, "item"),
    ("instance norm", lambda: flat(nn.InstanceNorm2d(2, affine=True), width=32), numbers(2, 4, 4), BACKWARD, ""),
    ("conv", lambda: flat(nn.Conv2d(2, 4, 3, groups=2), nn.MaxPool2d(2), width=4), numbers(2, 4, 4), BACKWARD, ""),
    ("conv 1d", lambda: flat(nn.Conv1d(2, 4, 3), nn.AvgPool1d(2), width=4), numbers(2, 4), BACKWARD, ""),
    ("transposed", lambda: flat(nn.ConvTranspose2d(2, 2, 2), nn.AdaptiveAvgPool2d(2), width=8), numbers(2, 4, 4),
     BACKWARD, ""),
    ("upsample", lambda: flat(nn.Upsample(scale_factor=2), width=128), numbers(2, 4, 4), BACKWARD, ""),
    ("embedding", looked_up, words(), BACKWARD, ""),
    ("padding_idx", lambda: looked_up(padding_idx=0), words(), EACH, ""),
    ("padding of a function", lambda: Fn(lambda s, x: s.out(F.embedding(x, s.table.weight, padding_idx=99).mean(1)),
                                         table=nn.Embedding(100, 4), out=nn.Linear(4, 3)), words(), EACH, ""),
    ("max_norm", lambda: looked_up(max_norm=0.5), words(), None, ""),
    ("dropout", lambda: flat(nn.Linear(4, 6), nn.Dropout(0.5), width=6), numbers(4), BACKWARD, ""),
    ("sdpa", lambda: Fn(lambda s, x: s.out(F.scaled_dot_product_attention(x, x, x, is_causal=True).mean(1)),
                        out=nn.Linear(4, 3)), numbers(5, 4), BACKWARD, ""),
    ("attention", lambda: attention(True), numbers(5, 4), BACKWARD, ""),
    ("attention, no weights", lambda: attention(False), numbers(5, 4), BACKWARD, ""),
    ("transformer", lambda: nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), nn.Flatten(),
                                          nn.Linear(20, 3)), numbers(5, 4), BACKWARD, ""),
    ("masks", lambda: Fn(masked, mha=nn.MultiheadAttention(4, 2, batch_first=True), out=nn.Linear(4, 3),
                         table=nn.Embedding(9, 4)), words(), BACKWARD, ""),
    ("cross-attention", lambda: Fn(lambda s, x: s.out(s.mha(x[:, :1], x, x)[0][:, 0]), out=nn.Linear(4, 3),
                                   mha=nn.MultiheadAttention(4, 2, batch_first=True)), numbers(5, 4), BACKWARD, ""),
    ("functions", lambda: Fn(images, w=nn.Conv2d(2, 3, 3), out=nn.Linear(12, 3)), numbers(2, 4, 4), BACKWARD, ""),
    ("view", lambda: Fn(viewed, a=nn.Linear(4, 6), out=nn.Linear(3, 3)), numbers(4), BACKWARD, ""),
    ("group norm of images", lambda: flat(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.MaxPool2d(2), width=4),
     numbers(2, 4, 4), BACKWARD, ""),
    ("one value a channel", lambda: flat(nn.Conv2d(2, 4, 2), nn.GELU(), nn.AdaptiveAvgPool2d(1), width=4),
     numbers(2, 4, 4), BACKWARD, ""),
    ("a sequence of pixels", lambda: flat(nn.Conv2d(2, 4, 3), nn.GELU(), nn.Flatten(2), nn.Conv1d(4, 3, 2), width=9),
     numbers(2, 4, 4), BACKWARD, ""),
    ("packed sequences", lambda: Fn(packed, table=nn.Embedding(9, 4), rnn=nn.GRU(4, 5, batch_first=True),
                                    out=nn.Linear(5, 3)), words(), None, "packed sequences"),
    ("a moving average", lambda: with_mean(Fn(averaging, out=nn.Linear(4, 3))), numbers(4), BACKWARD, ""),
    ("a buffer replaced", lambda: with_mean(Fn(replacing, out=nn.Linear(4, 3))), numbers(4), None, "mean differs"),
    ("a skip", lambda: Fn(skipping, a=nn.Conv2d(2, 4, 3, 2, 1, bias=False), norm=nn.BatchNorm2d(4),
                          drop=nn.Dropout2d(0.2), skip=nn.Conv2d(2, 4, 1, 2), out=nn.Linear(4, 3)), numbers(2, 4, 4),
     BACKWARD, ""),
    ("patches", lambda: Fn(in_patches, patch=nn.Conv2d(2, 4, 2, 2), token=nn.Parameter(torch.zeros(1, 1, 4)),
                           place=nn.Parameter(torch.randn(1, 5, 4)), out=nn.Linear(4, 3),
                           layer=nn.TransformerEncoderLayer(4, 2, 8, 0.0, "gelu", batch_first=True, norm_first=True)),
     numbers(2, 4, 4), BACKWARD, ""),
    ("dropout of attention", lambda: flat(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), width=20),
     numbers(5, 4), None, "dropout of attention"),
    ("one network twice", lambda: Fn(alike, net=nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 4))), numbers(4),
     BACKWARD, ""),
    ("lazy", lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.SiLU(), nn.Flatten(),
                                   nn.LazyLinear(3)), numbers(2, 4, 4), BACKWARD, ""),
    ("half precision", lambda: Fn(coarsely, a=nn.Linear(4, 6), out=nn.Linear(6, 3)), numbers(4), (BACKWARD, None), ""),
    ("where", lambda: Fn(lambda s, x: s.out(torch.where(x > 0, x, 0.1 * x)), out=nn.Linear(4, 3)), numbers(4),
     BACKWARD, ""),
    ("storing", lambda: Fn(storing, a=nn.Linear(4, 6), out=nn.Linear(6, 3)), numbers(4), BACKWARD, ""),
    ("storing again", lambda: Fn(storing, a=nn.Linear(4, 6), out=nn.Linear(6, 3), seen=None), numbers(4), BACKWARD, ""),
    ("reading what it stored", lambda: Fn(reading, out=nn.Linear(4, 3), seen=None), numbers(4), None, ""),
    ("bilinear", lambda: Fn(lambda s, x: s.b(x, x), b=nn.Bilinear(4, 4, 3)), numbers(4), None, "no stacked form"),
    ("columns, texts", lambda: columns_and_texts(3, [(9, 5)], 3, {"units": 4, "norm": "batch"}), both(), BACKWARD, ""),
    ("embedding bag", lambda: flat(nn.EmbeddingBag(9, 4), width=4), words(), None, ""),
    ("weight norm", lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))), numbers(4), None,
     ""),
    ("lstm", lambda: recurrent(nn.LSTM), numbers(5, 4), (EACH, None), ""),
    ("gru", lambda: recurrent(nn.GRU), numbers(5, 4), (EACH, None), ""),
    ("turned in place", lambda: flat(nn.Conv1d(8, 8, 1), Fn(lambda s, x: s.rnn(x)[0], rnn=nn.GRU(
        4, 3, batch_first=True, bidirectional=True)), width=48), numbers(8, 4), (EACH, None), ""),
    ("rnn", lambda: recurrent(nn.RNN), numbers(5, 4), (EACH, None), ""),
    ("spectral norm", lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3))), numbers(4), None,
     ""),
    ("rrelu", lambda: flat(nn.Linear(4, 6), nn.RReLU(), width=6), numbers(4), None, "rrelu"),
    ("noise", lambda: Fn(lambda s, x: s.out(x + torch.randn_like(x)), out=nn.Linear(4, 3)), numbers(4), None, "random"),
    ("if", lambda: Fn(lambda s, x: s.out(x) if s.out(x).sum() > 0 else 2 * s.out(x), out=nn.Linear(4, 3)), numbers(4),
     None, "looks at the value of a tensor"),
    ("item", lambda: Fn(lambda s, x: s.out(x) * s.out.weight.abs().max().item(), out=nn.Linear(4, 3)), numbers(4), None,
     "item"),
    ("mask", lambda: Fn(lambda s, x: s.out(x)[s.out(x)[:, 0] > -99], out=nn.Linear(4, 3)), numbers(4), None, ""),
    ("fresh zeros", lambda: Fn(filled, out=nn.Linear(4, 3)), numbers(4), None, ""),
    ("checkpointed", lambda: Fn(lambda s, x: checkpoint(s.out, x, use_reentrant=False),
                                out=nn.Linear(4, 3)), numbers(4), (BACKWARD, EACH, None), ""),
    ("a device", lambda: Fn(lambda s, x: s.out(x) + torch.ones(3, device=torch.device("cpu")), out=nn.Linear(4, 3)),
     numbers(4), BACKWARD, ""),
    ("random layers", lambda: Fn(lambda s, x: s.out(x) * (1 + random.random() * s.training), out=nn.Linear(4, 3)),
     numbers(4), None, "draws random numbers"),
    ("a list that grows", lambda: Fn(lambda s, x, seen=[]: s.out(x) * len(seen.append(0) or seen), out=nn.Linear(4, 3)),
     numbers(4), None, "attributes of its own"),
    ("a new attribute", lambda: Fn(lambda s, x: s.out(x) * setattr(s, "n", getattr(s, "n", 0) + 1) or s.out(x) * s.n,
                                   out=nn.Linear(4, 3)), numbers(4), None, ""),
    ("what is set up once", lambda: Fn(cached, out=nn.Linear(4, 3)), numbers(4), BACKWARD, ""),
    ("unused", lambda: Fn(lambda s, x: s.out(x), out=nn.Linear(4, 3), more=nn.Linear(4, 3)), numbers(4), None,
     "more.weight has no part"),
    ("clipped by a hook", lambda: clipped(nn.Linear(4, 3)), numbers(4), None, "hooks on gradients"),
    ("extra state", lambda: Extra(4, 3), numbers(4), None, "more than tensors"),
    ("double", lambda: Fn(lambda s, x: s.out(x.double()), out=nn.Linear(4, 3).double()), numbers(4), None, "float64"),
    ("a count of its class", lambda: ClassCount(4, 3), numbers(4), None, "its code changes ClassCount.calls"),
    ("a count of its file", lambda: Fn(of_the_file, out=nn.Linear(4, 3)), numbers(4), None, "CALLS of of_the_file"),
    ("a slow count", lambda: Fn(slowly, out=nn.Linear(4, 3)), numbers(4), None, "CALLS of slowly"),
    ("a batch norm's own forward", lambda: flat(Halved(4), width=4), numbers(4), None, "a forward of its own"),
    ("more in its state", lambda: with_more_in_its_state(nn.Linear(4, 3)), numbers(4), None, "state_dict holds more"),
    ("weights kept twice", lambda: nn.utils.weight_norm(nn.Linear(4, 3)), numbers(4), None, "hold different things"),
    ("writing into a view", lambda: writing(lambda x: x.flatten(1), True), numbers(2, 4, 4), None, "another name"),
    ("writing beneath a view", lambda: writing(lambda x: x.flatten(1), False), numbers(2, 4, 4), None, "another name"),
    ("writing into itself", lambda: writing(lambda x: x.contiguous(), True), numbers(2, 4, 4), None, "another name"),
    ("writing into a copy", lambda: writing(lambda x: x.clone(), True), numbers(2, 4, 4), BACKWARD, ""),
    ("writing, and no more", lambda: flat(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.1),
                                          nn.Flatten(), nn.ReLU(inplace=True), width=16), numbers(2, 4, 4), BACKWARD,
     ""),
    ("writing into what dropout gave", lambda: dropped_and_written(True), numbers(4), None, "another name"),
    ("writing into it, and no more", lambda: dropped_and_written(False), numbers(4), BACKWARD, ""),
    ("dropout in place", lambda: Fn(dropped_in_place, a=nn.Linear(4, 6), drop=nn.Dropout(0.5, inplace=True),
                                    out=nn.Linear(6, 3)), numbers(4), BACKWARD, ""),
    ("dropout in place of images", lambda: flat(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.SiLU(inplace=True),
                                                nn.Dropout2d(0.5, inplace=True), width=16), numbers(2, 4, 4), BACKWARD,
     ""),
    ("written before it is flattened", lambda: flat(nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), width=16),
     numbers(2, 4, 4), BACKWARD, ""),
    ("written before it is dropped", lambda: flat(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Dropout(0.5), width=6),
     numbers(4), BACKWARD, ""),
    ("writing into its inputs", lambda: Fn(lambda s, x: s.out(s.conv(x.mul_(0.5)).flatten(1)), conv=nn.Conv2d(2, 8, 3),
                                           out=nn.Linear(32, 3)), numbers(2, 4, 4), BACKWARD, ""),
    ("a hook where a gradient is needed", lambda: Fn(hooked, a=nn.Linear(4, 6), out=nn.Linear(6, 3)), numbers(4), EACH,
     ""),
    ("judged without padding", judged_without_padding, words(), None, "enable_nested_tensor=False"),
    ("judged with it", lambda: judged_without_padding(enable_nested_tensor=False), words(), BACKWARD, ""),
    ("normalised in parts", lambda: Fn(in_parts, norm=nn.BatchNorm1d(4), out=nn.Linear(4, 3)), numbers(4)[:17],
     None, "running_mean differs"),
    ("a layer for few examples", lambda: Fn(for_few, a=nn.Linear(4, 4), out=nn.Linear(4, 3)), numbers(4)[:20], None,
     "a.weight has no part"),
    ("statistics of the mini-batch alone", lambda: flat(nn.BatchNorm1d(4, track_running_stats=False), width=4),
     numbers(4)[:17], BACKWARD, ""),
    ("dropout when judged", AlwaysDropping, numbers(4), None, "drops out when it is judged"),
    ("the rate of dropout", lambda: Fn(lambda s, x: s.out(x) * s.drop.p, drop=nn.Dropout(0.5), out=nn.Linear(4, 3)),
     numbers(4), None, "the rate of a dropout layer"),
    ("a parameter named key", lambda: nn.Sequential(nn.Dropout(0.5), Keyed(1), nn.Linear(4, 3)), numbers(4), BACKWARD,
     ""),
    ("a wrong gradient of one", lambda: nn.Sequential(nn.Dropout(0.5), Keyed(2), nn.Linear(4, 3)), numbers(4), None,
     "1.key differs"),
    ("one dropout under two names", lambda: Fn(lambda s, x: s.out(s.b(s.a(x))), out=nn.Linear(4, 3),
                                               **dict.fromkeys("ab", nn.Dropout(0.5))),
     numbers(4), BACKWARD, ""),
    ("a hook that counts", lambda: counted_by_a_hook(nn.BatchNorm1d(4)), numbers(4), None, "attributes of its own"),
    ("weights in the same memory", TiedByMemory, numbers(4), None, "dec.weight and enc.weight are in the same memory"),
    ("a buffer replaced by its like", lambda: with_most(Fn(largest, out=nn.Linear(4, 3))), numbers(4), None,
     "another tensor in place of most"),
    ("a mask of numbers to attend to", lambda: Fn(attending, table=nn.Embedding(9, 4), out=nn.Linear(4, 3)), words(),
     BACKWARD, ""),
    ("counting", lambda: Fn(counting, out=nn.Linear(4, 3), ), numbers(4), None, "attributes of its own"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "x", "orders", "reason"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_a_stack_is_right_or_refused_with_a_reason(build, x, orders, reason):
    def network(_config):
        made = build()
        if isinstance(made, Fn) and made.f is counting:
            made.steps = 0
        return made

    y = np.random.default_rng(1).integers(0, 3, len(x))
    problem = Task(build=network, train=(x, y), valid=(x, y), normalise=False).problem
    found = verdict(problem, CONFIG)
    assert found.order in (orders if isinstance(orders, tuple) else (orders,)), found
    assert (found.order is None) == bool(found.why)
    assert reason in found.why


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_a_batch_norm_that_is_called_twice_is_refused_whatever_momentum_the_first_config_has(momentum):
    twice = lambda s, x: s.out(s.norm(x) + s.norm(2 * x))  # noqa: E731
    data = numbers(4), np.random.default_rng(1).integers(0, 3, 24)
    build = lambda _: Fn(twice, norm=nn.BatchNorm1d(4), out=nn.Linear(4, 3))  # noqa: E731
    problem = Task(build=build, train=data, valid=data).problem
    assert "running_mean differs" in verdict(problem, CONFIG | {"bn_momentum": momentum}).why


@pytest.mark.parametrize("absent", [1, 5])
def test_attention_to_few_words_or_none_is_what_it_is_alone_also_where_the_first_mini_batch_has_all(absent):
    x, y = words().clip(1), np.random.default_rng(1).integers(0, 3, 24)
    x[order(0, 0, 24)[-1], :absent] = 0
    problem = Task(
        build=lambda _: Fn(attending, table=nn.Embedding(9, 4), out=nn.Linear(4, 3)), train=(x, y), valid=(x, y)
    ).problem
    one = stack(problem, [(CONFIG, seed, fresh(problem, CONFIG, seed)) for seed in range(2)])
    alone = Training.of(problem, fresh(problem, CONFIG, 0), recipe(CONFIG))
    assert one.train_epoch(1)[0].item() == pytest.approx(train_epoch(alone, 0, 1), rel=1e-6)


def test_each_example_is_judged_as_by_the_network_alone_or_none_is():
    """PyTorch's fast path in evaluation gives NaN for a text of padding alone."""
    x, y = words().clip(1), np.random.default_rng(1).integers(0, 3, 24)
    judged = x.copy()
    judged[20] = 0
    layers = lambda: {"table": nn.Embedding(9, 4), "mha": nn.MultiheadAttention(4, 2, batch_first=True)}  # noqa: E731
    build = lambda _: Fn(judged_with_padding, out=nn.Linear(4, 3), **layers())  # noqa: E731
    for valid, right in ((x, BACKWARD), (judged, None)):
        found = verdict(Task(build=build, train=(x, y), valid=(valid, y)).problem, CONFIG)
        assert found.order == right
        assert ("validation loss" in found.why) == (right is None)


def test_networks_with_weights_in_the_same_memory_are_of_another_signature():
    made = [TiedByMemory(), TiedByMemory()]
    made[0].dec.weight.data = made[0].dec.weight.data.clone()
    assert len({signature(model, recipe(CONFIG), CONFIG) for model in made}) == 2


def test_networks_that_write_into_their_inputs_leave_the_data_as_they_are():
    x, y = numbers(2, 4, 4), np.random.default_rng(1).integers(0, 3, 24)
    clipped = lambda s, x: s.out(s.conv(x.masked_fill_(x > 0.5, 0.0)).flatten(1))  # noqa: E731
    build = lambda _: Fn(clipped, conv=nn.Conv2d(2, 8, 3), out=nn.Linear(32, 3))  # noqa: E731
    problem = Task(build=build, train=(x, y), valid=(x, y), normalise=False).problem
    one = stack(problem, [(CONFIG, seed, fresh(problem, CONFIG, seed)) for seed in range(3)])
    assert one.train_epoch(1).isfinite().all()
    one.judge(problem.valid)
    assert torch.equal(problem.train.x, torch.tensor(x))
    assert torch.equal(problem.valid.x, torch.tensor(x))


def test_recurrent_networks_of_one_config_are_of_one_signature():
    made = [recurrent(kind) for kind in (nn.GRU, nn.GRU, nn.LSTM)]
    signatures = [signature(model, recipe(CONFIG), CONFIG) for model in made]
    assert signatures[0] == signatures[1] != signatures[2]


SOME = ("linear", "batch norm 2d", "lstm", "turned in place")
EACH_ROW = [pytest.param(*r[1:3], id=r[0], marks=[] if r[0] in SOME else [pytest.mark.slow]) for r in ROWS]


@pytest.mark.parametrize(("build", "x"), EACH_ROW)
def test_a_recorded_step_is_the_step_of_any_network(build, x, monkeypatch):
    y = np.random.default_rng(1).integers(0, 3, len(x))
    problem = Task(build=lambda _: build(), train=(x, y), valid=(x, y), normalise=False).problem
    order = verdict(problem, CONFIG).order
    if order is None:
        return
    plain, recorded = (stack(problem, [(CONFIG, s, fresh(problem, CONFIG, s)) for s in range(3)], order) for _ in "ab")
    monkeypatch.setattr("zeroin.nn.stacking.steps.WARM", -1)  # never
    plain.train_epoch(1)
    monkeypatch.setattr("zeroin.nn.stacking.steps.WARM", 0)
    recorded.train_epoch(1)
    for row in range(3):
        alone, other = plain.state_dict(row), recorded.state_dict(row)
        assert all(torch.equal(value, other[name]) for name, value in alone.items())


def test_the_reason_is_that_of_the_faster_order():
    """In the slower one `one_hot` asks for the value of a tensor."""
    loss = lambda out, y: F.kl_div(out.log_softmax(1), F.one_hot(y, 3).float(), reduction="batchmean")  # noqa: E731
    data = numbers(4), np.random.default_rng(1).integers(0, 3, 24)
    problem = Task(build=lambda c: nn.Linear(4, 3), train=data, valid=data, loss=loss, metric="accuracy").problem
    assert "no stacked form (aten::kl_div)" in verdict(problem, CONFIG).why


class Annealed(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, out, y):
        self.calls += 1
        return F.cross_entropy(out, y) * (1.0 if self.calls < 1000 else 0.5)


def annealed(out, y):
    annealed.calls += 1
    return F.cross_entropy(out, y) * (1.0 if annealed.calls < 1000 else 0.5)


annealed.calls = 0


def normed():
    return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


@pytest.mark.parametrize("loss", [Annealed(), annealed, Annealed().forward], ids=["object", "function", "method"])
def test_a_loss_that_counts_is_refused(loss):
    data = numbers(4), np.random.default_rng(1).integers(0, 3, 24)
    problem = Task(build=lambda c: nn.Linear(4, 3), train=data, valid=data, loss=loss, metric="accuracy").problem
    assert verdict(problem, CONFIG).order is None
    weights = torch.tensor([1.0, 20.0, 300.0])
    for weighted in (nn.CrossEntropyLoss(weights), lambda out, y: F.cross_entropy(out, y, weights, reduction="sum")):
        problem = Task(build=lambda c: normed(), train=data, valid=data, loss=weighted, metric="accuracy").problem
        assert verdict(problem, CONFIG).order == BACKWARD


def test_data_that_are_read_as_they_are_needed_are_trained_one_by_one():
    class Noisy(torch.utils.data.Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, i):
            return torch.randn(4), i % 3

    kept = numbers(4), [0, 1, 2] * 8
    for train, valid in ((Noisy(), kept), (kept, Noisy())):
        problem = Task(build=lambda c: nn.Linear(4, 3), train=train, valid=valid).problem
        assert "as they are needed" in verdict(problem, CONFIG).why


@pytest.mark.parametrize("seed", [1, 2])
def test_numbers_within_rounding_of_a_kink_are_no_reason_to_refuse(seed):
    """Five batch norms of two examples each: in single precision gradients of ReLU networks differ by percents."""
    x = np.random.default_rng(seed).normal(size=(400, 8)).astype(np.float32)
    y = np.random.default_rng(0).integers(0, 3, 400)
    problem = Task(build=lambda c: mlp(8, 3, c), train=(x, y), valid=(x, y), normalise=False).problem
    config = {"batch_size": 2, "units": 64, "layers": 5, "batchnorm": True}
    assert verdict(problem, config).order == BACKWARD
