"""The system calls that an answer is refused, by a filter that the kernel applies (seccomp). Linux, on two processors.

Limits and namespaces leave gaps, and these calls lead through them: memory that no process maps is in nobody's limit, a
key outlives the process that stored it, and a socket to the host of a virtual machine knows no namespaces.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys

#: Call → its number on x86-64 and on 64-bit ARM.
REFUSED = {
    # memory that need not be mapped
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semctl": (66, 191),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "vmsplice": (278, 75),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "perf_event_open": (298, 241),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    # what is kept when a process has ended
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    # other views of the system
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
}
SOCKET = (41, 198)
PROCESSORS = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Name → column of the numbers above, and the kernel's number of the processor."""

SECCOMP = (317, 277)
KEYCTL = REFUSED["keyctl"]
FILTER, AVAILABLE, JOIN_KEYRING = 1, 2, 1
OTHER_NUMBERS = 0x40000000
"""From here on x86-64 has the same calls again, under other numbers."""

KILL, ERROR, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
NOT_PERMITTED, NO_SUCH_FAMILY = 1, 97
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06

libc = ctypes.CDLL(None, use_errno=True)


def _call(numbers: tuple[int, int], *arguments: object) -> int:
    column, _ = PROCESSORS[os.uname().machine]
    return libc.syscall(ctypes.c_long(numbers[column]), *arguments)


def available() -> bool:
    """Return whether the kernel can refuse calls, and this module knows their numbers."""
    if sys.platform != "linux" or os.uname().machine not in PROCESSORS or sys.byteorder != "little":
        return False
    wanted = ctypes.c_uint32(ERROR)
    return _call(SECCOMP, ctypes.c_ulong(AVAILABLE), ctypes.c_ulong(0), ctypes.byref(wanted)) == 0


def refuse() -> None:
    """Refuse the calls above to this process and to all that it starts, for good. Of sockets, local ones are left.

    Raises:
        OSError: the kernel does not take the filter.
    """
    column, processor = PROCESSORS[os.uname().machine]
    program = _program(processor, sorted(numbers[column] for numbers in REFUSED.values()), SOCKET[column])
    steps = b"".join(struct.pack("<HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(steps, len(steps))
    head = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    if _call(SECCOMP, ctypes.c_ulong(FILTER), ctypes.c_ulong(0), ctypes.c_char_p(head)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")


def _program(processor: int, refused: list[int], sockets: int) -> list[tuple[int, int, int, int]]:
    """Return the filter: (what, jump if true, jump if false, number) for each step."""
    program = [
        (LOAD, 0, 0, 4),  # the processor
        (EQUAL, 1, 0, processor),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, 0),  # the number of the call
        (AT_LEAST, 0, 1, OTHER_NUMBERS),
        (RETURN, 0, 0, ERROR | NOT_PERMITTED),
        (EQUAL, 0, 4, sockets),
        (LOAD, 0, 0, 16),  # its first argument: the family
        (EQUAL, 0, 1, socket.AF_UNIX),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ERROR | NO_SUCH_FAMILY),
    ]
    for number in refused:
        program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERROR | NOT_PERMITTED)]
    return [*program, (RETURN, 0, 0, ALLOW)]


def forget_keys() -> None:
    """Leave the keys that this process has inherited behind, where there are such."""
    if sys.platform == "linux" and os.uname().machine in PROCESSORS:
        _call(KEYCTL, ctypes.c_long(JOIN_KEYRING), None)


def open_ways() -> list[str]:
    """Return what can be done in this process of what should be refused: measured, not remembered."""
    if sys.platform != "linux" or os.uname().machine not in PROCESSORS:
        return []
    found = []
    for family in ("AF_INET", "AF_NETLINK", "AF_VSOCK"):
        try:
            socket.socket(getattr(socket, family), socket.SOCK_DGRAM).close()
            found.append(family)
        except (OSError, AttributeError):
            pass
    try:
        os.close(os.memfd_create("measured"))
        found.append("memfd")
    except OSError:
        pass
    private, size, mode = ctypes.c_int(0), ctypes.c_size_t(4096), ctypes.c_int(0o600)
    segment = libc.shmget(private, size, mode)
    if segment >= 0:
        libc.shmctl(segment, 0, None)  # removed again
        found.append("shared memory")
    if _call(KEYCTL, ctypes.c_long(0), ctypes.c_long(-3), ctypes.c_long(0)) >= 0:  # whose session this is
        found.append("keys")
    return found
