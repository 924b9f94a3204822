"""Whose row it is: what an LMS has written into a name decides, and never what a student calls a file."""

from __future__ import annotations

import os
import unicodedata
import zipfile
from pathlib import Path

import pytest

from gancourse.errors import UserError
from gancourse.grading import names
from gancourse.grading.names import owners, whose
from gancourse.grading.submissions import collect

CANVAS = ["doejane_101_9001_hw.ipynb", "roejohn_102_9002_hw.ipynb", "poejim_103_9003_01_two_players.ipynb"]
MOODLE = [f"{name}_{number}_assignsubmission_file_/hw.ipynb" for name, number in (("Jane Doe", 101), ("Jim Poe", 103))]
FLAT = [path.replace("/", "") for path in MOODLE]


def students(paths: list[str], by: str = "auto") -> dict[str, tuple[str, str]]:
    """Return path → student and number."""
    return dict(zip(paths, (owner[:2] for owner in owners(paths, by)[0]), strict=True))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("doejane_12345_67890_hw.ipynb", ("doejane", "12345", "canvas")),
        ("doejane_LATE_12345_67890_hw-1.ipynb", ("doejane", "12345", "canvas")),
        ("doe_jane_LATE_12345_67890_hw.ipynb", ("doe_jane", "12345", "canvas")),
        ("doe2jane3_12345_67890_01_two_players.ipynb", ("doe2jane3", "12345", "canvas")),
        ("müllerzoë_12345_67890_hw.ipynb", ("müllerzoë", "12345", "canvas")),
        ("李雷_12345_67890_hw.ipynb", ("李雷", "12345", "canvas")),
        ("हिमांशु_12345_67890_hw.ipynb", ("हिमांशु", "12345", "canvas")),
        ("anon_aB3dE_67890_hw.ipynb", ("anon_aB3dE", "", "canvas")),
        ("LATE_anon_aB3dE_67890_hw.ipynb", ("anon_aB3dE", "", "canvas")),
        ("doejane_10000000000123456_10000000000999999_hw.ipynb", ("doejane", "10000000000123456", "canvas")),
        ("Jane Doe_12345_assignsubmission_file_/hw.ipynb", ("Jane Doe", "12345", "moodle")),
        ("Jane Doe_12345_assignsubmission_file/hw.ipynb", ("Jane Doe", "12345", "moodle")),
        ("Jane Doe_12345_assignsubmission_file_hw.ipynb", ("Jane Doe", "12345", "moodle")),
        ("Group 7-Jane Doe_12345_assignsubmission_file_/hw.ipynb", ("Group 7-Jane Doe", "12345", "moodle")),
        ("Participant_12345_assignsubmission_file_/hw.ipynb", ("Participant", "12345", "moodle")),
        ("O'Brien-Ángel Ñ._12345_assignsubmission_file_/a/b.ipynb", ("O'Brien-Ángel Ñ.", "12345", "moodle")),
        ("Ann_Lee Ray_7_assignsubmission_file_/a/b.ipynb", ("Ann_Lee Ray", "7", "moodle")),
        ("alice.ipynb", ("alice", "", "plain")),
        ("alice.IPYNB", ("alice", "", "plain")),
        ("alice/a/01_two_players.ipynb", ("alice", "", "plain")),
        ("Homework 3_12_2024_final.ipynb", ("Homework 3_12_2024_final", "", "plain")),
        ("01_two_players.ipynb", ("01_two_players", "", "plain")),
        # digits of other scripts and long numbers are no numbers of an LMS
        ("doejane_١٢٣_٤٥٦_hw.ipynb", ("doejane_١٢٣_٤٥٦_hw", "", "plain")),
        (f"doejane_{'1' * 300}_2_hw.ipynb", (f"doejane_{'1' * 300}_2_hw", "", "plain")),
    ],
)
def test_students_are_told_by_the_names_of_files(path: str, expected: tuple[str, str, str]) -> None:
    assert tuple(whose(path)) == expected


#: What students call their files, to be taken for somebody else.
CLAIMS = (
    "x_222_assignsubmission_file_.ipynb",
    "assignsubmission_file_.ipynb",
    "Bob Smith_222_assignsubmission_file_game.ipynb",
    "bobsmith_222_9002_game.ipynb",
    "bobsmith_LATE_222_9002_game.ipynb",
    "222_9002_game.ipynb",
    "LATE_222_9002_x.ipynb",
    "_222_9002_x.ipynb",
    "222_333_444_555_assignsubmission_file_x.ipynb",
    "anon_aB3dE_67890_hw.ipynb",
)


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("alone", [True, False])
def test_a_student_s_own_file_name_decides_nothing(claim: str, alone: bool) -> None:
    for part, others in (
        ("doeeve_111_9001_{}", CANVAS),
        ("doeeve_LATE_111_9001_{}", CANVAS),
        ("Eve Doe_111_assignsubmission_file_/{}", MOODLE),
        ("Eve Doe_111_assignsubmission_file_/Bob Smith_222_assignsubmission_file_/{}", MOODLE),
        ("Eve Doe_111_assignsubmission_file_/bobsmith_222_9002_game/{}", MOODLE),
        ("Eve Doe_111_assignsubmission_file_{}", FLAT),
    ):
        path = part.format(claim)
        found = students([path] if alone else [path, *others])
        assert found[path] == ("doeeve" if part.startswith("d") else "Eve Doe", "111"), path


@pytest.mark.parametrize("claim", CLAIMS)
def test_nor_does_it_where_there_is_no_lms(claim: str) -> None:
    for paths, expected in (
        ([claim, "ann.ipynb", "bob.ipynb"], claim.removesuffix(".ipynb")),
        ([f"eve/{claim}", "ann/hw.ipynb", "bob/hw.ipynb"], "eve"),
        ([f"eve/{claim}", "ann/hw.ipynb", "bob/hw.ipynb", *(f"eve/x{n}.ipynb" for n in range(9))], "eve"),
        ([f"in/eve/{claim}", "in/ann/hw.ipynb", "in/bob/hw.ipynb"], "eve"),
    ):
        found = students(paths)
        assert found[paths[0]] == (expected, "") and not any(number for _, number in found.values())


def test_nor_beside_a_download_of_an_lms() -> None:
    """Files that an instructor has put beside a download, as they came by mail."""
    found = students([*CANVAS, "eve/bobsmith_222_9002_game.ipynb", "ann.ipynb", "carl/a.ipynb", "carl/b.ipynb"])
    assert [found[path] for path in CANVAS] == [("doejane", "101"), ("roejohn", "102"), ("poejim", "103")]
    assert found["eve/bobsmith_222_9002_game.ipynb"] == ("eve", "") and found["ann.ipynb"] == ("ann", "")
    assert found["carl/a.ipynb"] == found["carl/b.ipynb"] == ("carl", "")
    _, naming = owners([*CANVAS, "ann.ipynb"])
    assert naming.convention == "canvas" and naming.strangers == ["ann.ipynb"] and "ann.ipynb" in naming.notes[0]


def test_one_student_s_many_files_do_not_outvote_a_class() -> None:
    others = ["ann/hw.ipynb", "bob/hw.ipynb", "carl/hw.ipynb"]
    mine = [f"eve/bobsmith_222_{number}_game.ipynb" for number in range(9000, 9100)]
    found = students([*others, *mine])
    assert set(found.values()) == {("ann", ""), ("bob", ""), ("carl", ""), ("eve", "")}
    moodle = [f"Eve Doe_111_assignsubmission_file_/bobsmith_222_{number}_game.ipynb" for number in range(9000, 9100)]
    assert set(students([MOODLE[0], *moodle]).values()) == {("Jane Doe", "101"), ("Eve Doe", "111")}


def test_a_file_that_was_fetched_from_an_lms_and_is_handed_in_again() -> None:
    again = "doeeve_111_9555_doeeve_111_9001_game.ipynb"
    assert students([again, *CANVAS])[again] == ("doeeve", "111")
    for outer in ("Eve Doe_111_assignsubmission_file_/", "Eve Doe_111_assignsubmission_file_"):
        for inner in ("doeeve_5_9001_game.ipynb", "Eve Doe_5_assignsubmission_file_/game.ipynb"):
            assert students([outer + inner, *MOODLE])[outer + inner] == ("Eve Doe", "111")
    plain = ["eve/doeeve_111_9001_game.ipynb", "ann/game.ipynb", "bob/game.ipynb"]
    assert students(plain)[plain[0]] == ("eve", "")


def test_several_files_late_ones_and_unpacked_ones_are_of_one_student() -> None:
    mine = ["doeeve_111_9001_a.ipynb", "doeeve_LATE_111_9004_a-1.ipynb", "doeeve_111_9005_hw/sub/b.ipynb"]
    assert set(students([*CANVAS, *mine]).values()) == {
        ("doejane", "101"),
        ("roejohn", "102"),
        ("poejim", "103"),
        ("doeeve", "111"),
    }


@pytest.mark.parametrize("wrapper", ["submissions/", "term/set 1/", "a/b/c/"])
def test_folders_around_a_download_change_nothing(wrapper: str) -> None:
    for paths in (CANVAS, MOODLE, FLAT):
        assert list(students([wrapper + path for path in paths]).values()) == list(students(paths).values())
    sections = [f"{wrapper}{section}/{path}" for section, path in zip("xyz", CANVAS, strict=True)]
    assert list(students(sections).values()) == list(students(CANVAS).values())


def test_in_a_folder_without_lms_nobody_disappears_in_a_wrapper() -> None:
    assert set(students(["in/ann.ipynb", "in/bob.ipynb", "in/carl/a.ipynb", "in/carl/b.ipynb"]).values()) == {
        ("ann", ""),
        ("bob", ""),
        ("carl", ""),
    }
    _, naming = owners(["in/ann.ipynb", "in/bob.ipynb"])
    assert "--students folder" in naming.notes[0]
    assert students(["in/ann/a.ipynb", "in/ann/b.ipynb"], "folder") == dict.fromkeys(
        ["in/ann/a.ipynb", "in/ann/b.ipynb"], ("in/ann", "")
    )


def test_two_downloads_in_one_folder_lose_no_row() -> None:
    """One convention holds for all; the others are rows without a number, and the instructor is told."""
    paths = [*(f"canvas/{path}" for path in CANVAS), *(f"moodle/{path}" for path in MOODLE)]
    found, naming = students(paths), owners(paths)[1]
    assert naming.convention == "canvas" and len(naming.strangers) == 2 and "no number" in naming.notes[0]
    assert [found[path][1] for path in paths] == ["101", "102", "103", "", ""]
    assert len(set(found.values())) == len(paths)
    chosen, naming = students(paths, "moodle"), owners(paths, "moodle")[1]
    assert [chosen[path][1] for path in paths] == ["", "", "", "101", "103"] and len(set(chosen.values())) == len(paths)
    few = ["ann/a.ipynb", "bob/a.ipynb", *(f"canvas/{path}" for path in CANVAS)]
    found, naming = students(few), owners(few)[1]
    assert naming.convention == "plain" and len(set(found.values())) == 5 and "canvas" in naming.notes[0]
    deeper = [*CANVAS, *(f"late/more/{path}" for path in ("aa_7_9007_a.ipynb", "bb_8_9008_a.ipynb"))]
    assert len(set(students(deeper).values())) == 5


def test_a_group_s_name_may_end_in_a_number() -> None:
    """Canvas puts the group's name in front; the number of a member follows, and then the file's."""
    paths = ["team_2_101_90001_hw.ipynb", "team_3_102_90002_5_hw.ipynb", "redteam_103_90003_hw.ipynb"]
    assert list(students(paths).values()) == [("team_2", "101"), ("team_3", "102"), ("redteam", "103")]


def test_an_lms_can_be_named() -> None:
    few = [CANVAS[0], "ann.ipynb", "bob.ipynb"]
    assert students(few)[CANVAS[0]] == ("doejane_101_9001_hw", "")
    assert students(few, "canvas") == {
        CANVAS[0]: ("doejane", "101"),
        "ann.ipynb": ("ann", ""),
        "bob.ipynb": ("bob", ""),
    }
    with pytest.raises(UserError, match="no file is named as Moodle"):
        owners(few, "moodle")
    assert students(CANVAS, "file")[CANVAS[0]] == ("doejane_101_9001_hw", "")


def test_composed_and_decomposed_letters_are_one_name() -> None:
    """macOS unpacks zips with decomposed letters."""
    paths = [unicodedata.normalize(form, f"Zoë Müller_5_assignsubmission_file_{form}.ipynb") for form in ("NFC", "NFD")]
    assert len(set(students(paths).values())) == 1


def test_odd_and_huge_names_are_read() -> None:
    deep = "/".join("a" * 20_000) + ".ipynb"
    long = "a_1" * 20_000 + ".ipynb"
    for path in (deep, long, "_" * 60_000, "1_" * 30_000, "/", "..", ".ipynb", "///a.ipynb"):
        assert whose(path).student or path in (".ipynb",)


def test_names_that_differ_in_what_cannot_be_printed_stay_apart(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "in")
    os.mkdir(folder)
    raw = (b"m\xfcller", b"m\xf6ller", b"a\x01", b"a\x02", b"a\\x01", "a\u202e".encode(), b"a")
    for name in raw:
        with open(os.path.join(folder, name + b".ipynb"), "wb") as file:
            file.write(b"{}")
    found = collect(tmp_path / "in", tmp_path)
    assert len(found.students()) == len(raw)
    assert all(student.isprintable() for _, student in found.students())


def test_whoever_hands_in_no_notebook_to_an_lms_has_a_row(tmp_path: Path) -> None:
    path = tmp_path / "hw.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*CANVAS, "doeeve_111_9004_hw.pdf", "doejane_101_9005_picture.png", "readme.txt"):
            archive.writestr(name, "{}")
    found = collect(path, tmp_path)
    faults = {number: [s.fault for s in files] for (number, _), files in found.students().items()}
    assert set(faults) == {"101", "102", "103", "111"}
    assert faults["101"] == [""] and "no notebook" in faults["111"][0]
    assert set(found.skipped) == {"doeeve_111_9004_hw.pdf", "doejane_101_9005_picture.png", "readme.txt"}


def test_the_choices_are_those_of_the_command() -> None:
    assert names.CHOICES == ("auto", "file", "folder", "canvas", "moodle")


def test_two_rows_with_one_number_are_flagged(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for path in ("Jane Doe_101_assignsubmission_file_a.ipynb", "Jane Roe_101_assignsubmission_file_a.ipynb", *FLAT):
        (folder / path).write_text("{}")
    found = collect(folder, tmp_path)
    assert found.shared() == {"101": ["Jane Doe", "Jane Roe"]}
    assert not collect(folder, tmp_path, "file").shared()
