"""Right and wrong answers of the set `measure`, chapter 5."""

import math

import numpy as np
import torch

from . import Answers

# 1 ---------------------------------------------------------------------------------------------------

frechet = Answers("measure.frechet")


def root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T


def pieces(x, y):
    c1, c2 = torch.cov(x.T), torch.cov(y.T)
    inner = root(c1) @ c2 @ root(c1)
    cross = torch.linalg.eigvalsh((inner + inner.T) / 2).clamp(min=0).sqrt().sum()
    return (x.mean(0) - y.mean(0)).pow(2).sum(), c1.trace() + c2.trace(), cross


@frechet.right
def symmetric_inner_product(x, y):
    means, traces, cross = pieces(x, y)
    return means + traces - 2 * cross


@frechet.right
def eigenvalues_of_the_product(x, y):
    c1, c2 = torch.cov(x.T), torch.cov(y.T)
    values = torch.linalg.eigvals(c1 @ c2).real.clamp(min=0)
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + torch.trace(c1 + c2) - 2 * values.sqrt().sum()


@frechet.right
def by_centred_samples(x, y):
    """The cross term is the nuclear norm of a matrix as large as the samples, not the features."""
    a, b = (v - v.mean(dim=0, keepdim=True) for v in (x, y))
    a, b = a / math.sqrt(len(x) - 1), b / math.sqrt(len(y) - 1)
    cross = torch.linalg.matrix_norm(a @ b.T, ord="nuc")
    return ((x.mean(0) - y.mean(0)).square().sum() + a.square().sum() + b.square().sum() - 2 * cross).item()


@frechet.right
def in_numpy(x, y):
    x, y = x.numpy(), y.numpy()
    c1, c2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values, vectors = np.linalg.eigh(c1)
    half = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(half @ c2 @ half), 0, None)).sum()
    return np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2) + np.trace(c1) + np.trace(c2) - 2 * cross


frechet.wrong("no-covariances", lambda x, y: torch.dist(x.mean(0), y.mean(0)) ** 2)


@frechet.wrong("biased-covariance")
def divides_by_n(x, y):
    a, b = x - x.mean(0), y - y.mean(0)
    c1, c2 = a.T @ a / len(x), b.T @ b / len(y)
    cross = torch.linalg.matrix_norm(root(c1) @ root(c2), ord="nuc")
    return (x.mean(0) - y.mean(0)).pow(2).sum() + c1.trace() + c2.trace() - 2 * cross


@frechet.wrong("roots-multiplied")
def distance_of_roots(x, y):
    return (x.mean(0) - y.mean(0)).pow(2).sum() + (root(x.T.cov()) - root(y.T.cov())).pow(2).sum()


@frechet.wrong("diagonal-only")
def variances_only(x, y):
    v, w = x.var(dim=0), y.var(dim=0)
    return (x.mean(0) - y.mean(0)).pow(2).sum() + (v + w - 2 * (v * w).sqrt()).sum()


@frechet.wrong("tiny-negative")
def no_clamp(x, y):
    c1, c2 = torch.cov(x.T), torch.cov(y.T)
    cross = torch.linalg.eigvals(c1 @ c2).real.sqrt().sum()
    return (x.mean(0) - y.mean(0)).pow(2).sum() + c1.trace() + c2.trace() - 2 * cross


@frechet.wrong("nan")
def root_of_every_entry(x, y):
    means, traces, _ = pieces(x, y)
    c1, c2 = torch.cov(x.T), torch.cov(y.T)
    return means + traces - 2 * torch.trace(c1.sqrt() @ c2.sqrt())


# 2 ---------------------------------------------------------------------------------------------------

inception_score = Answers("measure.inception_score")


def entropy(p):
    return -torch.special.xlogy(p, p).sum(dim=-1)


@inception_score.right
def entropies(logits):
    p = logits.softmax(dim=1)
    return (entropy(p.mean(dim=0)) - entropy(p).mean()).exp()


@inception_score.right
def log_softmax_throughout(logits):
    log_p = torch.log_softmax(logits, 1)
    log_marginal = torch.logsumexp(log_p, 0) - math.log(len(logits))
    return math.exp((log_p.exp() * (log_p - log_marginal)).sum(1).mean())


@inception_score.right
def kl_div_of_the_library(logits):
    p = torch.softmax(logits.double(), dim=1)
    marginal = p.mean(dim=0, keepdim=True).expand_as(p)
    return torch.nn.functional.kl_div(marginal.log(), p, reduction="batchmean").exp().item()


@inception_score.right
def picture_by_picture(logits):
    p = torch.softmax(logits, dim=-1)
    marginal = p.sum(0) / len(p)
    total = 0.0
    for row in p:
        total += sum(a * math.log(a / b) for a, b in zip(row.tolist(), marginal.tolist(), strict=True) if a > 0)
    return math.exp(total / len(p))


def from_parts(formula):
    def score(logits):
        p = logits.softmax(dim=1)
        marginal = p.mean(dim=0)
        return formula(p, marginal, (torch.special.xlogy(p, p) - torch.special.xlogy(p, marginal)).sum(1))

    return score


inception_score.wrong("mean-of-exp", from_parts(lambda p, m, kl: kl.exp().mean()))
inception_score.wrong("reversed-kl", from_parts(lambda p, m, kl: (m * (m.log() - p.log())).sum(dim=1).mean().exp()))
inception_score.wrong("uniform-marginal", from_parts(lambda p, m, kl: (math.log(p.shape[1]) - entropy(p).mean()).exp()))
inception_score.wrong("softmax-twice", lambda logits: entropies(logits.softmax(dim=1)))
inception_score.wrong("wrong-axis", lambda logits: log_softmax_throughout(logits.double().softmax(dim=0).log()))


@inception_score.wrong("zero-log-zero")
def as_written_in_the_formula(logits):
    p = torch.softmax(logits, dim=1)
    return (p * torch.log(p / p.mean(dim=0))).sum(dim=1).mean().exp()


# 3 ---------------------------------------------------------------------------------------------------

kid = Answers("measure.kid")


def cubic(a, b):
    return (a @ b.T / a.shape[1] + 1) ** 3


@kid.right
def without_the_diagonal(x, y):
    xx, yy, xy = cubic(x, x), cubic(y, y), cubic(x, y)
    n, m = len(x), len(y)
    return (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1)) - 2 * xy.mean()


@kid.right
def with_a_mask(x, y):
    def different(a):
        return cubic(a, a)[~torch.eye(len(a), dtype=torch.bool)].mean()

    return (different(x) + different(y) - 2 * cubic(x, y).mean()).item()


@kid.right
def pair_by_pair(x, y):
    def kernel(a, b):
        return (float(a @ b) / len(a) + 1) ** 3

    def mean(a, b, same):
        found = [kernel(p, q) for i, p in enumerate(a) for j, q in enumerate(b) if not (same and i == j)]
        return sum(found) / len(found)

    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)


def all_pairs(x, y):
    return cubic(x, x).mean() + cubic(y, y).mean() - 2 * cubic(x, y).mean()


kid.wrong("diagonal", all_pairs)
kid.wrong("root", lambda x, y: without_the_diagonal(x, y).sqrt())
kid.wrong("never-negative", lambda x, y: max(without_the_diagonal(x, y).item(), 0))
kid.wrong("raises", lambda x, y: without_the_diagonal(x * y, y))

# 4 ---------------------------------------------------------------------------------------------------

precision_recall = Answers("measure.precision_recall")


def distances(a, b):
    return (a[:, None, :] - b[None, :, :]).square().sum(dim=-1).sqrt()


def given(real, fake, k, itself=True, swapped=True):
    """The given code, with one or both of its bugs."""
    real_radius = torch.cdist(real, real).kthvalue(k if itself else k + 1, dim=1).values
    fake_radius = torch.cdist(fake, fake).kthvalue(k if itself else k + 1, dim=1).values
    distance = torch.cdist(real, fake)
    reached = (distance <= fake_radius).any(dim=1).double().mean().item()
    plausible = (distance <= real_radius[:, None]).any(dim=0).double().mean().item()
    return (reached, plausible) if swapped else (plausible, reached)


def share(centres, points, radius):
    return (distances(points, centres) <= radius).any(dim=1).double().mean().item()


def reach(x, k):
    return distances(x, x).sort(dim=1).values[:, k]


@precision_recall.right
def by_sorting(real, fake, k):
    return share(real, fake, reach(real, k)), share(fake, real, reach(fake, k))


@precision_recall.right
def diagonal_set_to_infinity(real, fake, k):
    def radius(x):
        d = torch.cdist(x, x)
        d.fill_diagonal_(math.inf)
        return d.topk(k, dim=1, largest=False).values[:, -1]

    d = torch.cdist(real, fake)
    precision = (d <= radius(real)[:, None]).any(0).sum() / len(fake)
    recall = (d <= radius(fake)[None, :]).any(1).sum() / len(real)
    return precision, recall


@precision_recall.right
def point_by_point(real, fake, k):
    def covered(centres, points):
        radii = [sorted(math.dist(c, o) for o in centres)[k] for c in centres]
        hits = sum(any(math.dist(p, c) <= r for c, r in zip(centres, radii, strict=True)) for p in points)
        return hits / len(points)

    real, fake = real.tolist(), fake.tolist()
    return covered(real, fake), covered(fake, real)


precision_recall.right(lambda real, fake, k: given(real, fake, k, itself=False, swapped=False))
precision_recall.wrong("swapped-and-counts-itself", given)
precision_recall.wrong("swapped", lambda real, fake, k: given(real, fake, k, itself=False))
precision_recall.wrong("counts-itself", lambda real, fake, k: given(real, fake, k, swapped=False))


@precision_recall.wrong("nearest-ball")
def only_the_nearest(real, fake, k):
    def covered(centres, points):
        d, which = distances(points, centres).min(dim=1)
        return (d <= reach(centres, k)[which]).double().mean()

    return covered(real, fake), covered(fake, real)


@precision_recall.wrong("recall-of-precision")
def one_set_of_balls(real, fake, k):
    inside = distances(real, fake) <= reach(real, k)[:, None]
    return inside.any(dim=0).double().mean(), inside.any(dim=1).double().mean()


precision_recall.wrong("type", lambda real, fake, k: by_sorting(real, fake, k)[0])

# 5 ---------------------------------------------------------------------------------------------------

sample_features = Answers("measure.sample_features")


def eight_bit(images):
    return ((images.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def pipeline(change=eight_bit, train=False, graph=False):
    def features_of(G, features, z, batch_size):
        G.train(train)
        with torch.set_grad_enabled(graph):
            return torch.cat([features(change(G(batch))) for batch in z.split(batch_size)])

    return features_of


@sample_features.right
def eval_and_no_grad(G, features, z, batch_size):
    mode = G.training
    G.eval()
    found = []
    with torch.no_grad():
        for batch in torch.split(z, batch_size):
            found.append(features(eight_bit(G(batch))))
    G.train(mode)
    return torch.cat(found)


@sample_features.right
def all_at_once(G, features, z, batch_size):
    G.eval()
    with torch.inference_mode():
        return features(eight_bit(G(z))).clone()


@sample_features.right
def through_bytes(G, features, z, batch_size):
    G.eval()
    found = []
    for first in range(0, len(z), batch_size):
        pixels = ((G(z[first : first + batch_size]).detach() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        found.append(features(pixels.float() / 127.5 - 1).detach())
    return torch.cat(found)


sample_features.wrong("untouched", pipeline(lambda x: x, train=True, graph=True))
sample_features.wrong("train-mode", pipeline(train=True, graph=True))
sample_features.wrong("no-preprocessing", pipeline(lambda x: x, graph=True))
sample_features.wrong("cut-not-rounded", pipeline(lambda x: ((x.clamp(-1, 1) + 1) * 127.5).byte() / 127.5 - 1))
sample_features.wrong("keeps-graph", pipeline(graph=True))
sample_features.wrong("type", lambda G, features, z, batch_size: [eval_and_no_grad(G, features, z, batch_size)])


@sample_features.wrong("train-mode-whole")
def one_large_batch(G, features, z, batch_size):
    with torch.no_grad():
        return features(eight_bit(G(z)))


# 6 ---------------------------------------------------------------------------------------------------

frames = Answers("measure.frames")
frames.wrong("not-done", None)
frames.wrong("value", [4.5, 0.0045, 0.963])

# 7 ---------------------------------------------------------------------------------------------------

directions = Answers("measure.directions")
directions.wrong("fid", [0, 0, -1, 1])
directions.wrong("inception-score", [-1, 0, -1, 0])
directions.wrong("shape", [-1, 0, -1])

# 8 ---------------------------------------------------------------------------------------------------

two_generators = Answers("measure.two_generators")
two_generators.right("A has lost a mode, B blurs and C replays, as the following numbers say. " * 12)
two_generators.wrong("too-short", "C is the best, its precision is 1.")
two_generators.wrong("not-done", "")
