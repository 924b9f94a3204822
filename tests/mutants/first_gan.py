"""Right and wrong answers of the set `first_gan`, chapter 2."""

import copy
import math

import torch
from torch.nn import functional as F
from torch.nn.functional import softplus

from . import Answers

bce = F.binary_cross_entropy_with_logits

# 1 ---------------------------------------------------------------------------------------------------

to_pixels = Answers("first_gan.to_pixels")


@to_pixels.right
def by_the_inverse(x):
    return (255 * (0.5 * x + 0.5)).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


@to_pixels.right
def clamp_first(x):
    levels = (x.clamp(-1, 1) + 1) / 2 * 255
    return levels.add(0.5).floor().byte().movedim(1, -1).contiguous()


@to_pixels.right
def picture_by_picture(x):
    pictures = [torch.round((one.permute(1, 2, 0) * 0.5 + 0.5).clamp(0, 1) * 255) for one in x]
    return torch.stack(pictures).to(torch.uint8)


@to_pixels.right
def truncates_half_higher(x):
    return (x * 127.5 + 128).clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8)


@to_pixels.right
def through_numpy(x):
    levels = (x.numpy() * 127.5 + 127.5).round().clip(0, 255)
    return torch.from_numpy(levels.astype("uint8").transpose(0, 2, 3, 1).copy())


def bytes_of(levels):
    return levels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


to_pixels.wrong("unit-range", lambda x: bytes_of(x.clamp(0, 1) * 255))
to_pixels.wrong("times-128", lambda x: bytes_of(x * 128 + 128))
to_pixels.wrong("truncated", lambda x: (255 * (x.clamp(-1, 1) + 1) / 2).to(torch.uint8).permute(0, 2, 3, 1))
to_pixels.wrong("wrapped", lambda x: (127.5 * (x + 1)).round().to(torch.int32).to(torch.uint8).permute(0, 2, 3, 1))
to_pixels.wrong("both-truncated-and-wrapped", lambda x: (127.5 * (x + 1)).int().to(torch.uint8).permute(0, 2, 3, 1))
to_pixels.wrong("columns-and-rows", lambda x: bytes_of(127.5 * (x + 1)).transpose(1, 2))
to_pixels.wrong("value", lambda x: bytes_of(x * 127 + 127))
to_pixels.wrong("dtype", lambda x: (127.5 * (x + 1)).round().clamp(0, 255).permute(0, 2, 3, 1))


@to_pixels.wrong("stretched-picture")
def each_picture_by_itself(x):
    low, high = x.flatten(1).min(dim=1).values, x.flatten(1).max(dim=1).values
    low, high = low[:, None, None, None], high[:, None, None, None]
    return bytes_of(255 * (x - low) / (high - low))


@to_pixels.wrong("scrambled")
def with_view(x):
    b, c, h, w = x.shape
    return (127.5 * (x + 1)).round().clamp(0, 255).to(torch.uint8).view(b, h, w, c)


@to_pixels.wrong("as-given")
def all_three_bugs(x):
    levels = 255 * (x - x.min()) / (x.max() - x.min())
    return levels.to(torch.uint8).reshape(len(x), *x.shape[2:], x.shape[1])


@to_pixels.wrong("mutates")
def in_place(x):
    return bytes_of(x.add_(1).mul_(127.5))


# 2 ---------------------------------------------------------------------------------------------------

bookkeeping = Answers("first_gan.bookkeeping")
bookkeeping.right([561_168, 1_536, 235, 96, 21_060], (561168.0, 1536, 235, 96, 21060))
bookkeeping.right(torch.tensor([561_168, 1_536, 235, 96, 21_060]))
bookkeeping.wrong("one-per-unit", [560_400, 768, 235, 96, 21_060])
bookkeeping.wrong("norm-at-the-end", [562_736, 3_104, 235, 96, 21_060])
bookkeeping.wrong("never", [561_168, 1_536, math.inf, 0, 21_060])
bookkeeping.wrong("value", [558_080, 1_536, 235, 96, 21_060])
bookkeeping.wrong("not-done", None)

# 3 ---------------------------------------------------------------------------------------------------

silent_bugs = Answers("first_gan.silent_bugs")
silent_bugs.right([0.375, 0.75, 1 / 3], (3 / 8, 3 / 4, 0.3333), torch.tensor([0.375, 0.75, 0.33333]))
silent_bugs.wrong("half-wrong", [0.5, 0.5, 1 / 3])
silent_bugs.wrong("type", [0.375, [1.0, 0.0], 1 / 3])
silent_bugs.wrong("value", [0.375, 0.75, 0.4])
silent_bugs.wrong("not-done", None)

# 4 ---------------------------------------------------------------------------------------------------

possible = Answers("first_gan.possible")


def ranges(*opinions):
    good = torch.ones_like(opinions[0], dtype=torch.bool)
    for d in opinions:
        good &= (d > 0) & (d < 1)
    return good


@possible.right
def by_jensen(d_loss, g_loss, d_real, d_fake, d_fake_after):
    least = -torch.log(d_real) - torch.log(1 - d_fake)
    sound = ranges(d_real, d_fake, d_fake_after)
    return sound & (d_loss >= least) & (g_loss >= -torch.log(d_fake_after))


@possible.right
def by_exponentials(L_D, L_G, real, fake, after):
    return ((-L_D).exp() <= real * (1 - fake)) & ((-L_G).exp() <= after) & ranges(real, fake, after)


@possible.right
def row_by_row(*columns):
    answers = []
    for L_D, L_G, real, fake, after in zip(*(column.tolist() for column in columns), strict=True):
        fits = 0 < real < 1 and 0 < fake < 1 and 0 < after < 1
        fits = fits and L_D >= math.log(1 / real) + math.log(1 / (1 - fake)) and L_G >= math.log(1 / after)
        answers.append(fits)
    return torch.tensor(answers)


@possible.right
def with_a_margin(d_loss, g_loss, d_real, d_fake, d_fake_after):
    inside = torch.stack([d_real, d_fake, d_fake_after])
    sound = ((inside > 0) & (inside < 1)).all(dim=0)
    return sound & (d_loss + 1e-4 > -(d_real * (1 - d_fake)).log()) & (g_loss + 1e-4 > -d_fake_after.log())


def nll(p):
    return -torch.log(p)


possible.wrong("signs-only", lambda L, g, r, f, a: ranges(r, f, a) & (L >= 0) & (g >= 0))
possible.wrong("no-range", lambda L, g, r, f, a: (L >= nll(r) + nll(1 - f)) & (g >= nll(a)))
possible.wrong("value", lambda L, g, r, f, a: torch.isclose(L, nll(r) + nll(1 - f)) & torch.isclose(g, nll(a)))
possible.wrong("type", lambda *columns: None)


@possible.wrong("equality")
def mean_of_logs_is_log_of_mean(d_loss, g_loss, d_real, d_fake, d_fake_after):
    same = (d_loss - nll(d_real) - nll(1 - d_fake)).abs() < 0.1
    return same & ((g_loss - nll(d_fake_after)).abs() < 0.1) & ranges(d_real, d_fake, d_fake_after)


@possible.wrong("upper-bound")
def suspicious_of_large_losses(L, g, r, f, a):
    return by_jensen(L, g, r, f, a) & (L <= 3 * (nll(r) + nll(1 - f))) & (g <= 3 * nll(a))


@possible.wrong("shape")
def one_verdict_for_all(*columns):
    return by_jensen(*columns).all()


# 5 ---------------------------------------------------------------------------------------------------

sample = Answers("first_gan.sample")


def noise(n, latent_dim, seed):
    return torch.randn(n, latent_dim, generator=torch.Generator().manual_seed(seed))


@sample.right
def with_finally(G, n, latent_dim, seed):
    was = G.training
    try:
        with torch.no_grad():
            return G.eval()(noise(n, latent_dim, seed))
    finally:
        G.train(was)


@sample.right
def with_a_copy(G, n, latent_dim, seed):
    return copy.deepcopy(G).eval()(noise(n, latent_dim, seed)).detach()


@sample.right
@torch.no_grad()
def as_decorator(G, n, latent_dim, seed):
    modes = [module.training for module in G.modules()]
    G.eval()
    samples = G(torch.empty(n, latent_dim).normal_(generator=torch.Generator().manual_seed(seed)))
    for module, mode in zip(G.modules(), modes, strict=True):
        module.training = mode
    return samples


@sample.right
def with_a_fork(G, n, latent_dim, seed):
    was = G.training
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        samples = G.eval()(torch.randn(n, latent_dim))
    G.train(was)
    return samples.clone()


def looks(z, grad=False):
    """Sample in eval mode, and put the mode back."""

    def function(G, n, latent_dim, seed):
        was = G.training
        with torch.set_grad_enabled(grad):
            samples = G.eval()(z(n, latent_dim, seed))
        G.train(was)
        return samples

    return function


sample.wrong("train-mode", lambda G, n, d, seed: G(noise(n, d, seed)).detach())


@sample.wrong("state")
def leaves_autograd_off(G, n, latent_dim, seed):
    torch.set_grad_enabled(False)
    return with_finally(G, n, latent_dim, seed)


@sample.wrong("value")
def leaves_the_norms_in_eval_mode(G, n, latent_dim, seed):
    for part in G.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            part.eval()
    with torch.no_grad():
        return G(noise(n, latent_dim, seed))


@sample.wrong("value")
def restores_the_top_only(G, n, latent_dim, seed):
    training = G.training
    x = G.eval()(noise(n, latent_dim, seed)).detach()
    G.training = training
    return x


sample.wrong("mode-not-restored", lambda G, n, d, seed: G.eval()(noise(n, d, seed)).detach())
sample.wrong("graph", looks(noise, grad=True), lambda G, n, d, seed: G(torch.randn(n, d)))
sample.wrong("unseeded", looks(lambda n, d, seed: torch.empty(n, d).normal_()))
sample.wrong("not-your-own", looks(lambda n, d, seed: 2 * torch.rand(n, d) - 1))
sample.wrong("constant-seed", looks(lambda n, d, seed: noise(n, d, 0)), looks(lambda n, d, seed: noise(n, d, 42)))
sample.wrong("constant-seed", looks(lambda n, d, seed: torch.randn(n, d, generator=torch.Generator())))
sample.wrong("value", looks(lambda n, d, seed: noise(d, n, seed).T), looks(lambda n, d, seed: noise(n, d, seed + 1)))
sample.wrong("raises", looks(lambda n, d, seed: noise(d, n, seed)))
sample.wrong("shape", lambda G, n, d, seed: with_finally(G, n + 1, d, seed))
sample.wrong("state", lambda G, n, d, seed: with_finally(G.requires_grad_(False), n, d, seed))


@sample.wrong("global-seed")
def resets_the_generator(G, n, latent_dim, seed):
    torch.manual_seed(seed)
    return with_a_copy(G, n, latent_dim, torch.initial_seed())


# 6 ---------------------------------------------------------------------------------------------------

update_average = Answers("first_gan.update_average")


@update_average.right
@torch.no_grad()
def weights_then_buffers(average, G, beta):
    for a, p in zip(average.parameters(), G.parameters(), strict=True):
        a.mul_(beta).add_((1 - beta) * p)
    for a, b in zip(average.buffers(), G.buffers(), strict=True):
        a.copy_(beta * a + (1 - beta) * b if a.is_floating_point() else b)


@update_average.right
def with_a_state_dict(average, G, beta):
    old, new = average.state_dict(), G.state_dict()
    mixed = {k: beta * old[k] + (1 - beta) * v if v.is_floating_point() else v for k, v in new.items()}
    average.load_state_dict(mixed)


@update_average.right
def with_data(average, G, beta):
    new = dict(G.named_parameters()) | dict(G.named_buffers())
    for name, tensor in [*average.named_parameters(), *average.named_buffers()]:
        if tensor.dtype == torch.long:
            tensor.data = new[name].clone()
        else:
            tensor.data = tensor.data + (1 - beta) * (new[name].data - tensor.data)


@update_average.right
def with_foreach(average, G, beta):
    pairs = zip(average.state_dict().values(), G.state_dict().values(), strict=True)
    pairs = [(a, b) for a, b in pairs]
    floats = [(a, b) for a, b in pairs if a.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1 - beta)
    for a, b in pairs:
        if not a.is_floating_point():
            a.copy_(b)


update_average.wrong("copy", lambda average, G, beta: average.load_state_dict(G.state_dict()) and None)


@update_average.wrong("nothing")
def rebinds_names(average, G, beta):
    for a, p in zip(average.parameters(), G.parameters(), strict=True):
        a = beta * a + (1 - beta) * p


@update_average.wrong("buffers-only")
@torch.no_grad()
def rebinds_weights(average, G, beta):
    for a, p in zip(average.parameters(), G.parameters(), strict=True):
        a = beta * a + (1 - beta) * p
    for a, b in zip(average.buffers(), G.buffers(), strict=True):
        a.copy_(beta * a + (1 - beta) * b if a.is_floating_point() else b)


@update_average.wrong("counters")
def everything_is_averaged(average, G, beta):
    old, new = average.state_dict(), G.state_dict()
    average.load_state_dict({key: beta * old[key] + (1 - beta) * new[key] for key in old})


@update_average.wrong("sum")
@torch.no_grad()
def adds_without_forgetting(average, G, beta):
    for a, p in zip(average.parameters(), G.parameters(), strict=True):
        a.add_((1 - beta) * p)
    for a, b in zip(average.buffers(), G.buffers(), strict=True):
        a.copy_(a + (1 - beta) * b if a.is_floating_point() else b)


@update_average.wrong("raises")
def in_place_with_gradients(average, G, beta):
    for a, p in zip(average.parameters(), G.parameters(), strict=True):
        a.mul_(beta).add_(p, alpha=1 - beta)


@update_average.wrong("mutates")
@torch.no_grad()
def changes_both(average, G, beta):
    weights_then_buffers(average, G, beta)
    for a, p in zip(average.parameters(), G.parameters(), strict=True):
        p.copy_(a)


@update_average.wrong("changes-g")
@torch.no_grad()
def shares_buffers(average, G, beta):
    weights_then_buffers(average, G, beta)
    for a, b in zip(average.buffers(), G.buffers(), strict=True):
        b.copy_(a)


# 7 ---------------------------------------------------------------------------------------------------

train_step = Answers("first_gan.train_step")


def report(d_loss, g_loss, real_logits, fake_logits):
    opinions = torch.sigmoid(real_logits).mean().item(), torch.sigmoid(fake_logits).mean().item()
    return {"d_loss": d_loss.item(), "g_loss": g_loss.item(), "d_real": opinions[0], "d_fake": opinions[1]}


@train_step.right
def one_pass_through_g(G, D, g_adam, d_adam, real, z):
    fake = G(z)
    real_logits, fake_logits = D(real), D(fake.detach())
    d_loss = bce(real_logits, torch.ones_like(real_logits)) + bce(fake_logits, torch.zeros_like(fake_logits))
    d_adam.zero_grad()
    d_loss.backward()
    d_adam.step()
    judged = D(fake)
    g_loss = bce(judged, torch.ones_like(judged))
    g_adam.zero_grad()
    g_loss.backward()
    g_adam.step()
    return report(d_loss, g_loss, real_logits, fake_logits)


@train_step.right
def two_passes_through_g(G, D, g_adam, d_adam, real, z):
    with torch.no_grad():
        fake = G(z)
    d_adam.zero_grad(set_to_none=False)
    a, b = D(torch.cat([real, fake])).split(len(real))
    d_loss = softplus(-a).mean() + softplus(b).mean()
    d_loss.backward()
    d_adam.step()
    g_adam.zero_grad()
    g_loss = -F.logsigmoid(D(G(z))).mean()
    g_loss.backward()
    g_adam.step()
    return {name: torch.tensor(value) for name, value in report(d_loss, g_loss, a, b).items()}


@train_step.right
def two_backwards_in_d(G, D, g_adam, d_adam, real, z):
    fake = G(z)
    d_adam.zero_grad()
    a = D(real)
    real_part = softplus(-a).mean()
    real_part.backward()
    b = D(fake.detach())
    fake_part = softplus(b).mean()
    fake_part.backward()
    d_adam.step()
    d_adam.zero_grad()
    g_adam.zero_grad()
    g_loss = softplus(-D(fake)).mean()
    g_loss.backward()
    g_adam.step()
    return {
        "d_real": a.sigmoid().mean().item(),
        "d_fake": b.sigmoid().mean().item(),
        "d_loss": (real_part + fake_part).item(),
        "g_loss": g_loss.item(),
    }


@train_step.right
def without_detach_but_cleared(G, D, g_adam, d_adam, real, z):
    a, b = D(real), D(G(z))
    d_loss = -(a.sigmoid().log().mean() + (1 - b.sigmoid()).log().mean())
    d_adam.zero_grad()
    d_loss.backward()
    d_adam.step()
    G.zero_grad()
    g_loss = -D(G(z)).sigmoid().log().mean()
    g_loss.backward()
    g_adam.step()
    return report(d_loss.detach(), g_loss, a, b)


def logs(name, change):
    """The right step, with another number in its log: a function of this number."""

    def step(*arguments):
        log = one_pass_through_g(*arguments)
        return log | {name: change(log[name])}

    return step


train_step.wrong("halved", logs("d_loss", lambda loss: loss / 2))
train_step.wrong("negative-loss", logs("d_loss", lambda loss: -loss))
train_step.wrong("value", logs("d_fake", lambda opinion: 1 - opinion), logs("g_loss", lambda loss: -loss))
train_step.wrong("type", lambda *arguments: tuple(one_pass_through_g(*arguments).values()))


@train_step.wrong("g-frozen")
def detaches_in_both_halves(G, D, g_adam, d_adam, real, z):
    fake = G(z).detach()
    a, b = D(real), D(fake)
    d_loss = softplus(-a).mean() + softplus(b).mean()
    d_adam.zero_grad()
    d_loss.backward()
    d_adam.step()
    g_loss = softplus(-D(fake)).mean()
    g_adam.zero_grad()
    g_loss.backward()
    g_adam.step()
    return report(d_loss, g_loss, a, b)


def without_clearing(*, real_label=1.0, clear=()):
    """Nothing is detached, as in the first program of the chapter; D's and G's gradients are cleared if asked."""

    def step(G, D, g_adam, d_adam, real, z):
        a, b = D(real), D(G(z))
        d_loss = bce(a, torch.full_like(a, real_label)) + bce(b, torch.full_like(b, 1 - real_label))
        if "d" in clear:
            d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()
        g_loss = softplus(-D(G(z))).mean()
        if "g" in clear:
            g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        return report(d_loss, g_loss, a, b)

    return step


train_step.wrong("everything-wrong", without_clearing())
train_step.wrong("d-not-cleared", without_clearing(clear="g"))
train_step.wrong("swapped-labels", without_clearing(real_label=0.0, clear="dg"))


@train_step.wrong("log-swapped")
def real_for_fake(*arguments):
    log = one_pass_through_g(*arguments)
    return log | {"d_real": log["d_fake"], "d_fake": log["d_real"]}


@train_step.wrong("g-first")
def generator_first(G, D, g_adam, d_adam, real, z):
    g_loss = softplus(-D(G(z))).mean()
    g_adam.zero_grad()
    g_loss.backward()
    g_adam.step()
    fake = G(z).detach()
    a, b = D(real), D(fake)
    d_loss = softplus(-a).mean() + softplus(b).mean()
    d_adam.zero_grad()
    d_loss.backward()
    d_adam.step()
    return report(d_loss, g_loss, a, b)


@train_step.wrong("summed")
def sums(G, D, g_adam, d_adam, real, z):
    fake = G(z)
    a, b = D(real), D(fake.detach())
    d_loss = softplus(-a).sum() + softplus(b).sum()
    d_adam.zero_grad()
    d_loss.backward()
    d_adam.step()
    g_loss = softplus(-D(fake)).sum()
    g_adam.zero_grad()
    g_loss.backward()
    g_adam.step()
    return report(d_loss, g_loss, a, b)


@train_step.wrong("keeps-graph")
def logs_tensors(G, D, g_adam, d_adam, real, z):
    fake = G(z)
    a, b = D(real), D(fake.detach())
    d_loss = softplus(-a).mean() + softplus(b).mean()
    d_adam.zero_grad()
    d_loss.backward()
    d_adam.step()
    g_loss = softplus(-D(fake)).mean()
    g_adam.zero_grad()
    g_loss.backward()
    g_adam.step()
    return {"d_loss": d_loss, "g_loss": g_loss, "d_real": a.sigmoid().mean(), "d_fake": b.sigmoid().mean()}


@train_step.wrong("raises")
def graph_used_up(G, D, g_adam, d_adam, real, z):
    fake = G(z)
    a, b = D(real), D(fake)
    d_loss = softplus(-a).mean() + softplus(b).mean()
    d_adam.zero_grad()
    d_loss.backward()
    d_adam.step()
    g_loss = softplus(-D(fake)).mean()
    g_adam.zero_grad()
    g_loss.backward()
    g_adam.step()
    return report(d_loss, g_loss, a, b)


@train_step.wrong("raises")
def judged_by_the_old_d(G, D, g_adam, d_adam, real, z):
    a, b = D(real), D(G(z))
    d_loss = softplus(-a).mean() + softplus(b).mean()
    g_loss = softplus(-b).mean()
    d_adam.zero_grad()
    d_loss.backward(retain_graph=True)
    d_adam.step()
    g_adam.zero_grad()
    g_loss.backward()
    g_adam.step()
    return report(d_loss, g_loss, a, b)


@train_step.wrong("parts-later")
def right_for_small_batches(G, D, g_adam, d_adam, real, z):
    return one_pass_through_g(G, D, g_adam, d_adam, real if len(real) < 10 else real[:1], z)


@train_step.wrong("parts-later")
def forgets_some_examples(G, D, g_adam, d_adam, real, z):
    return one_pass_through_g(G, D, g_adam, d_adam, real[:32], z[:32])


def slows_down():
    """Return a step that is right at first, and then trains less from call to call."""
    calls = []

    def right_at_first(G, D, g_adam, d_adam, real, z):
        calls.append(len(real))
        if calls[-6:] == [64] * 6:
            for group in g_adam.param_groups:
                group["lr"] *= 0.8
        return one_pass_through_g(G, D, g_adam, d_adam, real, z)

    return right_at_first


train_step.wrong("parts-later", slows_down())


# 8 ---------------------------------------------------------------------------------------------------

collapsed = Answers("first_gan.collapsed")
collapsed.right(" ".join(["word"] * 120))
collapsed.wrong("too-short", "B and D, because their losses are flat.")
collapsed.wrong("not-done", "", None)
collapsed.wrong("type", ["B", "D"])
