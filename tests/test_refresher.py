"""The refresher page prints no number that is not recomputed here."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
from torch.autograd.functional import jacobian

PAGE = (Path(__file__).resolve().parents[1] / "book" / "refresher.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
STRUCTURE = re.compile(r"_\{?[\w:]+\}?|\^\{?\w+\}?(?!\.)|\\[A-Za-z]+")
"""Indices, whole exponents and commands: digits in them are no numbers."""


def worked(name: str) -> str:
    """Return the worked example of a section, its quote marks taken off."""
    (block,) = re.findall(r"^> \*\*By hand\.\*\*(.*(?:\n>.*)*)", SECTIONS[name], re.M)
    return re.sub(r"\n>", "\n", block)


def numbers(text: str) -> list[str]:
    """Return the numbers of a text in order, as they are printed, with a sign where one stands right before."""
    return re.findall(r"(?<![\w)}])-?\d+(?:\.\d+)?|\d+(?:\.\d+)?", STRUCTURE.sub(" ", text))


def decimals(value: float, places: int = 3) -> str:
    return f"{value:.{places}f}"


def whole(*values: float | torch.Tensor) -> list[str]:
    assert all(float(value).is_integer() for value in values)
    return [f"{value:.0f}" for value in values]


def logistic(a: float) -> float:
    return 1 / (1 + math.exp(-a))


def cross_entropy() -> list[str]:
    said = 0.8
    data, generated, a = -math.log(said), -math.log(1 - said), math.log(said / (1 - said))
    x = torch.tensor(a, dtype=torch.float64, requires_grad=True)
    softplus = torch.nn.functional.softplus
    (slope_data,) = torch.autograd.grad(softplus(-x), x)
    (slope_generated,) = torch.autograd.grad(softplus(x), x)
    assert math.isclose(softplus(-x).item(), data) and math.isclose(softplus(x).item(), generated)
    odds = math.exp(a)
    sure = torch.tensor(17.0)
    assert torch.isinf(-torch.log(1 - sure.sigmoid()))
    return [
        *("0.8", "0.8", decimals(data), "0.2", decimals(generated)),
        *("0.8", "0.2", f"{odds:.0f}", decimals(a)),
        *("1", "1", f"{odds:.0f}", decimals(1 + 1 / odds, 2), decimals(math.log(1 + 1 / odds))),
        *("1", f"{odds:.0f}", f"{1 + odds:.0f}", decimals(math.log(1 + odds))),
        *(decimals(slope_data.item(), 1), decimals(slope_generated.item(), 1)),
        *("0.5", "2", decimals(-math.log(0.5))),
        *(f"{sure:.0f}", f"{sure.sigmoid():.10g}", f"{softplus(sure):.10g}"),
    ]


def divergence() -> list[str]:
    p, q = (1 / 2, 1 / 2), (1 / 4, 3 / 4)

    def cross(p, q):
        return -sum(a * math.log(b) for a, b in zip(p, q, strict=True) if a)

    def terms(p, q):
        return [a * math.log(a / b) for a, b in zip(p, q, strict=True) if a]

    forward, backward = cross(p, q) - cross(p, p), cross(q, p) - cross(q, q)
    assert math.isclose(forward, sum(terms(p, q))) and math.isclose(backward, sum(terms(q, p)))
    assert forward > 0 and backward > 0
    return [
        *("1", "2", "1", "2", "1", "4", "3", "4"),
        *("2", decimals(cross(p, p))),
        *("4", "4", "3", decimals(cross(p, q))),
        decimals(forward),
        *("2", "2", decimals(terms(p, q)[0]), "2", "3", "2", decimals(terms(p, q)[1])),
        *("1", "2", "4", decimals(terms(q, p)[0]), "3", "3", "2", "4", decimals(terms(q, p)[1])),
        decimals(backward),
        *("1", "0", "2", decimals(sum(terms((1, 0), p)))),
    ]


def chain_rule() -> list[str]:
    def G(t):
        return torch.stack([t[0] * t[1], t[0] + t[1]])

    theta = torch.tensor([2.0, 3.0], requires_grad=True)
    point, J = G(theta), jacobian(G, theta)
    slope = torch.stack([point[1], point[0]])  # of f(x) = x1 x2
    (by_autograd,) = torch.autograd.grad(point[0] * point[1], theta)
    gradient = J.T @ slope
    torch.testing.assert_close(gradient, by_autograd)
    a, b = theta.tolist()
    point, slope, gradient = point.detach(), slope.detach(), gradient.detach()
    return [
        *whole(a, b, *point, *J.flatten(), *slope),
        *whole(J[0, 0], slope[0], J[1, 0], slope[1], gradient[0]),
        *whole(J[0, 1], slope[0], J[1, 1], slope[1], gradient[1]),
        *("2", *whole(2 * a * b, b * b, gradient[0])),
        *("2", *whole(a * a, 2 * a * b, gradient[1])),
        *whole(*(J @ slope)),
    ]


def change_of_variables() -> list[str]:
    listed = ["0", "1", "2"]
    for z in (0.5, 0.1):
        stretching = 2 * z
        listed += [f"{z:g}", f"{z * z:g}", f"{stretching:g}", f"{1 / stretching:g}"]
        assert math.isclose(1 / stretching, 1 / (2 * math.sqrt(z * z)))
    grid = (torch.arange(10**6, dtype=torch.float64) + 0.5) / 10**6
    by_z, by_x = (grid**2).mean().item(), (grid * 0.5 / grid.sqrt()).mean().item()
    assert abs(by_z - 1 / 3) < 1e-6 and abs(by_x - 1 / 3) < 1e-6
    determinant = torch.linalg.det(torch.tensor([[2.0, 1.0], [0.0, 3.0]]))
    (volume,) = whole(determinant.round())
    return [*listed, "1", "2", "1", "3", "2", "1", "0", "3", volume, volume]


def lipschitz() -> list[str]:
    def secant(f, a, b):
        return (f(b) - f(a)) / (b - a)

    def square(x):
        return x * x

    A = torch.tensor([[3.0, 0.0], [4.0, 5.0]], dtype=torch.float64)
    gram, v = A.T @ A, torch.ones(2, dtype=torch.float64)
    low, high = torch.linalg.eigvalsh(gram).tolist()
    norm, frobenius = torch.linalg.matrix_norm(A, 2).item(), torch.linalg.matrix_norm(A).item()
    stretched = (A @ v).norm() / v.norm()
    assert math.isclose(norm, math.sqrt(high)) and math.isclose(norm, stretched.item())
    assert logistic(0) * (1 - logistic(0)) == 1 / 4
    return [
        *("0", "3"),
        *("1", "2", *whole(secant(square, 1, 2)), "2", "3", *whole(secant(square, 2, 3), 2 * 3)),
        *("1", "0", "1", "4"),
        *("0", "2", "2", decimals(logistic(2))),
        *(decimals(logistic(2)), "0.5", "2", decimals(secant(logistic, 0, 2))),
        *whole(*A.flatten(), *gram.flatten()),
        *(f"{high:.0f}", f"{low:.0f}", f"{high:.0f}", decimals(norm)),
        *("1", "1", *whole(*(A @ v), (A @ v).square().sum()), "2", decimals(stretched.item())),
        *(*whole(*(x for x in A.square().flatten() if x)), decimals(frobenius)),
    ]


def sampling() -> list[str]:
    h = torch.tensor([1.0, 3.0, 2.0, 6.0])
    squares = (h - h.mean()).square()
    spread, error = h.std().item(), (h.std() / math.sqrt(len(h))).item()
    good = 1 - math.exp(-4.5)
    return [
        *whole(*h, h.mean(), *squares, squares.sum()),
        *("14", "3", decimals(spread), decimals(spread), "4", decimals(error)),
        *(decimals(good), "2500", decimals(good), decimals(1 - good), "2500"),
        decimals(math.sqrt(good * (1 - good) / 2500), 4),
        *("1", "-4.5", decimals(good)),
    ]


EXAMPLES = {
    "Cross-entropy, and why on logits": cross_entropy,
    "Kullback–Leibler divergence": divergence,
    "Jacobian and chain rule": chain_rule,
    "Change of variables and push-forward": change_of_variables,
    "Lipschitz continuity": lipschitz,
    "Expectations by sampling": sampling,
}


def test_every_section_has_an_example():
    assert list(SECTIONS) == list(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_numbers_of_the_example(name):
    assert numbers(worked(name)) == EXAMPLES[name]()


def test_no_measured_number_stands_outside_an_example():
    rest = re.sub(r"^>.*$", "", PAGE.split("---", 2)[2], flags=re.M)
    rest = re.sub(r"\\tag\{.*?\}|\(R\.\d+\)", "", rest)
    assert re.findall(r"\d+\.\d+", rest) == []


def test_jensen_step_by_step():
    """The chain of (R.5) on random distributions, some with holes."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        p, q = torch.rand(2, 6, generator=generator, dtype=torch.float64)
        p[torch.randint(6, (2,), generator=generator)] = 0
        p, q = p / p.sum(), q / q.sum()
        there = p > 0
        minus_kl = (p[there] * (q[there] / p[there]).log()).sum()
        log_mean = (p[there] * (q[there] / p[there])).sum().log()
        assert minus_kl <= log_mean <= 0
        assert torch.isclose(log_mean, q[there].sum().log())
