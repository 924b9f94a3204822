"""Measure how long a move of each slider takes, from its value to the PNG.

python tests/bench_widgets.py                 every widget
python tests/bench_widgets.py shift classes   some
"""

from __future__ import annotations

import sys
import time

from gancourse import widgets
from gancourse.widgets.core import _png


def main(names: list[str]) -> None:
    print(f"{'widget':18}{'slider':12}{'median':>9}{'worst':>9}   of processor time, and elapsed")
    for name in names or widgets.names():
        widget = widgets.get(name)
        widget.ready()
        first = widget.still()
        _png(first)
        places = [ax.get_position(original=True) for ax in first.axes]
        for slider in widget.sliders:
            times = []
            for value in (slider.values * 10)[:10]:
                start = time.process_time(), time.perf_counter()
                _png(widget.still(**{slider.name: value}), places)
                times.append((time.process_time() - start[0], time.perf_counter() - start[1]))
            busy, elapsed = (sorted(1000 * pair[k] for pair in times) for k in (0, 1))
            print(
                f"{name:18}{slider.name:12}{busy[5]:6.0f} ms{busy[-1]:6.0f} ms{elapsed[5]:12.0f} ms{elapsed[-1]:6.0f} ms"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
