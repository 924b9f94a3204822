"""What every test starts from: one thread, the smallest profile, no download, and the maintainer's tools."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Tests never download data. Whether this run is a public host's is kept for the tests that must know.
os.environ.setdefault("GANCOURSE_TESTS_ON_CI", os.environ.get("CI", ""))
os.environ["CI"] = "true"

os.environ.setdefault("GANCOURSE_PROFILE", "smoke")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

# More threads than cores make PyTorch many times slower, and tests run two at a time.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
if "torch" in sys.modules:
    sys.modules["torch"].set_num_threads(1)

# At the end of the path: the tools' names must not hide a package's.
sys.path.append(str(ROOT / "book" / "tools"))
