"""Right and wrong answers of the set `sngan`, chapter 10."""

import torch
from torch import nn
from torch.nn import functional as F

from . import Answers

# 1 ---------------------------------------------------------------------------------------------------

power_iteration = Answers("sngan.power_iteration")


@power_iteration.right
def with_norms(W, u, steps):
    for _ in range(steps):
        v = W.T.mv(u)
        v = v / v.norm()
        u = W.mv(v)
        u = u / torch.sqrt((u**2).sum())
    return torch.dot(u, W @ v), u, v


@power_iteration.right
def length_of_the_image(W, u, steps):
    """σ is how long W makes v: the same number, since u is Wv of length 1."""
    for _ in range(steps):
        v = F.normalize(u @ W, dim=0)
        image = W @ v
        u = image / image.norm()
    return [image.norm(), u, v]


@power_iteration.right
def in_one_power(W, u, steps):
    u = torch.linalg.matrix_power(W @ W.T / (W**2).sum(), steps - 1) @ u
    v = F.normalize(W.T @ u, dim=0)
    u = F.normalize(W @ v, dim=0)
    return (u[:, None] * W * v).sum(), u, v


@power_iteration.wrong("value")
def ten_rounds_at_most(W, u, steps):
    return in_one_power(W, u, min(steps, 10))


@power_iteration.wrong("exact")
def by_svd(W, u, steps):
    U, S, Vh = torch.linalg.svd(W, full_matrices=False)
    return S[0], U[:, 0], Vh[0]


@power_iteration.wrong("not-normalised")
def forgets_the_length(W, u, steps):
    for _ in range(steps):
        v = W.T @ u
        u = W @ v
    return u @ W @ v, u, v


@power_iteration.wrong("own-start")
def starts_afresh(W, u, steps):
    return with_norms(W, torch.ones(len(W), dtype=W.dtype) / len(W) ** 0.5, steps)


@power_iteration.wrong("stale-u")
def length_before(W, u, steps):
    for _ in range(steps):
        back = W.T @ u
        v = back / back.norm()
        u = F.normalize(W @ v, dim=0)
    return back.norm(), u, v


@power_iteration.wrong("mutates")
def in_place(W, u, steps):
    for _ in range(steps):
        v = F.normalize(W.T @ u, dim=0)
        u.copy_(F.normalize(W @ v, dim=0))
    return u @ W @ v, u.clone(), v


power_iteration.wrong("type", lambda W, u, steps: with_norms(W, u, steps)[0])

# 2 ---------------------------------------------------------------------------------------------------

sn_weight = Answers("sngan.sn_weight")


@sn_weight.right
def cut_off_vectors(W, u):
    matrix = W.reshape(len(W), -1)
    v = F.normalize(matrix.detach().T @ u, dim=0)
    u = F.normalize(matrix.detach() @ v, dim=0)
    return W / torch.dot(u, matrix @ v), u


@sn_weight.right
def as_a_sum(W, u):
    matrix = W.view(W.shape[0], -1)
    with torch.no_grad():
        v = matrix.t().mv(u)
        v /= v.norm()
        new = matrix.mv(v)
        new /= new.norm()
    outer = torch.outer(new, v).view_as(W)
    return [W * (1 / (outer * W).sum()), new]


@sn_weight.right
def as_torch_does(W, u):
    layer = nn.Linear(W[0].numel(), len(W), bias=False, dtype=W.dtype)
    layer = nn.utils.parametrizations.spectral_norm(layer)
    norm = layer.parametrizations.weight[0]
    matrix = W.flatten(1)
    with torch.no_grad():
        norm._v.copy_(F.normalize(matrix.T @ u, dim=0))
        norm._u.copy_(F.normalize(matrix @ norm._v, dim=0))
    norm.eval()
    return norm(matrix).reshape(W.shape), norm._u.clone()


@sn_weight.wrong("sigma-cut")
def without_graph(W, u):
    with torch.no_grad():
        matrix = W.flatten(1)
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
        sigma = u @ matrix @ v
    return W / sigma, u


@sn_weight.wrong("round-and-u")
def nothing_cut_off(W, u):
    matrix = W.flatten(1)
    v = F.normalize(matrix.T @ u, dim=0)
    u = F.normalize(matrix @ v, dim=0)
    return W / (u @ matrix @ v), u


@sn_weight.wrong("u-attached")
def cut_off_too_late(W, u):
    matrix = W.flatten(1)
    v = F.normalize(matrix.T @ u, dim=0)
    u = F.normalize(matrix @ v, dim=0)
    return W / (u.detach() @ matrix @ v.detach()), u


@sn_weight.wrong("through-the-round")
def with_graph(W, u):
    matrix = W.flatten(1)
    v = F.normalize(matrix.T @ u, dim=0)
    u = F.normalize(matrix @ v, dim=0)
    return W / (u @ matrix @ v), u.detach()


@sn_weight.wrong("exact")
def by_the_library(W, u):
    return W / torch.linalg.matrix_norm(W.flatten(1), ord=2), cut_off_vectors(W, u)[1]


@sn_weight.wrong("no-grad")
def data_only(W, u):
    return cut_off_vectors(W.detach(), u)


@sn_weight.wrong("raises")
def norm_of_the_kernel(W, u):
    matrix = W.transpose(0, 1).flatten(1)  # the inputs in front, as for a transposed convolution
    v = F.normalize(matrix.T @ u, dim=0)
    u = F.normalize(matrix @ v, dim=0)
    return W / (u @ matrix @ v), u


sn_weight.wrong("mutates", lambda W, u: (cut_off_vectors(W, u)[0], u.copy_(cut_off_vectors(W, u)[1].detach()).clone()))
sn_weight.wrong("type", lambda W, u: cut_off_vectors(W, u)[0])

# 3 ---------------------------------------------------------------------------------------------------

two_gradients = Answers("sngan.two_gradients")


@two_gradients.right
def by_autograd(W, gamma, lam):
    W = W.detach().clone().requires_grad_()
    sigma = torch.linalg.matrix_norm(W, 2)
    (first,) = torch.autograd.grad(lam / 2 * sigma**2, W, retain_graph=True)
    (second,) = torch.autograd.grad((gamma * W / sigma).sum(), W)
    return first, second


@two_gradients.right
def by_eigenvectors(W, gamma, lam):
    values, vectors = torch.linalg.eigh(W.T @ W)
    v = vectors[:, -1]
    sigma = values[-1].sqrt()
    u = W @ v / sigma
    along = torch.einsum("ij,ij", gamma, W) / sigma
    return lam * torch.outer(W @ v, v), gamma / sigma - along / sigma * torch.outer(u, v)


@two_gradients.right
def entry_by_entry(W, gamma, lam):
    U, S, Vh = torch.linalg.svd(W)
    first, second = torch.zeros_like(W), torch.zeros_like(W)
    product = sum(float(gamma[i, j] * W[i, j]) for i in range(len(W)) for j in range(len(W[0])))
    for i in range(len(W)):
        for j in range(len(W[0])):
            slope = float(U[i, 0] * Vh[0, j])  # of σ
            first[i, j] = lam * S[0] * slope
            second[i, j] = gamma[i, j] / S[0] - product / S[0] ** 2 * slope
    return [first, second]


two_gradients.wrong("decay", lambda W, gamma, lam: (lam * W, by_autograd(W, gamma, lam)[1]))
two_gradients.wrong(
    "sigma-constant", lambda W, gamma, lam: (by_autograd(W, gamma, lam)[0], gamma / torch.linalg.matrix_norm(W, 2))
)


@two_gradients.wrong("no-sigma")
def of_sigma_itself(W, gamma, lam):
    U, _, Vh = torch.linalg.svd(W, full_matrices=False)
    return lam * torch.outer(U[:, 0], Vh[0]), by_autograd(W, gamma, lam)[1]


@two_gradients.wrong("sphere")
def length_kept(W, gamma, lam):
    first, _ = by_autograd(W, gamma, lam)
    unit = W / W.norm()
    return first, (gamma - (gamma * unit).sum() * unit) / torch.linalg.matrix_norm(W, 2)


@two_gradients.wrong("value")
def of_all_singular_values(W, gamma, lam):
    U, _, Vh = torch.linalg.svd(W, full_matrices=False)
    return lam * U @ Vh, by_autograd(W, gamma, lam)[1]


# 4 ---------------------------------------------------------------------------------------------------

hinge_losses = Answers("sngan.hinge_losses")


@hinge_losses.right
def clamped(real, fake):
    return (1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean(), -fake.mean()


@hinge_losses.right
def as_the_paper_prints_it(real, fake):
    zero = torch.zeros(())
    value = torch.minimum(zero, real - 1).mean() + torch.minimum(zero, -fake - 1).mean()
    return [-value, fake.mean().neg()]


@hinge_losses.right
def picked_by_a_mask(real, fake):
    d_loss = ((1 - real) * (real < 1)).sum() / real.numel() + ((1 + fake) * (fake > -1)).sum() / fake.numel()
    return d_loss, torch.mean(-fake)


@hinge_losses.right
def from_the_library(real, fake):
    ones = torch.ones_like(real)
    d_loss = F.margin_ranking_loss(real, 0 * real, ones, margin=1)
    return d_loss + F.margin_ranking_loss(fake, 0 * fake, -torch.ones_like(fake), margin=1), -fake.mean()


hinge_losses.wrong("sigmoid", lambda real, fake: clamped(real.sigmoid(), fake.sigmoid()))
hinge_losses.wrong("g-hinged", lambda real, fake: (clamped(real, fake)[0], F.relu(1 - fake).mean()))
hinge_losses.wrong("averaged-first", lambda real, fake: clamped(real.mean(), fake.mean()))
hinge_losses.wrong("maximised", lambda real, fake: (-clamped(real, fake)[0], clamped(real, fake)[1]))
hinge_losses.wrong("value", lambda real, fake: (F.relu(1 - real).mean() + F.relu(1 + fake).sum(), -fake.mean()))
hinge_losses.wrong("no-grad", lambda real, fake: tuple(loss.detach() for loss in clamped(real, fake)))
hinge_losses.wrong("type", lambda real, fake: clamped(real, fake)[0])


@hinge_losses.wrong("value")
def sigmoid_for_d_only(real, fake):
    return clamped(real.sigmoid(), fake.sigmoid())[0], -fake.mean()


# 5 ---------------------------------------------------------------------------------------------------

hinge_optimum = Answers("sngan.hinge_optimum")


@hinge_optimum.right
def by_cases(p, q):
    D = torch.zeros_like(p)
    D[p > q], D[p < q] = 1, -1
    return D, 2 * torch.minimum(p, q).sum(), -(q * D).sum()


@hinge_optimum.wrong("value")
def nearly_equal_is_equal(p, q):
    D = torch.where((p - q).abs() < 1e-3, 0.0, torch.sign(p - q))
    return D, 2 * torch.minimum(p, q).sum(), -(q * D).sum()


@hinge_optimum.right
def by_total_variation(p, q):
    D = torch.sign(p - q)
    return D, 2 - (p - q).abs().sum(), (q[p < q].sum() - q[p > q].sum()).item()


@hinge_optimum.right
def by_trying(p, q):
    """A line between two corners: try −1, 0 and 1 and keep the cheapest, 0 first."""
    tried = torch.tensor([0.0, 1.0, -1.0], dtype=p.dtype)
    costs = p[:, None] * (1 - tried).relu() + q[:, None] * (1 + tried).relu()
    cheaper = costs < costs[:, :1] - 1e-15
    best = torch.where(cheaper.any(dim=1), costs.argmin(dim=1), torch.zeros(len(p), dtype=torch.int64))
    D = tried[best]
    return [D, costs.amin(dim=1).sum(), -q @ D]


hinge_optimum.wrong("gan-optimum", lambda p, q: of_this(p, q, (p / (p + q)).nan_to_num(0.5)))
hinge_optimum.wrong("ties-down", lambda p, q: of_this(p, q, 2.0 * (p > q) - 1))
hinge_optimum.wrong("zero-one", lambda p, q: of_this(p, q, (p > q).to(p.dtype)))
hinge_optimum.wrong("overlap", lambda p, q: (by_cases(p, q)[0], torch.minimum(p, q).sum(), by_cases(p, q)[2]))
hinge_optimum.wrong("nan", lambda p, q: of_this(p, q, (p - q) / (p - q).abs()))
hinge_optimum.wrong("value", lambda p, q: of_this(p, q, torch.where(p + q > 0, (p - q).sign(), 1.0)))
hinge_optimum.wrong("type", lambda p, q: by_cases(p, q)[0])


def of_this(p, q, D):
    return D, (p * (1 - D).relu() + q * (1 + D).relu()).sum(), -(q * D).sum()


# 6 ---------------------------------------------------------------------------------------------------

local_map = Answers("sngan.local_map")


def network(weights, biases, slope):
    def f(x):
        for W, b in zip(weights[:-1], biases[:-1], strict=True):
            x = F.leaky_relu(F.linear(x, W, b), slope)
        return F.linear(x, weights[-1], biases[-1])

    return f


@local_map.right
def by_jacobian(weights, biases, x, slope):
    f = network(weights, biases, slope)
    A = torch.autograd.functional.jacobian(f, x)
    return A, f(x) - A @ x


@local_map.right
def by_secants(weights, biases, x, slope):
    """Small steps stay in the region."""
    f, small = network(weights, biases, slope), 1e-7
    A = torch.stack([(f(x + step) - f(x - step)) / (2 * small) for step in small * torch.eye(len(x)).double()], dim=1)
    return A, f(x) - A @ x


@local_map.right
def with_diagonals(weights, biases, x, slope):
    A, b, last = torch.eye(len(x), dtype=x.dtype), torch.zeros_like(x), len(weights) - 1
    for number, (W, bias) in enumerate(zip(weights, biases, strict=True)):
        A, b = W @ A, W @ b + bias
        if number < last:
            D = torch.diag(torch.where(A @ x + b > 0, 1.0, slope).to(x.dtype))
            A, b = D @ A, D @ b
    return [A, b]


@local_map.wrong("offset-score")
def score_for_offset(weights, biases, x, slope):
    return by_jacobian(weights, biases, x, slope)[0], network(weights, biases, slope)(x)


@local_map.wrong("mask-of-input")
def as_some_notes_print_it(weights, biases, x, slope):
    A, h = torch.eye(len(x), dtype=x.dtype), x
    for number, (W, b) in enumerate(zip(weights, biases, strict=True)):
        D = torch.where(h > 0, 1.0, slope).to(x.dtype)
        if number < len(weights) - 1:
            A, h = torch.diag(D) @ W @ A, D * (W @ h + b)
        else:
            A, h = W @ A, W @ h + b
    return A, h - A @ x


def advancing(step, on=lambda z, h: z > 0):
    """Return an answer whose masks come from `on`; step(z, b, h, slope) goes on to the next layer."""

    def answer(weights, biases, x, slope):
        A, c, h = torch.eye(len(x)).double(), torch.zeros_like(x), x
        for number, (W, b) in enumerate(zip(weights, biases, strict=True)):
            z, A, c = W @ h + b, W @ A, W @ c + b
            if number < len(weights) - 1:
                passes = torch.where(on(z, h), 1.0, slope).double()
                A, c, h = passes[:, None] * A, passes * c, step(z, b, h, slope)
        return A, c

    return answer


local_map.right(advancing(lambda z, b, h, slope: F.leaky_relu(z, slope)))
local_map.wrong("forward-slope", advancing(lambda z, b, h, slope: F.leaky_relu(z)))
local_map.wrong("forward-line", advancing(lambda z, b, h, slope: z))
local_map.wrong("forward-stuck", advancing(lambda z, b, h, slope: h))
local_map.wrong("mask-too-early", advancing(lambda z, b, h, slope: F.leaky_relu(z, slope), on=lambda z, h: h > 0))


@local_map.wrong("no-mask")
def weights_alone(weights, biases, x, slope):
    A, b = torch.eye(len(x), dtype=x.dtype), 0 * x
    for W, bias in zip(weights, biases, strict=True):
        A, b = W @ A, W @ b + bias
    return A, b


@local_map.wrong("shape")
def slopes_of_the_sum(weights, biases, x, slope):
    x = x.clone().requires_grad_()
    out = network(weights, biases, slope)(x)
    (A,) = torch.autograd.grad(out.sum(), x)
    return A, (out - A @ x).detach()


# 7 and 8 ---------------------------------------------------------------------------------------------

slopes = Answers("sngan.slopes")
slopes.right([2, 3, 1.0477, 7.337, 0.2])
slopes.wrong("stride", [4, 3, 1.0477, 7.337, 0.2])
slopes.wrong("upside-down", [2, 3, 0.9545, 7.337, 0.2])
slopes.wrong("value", [2, 2, 1.0477, 7.337, 0.2])
slopes.wrong("not-done", None)

how_much_slope = Answers("sngan.how_much_slope")
how_much_slope.right("The slopes stay far below their bound, and the samples do not mind. " * 12)
how_much_slope.wrong("too-short", "One is enough.")
how_much_slope.wrong("not-done", "")
how_much_slope.wrong("type", 1.0)
