"""`course_utils.files`: a file appears whole or not at all."""

import stat

import pytest

from course_utils.files import remove_leftovers, try_to_write, write_whole, writing_whole


def test_text_and_bytes_arrive(tmp_path):
    write_whole(tmp_path / "a.txt", "Größe")
    write_whole(tmp_path / "b.bin", b"\x00\xff")
    assert (tmp_path / "a.txt").read_text("utf-8") == "Größe"
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "kept.txt"
    write_whole(path, "old")
    with pytest.raises(ZeroDivisionError), writing_whole(path) as temporary:
        temporary.write_text("half of the ne")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]


def test_trying_touches_nothing(tmp_path):
    write_whole(tmp_path / "there", "old")
    try_to_write(tmp_path / "there")
    try_to_write(tmp_path / "new")
    for wrong in (tmp_path, tmp_path / "nowhere" / "x", tmp_path / "there" / "x"):
        with pytest.raises(OSError):
            try_to_write(wrong)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("there", "old")]


def test_nobody_sees_a_file_that_is_being_written(tmp_path):
    path = tmp_path / "new.txt"
    with writing_whole(path) as temporary:
        temporary.write_text("all of it")
        assert not path.exists()
    assert path.read_text() == "all of it"


def test_the_new_file_has_the_usual_rights(tmp_path):
    usual = tmp_path / "usual"
    usual.touch()
    write_whole(tmp_path / "ours", "")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


def test_a_missing_folder_is_the_file_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "nowhere" / "a.txt", "x")


def test_leftovers_of_a_killed_writer_are_removed_and_nothing_else(tmp_path):
    for name in (".a[1].pt.0123.part", ".a1.pt.0123.part", "a[1].pt", "a[1].pt.part"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "a[1].pt")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".a1.pt.0123.part",
        "a[1].pt",
        "a[1].pt.part",
    ]
