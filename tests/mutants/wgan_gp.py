"""Right and wrong answers of the set `wgan_gp`, chapter 9."""

import math

import torch
from torch.nn import functional as F

from . import Answers

grad = torch.autograd.grad

# 1 ---------------------------------------------------------------------------------------------------

points = Answers("wgan_gp.penalty_points")


@points.right
def with_lerp(real, fake):
    epsilon = torch.rand(real.shape[0]).reshape(-1, *(1 for _ in real.shape[1:]))
    return torch.lerp(fake, real, epsilon)


@points.right
def share_of_the_fakes(real, fake):
    alpha = real.new_empty([len(real)] + [1] * (real.ndim - 1)).uniform_()
    return real + alpha * (fake - real)


@points.right
def flattened(x, x_tilde):
    epsilon = torch.rand(len(x), 1)
    flat = epsilon * x.flatten(1) + (1 - epsilon) * x_tilde.flatten(1)
    return flat.view_as(x)


@points.wrong("off-the-segment")
def for_each_number(real, fake):
    return torch.lerp(fake, real, torch.rand_like(real))


@points.wrong("off-the-segment")
def along_the_width(real, fake):  # (B,) meets the last dimension, and fits where the batch is as long
    epsilon = torch.rand(real.shape[-1])
    return epsilon * real + (1 - epsilon) * fake


@points.wrong("off-the-segment")
def as_dragan(real, fake):
    return with_lerp(real, real + 0.5 * real.std() * torch.rand_like(real))


@points.wrong("off-the-segment")
def two_draws(real, fake):
    column = [len(real)] + [1] * (real.ndim - 1)
    return torch.rand(column) * real + torch.rand(column) * fake


@points.wrong("beyond-the-ends")
def normal_epsilon(real, fake):
    return torch.lerp(fake, real, torch.randn(len(real), *[1] * (real.ndim - 1)))


@points.wrong("one-for-all")
def one_number(real, fake):
    epsilon = torch.rand(1)
    return epsilon * real + (1 - epsilon) * fake


@points.wrong("one-for-all")
def one_number_for_pictures(real, fake):
    epsilon = torch.rand(len(real), 1) if real.dim() == 2 else torch.rand(1, 1, 1, 1)
    return epsilon * real + (1 - epsilon) * fake


@points.wrong("one-for-all")
def one_number_for_vectors(real, fake):
    return with_lerp(real, fake) if real.dim() > 2 else one_number(real, fake)


@points.wrong("not-uniform")
def in_tenths(real, fake):
    return torch.lerp(fake, real, torch.rand(len(real), *[1] * (real.ndim - 1)).round(decimals=1))


points.wrong("nothing-drawn", lambda real, fake: (real + fake) / 2, lambda real, fake: real, lambda real, fake: fake)


@points.wrong("seeded")
def a_fixed_ladder(real, fake):
    return torch.lerp(fake, real, torch.linspace(0, 1, len(real)).view(-1, *[1] * (real.ndim - 1)))


@points.wrong("seeded")
def seeded(real, fake):
    torch.manual_seed(0)
    return with_lerp(real, fake)


@points.wrong("not-uniform")
def rooted(real, fake):
    return torch.lerp(fake, real, torch.rand(len(real), *[1] * (real.ndim - 1)).sqrt())


@points.wrong("not-uniform")
def either_end(real, fake):
    return torch.lerp(fake, real, torch.randint(2, (len(real), *[1] * (real.ndim - 1))).float())


@points.wrong("not-uniform")
def evenly_spaced(real, fake):
    return torch.lerp(fake, real, torch.linspace(0, 0.8, len(real)).view(-1, *[1] * (real.ndim - 1)))


@points.wrong("mutates")
def in_place(real, fake):
    return fake.lerp_(real, torch.rand(len(real), *[1] * (real.ndim - 1)))


points.wrong("raises", lambda real, fake: torch.lerp(fake, real, torch.rand(64, 1)))  # a constant batch size
points.wrong("shape", lambda real, fake: flattened(real, fake).flatten(1))

# 2 ---------------------------------------------------------------------------------------------------

penalty = Answers("wgan_gp.gradient_penalty")


def norms(critic, x, **options):
    x = x.clone().requires_grad_()
    scores = critic(x)
    (slope,) = grad(scores, x, grad_outputs=torch.ones_like(scores), create_graph=True, **options)
    return slope.reshape(len(x), -1).norm(2, dim=1)


@penalty.right
def as_often_written(critic, x_hat, one_sided):
    norm = norms(critic, x_hat, retain_graph=True)
    if one_sided:
        return (torch.clamp(norm - 1, min=0) ** 2).mean()
    return ((norm - 1) ** 2).mean()


@penalty.right
def root_with_epsilon(critic, x_hat, one_sided):
    x_hat.requires_grad_(True)
    (slope,) = grad(critic(x_hat).sum(), x_hat, create_graph=True)
    norm = torch.sqrt((slope**2).sum(dim=tuple(range(1, slope.ndim))) + 1e-8)
    return torch.where((norm < 1) & torch.tensor(one_sided), 0.0, (norm - 1).square()).mean()


@penalty.right
def expanded(critic, x_hat, one_sided):
    norm = norms(critic, x_hat)
    if one_sided:
        norm = torch.maximum(norm, torch.ones_like(norm))
    return norm.pow(2).mean() - 2 * norm.mean() + 1


@penalty.right
def as_a_loss(critic, x_hat, one_sided):
    norm = norms(critic, x_hat)
    norm = norm.clamp(min=1) if one_sided else norm
    return F.mse_loss(norm, torch.ones(len(norm)))


@penalty.wrong("gradient")
def root_unless_all_are_dead(critic, x_hat, one_sided):
    x = x_hat.clone().requires_grad_()
    (slope,) = grad(critic(x).sum(), x, create_graph=True)
    squares = slope.flatten(1).square().sum(dim=1)
    norm = squares.sqrt() if squares.sum() > 0 else 0 * squares
    return ((norm - 1).relu() if one_sided else norm - 1).square().mean()


@penalty.wrong("gradient")
def root_where_it_is_one_sided(critic, x_hat, one_sided):
    if not one_sided:
        return as_often_written(critic, x_hat, one_sided)
    x = x_hat.clone().requires_grad_()
    (slope,) = grad(critic(x).sum(), x, create_graph=True)
    return (slope.flatten(1).square().sum(dim=1).sqrt() - 1).relu().square().mean()


@penalty.wrong("state")
def leaves_the_critic_in_eval_mode(critic, x_hat, one_sided):
    return as_often_written(critic.eval(), x_hat, one_sided)


@penalty.wrong("no-grad")
def without_graph(critic, x_hat, one_sided):
    x = x_hat.clone().requires_grad_()
    (slope,) = grad(critic(x).sum(), x)
    excess = slope.flatten(1).norm(dim=1) - 1
    return (excess.relu() if one_sided else excess).square().mean()


@penalty.wrong("per-pixel")
def on_dimension_one(critic, x_hat, one_sided):
    x = x_hat.clone().requires_grad_()
    (slope,) = grad(critic(x).sum(), x, create_graph=True)
    excess = slope.norm(2, 1) - 1
    return ((excess.clamp(min=0) if one_sided else excess) ** 2).mean()


@penalty.wrong("nan-at-zero")
def root_by_hand(critic, x_hat, one_sided):
    x = x_hat.clone().requires_grad_()
    (slope,) = grad(critic(x).sum(), x, create_graph=True)
    excess = (slope**2).flatten(1).sum(1) ** 0.5 - 1
    return ((excess.clamp(min=0) if one_sided else excess) ** 2).mean()


@penalty.wrong("nan-at-zero")
def epsilon_outside(critic, x_hat, one_sided):
    x = x_hat.clone().requires_grad_()
    (slope,) = grad(critic(x).sum(), x, create_graph=True)
    excess = slope.square().flatten(1).sum(1).sqrt() + 1e-12 - 1
    return ((excess.clamp(min=0) if one_sided else excess) ** 2).mean()


@penalty.wrong("averaged-first")
def of_the_mean(critic, x_hat, one_sided):
    excess = norms(critic, x_hat).mean() - 1
    return (excess.relu() if one_sided else excess) ** 2


@penalty.wrong("wrong-side")
def max_the_other_way(critic, x_hat, one_sided):
    norm = norms(critic, x_hat)
    return (F.relu(1 - norm) if one_sided else 1 - norm).square().mean()


penalty.wrong("always-one-sided", lambda critic, x, one_sided: as_often_written(critic, x, True))
penalty.wrong("always-two-sided", lambda critic, x, one_sided: as_often_written(critic, x, False))
penalty.wrong("value", lambda critic, x, one_sided: 10 * as_often_written(critic, x, one_sided))
penalty.wrong("shape", lambda critic, x, one_sided: (norms(critic, x) - 1) ** 2)
penalty.wrong("raises", lambda critic, x, one_sided: grad(critic(x.requires_grad_()), x, create_graph=True)[0])


# 3 ---------------------------------------------------------------------------------------------------

loss_of = Answers("wgan_gp.critic_loss")


def gp(critic, x, **options):
    return ((norms(critic, x, **options) - 1) ** 2).mean()


@loss_of.right
def step_by_step(critic, real, fake, x_hat, gp_weight):
    d_real, d_fake = critic(real), critic(fake.detach())
    loss = d_fake.mean() - d_real.mean() + gp_weight * gp(critic, x_hat)
    with torch.no_grad():
        distance = d_real.mean() - d_fake.mean()
    return loss, distance


@loss_of.right
def a_plain_number(critic, real, fake, x_hat, gp_weight):
    distance = (critic(real) - critic(fake)).mean()
    return [gp(critic, x_hat) * gp_weight - distance, distance.item()]


@loss_of.right
def from_the_loss(critic, real, fake, x_hat, gp_weight):
    punished = gp_weight * gp(critic, x_hat)
    loss = critic(fake).mean() - critic(real).mean() + punished
    return loss, (punished - loss).detach()


@loss_of.right
def one_pass(critic, real, fake, x_hat, gp_weight):
    scores = critic(torch.cat([fake, real]))
    n = len(real)
    signs = torch.cat([torch.ones(n), -torch.ones(n)]) / n
    loss = (signs * scores).sum()
    return loss + gp_weight * gp(critic, x_hat), -loss.item()


loss_of.wrong("minus-the-loss", lambda *args: [step_by_step(*args)[0], -step_by_step(*args)[0].item()])
loss_of.wrong("the-loss", lambda *args: [step_by_step(*args)[0], step_by_step(*args)[0].detach()])


@loss_of.wrong("learns-distance")
def keeps_graph(critic, real, fake, x_hat, gp_weight):
    distance = critic(real).mean() - critic(fake).mean()
    return gp_weight * gp(critic, x_hat) - distance, distance


@loss_of.wrong("lost-graph")
def without_create_graph(critic, real, fake, x_hat, gp_weight):
    x = x_hat.clone().requires_grad_()
    (slope,) = grad(critic(x).sum(), x)
    distance = critic(real).mean() - critic(fake).mean()
    return -distance + gp_weight * (slope.flatten(1).norm(dim=1) - 1).square().mean(), distance.item()


@loss_of.wrong("lost-graph")
def by_item(critic, real, fake, x_hat, gp_weight):
    distance = critic(real).mean() - critic(fake).mean()
    return -distance + gp_weight * gp(critic, x_hat).item(), distance.item()


@loss_of.wrong("state")
def a_step_of_its_own(critic, real, fake, x_hat, gp_weight):
    (gp_weight * gp(critic, x_hat)).backward()
    distance = critic(real).mean() - critic(fake).mean()
    return -distance, distance.item()


@loss_of.wrong("loss-turned")
def turned(critic, real, fake, x_hat, gp_weight):
    distance = critic(real).mean() - critic(fake).mean()
    return distance + gp_weight * gp(critic, x_hat), distance.item()


loss_of.wrong("value", lambda *args: (step_by_step(*args)[0], 0.0))
loss_of.wrong("type", lambda *args: step_by_step(*args)[0])
loss_of.wrong("no-grad", lambda *args: tuple(loss.item() for loss in step_by_step(*args)))

# 4 ---------------------------------------------------------------------------------------------------

overshoot = Answers("wgan_gp.overshoot")
overshoot.right([1 + 6 / 20, 6 + 36 / 20, -(6 - 36 / 20), 6 / 2, 6])
overshoot.wrong("exact", [1.0, 6.0, -6.0, 3.0, 6.0])
overshoot.wrong("no-two", [1.6, 9.6, -2.4, 6, 6])
overshoot.wrong("value", [1.25, 7.5, -4.5, 3, 6], [0.0, 0.0, 0.0, 0.0, 0.0])
overshoot.wrong("not-done", None)

# 5 ---------------------------------------------------------------------------------------------------

who = Answers("wgan_gp.influence")


@who.right
def with_a_loop(critic, x):
    x = x.clone().requires_grad_(True)
    scores = critic(x)
    found = torch.zeros(len(x), len(x))
    for i in range(len(x)):
        (slope,) = grad(scores[i].sum(), x, retain_graph=True)
        for j in range(len(x)):
            found[i, j] = slope[j].norm()
    return found


@who.right
def as_a_jacobian(critic, x):
    jacobian = torch.autograd.functional.jacobian(lambda x: critic(x).flatten(), x)  # (B, B, …)
    return jacobian.flatten(2).norm(dim=2)


@who.right
def by_jacobian(critic, x):
    slopes = torch.autograd.functional.jacobian(lambda x: critic(x).flatten(), x)
    return slopes.flatten(2).norm(dim=2)


@who.wrong("state")
def with_backward(critic, x):
    rows = []
    for i in range(len(x)):
        x = x.detach().requires_grad_()
        critic(x).reshape(-1)[i].backward()
        rows.append(x.grad.flatten(1).square().sum(dim=1).sqrt())
    return torch.stack(rows)


@who.wrong("summed")
def all_at_once(critic, x):
    x = x.clone().requires_grad_()
    (slope,) = grad(critic(x).sum(), x)
    return slope.flatten(1).norm(dim=1).repeat(len(x), 1)


@who.wrong("sum-on-diagonal")
def as_the_penalty_does(critic, x):
    return torch.diag(all_at_once(critic, x)[0])


@who.wrong("state")
def left_in_eval_mode(critic, x):
    return with_a_loop(critic.eval(), x)


@who.wrong("eval-mode")
def as_one_evaluates(critic, x):
    mode = critic.training
    critic.eval()
    found = with_a_loop(critic, x)
    critic.train(mode)
    return found


who.wrong("diagonal", lambda critic, x: with_a_loop(critic, x) * torch.eye(len(x)))
who.wrong("transposed", lambda critic, x: torch.stack(list(with_a_loop(critic, x)), dim=1))
who.wrong("yes-or-no", lambda critic, x: (with_a_loop(critic, x) != 0).float())
who.wrong("type", lambda critic, x: bool((with_a_loop(critic, x).fill_diagonal_(0) > 0).any()))
who.wrong("shape", lambda critic, x: norms(critic, x))


@who.wrong("raises")
def alone_in_train_mode(critic, x):
    return torch.stack([norms(critic, one[None]) for one in x])


# 6 ---------------------------------------------------------------------------------------------------

r3gan = Answers("wgan_gp.r3gan_d_loss")


def r1(critic, x, create_graph=True):
    x = x.clone().requires_grad_()
    scores = critic(x)
    (slope,) = grad(scores.sum(), x, create_graph=create_graph)
    return scores.flatten(), 0.5 * slope.square().sum(dim=list(range(1, x.ndim))).mean()


@r3gan.right
def both_penalties(critic, real, fake, gamma, step, interval):
    (on_data, first), (on_fakes, second) = r1(critic, real), r1(critic, fake)
    loss = -F.logsigmoid(on_data - on_fakes).mean()
    return loss if step % interval else loss + interval * gamma * (first + second)


@r3gan.right
def in_one_batch(critic, real, fake, gamma, step, interval):
    x = torch.cat([real, fake]).requires_grad_()
    on_data, on_fakes = critic(x).flatten().chunk(2)
    loss = F.binary_cross_entropy_with_logits(on_data - on_fakes, torch.ones(len(real)))
    if step % interval == 0:
        (slope,) = grad([on_data.sum() + on_fakes.sum()], x, create_graph=True)
        loss = loss + interval * gamma / 2 * slope.square().sum() / len(real)
    return loss


@r3gan.right
def with_norms(critic, real, fake, gamma, step, interval):
    loss = torch.log1p(torch.exp(critic(fake) - critic(real))).mean()
    every = interval if step // interval * interval == step else 0
    slopes = norms(critic, real).pow(2).mean() + norms(critic, fake).pow(2).mean()
    return loss + every * gamma * slopes / 2


@r3gan.wrong("value")
def due_at_the_step_after_too(critic, real, fake, gamma, step, interval):
    return both_penalties(critic, real, fake, gamma, 0 if step % interval <= 1 else 1, interval)


@r3gan.wrong("lost-graph")
def without_graph_r1(critic, real, fake, gamma, step, interval):
    (on_data, first), (on_fakes, second) = (r1(critic, x, create_graph=False) for x in (real, fake))
    loss = F.softplus(critic(fake) - critic(real)).mean()
    return loss if step % interval else loss + interval * gamma * (first + second)


@r3gan.wrong("lost-graph")
def detaches_the_penalty(critic, real, fake, gamma, step, interval):
    (on_data, first), (on_fakes, second) = r1(critic, real), r1(critic, fake)
    loss = F.softplus(on_fakes - on_data).mean()
    return loss if step % interval else loss + interval * gamma * (first + second).detach()


@r3gan.wrong("all-pairs")
def broadcasts(critic, real, fake, gamma, step, interval):
    loss = F.softplus(critic(fake).view(-1, 1) - critic(real).view(-1)).mean()
    return loss if step % interval else loss + interval * gamma * (r1(critic, real)[1] + r1(critic, fake)[1])


@r3gan.wrong("alone")
def non_saturating(critic, real, fake, gamma, step, interval):
    (on_data, first), (on_fakes, second) = r1(critic, real), r1(critic, fake)
    loss = F.softplus(-on_data).mean() + F.softplus(on_fakes).mean()
    return loss if step % interval else loss + interval * gamma * (first + second)


@r3gan.wrong("no-half")
def means_of_squares(critic, real, fake, gamma, step, interval):
    loss = F.softplus(critic(fake) - critic(real)).mean()
    slopes = norms(critic, real).square().mean() + norms(critic, fake).square().mean()
    return loss if step % interval else loss + interval * gamma * slopes


r3gan.wrong("no-grad", lambda *args: both_penalties(*args).detach())
r3gan.wrong("shape", lambda critic, real, fake, *rest: F.softplus(critic(fake) - critic(real)))

# 7 ---------------------------------------------------------------------------------------------------

dirac = Answers("wgan_gp.dirac")
eigenvalue = torch.linalg.eigvals(torch.tensor([[0.0, 0.5], [-0.5, -0.6]]))[0]
dirac.right([eigenvalue.real.item(), abs(eigenvalue.imag.item()), 1.0, 2.4, math.hypot(1, 0.5)])
dirac.wrong("outwards", [0.3, 0.4, 1.0, 2.4, 1.118])
dirac.wrong("undamped", [0.0, 0.5, 1.0, 4.0, 1.118])
dirac.wrong("value", [-0.3, -0.4, 1.0, 2.4, 1.118], [-0.3, 0.4, 1.0, 2.4, 0.894])
dirac.wrong("not-done", None)

# 8 ---------------------------------------------------------------------------------------------------

penalty_weight = Answers("wgan_gp.penalty_weight")
penalty_weight.right("The table speaks against one of the two, and here is by how much and with which seeds. " * 9)
penalty_weight.wrong("too-short", "Ten, as in the paper.")
penalty_weight.wrong("not-done", "")
penalty_weight.wrong("type", 5)
