"""The stored outputs of every chapter belong to its code; a changed module of the package warns."""

import warnings

import chapters
import outputs
import pytest


@pytest.mark.parametrize("path", chapters.chapters(), ids=lambda path: path.stem)
def test_outputs_belong_to_the_code(path):
    file = path.relative_to(chapters.ROOT).as_posix()
    state = outputs.freshness(chapters.read(path))
    place = f", cell {state.cell}" if state.cell else ""
    assert not state.fault, f"{file}{place}, rule fresh: {state.fault}"
    if state.changed:
        warnings.warn(
            f"{file}: its outputs were made before {', '.join(state.changed)} changed; run `make outputs`",
            stacklevel=1,
        )
