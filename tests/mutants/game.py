"""Right and wrong answers of the set `game`, chapter 1."""

import math

import torch
from torch.nn import functional as F
from torch.nn.functional import softplus

from . import Answers

# 1 ---------------------------------------------------------------------------------------------------

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
def weighted_bag(a, b):
    bag, labels = torch.cat([a, b]), torch.cat([torch.ones_like(a), torch.zeros_like(b)])
    weights = torch.cat([torch.full_like(a, 1 / a.numel()), torch.full_like(b, 1 / b.numel())])
    return F.binary_cross_entropy_with_logits(bag, labels, weight=weights, reduction="sum")


d_loss.wrong("real-only", lambda a, b: softplus(-a).mean())
d_loss.wrong("lost-parentheses", lambda a, b: -a.sigmoid().log().mean() - (math.log(1) - b.sigmoid()).mean())
d_loss.wrong("rounded-sigmoid", lambda a, b: -a.sigmoid().log().mean() - (1 - b.sigmoid()).log().mean())
d_loss.wrong("no-grad", lambda a, b: two_softplus(a, b).detach())
d_loss.wrong("type", lambda a, b: two_softplus(a, b).item())


@d_loss.wrong("as-given")
def one_bag(real_logits, fake_logits):
    bag = torch.cat([real_logits, fake_logits])
    labels = torch.cat([torch.zeros_like(real_logits), torch.ones_like(fake_logits)])
    return F.binary_cross_entropy(bag.sigmoid(), labels)


@d_loss.wrong("swapped-labels")
def one_bag_in_two(real_logits, fake_logits):
    real = F.binary_cross_entropy(real_logits.sigmoid(), torch.zeros_like(real_logits))
    return real + F.binary_cross_entropy(fake_logits.sigmoid(), torch.ones_like(fake_logits))


@d_loss.wrong("pooled-mean")
def one_bag_with_right_labels(real_logits, fake_logits):
    bag = torch.cat([real_logits, fake_logits])
    labels = torch.cat([torch.ones_like(real_logits), torch.zeros_like(fake_logits)])
    return F.binary_cross_entropy(bag.sigmoid(), labels)


@d_loss.wrong("rounded-sigmoid")
def clamped_by_torch(real_logits, fake_logits):
    real = F.binary_cross_entropy(real_logits.sigmoid(), torch.ones_like(real_logits))
    return real + F.binary_cross_entropy(fake_logits.sigmoid(), torch.zeros_like(fake_logits))


@d_loss.wrong("rounded-sigmoid")
def with_a_little_something(a, b, eps=1e-8):
    return -(a.sigmoid() + eps).log().mean() - (1 - b.sigmoid() + eps).log().mean()


@d_loss.wrong("mutates")
def in_place(real_logits, fake_logits):
    return softplus(real_logits.neg_()).mean() + softplus(fake_logits).mean()


# 2 ---------------------------------------------------------------------------------------------------

sentences = Answers("game.wrong_sentences")
sentences.right([1, 3, 5, 6, 8, 9], (9, 8, 6, 5, 3, 1), torch.tensor([1, 3, 5, 6, 8, 9]))
sentences.wrong("median", [3, 5, 6, 8, 9], [], [2, 4, 7, 10])
sentences.wrong("push-forward", [1, 2, 3, 5, 6, 8, 9], list(range(1, 11)))
sentences.wrong("noise-prior", [1, 5, 6, 8, 9])
sentences.wrong("order", [1, 3, 4, 5, 6, 8, 9])
sentences.wrong("two-losses", [1, 3, 6, 8, 9])
sentences.wrong("attribution", [1, 3, 5, 8, 9])
sentences.wrong("zero-sum", [1, 3, 5, 6, 7, 8, 9])
sentences.wrong("both-vanish", [1, 3, 5, 6, 9])
sentences.wrong("likelihood", [1, 3, 5, 6, 8])
sentences.wrong("half", [1, 3, 5, 6, 8, 9, 10])
sentences.wrong("type", {1, 3}, "1, 3, 5", 6, [1.0, 3.0], [True])
sentences.wrong("value", [0, 1, 3], [1, 3, 5, 6, 8, 9, 11])
sentences.wrong("not-done", None)

# 3 ---------------------------------------------------------------------------------------------------

lucky_shares = Answers("game.lucky_shares")
lucky_shares.wrong("value", [0.5, 0.0012], [0.78, 0.12])
lucky_shares.wrong("not-done", None)

# 4 ---------------------------------------------------------------------------------------------------

stuck_losses = Answers("game.stuck_losses")
stuck_losses.wrong("share-for-d", [0.75, 1.602, 0.801, 0.288])
stuck_losses.wrong("half", [0.5, 1.386, 0.693, 0.693])
stuck_losses.wrong("sign", [3 / 7, -1.1951, -0.5975, 0.8473])
stuck_losses.wrong("not-done", None)

# 5 ---------------------------------------------------------------------------------------------------

g_gradient = Answers("game.g_gradient")


def weights_of(logits, loss):
    D = torch.sigmoid(logits)
    return {"minimax": D, "nonsaturating": 1 - D}[loss]


@g_gradient.right
def with_einsum(z, logits, hints, loss):
    weight = weights_of(logits, loss) / len(z)
    return -torch.einsum("m,mn,md->nd", weight, hints, z), -torch.einsum("m,mn->n", weight, hints)


@g_gradient.right
def sample_by_sample(z, logits, hints, loss):
    for_A, for_b = torch.zeros(hints.shape[1], z.shape[1]), torch.zeros(hints.shape[1])
    for i in range(len(z)):
        push = weights_of(logits, loss)[i] * hints[i]
        for_A -= torch.outer(push, z[i])
        for_b -= push
    return for_A / len(z), for_b / len(z)


@g_gradient.right
def with_a_jacobian(z, logits, hints, loss):
    m, n = hints.shape
    eye = torch.eye(n)
    J = torch.stack([torch.cat([torch.kron(eye, row[None]), eye], dim=1) for row in z])  # (m, n, n d + n)
    pulled = (J.transpose(1, 2) @ hints[:, :, None])[:, :, 0]
    flat = -(weights_of(logits, loss)[:, None] * pulled).mean(dim=0)
    return flat[: n * z.shape[1]].reshape(n, -1), flat[n * z.shape[1] :]


@g_gradient.right
def with_autograd(z, logits, hints, loss):
    A = torch.zeros(hints.shape[1], z.shape[1], requires_grad=True)
    b = torch.zeros(hints.shape[1], requires_grad=True)
    a = logits + ((z @ A.T + b) * hints).sum(dim=1)
    value = softplus(-a).mean() if loss == "nonsaturating" else -softplus(a).mean()
    return torch.autograd.grad(value, (A, b))


@g_gradient.right
def by_the_rule_of_the_chain(z, logits, hints, loss):
    D = torch.sigmoid(logits)
    outer = 1 / (1 - D) if loss == "minimax" else 1 / D
    pull = -(outer * D * (1 - D))[:, None] * hints
    return (pull[:, :, None] * z[:, None, :]).mean(dim=0), pull.mean(dim=0)


def pulled(weight):
    """The gradients with another weight."""

    def gradient(z, logits, hints, loss):
        push = -weight(torch.sigmoid(logits), loss)[:, None] * hints
        return push.T @ z / len(z), push.mean(dim=0)

    return gradient


g_gradient.wrong("by-d", pulled(lambda D, loss: 1 / (1 - D) if loss == "minimax" else 1 / D))
g_gradient.wrong("transposed", lambda *args: (with_einsum(*args)[0].T.clone(), with_einsum(*args)[1]))


@g_gradient.wrong("means-first")
def three_means(z, logits, hints, loss):
    push = -weights_of(logits, loss).mean() * hints.mean(dim=0)
    return torch.outer(push, z.mean(dim=0)), push


@g_gradient.wrong("type")
def only_A(z, logits, hints, loss):
    return with_einsum(z, logits, hints, loss)[0]


# 6 ---------------------------------------------------------------------------------------------------

favourite = Answers("game.favourite")


@favourite.right
def from_the_slope(data_mean, data_std, g_mean, g_std):
    curvature = 1 / data_std**2 - 1 / g_std**2
    if curvature < 0:
        return math.inf
    if curvature == 0:
        return math.copysign(math.inf, data_mean - g_mean)
    return (data_mean / data_std**2 - g_mean / g_std**2) / curvature


@favourite.right
def without_fractions(m, s, mu, t):
    if s >= t:
        return float("inf") if s > t or m > mu else float("-inf")
    return (m * t**2 - mu * s**2) / (t**2 - s**2)


@favourite.right
def by_tensors(m, s, mu, t):
    m, s, mu, t = (torch.tensor(v, dtype=torch.float64) for v in (m, s, mu, t))
    w1, w2 = m / s**2 - mu / t**2, 0.5 * (1 / t**2 - 1 / s**2)  # the logit is w0 + w1 x + w2 x²
    if w2 > 0:
        return torch.tensor(math.inf)
    return w1.sign() * math.inf if w2 == 0 else -w1 / (2 * w2)


@favourite.right
def by_search(m, s, mu, t):
    if s >= t:
        return math.inf if s > t else math.inf * (m - mu)
    x = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
    logit = ((x - mu) / t) ** 2 - ((x - m) / s) ** 2
    return x[logit.argmax()].item()


def finite(formula):
    """Another place where there is one, and the right infinity else."""
    return lambda m, s, mu, t: from_the_slope(m, s, mu, t) if s >= t else formula(m, s, mu, t)


def precision_weighted(m, s, mu, t):
    p, q = s**-2, t**-2
    return (p * m + q * mu) / (p + q)


def largest_difference(m, s, mu, t):
    x = torch.arange(-8, 8, 1e-4, dtype=torch.float64)
    laws = [torch.distributions.Normal(mean, std) for mean, std in ((m, s), (mu, t))]
    p, q = (law.log_prob(x).exp() for law in laws)
    return x[(p - q).argmax()].item()


def stationary(m, s, mu, t):
    return (m / s**2 - mu / t**2) / (1 / s**2 - 1 / t**2)


favourite.wrong("data-mean", finite(lambda m, s, mu, t: m))
favourite.wrong("product", precision_weighted, finite(precision_weighted))
favourite.wrong("difference", largest_difference)
favourite.wrong("no-square", finite(lambda m, s, mu, t: (m / s - mu / t) / (1 / s - 1 / t)))
favourite.wrong("raises", stationary)  # divides by zero at equal widths
favourite.wrong("edge", lambda m, s, mu, t: 0.0 + max(-12.0, min(12.0, by_search(m, s, mu, t))))


@favourite.wrong("least-favourite")
def formula_unless_equal(m, s, mu, t):
    return math.copysign(math.inf, m - mu) if s == t else stationary(m, s, mu, t)


@favourite.wrong("no-side")
def only_one_infinity(m, s, mu, t):
    return stationary(m, s, mu, t) if s < t else math.copysign(math.inf, m - mu) if s == t else -math.inf


# 7 ---------------------------------------------------------------------------------------------------

algorithm_1 = Answers("game.algorithm_1")


def climb(network, value, eta):
    for p, g in zip(network.parameters(), torch.autograd.grad(value, list(network.parameters())), strict=True):
        p.data += eta * g


def V(D, x, fake):
    return F.logsigmoid(D(x)).mean() + F.logsigmoid(-D(fake)).mean()


@algorithm_1.right
def with_grad(G, D, real, noise, eta):
    for x, z in zip(real, noise[:-1], strict=True):
        climb(D, V(D, x, G(z).detach()), eta)
    climb(G, -F.logsigmoid(-D(G(noise[-1]))).mean(), eta)


@algorithm_1.right
def with_optimisers(G, D, real, noise, eta):
    d_sgd, g_sgd = (torch.optim.SGD(network.parameters(), lr=eta) for network in (D, G))
    for i in range(len(real)):
        d_sgd.zero_grad()
        two_softplus(D(real[i]), D(G(noise[i]))).backward()
        d_sgd.step()
    g_sgd.zero_grad()
    (-softplus(D(G(noise[len(real)]))).mean()).backward()
    g_sgd.step()


@algorithm_1.right
def with_backward(G, D, real, noise, eta):
    k = len(real)
    for i in range(k):
        D.zero_grad()
        with torch.no_grad():
            fake = G(noise[i])
        V(D, real[i], fake).backward()
        with torch.no_grad():
            for p in D.parameters():
                p += eta * p.grad
    G.zero_grad()
    torch.log(1 - D(G(noise[k])).sigmoid()).mean().backward()
    with torch.no_grad():
        for p in G.parameters():
            p.sub_(eta * p.grad)
    D.zero_grad()


@algorithm_1.right
def maximize(G, D, real, noise, eta):
    d_sgd = torch.optim.SGD(D.parameters(), lr=eta, maximize=True)
    for x, z in zip(real, noise, strict=False):
        d_sgd.zero_grad()
        V(D, x, G(z).detach()).backward()
        d_sgd.step()
    G.zero_grad()
    F.logsigmoid(-D(G(noise[-1]))).mean().backward()
    torch.optim.SGD(G.parameters(), lr=eta).step()


def program(*, clear_d=True, clear_g=True, detach=False, d_eta=True, g_sign=-1, last=True):
    """The step as the notebook gives it, with some of its bugs."""

    def step(G, D, real, noise, eta):
        def move(network, factor):
            with torch.no_grad():
                for p in network.parameters():
                    p += factor * p.grad

        for x, z in zip(real, noise, strict=False):
            if clear_d:
                D.zero_grad()
            fake = G(z).detach() if detach else G(z)
            V(D, x, fake).backward()
            move(D, eta if d_eta else 1)
        if clear_g:
            G.zero_grad()
        F.logsigmoid(-D(G(noise[-1] if last else z))).mean().backward()
        move(G, g_sign * eta)

    return step


algorithm_1.wrong("as-given", program(clear_d=False, clear_g=False, d_eta=False, g_sign=1))
algorithm_1.wrong("no-learning-rate", program(d_eta=False))
algorithm_1.wrong("g-climbs", program(g_sign=1))
algorithm_1.wrong("d-left-over", program(clear_d=False, detach=True))
algorithm_1.wrong("same-noise", program(last=False, detach=True))


@algorithm_1.wrong("inner-loop")
def g_in_the_loop(G, D, real, noise, eta):
    for i, x in enumerate(real):
        climb(D, V(D, x, G(noise[i]).detach()), eta)
        z = noise[-1] if i + 1 == len(real) else noise[i]
        climb(G, softplus(D(G(z))).mean(), eta)


@algorithm_1.wrong("state")
def leaves_d_half_way(G, D, real, noise, eta):
    with_grad(G, D, real[:1], noise[[0, -1]], eta / 2)


@algorithm_1.wrong("type")
def returns_a_number(G, D, real, noise, eta):
    with_grad(G, D, real, noise, eta)
    return 1.0


# 8 ---------------------------------------------------------------------------------------------------

saturation = Answers("game.saturation")
saturation.right(" ".join(["word"] * 120))
saturation.wrong("too-short", "The minimax loss saturates.")
saturation.wrong("not-done", "", None)
saturation.wrong("type", 7)
