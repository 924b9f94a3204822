"""``python -m gancourse`` is the same as ``gancourse``."""

import sys

from gancourse.cli import main

if __name__ == "__main__":
    sys.exit(main())
