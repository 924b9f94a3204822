"""Measure how long a move of each slider takes, from its value to the PNG; memory is tidied up between the moves.

python tests/bench_widgets.py                 every widget
python tests/bench_widgets.py shift classes   some
"""

from __future__ import annotations

import gc
import sys
import time

from gancourse import widgets
from gancourse.widgets.core import _png


def main(names: list[str]) -> None:
    print(f"{'widget':18}{'slider':12}{'median':>9}{'worst':>9} of processor time,{'median':>9}{'worst':>9} elapsed")
    for name in names or widgets.names():
        widget = widgets.get(name)
        widget.ready()
        first = widget.still()
        _png(first)
        places = [ax.get_position(original=True) for ax in first.axes]
        for slider in widget.sliders:
            times = []
            for value in (slider.values * 10)[:10]:
                gc.collect()
                gc.disable()  # as while a live widget draws
                start = time.process_time(), time.perf_counter()
                _png(widget.still(**{slider.name: value}), places)
                times.append((time.process_time() - start[0], time.perf_counter() - start[1]))
                gc.enable()
            busy, elapsed = (sorted(1000 * pair[k] for pair in times) for k in (0, 1))
            found = (busy[5], busy[-1], elapsed[5], elapsed[-1])
            print(f"{name:18}{slider.name:12}" + "".join(f"{ms:6.0f} ms" for ms in found))


if __name__ == "__main__":
    main(sys.argv[1:])
