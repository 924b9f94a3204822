"""Breaks the right answers in one place at a time and tells which broken ones a check still accepts.

    python tests/clauses.py first_gan failure.mode_report --seeds 3

What it prints either means the same as the right answer or earns undeserved points; a person tells these apart. It is
no test: it takes a minute for each set.
"""

from __future__ import annotations

import argparse
import ast
import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from gancourse import checks
from gancourse.checks import build, core, selftest
from gancourse.checks.sets import INDEX

OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.And: ast.Or,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
}


def broken(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in a node's place."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, (int, float)):
            yield ast.Constant(node.value + 1)
            yield ast.Constant(node.value * 1.05)
    elif isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in OPERATORS:
        yield _with(node, op=OPERATORS[type(node.op)]())
        yield from node.values if isinstance(node, ast.BoolOp) else (node.left, node.right)
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        yield _with(node, ops=[OPERATORS[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.If):
        yield from (_with(node, test=ast.Constant(value)) for value in (True, False))
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            yield node.func.value
        for i in range(len(node.keywords)):
            yield _with(node, keywords=node.keywords[:i] + node.keywords[i + 1 :])
        yield from (arg for arg in node.args if not isinstance(arg, ast.Starred))
    elif isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
        yield ast.Pass()


def _with(node: Any, **changes: Any) -> Any:
    changed = copy.copy(node)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def clauses(function: ast.FunctionDef) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield each break in words, and the function with it."""
    for parent in ast.walk(function):
        for name, value in ast.iter_fields(parent):
            if name in ("decorator_list", "args", "returns"):
                continue
            for i, node in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(node, ast.AST):
                    continue
                for other in broken(node):
                    setattr(parent, name, [*value[:i], other, *value[i + 1 :]] if isinstance(value, list) else other)
                    whole = ast.fix_missing_locations(copy.deepcopy(function))
                    setattr(parent, name, value)
                    told = [" ".join(ast.unparse(n).splitlines()[0].split())[:60] for n in (node, other)]
                    yield f"line {node.lineno - function.lineno + 1}: {told[0]}  →  {told[1]}", whole


def definitions(root: Path, word: str) -> dict[str, ast.FunctionDef]:
    """Return the functions that a solutions notebook defines."""
    notebook = build.read(root / "notebooks" / "solutions" / f"{INDEX[word][0]}.ipynb")
    found = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "def " in source:
            found |= {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    return found


def accepted(exercise: core.Exercise, function: ast.FunctionDef, names: dict[str, Any], seeds: int) -> Iterator[str]:
    """Yield the breaks after which a check still says that the answer is right; last, their number and that of all."""
    count = passed = 0
    for words, tree in clauses(function):
        count += 1
        namespace = dict(names)
        exec(compile(ast.Module([tree], []), words, "exec"), namespace)
        answer = namespace[function.name]
        if all(core.grade(exercise, answer, seed)[1].ok for seed in range(seeds)):
            passed += 1
            yield words
    yield f"{passed} of {count} breaks are accepted"


def main() -> None:
    """Print a table for the sets or exercises that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help="a set, or an exercise such as game.d_loss")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    root = build.checkout()
    for name in options.names:
        word = name.partition(".")[0]
        functions, namespace = definitions(root, word), selftest.references(root, word)
        for exercise in checks.load_set(word).exercises:
            if name in (word, exercise.name) and exercise.answer in functions:
                print(exercise.name, flush=True)
                for line in accepted(exercise, functions[exercise.answer], namespace, options.seeds):
                    print("   ", line, flush=True)


if __name__ == "__main__":
    main()
