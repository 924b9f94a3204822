"""What one statement of a notebook binds, changes and uses, by name; and whether it may be run.

Nothing is run here. Functions and classes are walked without recursion, since their nesting is the student's; only
blocks at the top of a cell (``if``, ``try``, ``with``, ``match``, ``for``) are taken apart one by one.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "display", "get_ipython"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign)
TYPE_ALIAS: tuple[type, ...] = (ast.TypeAlias,) if hasattr(ast, "TypeAlias") else ()
TRY = (ast.Try, ast.TryStar) if hasattr(ast, "TryStar") else (ast.Try,)

FILLS = frozenset(["add", "append", "extend", "insert", "register", "setdefault", "update"])
"""Methods that put something into what they belong to: a bare call of one is run, where that is needed."""

SHOWS = ("display", "print")
BY_TEXT = frozenset(["eval", "exec", "globals", "locals", "vars"])
"""Who uses one of these may mean a name by a text."""

CHAIN = 50
"""A name is looked for this deep below ``a.b[c].d``."""

_WORD = re.compile(r"[^\W\d]\w*")


@dataclass
class Facts:
    """What a statement does, by name.

    Args:
        runs: whether it may be run: definitions, imports, assignments, and blocks of such.
        binds: all that it may bind; `sure` what it binds whichever way it goes, `weak` what only a loop counts with.
        skipped: what only those parts bind that are not run.
        now: what it needs when it is run; `later` what its functions need when they are called.
        wanted: what it may need; nobody is told if it is not there.
        changes: of which it changes something (``config["lr"] = 1``, ``x += 1``); `effects` what its functions change.
        registers: what it hands itself to, by a decorator with a dot (``@part.register``).
        wrappers: what it is wrapped by: decorators, and ``f = register("f")(function)``.
        keeps: what it stores as it is (``table["f"] = f``), so that what is done to that later shows.
        makers: what is called to make the value that it assigns; `calls` all that it calls at once.
        bases: the classes that it derives from.
        watched: classes that know who derives from them.
        aliases: pairs (a, b): a may be b, or a part of it.
        loops: whether there is a loop anywhere in it, which may be one of training.
        cuts: the statements inside that are left out.
    """

    runs: bool = True
    binds: set[str] = field(default_factory=set)
    sure: set[str] = field(default_factory=set)
    weak: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    now: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    wanted: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    effects: set[str] = field(default_factory=set)
    registers: set[str] = field(default_factory=set)
    wrappers: set[str] = field(default_factory=set)
    keeps: set[str] = field(default_factory=set)
    makers: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    bases: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)
    aliases: set[tuple[str, str]] = field(default_factory=set)
    loops: bool = False
    cuts: list[ast.stmt] = field(default_factory=list)

    def then(self, other: Facts) -> None:
        """Add what follows."""
        self.now |= other.now - self.sure
        self.sure |= other.sure
        self._join(other)

    def _join(self, other: Facts) -> None:
        for name in ("binds", "weak", "skipped", "later", "wanted", "changes", "effects"):
            getattr(self, name).update(getattr(other, name))
        for name in ("registers", "wrappers", "keeps", "makers", "calls", "bases", "watched", "aliases"):
            getattr(self, name).update(getattr(other, name))
        self.cuts += other.cuts
        self.loops = self.loops or other.loops

    def then_one_of(self, ways: Sequence[Facts], *, always: bool = True) -> None:
        """Add what follows on one of several ways; not `always`: or none of them."""
        sure = set.intersection(*(way.sure for way in ways)) if ways and always else set()
        for way in ways:
            self.now |= way.now - self.sure
            self._join(way)
        self.sure |= sure


def facts(node: ast.stmt, *, lazy: bool = False, loop: bool = False) -> Facts:
    """Return what a statement at the top of a cell does.

    Args:
        lazy: annotations are not evaluated, as ``from __future__ import annotations`` has it.
        loop: it stands in a loop, where a bare call may be a step of training, so that nothing of it may be left out.

    Raises:
        RecursionError: blocks are nested too deep.
    """
    if isinstance(node, (ast.If, ast.While)):
        found = _expression(node.test)
        ways = [_block(node.body, lazy, loop), _block(node.orelse, lazy, loop)]
        found.then_one_of(ways, always=isinstance(node, ast.If))
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        found = Facts()
        for item in node.items:
            found.then(_expression(item))
        ways = [_block(node.body, lazy, loop)]
        found.then(ways[0])
    elif isinstance(node, (ast.For, ast.AsyncFor)):
        return _loop(node, lazy)
    elif isinstance(node, TRY):
        return _try(node, lazy, loop)
    elif isinstance(node, ast.Match):
        found = _expression(node.subject)
        ways = [_case(case, lazy, loop) for case in node.cases]
        last = node.cases[-1]
        everything = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
        found.then_one_of(ways, always=everything)
    else:
        found = _Walk(node, lazy).facts
        found.sure = set(found.binds)
        if isinstance(node, ast.Import):  # ``import a.b`` leaves what ``import a.c`` has put into a
            found.sure -= {alias.name.split(".")[0] for alias in node.names if "." in alias.name and not alias.asname}
        found.runs = _runs(node, loop)
        return found
    found.runs = all(way.runs for way in ways) and not isinstance(node, (ast.While, ast.AsyncWith))
    return found


def _expression(node: ast.AST) -> Facts:
    """Return what an expression or a pattern does."""
    found = _Walk(node, False).facts
    found.sure = set(found.binds)
    return found


def _block(body: Iterable[ast.stmt], lazy: bool, loop: bool) -> Facts:
    """Return what a block does. Outside of loops, what may not be run is left out of it."""
    found = Facts()
    for statement in body:
        each = facts(statement, lazy=lazy, loop=loop)
        if each.runs:
            found.then(each)
        elif loop and not _shows(statement):
            found.then(each)
            found.runs = False
        else:
            found.skipped |= each.binds | each.skipped
            found.cuts.append(statement)
    return found


def _loop(node: ast.For | ast.AsyncFor, lazy: bool) -> Facts:
    found = _expression(node.iter)
    body = _expression(node.target)
    body.weak = set(body.binds)
    inside = _block(node.body, lazy, True)
    body.weak -= inside.binds
    body.then(inside)
    found.then_one_of([body], always=False)
    found.loops = True
    after = _block(node.orelse, lazy, True)
    found.then(after)
    found.runs = inside.runs and after.runs and isinstance(node, ast.For)
    return found


def _try(node: ast.Try | ast.TryStar, lazy: bool, loop: bool) -> Facts:
    found, tried = Facts(), _block(node.body, lazy, loop)
    tried.then(_block(node.orelse, lazy, loop))
    ways = [tried]
    for handler in node.handlers:
        way = _expression(handler.type) if handler.type else Facts()
        inside = _block(handler.body, lazy, loop)
        inside.now.discard(handler.name or "")
        way.then(inside)
        way.runs = inside.runs
        if handler.body and isinstance(handler.body[-1], ast.Raise) and not loop:
            way.sure |= tried.sure  # it does not go on from here
        ways.append(way)
    found.then_one_of(ways)
    last = _block(node.finalbody, lazy, loop)
    found.then(last)
    found.runs = last.runs and all(way.runs for way in ways)
    return found


def _case(case: ast.match_case, lazy: bool, loop: bool) -> Facts:
    found = _expression(case.pattern)
    if case.guard is not None:
        found.then(_expression(case.guard))
    inside = _block(case.body, lazy, loop)
    found.then(inside)
    found.runs = inside.runs
    return found


def _runs(node: ast.stmt, loop: bool) -> bool:
    """Return whether a simple statement may be run."""
    if isinstance(node, (*DEFINITIONS, ast.Import, ast.ImportFrom, *ASSIGNMENTS, ast.Pass, *TYPE_ALIAS)):
        return True
    if isinstance(node, (ast.Break, ast.Continue)):
        return loop
    if not isinstance(node, ast.Expr):
        return False
    parts = node.value.elts if isinstance(node.value, (ast.Tuple, ast.List)) else [node.value]
    if any(isinstance(part, ast.NamedExpr) for part in parts):  # (f := …), an assignment in other clothes
        return all(isinstance(part, (ast.NamedExpr, ast.Constant, ast.Name)) for part in parts)
    return isinstance(node.value, (ast.Constant, ast.Name)) or _fills(node.value)


def _fills(value: ast.expr) -> bool:
    """Return whether this puts something into a thing that has a name: ``table.update(real=f)``."""
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in FILLS
        and root(value.func.value) is not None
    )


def _shows(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in SHOWS


def _is_globals(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "globals"


def root(node: ast.AST, calls: bool = True) -> str | None:
    """Return the name at the bottom of ``name.a[b].c``, None if there is none; of ``name().a`` too with `calls`."""
    for _ in range(CHAIN):
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            node = node.value
        elif calls and isinstance(node, ast.Call):
            node = node.func
        else:
            return None
    return None


def _stored(values: Sequence[ast.expr]) -> set[str]:
    """Return the names that stand in an expression as they are, perhaps in a list, a tuple or a dict."""
    found, work = set(), list(values)
    while work:
        value = work.pop()
        if isinstance(value, ast.Name):
            found.add(value.id)
        elif isinstance(value, (ast.List, ast.Tuple, ast.Set)):
            work += value.elts
        elif isinstance(value, ast.Dict):
            work += value.values
    return found


def imports(node: ast.stmt, package: str) -> Iterator[str]:
    """Yield the modules of a package that a statement imports, within functions too."""
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names if alias.name.split(".")[0] == package)
        elif isinstance(each, ast.ImportFrom) and (each.module or "").split(".")[0] == package:
            yield each.module or ""


# Walking one statement -------------------------------------------------------------------------------


class _Scope:
    """A function, a class, a comprehension, or the top."""

    def __init__(self, kind: str, parent: _Scope | None) -> None:
        self.kind, self.parent = kind, parent
        self.bound: set[str] = set()
        self.of_top: set[str] = set()  # declared global
        self.of_outer: set[str] = set()  # declared nonlocal
        self.now: set[str] = set()
        self.later: set[str] = set()
        self.changes: set[str] = set()
        self.effects: set[str] = set()

    def outside(self) -> _Scope:
        """Return the next scope whose names are seen from in here: a class's are not."""
        scope = self.parent
        while scope is not None and scope.kind == "class":
            scope = scope.parent
        assert scope is not None
        return scope


class _Walk:
    """Walks a piece of code in the order in which Python evaluates it."""

    def __init__(self, node: ast.AST, lazy: bool) -> None:
        self.facts = Facts()
        self.lazy = lazy
        self.top = _Scope("top", None)
        self.functions: list[_Scope] = []
        self.texts: list[str] = []
        self.by_text = False
        self.stack: list[tuple[ast.AST, _Scope]] = [(node, self.top)]
        if isinstance(node, DEFINITIONS):
            self._note_decorators(node)
        elif isinstance(node, ASSIGNMENTS):
            self._note_value(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            given = node.value
            self.facts.keeps = _stored([*given.args, *(keyword.value for keyword in given.keywords)])
        while self.stack:
            self._visit(*self.stack.pop())
        for scope in reversed(self.functions):
            self._resolve(scope)
        self.facts.binds = self.top.bound
        self.facts.now, self.facts.later = self.top.now - BUILTINS, self.top.later - BUILTINS
        self.facts.changes, self.facts.effects = self.top.changes, self.top.effects
        if self.by_text:
            self.facts.wanted |= {word for text in self.texts for word in _WORD.findall(text[:10_000])}

    def _note_decorators(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = root(target)
            if name is not None:
                (self.facts.wrappers if isinstance(target, ast.Name) else self.facts.registers).add(name)
        if isinstance(node, ast.ClassDef):
            parts = [*node.bases, *(keyword.value for keyword in node.keywords)]
            self.facts.bases = {part.id for part in parts if isinstance(part, ast.Name)}
            if any(isinstance(each, FUNCTIONS) and each.name == "__init_subclass__" for each in node.body):
                self.facts.watched.add(node.name)

    def _note_value(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> None:
        """Note what an assigned value may be: another thing by a second name, or what a decorator would give."""
        value = node.value
        self.facts.keeps = _stored([value] if value is not None else [])
        if isinstance(value, ast.Call) and (name := root(value.func)):
            self.facts.makers.add(name)
            if isinstance(value.func, ast.Call):
                self.facts.wrappers.add(name)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        other = root(value, calls=False) if value is not None else None
        called = [target.id for target in targets if isinstance(target, ast.Name)]
        if other is not None:
            self.facts.aliases |= {(name, other) for name in called}
        for name in called[1:]:  # a = b = []
            self.facts.aliases |= {(name, called[0]), (called[0], name)}

    # Names ---------------------------------------------------------------------------------------

    def _bind(self, name: str, scope: _Scope) -> None:
        if name in scope.of_top:
            self.top.effects.add(name)
            self.top.later.add(name)
        elif name not in scope.of_outer:
            scope.bound.add(name)

    def _use(self, name: str, scope: _Scope, what: str = "now") -> None:
        """Note a use. At the top and in classes the order counts; a function is decided when all of it is seen."""
        here: _Scope | None = scope
        while here is not None:
            if here.kind == "function" or here.kind == "top":
                if here.kind == "function" or name not in here.bound:
                    getattr(here, what).add(name)
                elif what == "changes":  # made here and filled here: still a change of it
                    here.changes.add(name)
                return
            if name in here.bound and (here is scope or here.kind != "class"):
                return
            here = here.parent

    def _resolve(self, scope: _Scope) -> None:
        """Hand on what a function does not bind itself. What it uses is needed when it is called."""
        own = scope.bound - scope.of_top
        outside = scope.outside()
        while outside.kind == "comprehension":
            own = own | outside.bound
            outside = outside.outside()
        later, effects = (scope.now | scope.later) - own, (scope.changes | scope.effects) - own
        self.top.later |= later & scope.of_top
        self.top.effects |= effects & scope.of_top
        outside.later |= later - scope.of_top
        outside.effects |= effects - scope.of_top

    # Nodes ---------------------------------------------------------------------------------------

    def _visit(self, node: ast.AST, scope: _Scope) -> None:
        if isinstance(node, ast.Name):
            self._visit_name(node, scope)
        elif isinstance(node, (*FUNCTIONS, ast.Lambda)):
            self._visit_function(node, scope)
        elif isinstance(node, ast.ClassDef):
            self._bind(node.name, scope)
            inside = _Scope("class", scope)
            self._next(*[(each, inside) for each in node.body])
            first = [*node.decorator_list, *node.bases, *node.keywords, *getattr(node, "type_params", [])]
            self._next(*[(each, scope) for each in first])
        elif isinstance(node, COMPREHENSIONS):
            self.facts.loops = True
            inside = _Scope("comprehension", scope)
            values = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            self._next(*[(each, inside) for each in values])
            for number, part in reversed(list(enumerate(node.generators))):
                self._next((part.target, inside), *[(each, inside) for each in part.ifs])
                self._next((part.iter, inside if number else scope))
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            (scope.of_top if isinstance(node, ast.Global) else scope.of_outer).update(node.names)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                self._bind(alias.asname or alias.name.split(".")[0], scope)
        else:
            self._visit_other(node, scope)

    def _visit_name(self, node: ast.Name, scope: _Scope) -> None:
        if isinstance(node.ctx, ast.Store):
            self._bind(node.id, scope)
        else:
            self._use(node.id, scope)
            self.by_text = self.by_text or node.id in BY_TEXT

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: _Scope) -> None:
        inside = _Scope("function", scope)
        self.functions.append(inside)
        given = node.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        arguments += [each for each in (given.vararg, given.kwarg) if each is not None]
        inside.bound |= {each.arg for each in arguments}
        first: list[ast.AST] = [*given.defaults, *(each for each in given.kw_defaults if each is not None)]
        if isinstance(node, ast.Lambda):
            self._next((node.body, inside))
        else:
            self._bind(node.name, scope)
            self._next(*[(each, inside) for each in node.body])
            notes = [each.annotation for each in arguments] + [node.returns]
            self._annotations([each for each in notes if each is not None], scope, later=self.lazy)
            inside.bound |= {str(getattr(each, "name", "")) for each in getattr(node, "type_params", [])}
            first = [*node.decorator_list, *first]
        self._next(*[(each, scope) for each in first])

    def _annotations(self, notes: list[ast.expr], scope: _Scope, later: bool) -> None:
        """Annotations are evaluated at once, or perhaps never."""
        if later:
            self.facts.wanted |= {each.id for note in notes for each in ast.walk(note) if isinstance(each, ast.Name)}
        else:
            self._next(*[(each, scope) for each in notes])

    def _visit_other(self, node: ast.AST, scope: _Scope) -> None:
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and len(self.texts) < 1000:
                self.texts.append(node.value)
        elif isinstance(node, ast.NamedExpr):
            target = scope
            while target.kind == "comprehension" and target.parent is not None:
                target = target.parent
            self._next((node.value, scope), (node.target, target))
        elif isinstance(node, ast.Assign):
            self._next((node.value, scope), *[(each, scope) for each in node.targets])
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None or scope.kind == "function":
                self._next((node.target, scope))
            if node.value is not None:
                self._next((node.value, scope))
            self._annotations([node.annotation], scope, later=self.lazy or scope.kind == "function")
        elif isinstance(node, ast.AugAssign):
            self._next((node.value, scope))
            if isinstance(node.target, ast.Name):
                self._use(node.target.id, scope)
                if scope.kind == "function":
                    self._bind(node.target.id, scope)
                elif scope.kind == "top":
                    self._use(node.target.id, scope, "changes")
            else:
                self._next((node.target, scope))
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self.facts.loops = True
            self._next((node.iter, scope), (node.target, scope), *[(each, scope) for each in node.body + node.orelse])
        elif isinstance(node, TYPE_ALIAS):
            self._bind(root(node.name) or "", scope)  # type: ignore[attr-defined]
            self._annotations([node.value], scope, later=True)  # type: ignore[attr-defined]
        else:
            self._visit_rest(node, scope)

    def _visit_rest(self, node: ast.AST, scope: _Scope) -> None:
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            self._change(node, scope)
        elif isinstance(node, ast.While):
            self.facts.loops = True
        elif isinstance(node, ast.Call):
            if _fills(node):
                self._change(node.func, scope)
            if isinstance(node.func, ast.Name) and scope.kind != "function":
                self.facts.calls.add(node.func.id)
        elif isinstance(node, ast.Attribute) and node.attr == "__subclasses__" and isinstance(node.value, ast.Name):
            self.facts.watched.add(node.value.id)
        name = getattr(node, "name", None)
        if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and name is not None:
            self._bind(name, scope)
        elif isinstance(node, ast.MatchMapping) and node.rest is not None:
            self._bind(node.rest, scope)
        self._next(*[(each, scope) for each in ast.iter_child_nodes(node)])

    def _change(self, node: ast.AST, scope: _Scope) -> None:
        """Note that something is put into what a name stands for."""
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call) and _is_globals(node.value):
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                self._bind(node.slice.value, self.top)  # globals()["f"] = …
            return
        name = root(node)
        if name is not None:
            self._use(name, scope, "changes")

    def _next(self, *parts: tuple[ast.AST, _Scope]) -> None:
        """Visit these next, in this order."""
        self.stack += reversed(parts)
