"""Right and wrong answers of the set `wgan`, chapter 8."""

import math

import numpy as np
import torch
from torch import nn

from . import Answers

# 1 ---------------------------------------------------------------------------------------------------

w1_line = Answers("wgan.w1_line")


@w1_line.right
def with_scipy(x, y):
    from scipy.stats import wasserstein_distance

    return wasserstein_distance(x.numpy(), y.numpy())


@w1_line.wrong("value")
def each_place_once(x, y):
    return with_scipy(x.unique(), y.unique())


@w1_line.right
def repeated_to_equal_numbers(x, y):
    """As many copies of each sample as the other side has samples."""
    a = x.sort().values.repeat_interleave(len(y))
    b = y.sort().values.repeat_interleave(len(x))
    return (a - b).abs().mean()


@w1_line.right
def greedy(x, y):
    """Carry mass from left to right."""
    x, y = sorted(x.tolist()), sorted(y.tolist())
    i = j = cost = 0
    left, right = 1 / len(x), 1 / len(y)
    while i < len(x) and j < len(y):
        moved = min(left, right)
        cost += moved * abs(x[i] - y[j])
        left, right = left - moved, right - moved
        if left < 1e-12:
            i, left = i + 1, 1 / len(x)
        if right < 1e-12:
            j, right = j + 1, 1 / len(y)
    return torch.tensor(cost)


@w1_line.right
def signed_steps(x, y):
    """Walk over all places; each x raises F by 1/n, each y lowers it by 1/m."""
    places = torch.cat([x, y])
    steps = torch.cat([torch.full_like(x, 1 / len(x)), torch.full_like(y, -1 / len(y))])
    order = places.argsort()
    return (steps[order].cumsum(0)[:-1].abs() * places[order].diff()).sum()


@w1_line.wrong("cut-off")
def zipped(x, y):
    pairs = list(zip(sorted(x.tolist()), sorted(y.tolist()), strict=False))
    return sum(abs(a - b) for a, b in pairs) / len(pairs)


@w1_line.wrong("means")
def expected_difference(x, y):
    return torch.abs(torch.mean(x) - torch.mean(y)).item()


@w1_line.wrong("interpolated")
def by_quantiles(x, y):
    q = np.linspace(0, 1, 101)
    return float(np.abs(np.quantile(x.numpy(), q) - np.quantile(y.numpy(), q)).mean())


@w1_line.wrong("equal-only")
def stretched(x, y):
    """The shorter one is stretched by picking."""
    k = max(len(x), len(y))
    x, y = (v.sort().values[torch.arange(k) * len(v) // k] for v in (x, y))
    return (x - y).abs().mean()


@w1_line.wrong("mutates")
def sorts_in_place(x, y):
    x.copy_(x.sort().values)
    return signed_steps(x, y)


@w1_line.wrong("raises")
def assumes_equal_numbers(x, y):
    return (x.sort().values - y.sort().values).abs().mean()


# 2 ---------------------------------------------------------------------------------------------------

bounds = Answers("wgan.bounds")


@bounds.right
def in_loops(x, p, y, q, plan, f_x, f_y):
    places, f = torch.cat([x, y]).tolist(), torch.cat([f_x, f_y]).tolist()
    K = 0.0
    for i in range(len(f)):
        for j in range(i):
            K = max(K, abs(f[i] - f[j]) / math.dist(places[i], places[j]))
    value = sum(a * b for a, b in zip(p.tolist(), f_x.tolist(), strict=True))
    value -= sum(a * b for a, b in zip(q.tolist(), f_y.tolist(), strict=True))
    upper = 0.0
    for i in range(len(p)):
        for j in range(len(q)):
            upper += plan[i, j].item() * math.dist(x[i].tolist(), y[j].tolist())
    for sums, masses in ((plan.sum(1), p), (plan.sum(0), q)):
        if (sums - masses).abs().max() > 1e-6:
            upper = math.inf
    if plan.min() < 0:
        upper = math.inf
    return (value / K if K else 0.0), upper


@bounds.right
def with_pdist(x, p, y, q, plan, f_x, f_y):
    places, f = torch.cat([x, y]), torch.cat([f_x, f_y])
    K = (torch.pdist(f[:, None]) / torch.pdist(places)).max()
    lower = torch.tensor(0.0) if K == 0 else ((p * f_x).sum() - (q * f_y).sum()) / K
    off = torch.cat([plan.sum(dim=1) - p, plan.sum(dim=0) - q, plan.clamp(max=0).flatten()]).abs().max()
    cost = torch.einsum("ij,ij->", plan, (x[:, None] - y).norm(dim=-1))
    return [lower, cost if off < 1e-8 else math.inf]


@bounds.right
def fills_nan(x, p, y, q, plan, f_x, f_y):
    places, f = torch.cat([x, y]), torch.cat([f_x, f_y])
    slopes = ((f[:, None] - f[None]).abs() / (places[:, None] - places[None]).norm(dim=-1)).nan_to_num(nan=0.0)
    lower = ((p @ f_x - q @ f_y) / slopes.max()) if slopes.any() else torch.zeros(())
    ok = torch.isclose(plan.sum(1), p).all() and torch.isclose(plan.sum(0), q).all() and not (plan < -1e-12).any()
    return lower, (plan * torch.cdist(x, y)).sum() if ok else torch.tensor(float("inf"))


@bounds.wrong("value")
def only_too_much_is_wrong(x, p, y, q, plan, f_x, f_y):
    too_much = (plan.sum(1) - p).max() > 1e-8 or (plan.sum(0) - q).max() > 1e-8 or (plan < 0).any()
    cost = (plan * torch.cdist(x, y)).sum()
    return in_loops(x, p, y, q, plan, f_x, f_y)[0], math.inf if too_much else cost


@bounds.wrong("value")
def roughly_a_plan(x, p, y, q, plan, f_x, f_y):
    fits = torch.allclose(plan.sum(1), p, atol=1e-3) and torch.allclose(plan.sum(0), q, atol=1e-3)
    cost = (plan * torch.cdist(x, y)).sum() if fits and plan.min() >= 0 else math.inf
    return in_loops(x, p, y, q, plan, f_x, f_y)[0], cost


@bounds.wrong("value")
def in_the_plane(x, p, y, q, plan, f_x, f_y):
    return in_loops(x[:, :2], p, y[:, :2], q, plan, f_x, f_y)


@bounds.wrong("not-divided")
def takes_the_value(x, p, y, q, plan, f_x, f_y):
    return (p * f_x).sum() - (q * f_y).sum(), with_pdist(x, p, y, q, plan, f_x, f_y)[1]


@bounds.wrong("anything-goes")
def never_asks(x, p, y, q, plan, f_x, f_y):
    return with_pdist(x, p, y, q, plan, f_x, f_y)[0], (plan * torch.cdist(x, y)).sum()


@bounds.wrong("value")
def total_mass_only(x, p, y, q, plan, f_x, f_y):
    ok = abs(float(plan.sum()) - 1) < 1e-6 and bool((plan >= 0).all())
    cost = torch.tensor(math.inf) if not ok else 2 * (plan * torch.cdist(x, y)).sum()
    return with_pdist(x, p, y, q, plan, f_x, f_y)[0], cost


@bounds.wrong("total-only")
def mass_and_signs(x, p, y, q, plan, f_x, f_y):
    ok = abs(float(plan.sum()) - 1) < 1e-6 and bool((plan >= 0).all())
    cost = (plan * torch.cdist(x, y)).sum() if ok else math.inf
    return with_pdist(x, p, y, q, plan, f_x, f_y)[0], cost


@bounds.wrong("cross-only")
def pairs_of_the_plan(x, p, y, q, plan, f_x, f_y):
    K = ((f_x[:, None] - f_y[None]).abs() / (x[:, None] - y[None]).norm(dim=-1)).max()
    lower = (p @ f_x - q @ f_y) / K if K > 0 else 0.0
    return lower, with_pdist(x, p, y, q, plan, f_x, f_y)[1]


@bounds.wrong("constant-nan")
def divides_zero(x, p, y, q, plan, f_x, f_y):
    places, f = torch.cat([x, y]), torch.cat([f_x, f_y])
    K = (torch.pdist(f[:, None]) / torch.pdist(places)).max()
    return (p @ f_x - q @ f_y - 0 * f_x[0]).round(decimals=12) / K, with_pdist(x, p, y, q, plan, f_x, f_y)[1]


bounds.wrong("type", lambda *args: with_pdist(*args)[0])

# 3 ---------------------------------------------------------------------------------------------------

critic_losses = Answers("wgan.critic_losses")


@critic_losses.right
def two_means(real, fake):
    return fake.mean() - real.mean(), -fake.mean()


@critic_losses.right
def minus_the_estimate(real, fake):
    estimate = real.sum() / real.numel() - fake.sum() / fake.numel()
    return [-estimate, -torch.mean(fake)]


@critic_losses.right
def one_weighted_sum(real, fake):
    scores = torch.cat([real, fake]).squeeze(1)
    weights = torch.cat([torch.full((len(real),), -1 / len(real)), torch.full((len(fake),), 1 / len(fake))])
    return torch.dot(scores, weights), fake.mean().neg()


critic_losses.wrong("no-grad", lambda real, fake: (fake.mean() - real.mean(), -fake.mean().detach()))
critic_losses.wrong("no-grad", lambda real, fake: two_means(real, fake.detach()))
critic_losses.wrong("estimate", lambda real, fake: (real.mean() - fake.mean(), -fake.mean()))
critic_losses.wrong("both-turned", lambda real, fake: (torch.mean(real) - torch.mean(fake), torch.mean(fake)))
critic_losses.wrong("no-grad", lambda real, fake: tuple(loss.detach() for loss in two_means(real, fake)))
critic_losses.wrong("no-grad", lambda real, fake: tuple(loss.item() for loss in two_means(real, fake)))
critic_losses.wrong("type", lambda real, fake: fake.mean() - real.mean())


@critic_losses.wrong("value")
def one_batch_size(real, fake):
    return (fake.sum() - real.sum()) / len(real), -fake.mean()


# 4 ---------------------------------------------------------------------------------------------------

clip_weights = Answers("wgan.clip_weights")


@clip_weights.right
def under_no_grad(D, c):
    outside = total = 0
    with torch.no_grad():
        for w in D.parameters():
            outside += int((w < -c).sum()) + int((w > c).sum())
            total += w.numel()
            w.clamp_(-c, c)
    return outside / total


@clip_weights.right
def by_data(D, c):
    shares = [(w.data.abs() > c).flatten() for w in D.parameters()]
    for w in D.parameters():
        w.data = torch.minimum(torch.maximum(w.data, torch.tensor(-c)), torch.tensor(c))
    return torch.cat(shares).double().mean()


@clip_weights.right
def as_one_vector(D, c):
    flat = nn.utils.parameters_to_vector(D.parameters()).detach()
    clipped = flat.clip(-c, c)
    nn.utils.vector_to_parameters(clipped, D.parameters())
    return (clipped != flat).sum() / flat.numel()


@clip_weights.right
@torch.no_grad()
def compares_before_and_after(D, c):
    before = [w.clone() for w in D.parameters()]
    torch._foreach_clamp_min_(list(D.parameters()), -c)
    torch._foreach_clamp_max_(list(D.parameters()), c)
    moved = [(old != w).float() for old, w in zip(before, D.parameters(), strict=True)]
    return torch.cat([m.reshape(-1) for m in moved]).mean().item()


@clip_weights.wrong("not-clipped")
def forgets_to_store(D, c):
    share = torch.cat([(w.abs() > c).flatten() for w in D.parameters()]).float().mean()
    for w in D.parameters():
        w = w.clamp(-c, c)  # noqa: PLW2901
    return share


@clip_weights.wrong("no-biases")
@torch.no_grad()
def only_weights(D, c):
    share = torch.cat([(w.abs() > c).flatten() for w in D.parameters()]).float().mean()
    for module in D.modules():
        if isinstance(module, nn.Linear):
            module.weight.clamp_(-c, c)
    return share


@clip_weights.wrong("buffers-too")
@torch.no_grad()
def the_whole_state(D, c):
    share = under_no_grad(D, c)
    for stored in D.state_dict().values():
        if stored.is_floating_point():
            stored.clamp_(-c, c)
    return share


@clip_weights.wrong("value")
def looks_afterwards(D, c):
    under_no_grad(D, c)
    return torch.cat([(w.abs() > c).flatten() for w in D.parameters()]).float().mean()


@clip_weights.wrong("border-outside")
def counts_what_lies_at_the_ends(D, c):
    outside = total = 0
    for w in D.parameters():
        w.data.clamp_(-c, c)
        outside, total = outside + int((w.abs() == c).sum()), total + w.numel()
    return outside / total


@clip_weights.wrong("state")
def in_double_precision(D, c):
    share = under_no_grad(D, c)
    D.double()
    return share


@clip_weights.wrong("raises")
def layers_of_a_list(D, c):
    for layer in D:
        for w in layer.parameters():
            w.data.clamp_(-c, c)
    return 0.5


@clip_weights.wrong("state")
def the_modules_that_it_holds(D, c):
    share = torch.cat([(w.abs() > c).flatten() for w in D.parameters()]).float().mean()
    for part in D.children():
        for w in part.parameters():
            w.data.clamp_(-c, c)
    return share


@clip_weights.wrong("weights-only")
def all_that_is_called_weight(D, c):
    share = torch.cat([(w.abs() > c).flatten() for w in D.parameters()]).float().mean()
    for name, w in D.named_parameters():
        if "weight" in name:
            w.data.clamp_(-c, c)
    return share


@clip_weights.wrong("state")
def freezes_what_it_clips(D, c):
    for w in D.parameters():
        w.requires_grad = False
    return under_no_grad(D, c)


@clip_weights.wrong("state")
def with_new_parameters(D, c):
    share = torch.cat([(w.abs() > c).flatten() for w in D.parameters()]).float().mean()
    for module in D:
        for name, w in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(w.detach().clamp(-c, c)))
    return share


@clip_weights.wrong("raises")
def with_a_graph(D, c):
    for w in D.parameters():
        w.clamp_(-c, c)
    return 0.5


# 5 ---------------------------------------------------------------------------------------------------

critic_steps = Answers("wgan.critic_steps")


@critic_steps.right
def as_in_the_paper(D, optimizer, reals, fakes, c):
    estimates = []
    for t in range(len(reals)):
        optimizer.zero_grad()
        loss = D(fakes[t]).mean() - D(reals[t]).mean()
        loss.backward()
        optimizer.step()
        for w in D.parameters():
            w.data.clamp_(-c, c)
        estimates.append(-loss.item())
    return estimates


@critic_steps.right
def two_backwards(D, optimizer, reals, fakes, c):
    """One backward() for each batch, with opposite signs, as the authors' program does."""
    told = []
    for x, fake in zip(reals, fakes, strict=True):
        D.zero_grad()
        on_data, on_fakes = D(x).mean(), D(fake).mean()
        on_data.backward(torch.tensor(-1.0))
        on_fakes.backward(torch.tensor(1.0))
        optimizer.step()
        under_no_grad(D, c)
        told.append(on_data.item() - on_fakes.item())
    return told


@critic_steps.right
def sets_gradients(D, optimizer, reals, fakes, c):
    parameters, told = list(D.parameters()), []
    for x, fake in zip(reals, fakes, strict=True):
        estimate = D(x).mean() - D(fake).mean()
        for w, slope in zip(parameters, torch.autograd.grad(estimate, parameters), strict=True):
            w.grad = -slope
        optimizer.step()
        with torch.no_grad():
            for w in parameters:
                w.copy_(w.clamp(min=-c, max=c))
        told.append(estimate.detach())
    return torch.stack(told)


@critic_steps.right
def together(D, optimizer, reals, fakes, c):
    """Both batches through the critic at once; nothing in it mixes samples."""
    told = []
    for x, fake in zip(reals, fakes, strict=True):
        scores = D(torch.cat([x, fake]))
        loss = scores[len(x) :].mean() - scores[: len(x)].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        under_no_grad(D, c)
        told += [-loss.item()]
    return tuple(told)


def moves(D, optimizer, x, fake, c=math.inf, sign=1):
    optimizer.zero_grad()
    loss = sign * (D(fake).mean() - D(x).mean())
    loss.backward()
    optimizer.step()
    under_no_grad(D, c)
    return -sign * loss.item()


@critic_steps.wrong("state")
def freezes_the_critic_for_g(D, optimizer, reals, fakes, c):
    told = as_in_the_paper(D, optimizer, reals, fakes, c)
    D.requires_grad_(False)
    return told


@critic_steps.wrong("value")
def clears_afterwards(D, optimizer, reals, fakes, c):
    told = []
    for x, fake in zip(reals, fakes, strict=True):
        estimate = D(x).mean() - D(fake).mean()
        (-estimate).backward()
        optimizer.step()
        optimizer.zero_grad()
        under_no_grad(D, c)
        told.append(estimate.item())
    return told


critic_steps.wrong("swapped", lambda D, optimizer, reals, fakes, c: as_in_the_paper(D, optimizer, fakes, reals, c))


@critic_steps.wrong("value")
def keeps_the_graph(D, optimizer, reals, fakes, c):
    told = []
    for x, fake in zip(reals, fakes, strict=True):
        told.append(D(x).mean() - D(fake).mean())
        optimizer.zero_grad()
        (-told[-1]).backward()
        optimizer.step()
        under_no_grad(D, c)
    return told


@critic_steps.wrong("descends")
def wrong_way(D, optimizer, reals, fakes, c):
    return [moves(D, optimizer, x, fake, c, -1) for x, fake in zip(reals, fakes, strict=True)]


@critic_steps.wrong("not-clipped")
def new_tensors(D, optimizer, reals, fakes, c):
    told = []
    for x, fake in zip(reals, fakes, strict=True):
        told.append(moves(D, optimizer, x, fake))
        for w in D.parameters():
            torch.clamp(w, -c, c)
    return told


@critic_steps.wrong("clips-once")
def at_the_end(D, optimizer, reals, fakes, c):
    told = [moves(D, optimizer, x, fake) for x, fake in zip(reals, fakes, strict=True)]
    under_no_grad(D, c)
    return told


@critic_steps.wrong("shape")
def k_is_never_used(D, optimizer, reals, fakes, c):
    return [moves(D, optimizer, reals[0], fakes[0], c)]


@critic_steps.wrong("state")
def exchanges_the_parameters(D, optimizer, reals, fakes, c):
    """New parameters, of which the optimiser knows nothing."""
    told = []
    for x, fake in zip(reals, fakes, strict=True):
        told.append(moves(D, optimizer, x, fake))
        for module in D:
            for name, w in list(module.named_parameters()):
                setattr(module, name, nn.Parameter(w.detach().clamp(-c, c)))
    return told


# 6 and 7 ---------------------------------------------------------------------------------------------

parallel_lines = Answers("wgan.parallel_lines")
parallel_lines.right([0.25, -1, 0.693, 0, 1])
parallel_lines.wrong("bits", [0.25, -1, 1.0, 0.0, 1.0])
parallel_lines.wrong("value", [0.25, -1, 0.5, 0, 1])
parallel_lines.wrong("not-done", None)

clipped = Answers("wgan.clipped")
clipped.right([0.0819, 81.92, 0.1342, 5.0, 3.0])
clipped.wrong("linear-in-c", [0.0819, 0.819, 0.1342, 5, 3])
clipped.wrong("sign", [0.0819, 81.92, 0.1342, 5.0, -3.0])
clipped.wrong("value", [0.0819, 81.92, 0.5, 5.0, 3.0])

# 8 ---------------------------------------------------------------------------------------------------

only_a_unit = Answers("wgan.only_a_unit")
only_a_unit.right("Both rows of one ratio are alike, and here is what that says about c. " * 10)
only_a_unit.wrong("too-short", "Yes, as everybody knows.")
only_a_unit.wrong("not-done", "")
only_a_unit.wrong("type", 0.01)
