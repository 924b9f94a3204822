"""Look for points that nobody earned: break each piece of each reference in turn, and list what is still accepted.

    python tests/clauses.py cgan optimum

A reference is broken one constant, operator, comparison, call or keyword at a time, and so are the functions of its
module that it uses. What survives on every seed is printed; a person decides whether it is the same function written in
another way, and else adds the case that tells them apart, and a mutant.
"""

from __future__ import annotations

import ast
import copy
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import torch

from gancourse import checks
from gancourse.checks import core

SEEDS = range(3)
SWAPS: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}


def replacements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in place of one piece of a program, each of them another program."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield from (ast.Constant(value) for value in {node.value + 1, 2 * node.value, 0, -node.value} - {node.value})
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BinOp):
        yield from (ast.BinOp(node.left, swap(), node.right) for swap in SWAPS.get(type(node.op), ()))
        yield from (node.left, node.right)
    elif isinstance(node, ast.Compare):
        yield from (ast.Compare(node.left, [swap()], node.comparators) for swap in SWAPS.get(type(node.ops[0]), ()))
    elif isinstance(node, ast.BoolOp):
        yield from node.values
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.If):
        yield from (ast.If(ast.Constant(value), node.body, node.orelse) for value in (True, False))
    elif isinstance(node, ast.Call):
        yield from node.args
        if isinstance(node.func, ast.Attribute):
            yield node.func.value
        for i in range(len(node.keywords)):
            yield ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1 :])
        for i in range(len(node.args) - 1):
            args = list(node.args)
            args[i], args[i + 1] = args[i + 1], args[i]
            yield ast.Call(node.func, args, node.keywords)
    elif isinstance(node, ast.Subscript):
        yield node.value


def broken(function: Callable[..., Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield a function with one piece replaced, each with its place in words; then those that it uses."""
    used = [function]
    for user in used:
        names = [n for code in _codes(user.__code__) for n in code.co_names]
        found = [user.__globals__.get(name) for name in names] + list((user.__kwdefaults__ or {}).values())
        home = function.__module__
        used += [f for f in found if inspect.isfunction(f) and f.__module__ == home and f not in used]
    for one in used:
        if one.__name__ == "<lambda>":
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
        for place, node in enumerate(ast.walk(tree)):
            for new in replacements(node):
                changed = copy.deepcopy(tree)
                old = list(ast.walk(changed))[place]
                changed = ast.fix_missing_locations(_Put(old, copy.deepcopy(new)).visit(changed))
                scope = dict(function.__globals__)
                if one is not function:
                    exec(compile(changed, "broken", "exec"), scope)
                    changed = ast.parse(textwrap.dedent(inspect.getsource(function)))
                exec(compile(changed, "broken", "exec"), scope)
                told = ast.unparse(node).splitlines()[0][:50], ast.unparse(ast.fix_missing_locations(new))
                line = getattr(node, "lineno", 0)
                yield (
                    f"{one.__name__}, line {line}: {told[0]} → {told[1].splitlines()[0][:50]}",
                    scope[function.__name__],
                )


class _Put(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.old else self.generic_visit(node)


def _codes(code: Any) -> Iterator[Any]:
    yield code
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _codes(constant)


def near(wanted: Any) -> Iterator[tuple[str, Any]]:
    """Yield a list of numbers, or a number, with one of them a little off."""
    numbers = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
    for i, number in enumerate(numbers):
        others = {number + 0.02, number - 0.02, 1.02 * number, 0.98 * number, -number, number + 1} - {number}
        for other in others:
            changed = [*numbers[:i], other, *numbers[i + 1 :]]
            yield f"number {i + 1}: {number:.4g} → {other:.4g}", changed if len(numbers) > 1 else other


def main(words: list[str]) -> None:
    """Print what is accepted of the broken references of these sets."""
    torch.set_num_threads(1)
    for word in words or list(checks.INDEX):
        for exercise in checks.load_set(word).exercises:
            reference = getattr(exercise.judge, "reference", None)
            if reference is None:
                print(f"{exercise.name}: no reference; look by hand")
                continue
            tried = list(near(reference) if exercise.kind == "value" else broken(reference))
            left = [told for told, answer in tried if all(core.grade(exercise, answer, seed)[1].ok for seed in SEEDS)]
            print(f"{exercise.name}: {len(tried)} broken, {len(left)} accepted", *left, sep="\n    ", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
