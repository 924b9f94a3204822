"""Right and wrong answers of the set `game`, chapter 1."""

import torch
from torch.nn import functional as F
from torch.nn.functional import softplus

from . import Answers

d_loss = Answers("game.d_loss")


@d_loss.right
def two_softplus(real_logits, fake_logits):
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


@d_loss.right
def two_logsigmoids(real_logits, fake_logits):
    return -F.logsigmoid(real_logits).mean() - F.logsigmoid(-fake_logits).mean()


@d_loss.right
def cross_entropy(real_logits, fake_logits):
    real = F.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
    return real + F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))


@d_loss.right
def stable_by_hand(a, b):
    return (a.clamp(max=0).neg() + a.abs().neg().exp().log1p()).mean() + (
        b.clamp(min=0) + b.abs().neg().exp().log1p()
    ).mean()


@d_loss.right
def from_probabilities(a, b):
    return -(torch.log(torch.sigmoid(a)).mean() + torch.log(1 - torch.sigmoid(b)).mean())


d_loss.wrong("swapped-labels", lambda a, b: softplus(a).mean() + softplus(-b).mean())
d_loss.wrong("sign", lambda a, b: F.logsigmoid(a).mean() + F.logsigmoid(-b).mean())
d_loss.wrong("missing-mean", lambda a, b: softplus(-a).sum() + softplus(b).sum())
d_loss.wrong("halved", lambda a, b: (softplus(-a).mean() + softplus(b).mean()) / 2)
d_loss.wrong("fake-half-generator", lambda a, b: softplus(-a).mean() + softplus(-b).mean())
d_loss.wrong("real-only", lambda a, b: softplus(-a).mean())
d_loss.wrong("fake-only", lambda a, b: softplus(b).mean())
d_loss.wrong("pooled-mean", lambda a, b: torch.cat([softplus(-a), softplus(b)]).mean())
d_loss.wrong("no-grad", lambda a, b: two_softplus(a, b).detach())
d_loss.wrong("type", lambda a, b: two_softplus(a, b).item())


@d_loss.wrong("sigmoid-twice")
def sigmoid_then_logits(real_logits, fake_logits):
    return cross_entropy(torch.sigmoid(real_logits), torch.sigmoid(fake_logits))


@d_loss.wrong("mutates")
def in_place(real_logits, fake_logits):
    return softplus(real_logits.neg_()).mean() + softplus(fake_logits).mean()
