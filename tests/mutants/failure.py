"""Right and wrong answers of the set `failure`, chapter 4."""

import math

import torch
from torch.nn import functional as F
from torch.nn.functional import softplus

from . import Answers

# 1 ---------------------------------------------------------------------------------------------------

four_slopes = Answers("failure.four_slopes")

four_slopes.right([-1.0, -3.35e-4, -2982, -1.0])
four_slopes.wrong("flat-in-d", [-3.35e-4, -3.35e-4, -2982, -1.0], [0.0, -3.35e-4, -2982, -1.0])
four_slopes.wrong("value", [-1.0, -4.5e-5, -22026, -1.0])  # at -10, the chapter's logit
four_slopes.wrong("not-done", None)

# 2 ---------------------------------------------------------------------------------------------------

soft_d_loss = Answers("failure.soft_d_loss")
bce, bce_logits = F.binary_cross_entropy, F.binary_cross_entropy_with_logits


@soft_d_loss.right
def cross_entropy_on_logits(real_logits, fake_logits, target):
    loss = bce_logits(real_logits, torch.full_like(real_logits, target))
    return loss + bce_logits(fake_logits, torch.zeros_like(fake_logits))


@soft_d_loss.right
def two_logsigmoids(real, fake, target):
    real_part = target * F.logsigmoid(real) + (1 - target) * F.logsigmoid(-real)
    return -real_part.mean() - F.logsigmoid(-fake).mean()


@soft_d_loss.right
def stable_by_hand(a, b, t):
    def rise(x):
        return x.clamp(min=0) + x.abs().neg().exp().log1p()

    return (t * rise(-a) + (1 - t) * rise(a)).mean() + rise(b).mean()


@soft_d_loss.right
def soft_plus_and_line(a, b, t):
    return softplus(-a).mean() + (1 - t) * a.mean() + softplus(b).mean()


def as_given(real_logits, fake_logits, target):
    D_real, D_fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    loss = bce(D_real, torch.full_like(D_real, target))
    return loss + bce(D_fake, torch.zeros_like(D_fake))


def through(change):
    """Cross-entropy by hand on probabilities that are changed first."""

    def loss(real, fake, target):
        D_real, D_fake = change(real), change(fake)
        real_part = target * D_real.log() + (1 - target) * (1 - D_real).log()
        return (-real_part.mean() - (1 - D_fake).log().mean()).float()

    return loss


soft_d_loss.wrong("log-of-zero", through(torch.sigmoid))
soft_d_loss.wrong("log-of-zero", through(lambda a: torch.sigmoid(a.double())))
soft_d_loss.wrong("clamped", through(lambda a: torch.sigmoid(a).clamp(1e-6, 1 - 1e-6)))
soft_d_loss.wrong("clamped", through(lambda a: torch.sigmoid(a.clamp(-10, 10))))
soft_d_loss.wrong("clamped", through(lambda a: torch.sigmoid(a) * (1 - 2e-4) + 1e-4))


@soft_d_loss.wrong("probabilities")
def zero_where_infinite(real, fake, target):
    def log(x):
        return torch.where(x > 0, x.clamp(min=1e-30).log(), torch.full_like(x, -100.0))

    a, b = real.sigmoid(), fake.sigmoid()
    return -(target * log(a) + (1 - target) * log(1 - a)).mean() - log(1 - b).mean()


@soft_d_loss.wrong("more-digits")
def in_double_precision(real, fake, target):
    return as_given(real.double(), fake.double(), target).float()


soft_d_loss.wrong("shape", lambda a, b, t: (softplus(a) - t * a).mean(0) + softplus(b).mean(0))


@soft_d_loss.wrong("pooled-mean")
def one_long_batch(real, fake, target):
    targets = torch.cat([torch.full_like(real, target), torch.zeros_like(fake)])
    return bce_logits(torch.cat([real, fake]), targets)


soft_d_loss.wrong("no-grad", lambda a, b, t: cross_entropy_on_logits(a, b, t).detach())

# 3 ---------------------------------------------------------------------------------------------------

lost_modes = Answers("failure.lost_modes")
lost_modes.right([math.inf, 1.204, 0.342], (float("inf"), math.log(10 / 3), 0.3420))
lost_modes.wrong("finite", [10.0, 1.204, 0.342])
lost_modes.wrong("shape", [math.inf, 1.204])

# 4 ---------------------------------------------------------------------------------------------------

loss_slope = Answers("failure.loss_slope")


def normal(x, theta, std):
    return torch.exp(-((x - theta) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))


def by_autograd(integrand, detach=lambda D, frozen: D.detach() if frozen else D):
    """The derivative of an integral over the grid."""

    def slope(theta, std, data, x, frozen):
        t = torch.tensor(theta, dtype=x.dtype, requires_grad=True)
        p, q = data(x), normal(x, t, std)
        loss = (integrand(p, q, detach(p / (p + q), frozen)) * (x[1] - x[0])).sum()
        return torch.autograd.grad(loss, t)[0]

    return slope


@loss_slope.right
def with_detach(theta, std, data, x, frozen):
    return by_autograd(lambda p, q, D: -q * D.log())(theta, std, data, x, frozen)


@loss_slope.right
def finite_differences(theta, std, data, x, frozen):
    def loss(t):
        best = normal(x, theta if frozen else t, std)
        ratio = best / data(x)
        return torch.trapezoid(normal(x, t, std) * torch.log1p(ratio), x).item()

    return (loss(theta + 1e-5) - loss(theta - 1e-5)) / 2e-5


@loss_slope.right
def by_the_score(theta, std, data, x, frozen):
    p, q = data(x), normal(x, theta, std)
    score = (x - theta) / std**2
    slope = torch.trapezoid(q * score * torch.log((p + q) / p), x)
    if not frozen:  # D moves as well: d/dt (-log D) = score * (1 - D)
        slope = slope + torch.trapezoid(q * score * q / (p + q), x)
    return slope.item()


@loss_slope.right
def by_the_identity(theta, std, data, x, frozen):
    t = torch.tensor([theta], dtype=torch.float64, requires_grad=True)
    p, q = data(x), normal(x, t, std)
    m = 0.5 * (p + q)
    kl = torch.trapezoid(q * (q.log() - p.log()), x)
    js = 0.5 * torch.trapezoid(p * (p / m).log() + q * (q / m).log(), x)
    total = kl - 2 * js
    if not frozen:
        total = total + torch.trapezoid(p * (p / (p + q)).log(), x)
    return torch.autograd.grad(total, t)[0].item()


loss_slope.wrong("flag-inverted", by_autograd(lambda p, q, D: -q * D.log(), lambda D, f: D if f else D.detach()))
loss_slope.wrong("raises", by_autograd(lambda p, q, D: -q.detach() * D.log()))  # nothing is left to differentiate


@loss_slope.wrong("value")
def with_the_chapters_step(theta, std, data, x, frozen):
    return with_detach(theta, std, data, x, frozen) / (x[1] - x[0]) * 0.01


def identity(js_factor, forward=False):
    """Where D rests: KL and a multiple of the JSD."""

    def slope(theta, std, data, x, frozen):
        if not frozen:
            return with_detach(theta, std, data, x, frozen)
        t = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
        p, q = data(x), normal(x, t, std)
        m = (p + q) / 2
        kl = torch.trapezoid(p * (p / q).log() if forward else q * (q / p).log(), x)
        js = torch.trapezoid(p * (p / m).log() + q * (q / m).log(), x) / 2
        return torch.autograd.grad(kl + js_factor * js, t)[0].item()

    return slope


loss_slope.wrong("jsd-once", identity(-1))
loss_slope.wrong("forward-kl", identity(-2, forward=True))

# 5 ---------------------------------------------------------------------------------------------------

divergence_loss = Answers("failure.divergence_loss")


def chosen(forward=lambda a: -a.exp(), reverse=lambda a: -a, js=lambda a: -0.5 * softplus(a), total=torch.mean):
    """A loss for each word."""
    return lambda fake_logits, divergence: total(
        {"forward": forward, "reverse": reverse, "js": js}[divergence](fake_logits)
    )


@divergence_loss.right
def three_branches(fake_logits, divergence):
    if divergence == "forward":
        return -torch.exp(fake_logits).mean()
    if divergence == "reverse":
        return -fake_logits.mean()
    return 0.5 * F.logsigmoid(-fake_logits).mean()


@divergence_loss.right
def through_probabilities(fake_logits, divergence):
    D = torch.sigmoid(fake_logits)
    ratio = D / (1 - D)
    if divergence == "forward":
        return -ratio.mean()
    return -ratio.log().mean() if divergence == "reverse" else torch.log(1 - D).mean() / 2


@divergence_loss.right
def with_constants(a, divergence):
    losses = {"forward": 1 - a.exp(), "reverse": 3 - a, "js": (math.log(2) - softplus(a)) / 2}
    return losses[divergence].mean()


@divergence_loss.right
def weighted_logits(a, divergence):  # only the slope counts
    weights = {"forward": a.exp(), "reverse": torch.ones_like(a), "js": a.sigmoid() / 2}
    return -(weights[divergence].detach() * a).mean()


divergence_loss.wrong("sign", chosen(lambda a: a.exp(), lambda a: a, lambda a: softplus(a) / 2))
divergence_loss.wrong("two-jsd", chosen(js=lambda a: F.logsigmoid(-a)))
divergence_loss.wrong("nonsaturating-js", chosen(js=lambda a: -F.logsigmoid(a)))
divergence_loss.wrong("shape", chosen(total=lambda loss: loss))
divergence_loss.wrong("gradient", chosen(js=lambda a: softplus(-a) / 2))
divergence_loss.wrong("type", lambda a, divergence: three_branches(a, divergence).item())

# 6 ---------------------------------------------------------------------------------------------------

best_gaussian = Answers("failure.best_gaussian")


def moments(data, x):
    weight = data(x) / data(x).sum()
    mean = (weight * x).sum()
    return mean, ((weight * x**2).sum() - mean**2).sqrt()


def reverse_kl(mean, std, data, x, entropy=True):
    q = normal(x, mean, std)
    inner = q * ((q + 1e-300).log() * entropy - data(x).log())
    return torch.trapezoid(inner, x)


def descend(data, x, start, steps=250, entropy=True):
    """Adam from one start: (KL, mean, std)."""
    mean = torch.tensor(float(start[0]), dtype=torch.float64, requires_grad=True)
    log_std = torch.tensor(math.log(start[1]), dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([mean, log_std], lr=0.04)
    for _ in range(steps):
        loss = reverse_kl(mean, log_std.exp(), data, x, entropy)
        adam.zero_grad()
        loss.backward()
        adam.step()
    return loss.item(), mean.item(), log_std.exp().item()


def search(data, x):
    means, stds = torch.linspace(-5, 5, 81), torch.linspace(0.4, 4, 73)
    found = [(reverse_kl(m, s, data, x).item(), m.item(), s.item()) for m in means[::4] for s in stds[::4]]
    _, m0, s0 = min(found)
    near = [(m0 + i * 0.0625, s0 + j * 0.05) for i in range(-8, 9) for j in range(-4, 5) if s0 + j * 0.05 > 0.1]
    return min((reverse_kl(m, s, data, x).item(), m, s) for m, s in near)[1:]


@best_gaussian.right
def adam_from_three_starts(data, x, order):
    if order == "forward":
        return moments(data, x)
    return min(descend(data, x, start) for start in ((-3, 1), (0, 2), (3, 1)))[1:]


@best_gaussian.right
def search_on_a_grid(data, x, order):
    p = data(x)
    if order == "forward":
        mean = torch.trapezoid(p * x, x).item()
        return [mean, torch.trapezoid(p * (x - mean) ** 2, x).item() ** 0.5]
    return search(data, x)


@best_gaussian.right
def as_a_tensor(data, x, order):
    if order == "forward":
        return torch.stack(moments(data, x)).float()
    starts = [(x[i].item(), 0.7) for i in data(x).topk(1).indices] + [(m.item(), 1.2) for m in x[150:451:150]]
    return torch.tensor(min(descend(data, x, start, 200) for start in starts)[1:])


def with_reverse(fit):
    return lambda data, x, order: moments(data, x) if order == "forward" else fit(data, x)


@best_gaussian.wrong("orders-swapped")
def other_way_round(data, x, order):
    return moments(data, x) if order == "reverse" else search(data, x)


best_gaussian.wrong("forward-twice", lambda data, x, order: moments(data, x))
best_gaussian.wrong("reverse-twice", lambda data, x, order: search(data, x))
best_gaussian.wrong("local-optimum", with_reverse(lambda data, x: descend(data, x, (3.0, 1.0))[1:]))
best_gaussian.wrong("local-optimum", with_reverse(lambda data, x: descend(data, x, (-3.0, 1.0))[1:]))
best_gaussian.wrong("point", with_reverse(lambda data, x: descend(data, x, (x[data(x).argmax()], 1.0), 400, False)[1:]))


@best_gaussian.wrong("always-one-mode")
def the_highest_peak(data, x, order):
    if order == "forward":
        return moments(data, x)
    top = data(x).argmax()
    return x[top].item(), (1 / (data(x)[top] * math.sqrt(2 * math.pi))).item() * 0.7


@best_gaussian.wrong("variance")
def with_variance(data, x, order):
    mean, std = search_on_a_grid(data, x, order)
    return mean, std**2


@best_gaussian.wrong("not-centred")
def second_moment(data, x, order):
    if order == "reverse":
        return search(data, x)
    mean, _ = moments(data, x)
    return mean, (data(x) * x**2).sum().mul(x[1] - x[0]).sqrt()


best_gaussian.wrong("shape", with_reverse(lambda data, x: min([(0.0, *search(data, x))])))
best_gaussian.wrong("type", lambda data, x, order: moments(data, x)[0])

# 7 ---------------------------------------------------------------------------------------------------

mode_report = Answers("failure.mode_report")


def given(p=1, radius=False, own=False):
    """The given code, with some of its three bugs left."""

    def report(points, centres, stds):
        distance = torch.cdist(points, centres, p=p)
        closest, nearest = distance.min(dim=1)
        good = closest <= 3 * (stds[nearest] if own else stds.mean())
        modes = len(nearest[good].unique()) if radius else len(nearest.unique())
        return modes, good.float().mean()

    return report


@mode_report.right
def by_differences(points, centres, stds):
    distance = (points[:, None, :] - centres).square().sum(dim=-1).sqrt()
    nearest = distance.argmin(dim=1)
    good = distance.gather(1, nearest[:, None])[:, 0] <= 3 * stds[nearest]
    hits = torch.bincount(nearest[good], minlength=len(centres))
    return int((hits > 0).sum()), float(good.double().mean())


@mode_report.right
def squares_on_both_sides(points, centres, stds):
    squared = ((points.unsqueeze(1) - centres.unsqueeze(0)) ** 2).sum(2)
    best = squared.min(1)
    good = best.values <= 9 * stds[best.indices] ** 2
    return best.indices[good].unique().numel(), good.sum() / len(points)


@mode_report.right
def in_a_loop(points, centres, stds):
    hit, good = set(), 0
    for point in points:
        distances = [math.dist(point.tolist(), centre.tolist()) for centre in centres]
        i = min(range(len(centres)), key=distances.__getitem__)
        if distances[i] <= 3 * stds[i].item():
            hit.add(i)
            good += 1
    return len(hit), good / len(points)


mode_report.right(given(2, True, True))
mode_report.wrong("l1-metric-and-no-radius-and-one-radius", given())
mode_report.wrong("one-radius", given(p=2, radius=True))
mode_report.wrong("value", lambda points, centres, stds: by_differences(points, centres, 1.05 * stds))


@mode_report.wrong("squared")
def only_one_side_squared(points, centres, stds):
    best = ((points[:, None] - centres[None]) ** 2).sum(-1).min(dim=1)
    good = best.values < 3 * stds[best.indices]
    return len(best.indices[good].unique()), good.double().mean()


@mode_report.wrong("share-of-modes")
def modes_over_k(points, centres, stds):
    modes = by_differences(points, centres, stds)[0]
    return modes, modes / len(centres)


mode_report.wrong("order", lambda points, centres, stds: by_differences(points, centres, stds)[::-1])

# 8 ---------------------------------------------------------------------------------------------------

cause = Answers("failure.cause")
cause.right("The table says that rates decide, and here is why I think so. " * 12)
cause.wrong("too-short", "The reverse KL, as everybody knows.")
cause.wrong("not-done", "")
cause.wrong("type", 8.0)
