"""An output that is replaced is there at every moment, the old one or the new one."""

import sys
import threading
from pathlib import Path

import pytest

from training import swapping
from training.swapping import put_in_place


def folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "file").write_text(content)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it takes two steps")
def test_a_reader_never_finds_it_missing(tmp_path: Path) -> None:
    target, missed, ended = folder(tmp_path / "out", "old"), [], threading.Event()

    def read() -> None:
        while not ended.is_set():
            if not target.exists():
                missed.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1_000):
        put_in_place(folder(tmp_path / "aside", str(number)), target)
    ended.set()
    reader.join()
    assert (missed, (target / "file").read_text()) == ([], "999")
    assert list(tmp_path.iterdir()) == [target]


def test_where_names_cannot_be_exchanged_it_takes_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swapping, "_exchange", lambda one, other: False)
    put_in_place(folder(tmp_path / "aside", "new"), folder(tmp_path / "out", "old"))
    assert (tmp_path / "out" / "file").read_text() == "new"
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "never made", tmp_path / "out")
    assert (tmp_path / "out" / "file").read_text() == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
