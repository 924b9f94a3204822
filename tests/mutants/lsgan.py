"""Right and wrong answers of the set `lsgan`, chapter 7."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from . import Answers

# 1 ---------------------------------------------------------------------------------------------------

ls_losses = Answers("lsgan.ls_losses")


@ls_losses.right
def with_mse_loss(real_scores, fake_scores, a, b, c):
    d_loss = F.mse_loss(real_scores, torch.full_like(real_scores, b))
    d_loss = d_loss + F.mse_loss(fake_scores, torch.full_like(fake_scores, a))
    return d_loss / 2, F.mse_loss(fake_scores, torch.full_like(fake_scores, c)) / 2


@ls_losses.right
def as_a_module(real, fake, a, b, c):
    loss = nn.MSELoss()
    on_data, on_fakes = loss(real, b * torch.ones(real.shape)), loss(fake, a * torch.ones(fake.shape))
    return [0.5 * (on_data + on_fakes), 0.5 * loss(fake, c * torch.ones(fake.shape))]


@ls_losses.right
def expanded(real, fake, a, b, c):
    def half(scores, target):
        return ((scores * scores).mean() - 2 * target * scores.mean() + target**2) / 2

    return half(real, b) + half(fake, a), half(fake, c)


@ls_losses.right
def patch_by_patch(real, fake, a, b, c):
    def half(scores, target):  # a mean for each patch over the batch, then over the patches
        return ((scores - target) ** 2 / 2).flatten(1).mean(dim=0).mean()

    return torch.stack([half(real, b), half(fake, a)]).sum(), half(fake, c)


@ls_losses.right
def mean_and_variance(real, fake, a, b, c):
    def half(scores, target):
        return 0.5 * (scores.var(correction=0) + (scores.mean() - target) ** 2)

    return half(real, b) + half(fake, a), half(fake, c)


def half_square(scores, target):
    return F.mse_loss(scores, torch.full_like(scores, target)) / 2


ls_losses.wrong("real-only", lambda r, f, a, b, c: (half_square(r, b), half_square(f, c)))
ls_losses.wrong("fake-only", lambda r, f, a, b, c: (half_square(f, a), half_square(f, c)))
ls_losses.wrong("g-minimax", lambda r, f, a, b, c: (with_mse_loss(r, f, a, b, c)[0], -half_square(f, a)))
ls_losses.wrong("order", lambda r, f, a, b, c: list(with_mse_loss(r, f, a, b, c))[::-1])


@ls_losses.wrong("averaged-per-picture")
def one_score_a_picture(real, fake, a, b, c):
    def pool(scores):
        return F.adaptive_avg_pool2d(scores, 1) if scores.ndim == 4 else scores

    return with_mse_loss(pool(real), pool(fake), a, b, c)


@ls_losses.wrong("no-halves")
def plain_mse(real, fake, a, b, c):
    d_loss = (real - b).pow(2).mean() + (fake - a).pow(2).mean()
    return d_loss, (fake - c).pow(2).mean()


@ls_losses.wrong("summed-over-patches")
def per_picture_sum(real, fake, a, b, c):
    def half(scores, target):
        return 0.5 * ((scores - target) ** 2).flatten(1).sum(dim=1).mean()

    return half(real, b) + half(fake, a), half(fake, c)


def one_bag(real, fake, a, b, shape=(-1,)):
    scores = torch.cat([real.reshape(shape), fake.reshape(shape)])
    return (scores - torch.tensor([b] * real.numel() + [a] * fake.numel())).square().mean()


ls_losses.wrong("pooled", lambda r, f, a, b, c: (one_bag(r, f, a, b), half_square(f, c)))
ls_losses.wrong("pooled-and-halved", lambda r, f, a, b, c: (one_bag(r, f, a, b) / 2, half_square(f, c)))
ls_losses.wrong("broadcast", lambda r, f, a, b, c: (one_bag(r, f, a, b, (-1, 1)), half_square(f, c)))


@ls_losses.wrong("cut-for-d")
def detaches_scores(real, fake, a, b, c):
    return with_mse_loss(real, fake.detach(), a, b, c)[0], half_square(fake, c)


@ls_losses.wrong("no-grad")
def detaches_all(real, fake, a, b, c):
    return tuple(loss.detach() for loss in with_mse_loss(real, fake, a, b, c))


@ls_losses.wrong("mutates")
def subtracts_in_place(real, fake, a, b, c):
    real -= b
    return 0.5 * (real**2).mean() + half_square(fake, a), half_square(fake, c)


ls_losses.wrong("value", lambda r, f, a, b, c: with_mse_loss(r, f, a, b, b + 1))
ls_losses.wrong("type", lambda r, f, a, b, c: with_mse_loss(r, f, a, b, c)[0])
ls_losses.wrong("shape", lambda r, f, a, b, c: (0.5 * (r - b) ** 2, half_square(f, c)))

# 2 ---------------------------------------------------------------------------------------------------

at_equilibrium = Answers("lsgan.at_equilibrium")
at_equilibrium.right([0.5 * 0.5**2 + 0.5 * 0.5**2, 0.5 * 0.5**2, 0.5 + 0.5, 0])
at_equilibrium.wrong("cross-entropy", [1.386, 0.693, 1.386, 0.693])
at_equilibrium.wrong("value", [0.0, 0.0, 0.0, 0.0], [0.693, 0.693, 0.693, 0.693])
at_equilibrium.wrong("shape", [0.25, 0.125])

# 3 ---------------------------------------------------------------------------------------------------

far_slopes = Answers("lsgan.far_slopes")
far_slopes.right([-0.993, -0.0067, 4.0])
far_slopes.wrong("value", [-0.99, -0.01, 4.0], [-1.0, 0.0, 4.0])
far_slopes.wrong("squared-sigmoid", [-0.993, -0.0067, -4.45e-5])
far_slopes.wrong("not-done", None)

# 4 ---------------------------------------------------------------------------------------------------

one_batch = Answers("lsgan.one_batch")
targets = torch.cat([torch.ones(48), torch.zeros(16)])
table = (targets[:, None] - targets).square().mean().item()
one_batch.right([table, targets.var(correction=0).item(), targets.mean().item()])
one_batch.wrong("fine", [0.0, 0.0, 1.0])
one_batch.wrong("perfect-is-best", [0.375, 0.0, 1.0])
one_batch.wrong("value", [0.75, 0.1875, 0.75])

# 5 ---------------------------------------------------------------------------------------------------

scores_of = Answers("lsgan.best_scores")


@scores_of.right
def with_where(p, q, a, b, low, high):
    mean = torch.where(p + q > 0, (b * p + a * q) / (p + q), torch.tensor((a + b) / 2, dtype=p.dtype))
    return mean.clamp(min=low, max=high)


@scores_of.right
def fills_nan(p, q, a, b, low, high):
    share = p / (p + q)
    return torch.clamp(a + (b - a) * share.nan_to_num(nan=0.5), low, high)


@scores_of.right
def through_logits(p, q, a, b, low, high):
    logit = (p.log() - q.log()).nan_to_num(nan=0.0, posinf=math.inf, neginf=-math.inf)
    D = torch.sigmoid(logit)
    return torch.minimum(torch.maximum(b * D + a * (1 - D), torch.tensor(low)), torch.tensor(high))


@scores_of.right
def one_place_at_a_time(p, q, a, b, low, high):
    scores = []
    for data, fakes in zip(p.tolist(), q.tolist(), strict=True):
        best = (a + b) / 2 if data == fakes == 0 else (b * data + a * fakes) / (data + fakes)
        scores.append(min(max(best, low), high))
    return torch.tensor(scores)


@scores_of.right
def by_comparing_losses(p, q, a, b, low, high):
    """A parabola: try its lowest point and both ends, and keep the cheapest that is allowed."""
    lowest = fills_nan(p, q, a, b, -math.inf, math.inf)
    found = lowest.clone()
    for end, beyond in ((low, lowest < low), (high, lowest > high)):
        found[beyond] = end
    return found


def free(p, q, a, b):
    return with_where(p, q, a, b, -math.inf, math.inf)


scores_of.wrong("gan-optimum", lambda p, q, a, b, low, high: (p / (p + q)).nan_to_num(nan=0.5).clamp(low, high))


@scores_of.wrong("squeezed")
def rescaled(p, q, a, b, low, high):
    mean = free(p, q, a, b)
    if math.isinf(low):
        return mean
    left, right = min(a, b), max(a, b)
    return low + (mean - left) / (right - left) * (high - low)


@scores_of.wrong("more-probable")
def decides(p, q, a, b, low, high):
    side = torch.sign(p - q)
    return ((a + b) / 2 + side * (b - a) / 2).clamp(low, high)


@scores_of.wrong("both-vanish")
def zero_there(p, q, a, b, low, high):
    return torch.where(p + q > 0, with_where(p, q, a, b, low, high), torch.zeros_like(p))


@scores_of.wrong("both-vanish")
def falls_to_a(p, q, a, b, low, high):
    return torch.where(p + q > 0, free(p, q, a, b), torch.full_like(p, a)).clamp(low, high)


@scores_of.wrong("both-vanish")
def half_way_out_of_reach(p, q, a, b, low, high):
    return torch.where(p + q > 0, with_where(p, q, a, b, low, high), torch.full_like(p, (a + b) / 2))


@scores_of.wrong("both-vanish")
def divides_by_zero(p, q, a, b, low, high):
    return ((b * p + a * q) / (p + q)).clamp(low, high)


@scores_of.wrong("small-constant")
def with_epsilon(p, q, a, b, low, high):
    return ((b * p + a * q) / (p + q + 1e-8)).clamp(low, high)


@scores_of.wrong("small-constant")
def with_epsilon_in_both(p, q, a, b, low, high):
    p, q = p + 1e-10, q + 1e-10
    return ((b * p + a * q) / (p + q)).clamp(low, high)


@scores_of.wrong("small-constant")
def rare_is_nothing(p, q, a, b, low, high):
    return torch.where(p + q > 1e-9, free(p, q, a, b), torch.full_like(p, (a + b) / 2)).clamp(low, high)


# 6 ---------------------------------------------------------------------------------------------------

chi_square = Answers("lsgan.chi_square")


@chi_square.right
def line_through_two_points(d_losses, a, b):
    at_equilibrium = 0.5 * ((a - b) / 2) ** 2 * 2  # chi-square 0; separated laws cost nothing and have 2
    return 2 * (1 - d_losses / at_equilibrium)


@chi_square.right
def by_the_overlap(d_losses, a, b):
    overlap = 2 * d_losses / (a - b) ** 2  # the sum of pq / (p + q)
    return 2 - 4 * overlap


@chi_square.right
def rescaled_to_zero_and_one(d_losses, a, b):
    return torch.stack([2 - 8 * loss / ((b - a) * (b - a)) for loss in d_losses])


@chi_square.right
def as_a_list(d_losses, a, b):
    half_gap = (a - b) / 2
    return torch.tensor([2 * (1 - loss / half_gap**2) for loss in d_losses.tolist()], dtype=torch.float32)


chi_square.wrong("signed-gap", lambda losses, a, b: 2 * (1 - 4 * losses / (b - a)))
chi_square.wrong("scaled-to-one", lambda losses, a, b: 1 - losses / ((b - a) / 2) ** 2)
chi_square.wrong("rooted", lambda losses, a, b: (2 - 8 * losses / (b - a) ** 2).relu().sqrt())
chi_square.wrong("one-number", lambda losses, a, b: by_the_overlap(losses.mean(), a, b))
chi_square.wrong("mutates", lambda losses, a, b: losses.mul_(-8 / (b - a) ** 2).add_(2))
chi_square.wrong("type", lambda losses, a, b: None)

# 7 ---------------------------------------------------------------------------------------------------

sigmoid_end = Answers("lsgan.sigmoid_end")
sigmoid_end.right([0.5 * 0.25 * 1.6**2 + 0.5 * 0.4**2, 0.5 * 0.6**2, 0.5 * 0.25 + 0.5, 0])
sigmoid_end.wrong("sure-on-the-right", [0.5, 0.5, 0.625, 0.0])
sigmoid_end.wrong("share-forgotten", [1.0, 0.0, 1.0, 0.0])
sigmoid_end.wrong("value", [0.0, 0.0, 0.0, 0.0])
sigmoid_end.wrong("not-done", None)

# 8 ---------------------------------------------------------------------------------------------------

whose_divergence = Answers("lsgan.whose_divergence")
whose_divergence.right("The table says one thing and the proof another, and here is where they part. " * 10)
whose_divergence.wrong("too-short", "Yes, since the paper proves it.")
whose_divergence.wrong("not-done", "")
whose_divergence.wrong("type", 2.0)
