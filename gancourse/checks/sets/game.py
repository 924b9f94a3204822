"""Chapter 1, two players: the objectives of the game and what they ask of D and G."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from gancourse.checks.core import Case, Exercise, Set, compare


def logit_cases(seed: int) -> list[Case]:
    """Batches of real and generated logits, of unequal sizes, and no logit near 0."""
    generator = torch.Generator().manual_seed(seed)

    def logits(n: int, centre: float) -> Tensor:
        return centre + 0.7 * torch.randn(n, generator=generator)

    return [
        Case((logits(5, 1.2), logits(3, -0.4)), grads=(0, 1), note="5 real and 3 generated logits"),
        Case((logits(4, -1.0)[:, None], logits(6, 1.5)[:, None]), grads=(0, 1), note="logits (4, 1) and (6, 1)"),
    ]


def d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The discriminator's loss, equation (1.8)."""
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


D_LOSS = Exercise(
    name="game.d_loss",
    title="The discriminator's loss from logits",
    tier="implement",
    points=2,
    answer="d_loss",
    cases=logit_cases,
    judge=compare(
        d_loss,
        {
            "swapped-labels": (
                lambda real, fake: softplus(real).mean() + softplus(-fake).mean(),
                "the labels are swapped: it rewards a D that calls data generated and generated data real",
            ),
            "sign": (
                lambda real, fake: -d_loss(real, fake),
                "the sign is turned: D maximises V, so the loss that it minimises is −V, which is never negative",
            ),
            "missing-mean": (
                lambda real, fake: softplus(-real).sum() + softplus(fake).sum(),
                "it adds up over the batch; an expectation is a mean, or the loss grows with the batch",
            ),
            "halved": (
                lambda real, fake: d_loss(real, fake) / 2,
                "it is half of −V; the two expectations are added, not averaged",
            ),
            "fake-half-generator": (
                lambda real, fake: softplus(-real).mean() + softplus(-fake).mean(),
                "its second half is the generator's loss: −log D(G(z)) where D needs −log(1 − D(G(z)))",
            ),
            "real-only": (lambda real, fake: softplus(-real).mean(), "the generated samples do not enter"),
            "fake-only": (lambda real, fake: softplus(fake).mean(), "the real samples do not enter"),
            "sigmoid-twice": (
                lambda real, fake: d_loss(torch.sigmoid(real), torch.sigmoid(fake)),
                "a sigmoid is applied twice: the arguments are logits, and σ belongs inside the loss once",
            ),
            "pooled-mean": (
                lambda real, fake: torch.cat([softplus(-real), softplus(fake)]).mean(),
                "one mean is taken over both batches together; each batch has a mean of its own, and the two are added",
            ),
        },
    ),
)


SET = Set("game", "01_two_players", "Two players, one game", (D_LOSS,))
