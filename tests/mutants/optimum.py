"""Right and wrong answers of the set `optimum`, chapter 3."""

import math

import torch
from torch.nn import functional as F

from . import Answers

# 1 The lemma -----------------------------------------------------------------------------------------

best_answer = Answers("optimum.best_answer")


@best_answer.right
def by_cases(a, b):
    y = torch.full_like(a, 0.5)
    proper = (a >= 0) & (b >= 0) & (a + b > 0)
    y[proper] = a[proper] / (a + b)[proper]
    y[(a >= 0) & (b < 0)] = 1
    y[(a < 0) & (b >= 0)] = 0
    return y


@best_answer.right
def clamp_both(a, b):
    """Only the sign of a negative one matters, and it leaves the other side to win."""
    p, q = a.clamp(min=0), b.clamp(min=0)
    p, q = torch.where((p + q == 0) & (b < 0), p + 1, p), torch.where((p + q == 0) & (a < 0), q + 1, q)
    total = p + q
    return torch.where(total == 0, 0.5, p / torch.where(total == 0, 1.0, total))


@best_answer.right
def number_by_number(a, b):
    def best(s, t):
        if (s < 0 and t < 0) or (s == 0 and t == 0):
            return 0.5
        if s < 0:
            return 0.0
        if t < 0:
            return 1.0
        return s / (s + t)

    flat = [best(s, t) for s, t in zip(a.reshape(-1).tolist(), b.reshape(-1).tolist(), strict=True)]
    return torch.tensor(flat).reshape(a.shape)


best_answer.wrong("formula-everywhere", lambda a, b: a / (a + b))
best_answer.wrong("formula-everywhere", lambda a, b: torch.nan_to_num(a / (a + b), nan=0.5))
best_answer.wrong("sides-swapped", lambda a, b: 1 - by_cases(a, b))
best_answer.wrong("label-for-probability", lambda a, b: torch.where(a > b, 1.0, 0.0))
best_answer.wrong("density-as-probability", lambda a, b: a.clip(0, 1))
best_answer.wrong("difference", lambda a, b: 1 / (1 + torch.exp(b - a)))
best_answer.wrong("odds", lambda a, b: (a / b).clamp(0, 1))
best_answer.wrong("epsilon", lambda a, b: a / (a + b + 1e-8))
best_answer.wrong("epsilon", lambda a, b: by_cases(a.abs() + 1e-12, b.abs() + 1e-12))
best_answer.wrong("clamped", lambda a, b: torch.nan_to_num(a / (a + b), nan=0.5).clamp(0, 1))


@best_answer.wrong("undecided")
def half_unless_densities(a, b):
    return torch.where((a >= 0) & (b >= 0) & (a + b > 0), a / (a + b), 0.5)


@best_answer.wrong("ends-swapped")
def wrong_end(a, b):
    y = by_cases(a, b)
    return torch.where((a < 0) != (b < 0), 1 - y, y)


@best_answer.wrong("minimum")
def formula_for_two_negative(a, b):
    y = by_cases(a, b)
    return torch.where((a < 0) & (b < 0), a / (a + b), y)


@best_answer.wrong("one-end")
def one_for_two_negative(a, b):
    return torch.where((a < 0) & (b < 0), 1.0, by_cases(a, b))


@best_answer.wrong("no-mass")
def nan_without_mass(a, b):
    return torch.where((a == 0) & (b == 0), a / (a + b), by_cases(a, b))


best_answer.wrong("no-mass", lambda a, b: torch.where((a == 0) & (b == 0), 0.0, by_cases(a, b)))


@best_answer.wrong("mutates")
def writes_into_a(a, b):
    y = by_cases(a, b)
    a.clamp_(min=0)
    return y


# 2 The law of c·z² -----------------------------------------------------------------------------------

square_density = Answers("optimum.square_density")


def on_positive(formula):
    def density(x, p_z, c):
        out = torch.zeros_like(x)
        out[x > 0] = formula(x[x > 0], p_z, c)
        return out

    return density


@square_density.right
def two_roots(x, p_z, c):
    out = torch.zeros_like(x)
    seen = x[x > 0]
    z = torch.sqrt(seen / c)
    out[x > 0] = (p_z(z) + p_z(-z)) / (2 * c * z)
    return out


@square_density.right
def root_of_cx(x, p_z, c):
    safe = torch.where(x > 0, x, torch.ones_like(x))
    root = (safe / c) ** 0.5
    return torch.where(x > 0, (p_z(root) + p_z(-root)) / (2 * (c * safe) ** 0.5), torch.zeros_like(x))


@square_density.right
def by_autograd(x, p_z, c):
    """Change of variables on each branch, with the slope of the inverse from autograd."""
    total = torch.zeros_like(x)
    for sign in (1, -1):
        inside = x[x > 0].clone().requires_grad_()
        z = sign * (inside / c).sqrt()
        (slope,) = torch.autograd.grad(z.sum(), inside)
        total[x > 0] += p_z(z.detach()) * slope.abs()
    return total


square_density.wrong("forward", lambda x, p_z, c: p_z(c * x * x))
square_density.wrong("one-root", on_positive(lambda x, p, c: p((x / c).sqrt()) / (2 * (c * x).sqrt())))
square_density.wrong("negative-root", on_positive(lambda x, p, c: p(-(x / c).sqrt()) / (2 * (c * x).sqrt())))
square_density.wrong("symmetric", on_positive(lambda x, p, c: 2 * p((x / c).sqrt()) / (2 * (c * x).sqrt())))
square_density.wrong("c-forgotten", on_positive(lambda x, p, c: (p(x.sqrt()) + p(-x.sqrt())) / (2 * x.sqrt())))
square_density.wrong("c-in-slope-only", on_positive(lambda x, p, c: (p(x.sqrt()) + p(-x.sqrt())) / (2 * c * x.sqrt())))


@square_density.wrong("slope-upside-down")
def times_the_slope(x, p_z, c):
    z = torch.sqrt(x.clamp(min=0) / c)
    return (p_z(z) + p_z(-z)) * 2 * c * z * (x > 0)


@square_density.wrong("signed-slope")
def slopes_with_sign(x, p_z, c):
    z = torch.sqrt(x.clamp(min=1e-9) / c)
    return torch.where(x > 0, p_z(z) / (2 * c * z) + p_z(-z) / (2 * c * -z), 0.0)


@square_density.wrong("slope-of-root")
def derivative_without_two(x, p_z, c):
    z = torch.sqrt(x.clamp(min=1e-9) / c)
    return torch.where(x > 0, (p_z(z) + p_z(-z)) / (c * z), 0.0)


@square_density.wrong("c-in-root-only")
def slope_of_a_square(x, p_z, c):
    z = torch.sqrt(x.clamp(min=1e-9) / c)
    return torch.where(x > 0, (p_z(z) + p_z(-z)) / (2 * z), 0.0)


@square_density.wrong("averaged")
def mean_of_two(x, p_z, c):
    return two_roots(x, p_z, c) / 2


@square_density.wrong("below-zero")
def nan_below_zero(x, p_z, c):
    z = torch.sqrt(x / c)
    return (p_z(z) + p_z(-z)) / (2 * c * z)


@square_density.wrong("below-zero")
def mirrored_below_zero(x, p_z, c):
    return two_roots(x.abs(), p_z, c)


square_density.wrong("shape", lambda x, p_z, c: two_roots(x, p_z, c)[x > 0])

# 3 A loss as printed ---------------------------------------------------------------------------------

value_loss = Answers("optimum.value_loss")


@value_loss.right
def logs_of_probabilities(D, G, x, z):
    real = torch.sigmoid(D(x))
    fake = 1 - torch.sigmoid(D(G(z)))
    return -(torch.log(real).mean() + torch.log(fake).mean())


@value_loss.right
def softplus(D, G, x, z):
    return F.softplus(-D(x)).mean() + F.softplus(D(G(z))).mean()


@value_loss.right
def cross_entropies(D, G, x, z):
    real, fake = D(x), D(G(z))
    loss = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    return loss + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))


def printed(D, G, x, z, *, logs=False, noise=False, minus=False):
    """The printed formula, with some of its bugs repaired."""
    real = torch.sigmoid(D(x))
    fake = 1 - torch.sigmoid(D(G(z if noise else x)))
    if logs:
        real, fake = real.log(), fake.log()
    value = real.mean() + fake.mean()
    return -value if minus else value


def repaired(**done):
    return lambda D, G, x, z: printed(D, G, x, z, **done)


value_loss.wrong("minus-and-logs-and-noise", repaired())
value_loss.wrong("minus-and-noise", repaired(logs=True))
value_loss.wrong("minus-and-logs", repaired(noise=True))
value_loss.wrong("logs-and-noise", repaired(minus=True))
value_loss.wrong("minus", repaired(logs=True, noise=True))
value_loss.wrong("noise", repaired(logs=True, minus=True))
value_loss.wrong("logs", repaired(noise=True, minus=True))
value_loss.wrong("halved", lambda D, G, x, z: softplus(D, G, x, z) / 2)
value_loss.wrong("summed", lambda D, G, x, z: F.softplus(-D(x)).sum() + F.softplus(D(G(z))).sum())
value_loss.wrong("pooled", lambda D, G, x, z: F.softplus(torch.cat([-D(x), D(G(z))])).mean())
value_loss.wrong("no-generator", lambda D, G, x, z: F.softplus(-D(x)).mean() + F.softplus(D(z)).mean())
value_loss.wrong("generator-term", lambda D, G, x, z: F.softplus(-D(x)).mean() + F.softplus(-D(G(z))).mean())
value_loss.wrong("joint-value", lambda D, G, x, z: F.softplus(-D(x)).mean() - F.softplus(-D(G(z))).mean())
value_loss.wrong("detached", lambda D, G, x, z: F.softplus(-D(x)).mean() + F.softplus(D(G(z).detach())).mean())
value_loss.wrong("type", lambda D, G, x, z: softplus(D, G, x, z).item())
value_loss.wrong("no-grad", lambda D, G, x, z: softplus(D, G, x, z).detach())


@value_loss.wrong("lost-parentheses")
def log_one_minus(D, G, x, z):
    real, fake = torch.sigmoid(D(x)), torch.sigmoid(D(G(z)))
    return -(real.log().mean() + (torch.log(torch.ones_like(fake)) - fake).mean())


@value_loss.wrong("log-of-mean")
def mean_then_log(D, G, x, z):
    return -torch.sigmoid(D(x)).mean().log() - (1 - torch.sigmoid(D(G(z)))).mean().log()


# 4 Jensen–Shannon ------------------------------------------------------------------------------------

js = Answers("optimum.js")


def kl(p, q):
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(dim=-1)


def mixture(p, q, share):
    return share * p + (1 - share) * q


@js.right
def two_kl(p, q, share):
    m = mixture(p, q, share)
    return share * kl(p, m) + (1 - share) * kl(q, m)


@js.right
def by_entropies(p, q, share):
    def entropy(r):
        return torch.special.entr(r).sum(-1)

    return entropy(mixture(p, q, share)) - share * entropy(p) - (1 - share) * entropy(q)


@js.right
def with_where(p, q, share):
    m = share * p + (1 - share) * q
    m = torch.where(m > 0, m, torch.ones_like(m))
    from_p = torch.where(p > 0, p * torch.log(torch.where(p > 0, p, torch.ones_like(p)) / m), torch.zeros_like(p))
    from_q = torch.where(q > 0, q * torch.log(torch.where(q > 0, q, torch.ones_like(q)) / m), torch.zeros_like(q))
    return (share * from_p + (1 - share) * from_q).sum(dim=-1)


@js.right
def with_kl_div(p, q, share):
    m = mixture(p, q, share).clamp(min=1e-300)
    return share * F.kl_div(m.log(), p, reduction="none").sum(-1) + (1 - share) * F.kl_div(
        m.log(), q, reduction="none"
    ).sum(-1)


@js.wrong("order-reversed")
def middle_first(p, q, share):
    m = mixture(p, q, share)
    return share * kl(m, p) + (1 - share) * kl(m, q)


@js.wrong("order-reversed")
def kl_div_arguments(p, q, share):
    """F.kl_div takes its arguments the other way round than one reads them."""
    m = mixture(p, q, share)
    return share * F.kl_div(p.log(), m, reduction="none").sum(-1) + (1 - share) * F.kl_div(
        q.log(), m, reduction="none"
    ).sum(-1)


js.wrong("jeffreys", lambda p, q, share: share * kl(p, q) + (1 - share) * kl(q, p))
js.wrong("one-sided", lambda p, q, share: kl(p, mixture(p, q, share)))
js.wrong("root", lambda p, q, share: two_kl(p, q, share).clamp(min=0).sqrt())
js.wrong("middle-not-halved", lambda p, q, share: share * kl(p, p + q) + (1 - share) * kl(q, p + q))
js.wrong("share-ignored", lambda p, q, share: (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2)
js.wrong("equal-middle", lambda p, q, share: share * kl(p, (p + q) / 2) + (1 - share) * kl(q, (p + q) / 2))
js.wrong("shares-swapped", lambda p, q, share: two_kl(q, p, share))
js.wrong(
    "middle-swapped",
    lambda p, q, share: share * kl(p, mixture(q, p, share)) + (1 - share) * kl(q, mixture(q, p, share)),
)
js.wrong(
    "weights-swapped",
    lambda p, q, share: (1 - share) * kl(p, mixture(p, q, share)) + share * kl(q, mixture(p, q, share)),
)
js.wrong("smoothed", lambda p, q, share: two_kl(p + 1e-3, q + 1e-3 * torch.arange(q.shape[-1]), share))


@js.wrong("mean-over-points")
def mean_over_points(p, q, share):
    return two_kl(p, q, share) / p.shape[-1]


@js.wrong("zero-log-zero")
def plain_logs(p, q, share):
    m = mixture(p, q, share)
    return (share * p * (p / m).log() + (1 - share) * q * (q / m).log()).sum(dim=-1)


# 5 One step as a matrix ------------------------------------------------------------------------------

step_matrix = Answers("optimum.step_matrix")


def moves(eta, a, b, c, alternating, point):
    x, y = point
    new_x = x - eta * (a * x + b * y)
    new_y = y + eta * (b * (new_x if alternating else x) - c * y)
    return new_x, new_y


@step_matrix.right
def columns_by_unit_vectors(eta, a, b, c, alternating):
    columns = [moves(eta, a, b, c, alternating, point) for point in ((1.0, 0.0), (0.0, 1.0))]
    return torch.tensor(columns).T


@step_matrix.right
def two_half_steps(eta, a, b, c, alternating):
    of_x = torch.tensor([[1 - eta * a, -eta * b], [0, 1]])
    of_y = torch.tensor([[1, 0], [eta * b, 1 - eta * c]])
    return of_y @ of_x if alternating else of_x + of_y - torch.eye(2)


@step_matrix.right
def entries(eta, a, b, c, alternating):
    if alternating:
        return torch.tensor(
            [[1 - eta * a, -eta * b], [eta * b * (1 - eta * a), 1 - eta * c - (eta * b) ** 2]], dtype=torch.float64
        )
    return torch.tensor([[1 - eta * a, -eta * b], [eta * b, 1 - eta * c]], dtype=torch.float64)


@step_matrix.right
def by_autograd_of_f(eta, a, b, c, alternating):
    def step(point):
        x, y = point
        new_x = x - eta * (a * x + b * y)
        return torch.stack([new_x, y + eta * (b * (new_x if alternating else x) - c * y)])

    return torch.autograd.functional.jacobian(step, torch.zeros(2))


step_matrix.wrong("always-alternating", lambda eta, a, b, c, alternating: entries(eta, a, b, c, True))
step_matrix.wrong("flag-inverted", lambda eta, a, b, c, alternating: entries(eta, a, b, c, not alternating))
step_matrix.wrong("change-only", lambda *args: entries(*args) - torch.eye(2))
step_matrix.wrong("transposed", lambda *args: entries(*args).T)
step_matrix.wrong("players-swapped", lambda eta, a, b, c, alternating: entries(-eta, a, b, c, alternating))
step_matrix.wrong("y-before-x", lambda *args: entries(*args)[[1, 0]])
step_matrix.wrong("type", lambda *args: entries(*args).tolist())


@step_matrix.wrong("both-descend")
def both_descend(eta, a, b, c, alternating):
    of_x = torch.tensor([[1 - eta * a, -eta * b], [0, 1]])
    of_y = torch.tensor([[1, 0], [-eta * b, 1 + eta * c]])
    return of_y @ of_x if alternating else of_x + of_y - torch.eye(2)


@step_matrix.wrong("both-ascend")
def both_ascend(eta, a, b, c, alternating):
    of_x = torch.tensor([[1 + eta * a, eta * b], [0, 1]])
    of_y = torch.tensor([[1, 0], [eta * b, 1 - eta * c]])
    return of_y @ of_x if alternating else of_x + of_y - torch.eye(2)


@step_matrix.wrong("y-first")
def y_moves_first(eta, a, b, c, alternating):
    of_x = torch.tensor([[1 - eta * a, -eta * b], [0, 1]])
    of_y = torch.tensor([[1, 0], [eta * b, 1 - eta * c]])
    return of_x @ of_y if alternating else of_x + of_y - torch.eye(2)


@step_matrix.wrong("new-x-incomplete")
def new_x_from_old_x_alone(eta, a, b, c, alternating):
    below = eta * b * (1 - eta * a) if alternating else eta * b
    return torch.tensor([[1 - eta * a, -eta * b], [below, 1 - eta * c]])


# 6 Five readings -------------------------------------------------------------------------------------

equilibrium = Answers("optimum.equilibrium")
BAG = math.log(4) - 0.75 * math.log(3)
equilibrium.right((2 * math.log(2), math.log(2), BAG, 0, float("-inf")))
equilibrium.wrong("printed-sign", [-1.386, -0.693, -0.562, 0.0, -math.inf])
equilibrium.wrong("bits", [2.0, 1.0, 0.811, 0.0, -math.inf])
equilibrium.wrong("printed-finite", [1.386, 0.693, 0.562, 0.0, 0.0])
equilibrium.wrong("shape", [1.386, 0.693, 0.562, 0.0])
equilibrium.wrong("type", 1.386)

# 7 Four games ----------------------------------------------------------------------------------------

other_games = Answers("optimum.other_games")
other_games.right((1.4, 1.333, float("inf"), -1.386))
other_games.wrong("with-logs", [-0.963, -0.963, math.inf, -1.386])
other_games.wrong("joint-bounded", [1.4, 1.333, 0.4, -1.386])
other_games.wrong("not-done", None)

# 8 Which assumption ----------------------------------------------------------------------------------

finite = Answers("optimum.finite")
finite.right("With few samples the value on them is above C(G), and the value on the laws is below it. " * 6)
finite.wrong("too-short", "Capacity.")
finite.wrong("not-done", "")
