"""Right and wrong answers of the set `cgan`, chapter 6."""

import math
import random

import torch
from torch.nn import functional as F
from torch.nn.functional import softplus

from . import Answers

bce_logits = F.binary_cross_entropy_with_logits

# 1 ---------------------------------------------------------------------------------------------------

wrong_labels = Answers("cgan.wrong_labels")


@wrong_labels.right
def one_row_of_weights_each(c, weights):
    rows = weights.repeat(len(c), 1)
    rows[torch.arange(len(c)), c] = 0
    return torch.multinomial(rows, 1).squeeze(1)


@wrong_labels.right
def again_until_wrong(c, weights):
    other = torch.multinomial(weights, len(c), replacement=True)
    while (same := other == c).any():
        other[same] = torch.multinomial(weights, int(same.sum()), replacement=True)
    return other


@wrong_labels.right
def gumbel(c, weights):
    scores = weights.log() - torch.rand(len(c), len(weights)).log().neg().log()
    return scores.masked_fill(F.one_hot(c, len(weights)).bool(), -math.inf).argmax(dim=1)


@wrong_labels.right
def one_at_a_time(c, weights):
    shares = weights.tolist()
    drawn = []
    for label in c.tolist():
        others = [k for k in range(len(shares)) if k != label]
        drawn += random.choices(others, [shares[k] for k in others])
    return torch.tensor(drawn)


@wrong_labels.right
def a_distribution_for_each_class(c, weights):
    table = weights.expand(len(weights), -1) * (1 - torch.eye(len(weights)))
    return torch.distributions.Categorical(probs=table[c]).sample()


@wrong_labels.wrong("coincide")
def random_labels(c, weights):
    return torch.multinomial(weights, len(c), replacement=True)


@wrong_labels.wrong("coincide")
def uniform_random_labels(c, weights):
    return torch.randint(0, len(weights), c.shape)


@wrong_labels.wrong("redrawn-once")
def one_more_try(c, weights):
    first, second = random_labels(c, weights), random_labels(c, weights)
    return torch.where(first == c, second, first)


@wrong_labels.wrong("shuffled")
def rolled_batch(c, weights):
    return c.roll(1)


@wrong_labels.wrong("shuffled")
def shuffled_batch(c, weights):
    return c[torch.randperm(len(c))]


@wrong_labels.wrong("one-move")
def next_class(c, weights):
    return (c + 1) % len(weights)


@wrong_labels.wrong("one-move")
def one_move_for_the_batch(c, weights):
    return (c + torch.randint(1, len(weights), ())) % len(weights)


@wrong_labels.wrong("one-per-class")
def most_frequent_other(c, weights):
    rows = weights.repeat(len(c), 1)
    rows[torch.arange(len(c)), c] = 0
    return rows.argmax(dim=1)


@wrong_labels.wrong("fixed")
def seeded_inside(c, weights):
    torch.manual_seed(0)
    return one_row_of_weights_each(c, weights)


@wrong_labels.wrong("uniform")
def uniform_over_the_others(c, weights):
    return (c + torch.randint(1, len(weights), c.shape)) % len(weights)


@wrong_labels.wrong("uniform")
def only_where_possible(c, weights):
    rows = (weights > 0).float().repeat(len(c), 1)
    rows[torch.arange(len(c)), c] = 0
    return torch.multinomial(rows, 1).squeeze(1)


@wrong_labels.wrong("of-the-batch")
def frequencies_of_the_batch(c, weights):
    counts = torch.bincount(c, minlength=len(weights)).float()
    return one_row_of_weights_each(c, counts) if (counts > 0).sum() > 1 else uniform_over_the_others(c, weights)


@wrong_labels.wrong("biased")
def steps_aside(c, weights):
    other = random_labels(c, weights)
    return torch.where(other == c, (other + 1) % len(weights), other)


@wrong_labels.wrong("biased")
def squares_the_weights(c, weights):
    return one_row_of_weights_each(c, weights**2)


@wrong_labels.wrong("never")
def misses_the_last_move(c, weights):
    return (c + torch.randint(1, max(2, len(weights) - 1), c.shape)) % len(weights)


@wrong_labels.wrong("range")
def forgets_to_wrap(c, weights):
    return c + torch.randint(1, len(weights), c.shape)


@wrong_labels.wrong("weight-0")
def no_class_is_impossible(c, weights):
    return one_row_of_weights_each(c, weights.clamp(min=0.01))


@wrong_labels.wrong("mutates")
def in_place(c, weights):
    other = one_row_of_weights_each(c, weights)
    return c.copy_(other)


wrong_labels.wrong("range", lambda c, weights: (c + 1) % (len(weights) + 1))
wrong_labels.wrong("unchanged", lambda c, weights: c.clone())
wrong_labels.wrong("dtype", lambda c, weights: one_row_of_weights_each(c, weights).float())
wrong_labels.wrong("dtype", lambda c, weights: one_row_of_weights_each(c, weights).int())
wrong_labels.wrong("shape", lambda c, weights: one_row_of_weights_each(c, weights)[:, None])
wrong_labels.wrong("shape", lambda c, weights: one_row_of_weights_each(c, weights).squeeze())
wrong_labels.wrong("type", lambda c, weights: one_row_of_weights_each(c, weights).tolist())

# 2 ---------------------------------------------------------------------------------------------------

matching_loss = Answers("cgan.matching_loss")


@matching_loss.right
def with_logsigmoid(D, x, c, x_fake, wrong):
    right = F.logsigmoid(D(x, c)).mean()
    refused = F.logsigmoid(-D(x_fake, c)).mean() + F.logsigmoid(-D(x, wrong)).mean()
    return -(right + refused / 2)


@matching_loss.right
def as_cross_entropies(D, x, c, x_fake, wrong):
    a, b, d = D(x, c), D(x_fake.detach(), c), D(x, wrong)
    loss = bce_logits(a, torch.ones_like(a))
    return loss + 0.5 * bce_logits(b, torch.zeros_like(b)) + 0.5 * bce_logits(d, torch.zeros_like(d))


@matching_loss.right
def one_pass_through_d(D, x, c, x_fake, wrong):
    a = D(torch.cat([x, x_fake, x]), torch.cat([c, c, wrong]))
    target = torch.zeros_like(a)
    target[: len(c)] = 1
    weight = 1 - target / 2 - 0.5 + target  # 1.0 for right pairs, 0.5 for the others
    return bce_logits(a, target, weight, reduction="sum") / len(c)


@matching_loss.right
def sample_by_sample(D, x, c, x_fake, wrong):
    rows = softplus(-D(x, c)) + (softplus(D(x_fake, c)) + softplus(D(x, wrong))) / 2
    return rows.mean()


def terms(D, x, c, x_fake, wrong):
    return softplus(-D(x, c)).mean(), softplus(D(x_fake, c)).mean(), softplus(D(x, wrong)).mean()


def weighted(a, b, d):
    def loss(*args):
        first, second, third = terms(*args)
        return a * first + b * second + d * third

    return loss


matching_loss.wrong("lost-third", weighted(1, 0.5, 0))
matching_loss.wrong("wrong-in-full", weighted(1, 0.5, 1))
matching_loss.wrong("half-on-right", weighted(0.5, 1, 1))
matching_loss.wrong("value", weighted(1, 1 / 3, 2 / 3))


@matching_loss.wrong("third-right")
def right_pairs_as_wrong_ones(D, x, c, x_fake, wrong):
    a = D(x, c)
    return softplus(-a).mean() + (softplus(D(x_fake, c)).mean() + softplus(a).mean()) / 2


@matching_loss.wrong("third-right-unit")
def right_pairs_as_wrong_ones_in_full(D, x, c, x_fake, wrong):
    a = D(x, c)
    return softplus(-a).mean() + softplus(D(x_fake, c)).mean() + softplus(a).mean()


@matching_loss.wrong("third-generated")
def fakes_with_wrong_labels(D, x, c, x_fake, wrong):
    refused = softplus(D(x_fake, c)).mean() + softplus(D(x_fake, wrong)).mean()
    return softplus(-D(x, c)).mean() + refused / 2


@matching_loss.wrong("fake-mislabelled")
def one_set_of_labels_to_refuse(D, x, c, x_fake, wrong):
    refused = D(torch.cat([x_fake, x]), wrong.repeat(2))
    return softplus(-D(x, c)).mean() + softplus(refused).mean()


@matching_loss.wrong("third-accepted")
def real_is_real(D, x, c, x_fake, wrong):
    accepted = bce_logits(D(x, wrong), torch.ones(len(c)))
    return softplus(-D(x, c)).mean() + (softplus(D(x_fake, c)).mean() + accepted) / 2


@matching_loss.wrong("generator-target")
def target_of_g(D, x, c, x_fake, wrong):
    first, _, third = terms(D, x, c, x_fake, wrong)
    return first + (softplus(-D(x_fake, c)).mean() + third) / 2


@matching_loss.wrong("swapped")
def other_way_round(D, x, c, x_fake, wrong):
    return softplus(D(x, c)).mean() + (softplus(-D(x_fake, c)).mean() + softplus(-D(x, wrong)).mean()) / 2


@matching_loss.wrong("value-sign")
def the_value(D, x, c, x_fake, wrong):
    return F.logsigmoid(D(x, c)).mean() + (F.logsigmoid(-D(x_fake, c)) + F.logsigmoid(-D(x, wrong))).mean() / 2


@matching_loss.wrong("pooled")
def one_long_batch(D, x, c, x_fake, wrong):
    a = torch.cat([D(x, c), D(x_fake, c), D(x, wrong)])
    return bce_logits(a, torch.tensor([1.0, 0.0, 0.0]).repeat_interleave(len(c)))


@matching_loss.wrong("sigmoid-twice")
def sigmoid_then_logits(D, x, c, x_fake, wrong):
    return with_logsigmoid(lambda *pair: D(*pair).sigmoid(), x, c, x_fake, wrong)


@matching_loss.wrong("missing-mean")
def adds_up(D, x, c, x_fake, wrong):
    return len(c) * sample_by_sample(D, x, c, x_fake, wrong)


@matching_loss.wrong("shape")
def one_loss_for_each(D, x, c, x_fake, wrong):
    return softplus(-D(x, c)) + (softplus(D(x_fake, c)) + softplus(D(x, wrong))) / 2


@matching_loss.wrong("not-finite")
def logarithms_of_probabilities(D, x, c, x_fake, wrong):
    s_r, s_f, s_w = (D(*pair).sigmoid() for pair in ((x, c), (x_fake, c), (x, wrong)))
    return -(s_r.log().mean() + ((1 - s_w).log().mean() + (1 - s_f).log().mean()) / 2)


@matching_loss.wrong("probabilities")
def cut_off(D, x, c, x_fake, wrong):
    s_r, s_f, s_w = (D(*pair).sigmoid() for pair in ((x, c), (x_fake, c), (x, wrong)))
    loss = F.binary_cross_entropy
    refused = loss(s_f, torch.zeros_like(s_f)) + loss(s_w, torch.zeros_like(s_w))
    return loss(s_r, torch.ones_like(s_r)) + refused / 2


@matching_loss.wrong("probabilities")
def with_a_floor(D, x, c, x_fake, wrong):
    s_r, s_f, s_w = (D(*pair).sigmoid() for pair in ((x, c), (x_fake, c), (x, wrong)))
    tiny = 1e-8
    return -((s_r + tiny).log() + ((1 - s_w + tiny).log() + (1 - s_f + tiny).log()) / 2).mean()


@matching_loss.wrong("probabilities")
def floor_under_the_third(D, x, c, x_fake, wrong):
    refused = softplus(D(x_fake, c)) - (1 - D(x, wrong).sigmoid() + 1e-12).log()
    return (softplus(-D(x, c)) + refused / 2).mean()


@matching_loss.wrong("third-cut")
def wrong_pairs_without_gradient(D, x, c, x_fake, wrong):
    with torch.no_grad():
        third = softplus(D(x, wrong)).mean()
    return softplus(-D(x, c)).mean() + (softplus(D(x_fake, c)).mean() + third) / 2


@matching_loss.wrong("raises")
def forgets_the_condition(D, x, c, x_fake, wrong):
    return softplus(-D(x, c)).mean() + (softplus(D(x_fake)).mean() + softplus(D(x, wrong)).mean()) / 2


@matching_loss.wrong("raises")
def ones_as_labels(D, x, c, x_fake, wrong):
    real_labels = torch.ones(len(c))  # the name has two meanings
    return with_logsigmoid(D, x, real_labels, x_fake, wrong)


# 3 ---------------------------------------------------------------------------------------------------

resting_values = Answers("cgan.resting_values")
resting_values.right((2 / 3, math.log(1.5), math.log(1.5) + math.log(3) / 2, math.log(2), math.log(2.1)))
resting_values.wrong("always-a-half", [0.5, 0.693, 1.386, 0.693, 0.693])
resting_values.wrong("wrong-pairs-everywhere", [1 / 3, 1.0986, 1.504, 1.0986, 1.0986])
resting_values.wrong("minimax", [0.667, 1.0986, 0.955, 0.693, 0.742], [0.667, -1.0986, 0.955, 0.693, 0.742])
resting_values.wrong("share-of-wrong", [0.667, 0.405, 0.955, 0.693, 1.0647])
resting_values.wrong("value", [0.75, 0.288, 0.981, 0.693, 0.742])
resting_values.wrong("shape", [0.667, 0.405, 0.955])
resting_values.wrong("not-done", None)

# 4 ---------------------------------------------------------------------------------------------------

generator_step = Answers("cgan.generator_step")


def step(labels=lambda c: c, loss=lambda a: softplus(-a).mean(), d_fake=None, sign=1):
    """The given step, repaired as far as the arguments say."""

    def function(G, D, optimizer, z, c):
        fake = G(z, c)
        verdict = D(fake, labels(c))
        value = loss(verdict)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        shown = verdict.sigmoid().mean() if d_fake is None else d_fake(fake, verdict)
        return {"g_loss": sign * value.item(), "d_fake": shown.item()}

    return function


@generator_step.right
def cross_entropy_with_ones(G, D, optimizer, z, c):
    optimizer.zero_grad()
    logits = D(G(z, c), c)
    loss = bce_logits(logits, torch.ones_like(logits))
    loss.backward()
    optimizer.step()
    return {"g_loss": float(loss.detach()), "d_fake": float(torch.sigmoid(logits.detach()).mean())}


@generator_step.right
def with_autograd(G, D, optimizer, z, c):
    logits = D(G(z, c), c)
    loss = -torch.log(torch.sigmoid(logits)).mean()
    parameters = list(G.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    with torch.no_grad():
        return {"d_fake": logits.sigmoid().mean().item(), "g_loss": loss.item()}


@generator_step.right
def ascends_by_turning_the_gradient(G, D, optimizer, z, c):
    verdict = D(G(z, c), c)
    gain = F.logsigmoid(verdict).mean()
    for parameter in G.parameters():
        parameter.grad = None
    (-gain).backward()
    optimizer.step()
    return {"g_loss": -gain.detach(), "d_fake": torch.sigmoid(verdict).detach().mean()}


def drawn_again(c):
    return torch.randint(0, 10, c.shape)


def ascent(a):
    return F.logsigmoid(a).mean()


def mean_pixel(fake, verdict):
    return -fake.mean()


generator_step.wrong("other-labels-and-ascent-and-mean-pixel", step(drawn_again, ascent, mean_pixel))
generator_step.wrong("ascent-and-mean-pixel", step(loss=ascent, d_fake=mean_pixel))
generator_step.wrong("mean-pixel", step(d_fake=mean_pixel))
generator_step.wrong("refusals", step(d_fake=lambda fake, verdict: 1 - verdict.sigmoid().mean()))
generator_step.wrong("moves-away", step(loss=ascent, sign=-1))
generator_step.wrong("minimax", step(loss=lambda a: torch.log(1 - torch.sigmoid(a)).mean()))
generator_step.wrong("target-zero", step(loss=lambda a: bce_logits(a, torch.zeros_like(a))))
generator_step.wrong("sigmoid-twice", step(loss=lambda a: bce_logits(a.sigmoid(), torch.ones_like(a))))
generator_step.wrong("value", step(lambda c: c.roll(1)), step(lambda c: c[torch.randperm(len(c)).roll(1)] * 0))


@generator_step.wrong("value")
def g_draws_for_other_labels(G, D, optimizer, z, c):
    return cross_entropy_with_ones(lambda z, c: G(z, (c + 1) % 10), D, optimizer, z, c)


@generator_step.wrong("frozen")
def cuts_the_graph(G, D, optimizer, z, c):
    return cross_entropy_with_ones(lambda z, c: G(z, c).detach(), D, optimizer, z, c)


@generator_step.wrong("frozen")
def clears_too_late(G, D, optimizer, z, c):
    verdict = D(G(z, c), c)
    loss = softplus(-verdict).mean()
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return {"g_loss": loss.item(), "d_fake": verdict.sigmoid().mean().item()}


@generator_step.wrong("not-cleared")
def never_clears(G, D, optimizer, z, c):
    verdict = D(G(z, c), c)
    loss = softplus(-verdict).mean()
    loss.backward()
    optimizer.step()
    return {"g_loss": loss.item(), "d_fake": verdict.sigmoid().mean().item()}


@generator_step.wrong("logged-after")
def looks_again(G, D, optimizer, z, c):
    log = cross_entropy_with_ones(G, D, optimizer, z, c)
    return log | {"d_fake": D(G(z, c), c).sigmoid().mean().item()}


@generator_step.wrong("raises")
def condition_missing(G, D, optimizer, z, c):
    return cross_entropy_with_ones(G, lambda x, c: D(x), optimizer, z, c)


@generator_step.wrong("type")
def returns_the_loss(G, D, optimizer, z, c):
    return cross_entropy_with_ones(G, D, optimizer, z, c)["g_loss"]


# 5 ---------------------------------------------------------------------------------------------------

conditional_norm = Answers("cgan.conditional_norm")


@conditional_norm.right
def with_batch_norm(x, c, gamma, beta, eps):
    h = F.batch_norm(x, None, None, training=True, eps=eps)
    return h * gamma[c][:, :, None, None] + beta[c][:, :, None, None]


@conditional_norm.right
def flat_channels(x, c, gamma, beta, eps):
    rows = x.transpose(0, 1).flatten(1)  # (C, B·H·W)
    variance, mean = torch.var_mean(rows, dim=1, correction=0)
    h = (x - mean.view(1, -1, 1, 1)) * torch.rsqrt(variance + eps).view(1, -1, 1, 1)
    return torch.einsum("bchw,bc->bchw", h, gamma[c]) + beta[c].reshape(*x.shape[:2], 1, 1)


@conditional_norm.right
def with_one_hot(x, c, gamma, beta, eps):
    which = F.one_hot(c, len(gamma)).to(x.dtype)
    mean = x.mean((0, 2, 3), keepdim=True)
    std = ((x**2).mean((0, 2, 3), keepdim=True) - mean**2 + eps) ** 0.5
    scale, shift = (which @ gamma)[..., None, None], (which @ beta)[..., None, None]
    return scale * (x - mean) / std + shift


@conditional_norm.right
def sample_by_sample_norm(x, c, gamma, beta, eps):
    mean, variance = x.mean(dim=[0, 2, 3]), x.var(dim=[0, 2, 3], unbiased=False)
    pictures = []
    for picture, k in zip(x, c, strict=True):
        h = (picture - mean[:, None, None]) / torch.sqrt(variance + eps)[:, None, None]
        pictures.append(gamma[k][:, None, None] * h + beta[k][:, None, None])
    return torch.stack(pictures)


def norm(dims=(0, 2, 3), correction=0, gamma_of=lambda table, c: table[c], beta_of=lambda table, c: table[c]):
    def function(x, c, gamma, beta, eps):
        mean = x.mean(dim=dims, keepdim=True)
        variance = x.var(dim=dims, keepdim=True, correction=correction)
        scale, shift = gamma_of(gamma, c)[:, :, None, None], beta_of(beta, c)[:, :, None, None]
        return scale * (x - mean) / (variance + eps).sqrt() + shift

    return function


def both(row):
    return norm(gamma_of=row, beta_of=row)


conditional_norm.wrong("by-position", both(lambda table, c: torch.cat([table] * len(c))[: len(c)]))
conditional_norm.wrong("unbiased", norm(correction=1))
conditional_norm.wrong("layer-norm", norm(dims=(1, 2, 3)))
conditional_norm.wrong("whole-batch", norm(dims=(0, 1, 2, 3)))
conditional_norm.wrong("plain", lambda x, c, gamma, beta, eps: F.batch_norm(x, None, None, training=True, eps=eps))
conditional_norm.wrong("tables-swapped", lambda x, c, gamma, beta, eps: norm()(x, c, beta, gamma, eps))
conditional_norm.wrong("no-eps", lambda x, c, gamma, beta, eps: norm()(x, c, gamma, beta, 0.0))
conditional_norm.wrong("own-eps", lambda x, c, gamma, beta, eps: with_batch_norm(x, c, gamma, beta, 1e-5))


@conditional_norm.wrong("per-class")
def each_class_by_itself(x, c, gamma, beta, eps):
    result = torch.empty_like(x)
    for k in c.unique():
        result[c == k] = with_batch_norm(x[c == k], c[c == k], gamma, beta, eps)
    return result


@conditional_norm.wrong("not-normalised")
def modulates(x, c, gamma, beta, eps):
    return x * gamma[c].unsqueeze(2).unsqueeze(3) + beta[c].unsqueeze(2).unsqueeze(3)


@conditional_norm.wrong("shift-first")
def shift_is_scaled(x, c, gamma, beta, eps):
    h = F.batch_norm(x, None, None, training=True, eps=eps)
    return gamma[c][..., None, None] * (h + beta[c][..., None, None])


@conditional_norm.wrong("wrong-axis")
def broadcasts_to_columns(x, c, gamma, beta, eps):
    h = F.batch_norm(x, None, None, training=True, eps=eps)
    return h * gamma[c][:, None, None] + beta[c][:, None, None]


@conditional_norm.wrong("raises")
def broadcasts_to_nothing(x, c, gamma, beta, eps):
    return F.batch_norm(x, None, None, training=True, eps=eps) * gamma[c] + beta[c]


@conditional_norm.wrong("eps-outside")
def eps_beside_the_root(x, c, gamma, beta, eps):
    mean, std = x.mean((0, 2, 3), True), x.std((0, 2, 3), correction=0, keepdim=True)
    return gamma[c][..., None, None] * (x - mean) / (std + eps) + beta[c][..., None, None]


@conditional_norm.wrong("statistics-cut")
@torch.enable_grad()
def statistics_as_constants(x, c, gamma, beta, eps):
    with torch.no_grad():
        variance, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
    return gamma[c][..., None, None] * (x - mean) / (variance + eps).sqrt() + beta[c][..., None, None]


conditional_norm.wrong("shape", lambda *args: with_batch_norm(*args).flatten(1))

# 6 ---------------------------------------------------------------------------------------------------

pair_logits = Answers("cgan.pair_logits")


@pair_logits.right
def as_cross_entropy(phi, c, W_data, W_gen, r):
    return (
        r + F.cross_entropy(phi @ W_gen.T, c, reduction="none") - F.cross_entropy(phi @ W_data.T, c, reduction="none")
    )


@pair_logits.right
def inner_product_and_rest(phi, c, W_data, W_gen, r):
    v = W_data - W_gen
    rest = r - torch.logsumexp(F.linear(phi, W_data), 1) + torch.logsumexp(F.linear(phi, W_gen), 1)
    return (v[c] * phi).sum(dim=1) + rest


@pair_logits.right
def with_a_table(phi, c, W_data, W_gen, r):
    table = F.log_softmax(phi @ W_data.T, dim=-1) - F.log_softmax(phi @ W_gen.T, dim=-1)
    return table[torch.arange(len(c)), c] + r


@pair_logits.right
def picture_by_picture(phi, c, W_data, W_gen, r):
    logits = []
    for features, k, ratio in zip(phi, c, r, strict=True):
        a, b = W_data @ features, W_gen @ features
        logits.append(ratio + (a[k] - a.logsumexp(0)) - (b[k] - b.logsumexp(0)))
    return torch.stack(logits)


def log_p(phi, w, dim=1):
    return (phi @ w.T).log_softmax(dim=dim)


def at(table, c):
    return table[torch.arange(len(c)), c]


def from_parts(formula, head=log_p, choose=at):
    return lambda phi, c, W_data, W_gen, r: formula(choose(head(phi, W_data), c), choose(head(phi, W_gen), c), r)


pair_logits.wrong("reversed", from_parts(lambda p, q, r: -(p - q + r)))
pair_logits.wrong("probabilities", from_parts(lambda p, q, r: p - q + r, lambda phi, w: (phi @ w.T).softmax(dim=1)))
pair_logits.wrong("sigmoid", from_parts(lambda p, q, r: 1 / (1 + (q - p - r).exp())))
pair_logits.wrong("batch-softmax", from_parts(lambda p, q, r: p - q + r, lambda phi, w: log_p(phi, w, dim=0)))
pair_logits.wrong("sum-of-classes", from_parts(lambda p, q, r: p - q + r, choose=lambda table, c: table.sum(1)))
pair_logits.wrong("shape", from_parts(lambda p, q, r: p - q + r[:, None], choose=lambda table, c: table[:, c]))
pair_logits.wrong("shape", from_parts(lambda p, q, r: p - q + r[:, None], choose=lambda table, c: table))
pair_logits.wrong("shape", lambda phi, c, W_data, W_gen, r: as_cross_entropy(phi, c, W_data, W_gen, r)[:, None])


@pair_logits.wrong("no-normaliser")
def inner_product_only(phi, c, W_data, W_gen, r):
    return r + ((W_data - W_gen)[c] * phi).sum(dim=1)


@pair_logits.wrong("shape")
def product_over_the_batch(phi, c, W_data, W_gen, r):
    return r + phi @ (W_data - W_gen)[c].T


@pair_logits.wrong("by-position")
def rows_in_order(phi, c, W_data, W_gen, r):
    return as_cross_entropy(phi, torch.arange(len(c)) % len(W_data), W_data, W_gen, r)


@pair_logits.wrong("all-classes")
def label_kl_of_each(phi, c, W_data, W_gen, r):
    p = torch.softmax(phi @ W_data.T, dim=1)
    return r + (p * (log_p(phi, W_data) - log_p(phi, W_gen))).sum(1)


@pair_logits.wrong("not-finite")
def logarithm_of_softmax(phi, c, W_data, W_gen, r):
    return r + torch.log(at((phi @ W_data.T).softmax(1), c) / at((phi @ W_gen.T).softmax(1), c))


@pair_logits.wrong("clamped")
def with_floor(phi, c, W_data, W_gen, r):
    p, q = ((phi @ w.T).softmax(1).clamp(min=1e-12) for w in (W_data, W_gen))
    return r + at(p, c).log() - at(q, c).log()


# 7 ---------------------------------------------------------------------------------------------------

chance = Answers("cgan.chance")
chance.right([0.1, 0.136, 0.64, 0.128, 10_340])
chance.wrong("majority", [0.28, 0.28, 0.64, 0.1276, 10_340])
chance.wrong("with-biases", [0.1, 0.136, 0.64, 0.1276, 11_364])
chance.wrong("whole-layer", [0.1, 0.136, 0.64, 0.1276, 814_080])
chance.wrong("value", [0.1, 0.136, 0.64, 0.1276, 2_660], [0.1, 0.136, 0.64, 0.1276, 10_350])
chance.wrong("not-done", None)

# 8 ---------------------------------------------------------------------------------------------------

diversity = Answers("cgan.diversity")
diversity.right("The sentence is wrong, the table says so, and the following numbers show why. " * 12)
diversity.wrong("too-short", "Yes, because ten classes are more than one.")
diversity.wrong("not-done", "")
