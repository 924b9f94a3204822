"""What is printed, on whatever terminal, file or pipe there is: no character and no reader who left stops the work.

Entry points do their work within :func:`steady`.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

GONE = (errno.EPIPE, errno.ESHUTDOWN, errno.EINVAL if sys.platform == "win32" else errno.EPIPE)
"""What a stream says when nobody reads it any more."""


class Stream:
    """A text stream that goes on: signs that cannot be shown become ``?``, and after an error nothing is written.

    Attributes:
        lost: the error that made it fall silent, or None. A reader who has left is none: then nobody waits for more.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._silent = False
        self.lost: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text, and return its length."""
        if not self._silent:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self.write(shown(text, self._stream.encoding))
            except (OSError, ValueError) as error:
                self._fall_silent(error)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush, unless the stream has fallen silent."""
        if not self._silent:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._fall_silent(error)

    def _fall_silent(self, error: OSError | ValueError) -> None:
        self._silent = True
        if isinstance(error, OSError) and error.errno not in GONE:
            self.lost = error
        try:  # what is still in the buffer goes nowhere, at the end of the process too
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()
        except (OSError, ValueError, AttributeError):
            pass


def shown(text: str, encoding: str | None) -> str:
    """Return `text` with ``?`` for each sign that `encoding` does not have."""
    name = encoding or "ascii"
    return text.encode(name, "replace").decode(name, "replace")


@contextlib.contextmanager
def steady() -> Iterator[Stream]:
    """Print through :class:`Stream` for as long as this lasts; yields that of standard output."""
    before = sys.stdout, sys.stderr
    out, err = (None if stream is None else Stream(stream) for stream in before)
    sys.stdout, sys.stderr = out, err
    try:
        yield out or Stream(io.StringIO())
    finally:
        for stream in (out, err):
            if stream is not None:
                stream.flush()
        if (sys.stdout, sys.stderr) == (out, err):
            sys.stdout, sys.stderr = before


def say(text: str) -> None:
    """Print a line where no entry point has prepared the terminal: in a script or a notebook of somebody's."""
    stream = sys.stdout
    try:
        print(text)
    except UnicodeEncodeError:
        print(shown(text, getattr(stream, "encoding", None)))


def entry(main: Callable[[], Any]) -> int:
    """Run the main function of a program, and return its exit status: 1 also where its output was lost.

    What it raises passes through.
    """
    with steady() as output:
        status = main()
        output.flush()
    if output.lost is not None:
        told = f"error: The output could not be written: {output.lost.strerror or output.lost}."
        if sys.stderr is not None:
            print(told, file=sys.stderr)
        return status or 1
    return int(status or 0)
