"""Hourly segments: what is whole is read, whoever writes, crashes or erases."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.segments import SUFFIX, Segments, blocks, hour_of, torn_bytes

T = 1_772_366_400.0
ROOT = Path(__file__).parents[2]


def rows(count: int, start: float = T, step: float = 1.0) -> list[tuple[float, bytes]]:
    return [(start + at * step, b"%d of %d from %d\n" % (at, count, start)) for at in range(count)]


def test_lines_come_back_from_the_files_of_their_hours(tmp_path: Path) -> None:
    segments, made = Segments(tmp_path / "log", "w"), rows(5000)
    begun = segments.append(made)
    assert [path.name for path in begun] == [f"20260301T12-w{SUFFIX}", f"20260301T13-w{SUFFIX}"]
    assert list(segments.lines()) == [line for _, line in made]
    assert segments.files(T + 3600) == begun[1:]
    assert segments.files(None, T + 3599) == begun[:1]
    assert segments.append(rows(3)) == []
    found = list(blocks(begun[0]))
    assert [block.rows for block in found] == [1000, 1000, 1000, 600, 3]
    assert (found[1].first, found[1].last) == (T + 1000, T + 1999)


def test_a_tool_for_zstd_reads_a_file(tmp_path: Path) -> None:
    (path,) = Segments(tmp_path, "w").append(rows(10))
    with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as source:
        assert source.read() == b"".join(line for _, line in rows(10))


@given(cut=st.integers(1, 400), noise=st.binary(max_size=60))
def test_what_a_crash_has_torn_costs_its_own_block_only(
    cut: int, noise: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    segments = Segments(folder, "w")
    (path,) = segments.append(rows(3))
    whole = path.read_bytes()
    segments.append(rows(5, T + 10))
    torn = path.read_bytes()[len(whole) : len(whole) + cut]
    path.write_bytes(whole + torn + noise)
    segments.append(rows(2, T + 20))
    found = list(segments.lines())
    lost = [line for _, line in rows(5, T + 10)]
    assert [line for line in found if line not in lost] == [line for _, line in rows(3) + rows(2, T + 20)]
    assert torn_bytes(path) == path.stat().st_size - sum(block.end - block.start for block in blocks(path))


def test_the_oldest_hours_go_and_a_clock_that_jumped_costs_little(tmp_path: Path) -> None:
    segments = Segments(tmp_path, "w")
    for hour in range(10):
        segments.append(rows(100, T + 3600 * hour))
    size = segments.files()[0].stat().st_size
    assert segments.drop(size * 5 + size // 2) == 500
    assert segments.drop(10**9, T + 3600 * 7) == 200
    assert [path.name[:11] for path in segments.files()] == [hour_of(T + 3600 * hour) for hour in (7, 8, 9)]
    assert segments.drop(10**9, T + 10**9, most_files=2) == 200
    assert len(segments.files()) == 1
    assert Segments(tmp_path / "none", "w").drop(0) == 0


def test_what_is_erased_is_gone_and_all_else_keeps_its_place(tmp_path: Path) -> None:
    segments = Segments(tmp_path, "w")
    for start in range(4):
        segments.append(rows(50, T + start))
    (path,) = segments.files()
    before = list(blocks(path))
    gone = segments.erase(lambda line: line.startswith((b"7 ", b"8 ")) or line.endswith(b"%d\n" % (T + 2)))
    assert len(gone) == 50 + 3 * 2
    assert not [line for line in segments.lines() if line in gone]
    after = list(blocks(path))
    assert [(block.start, block.end) for block in after] == [(block.start, block.end) for block in before]
    assert [block.rows for block in after] == [48, 48, 0, 48]
    segments.append(rows(1))
    assert len(list(segments.lines())) == 3 * 48 + 1


WRITER = """
import sys
from pathlib import Path
from recsys.segments import Segments
segments = Segments(Path(sys.argv[1]), sys.argv[2])
for number in range(200):
    segments.append([(1772366400.0, b"%s-%d\\n" % (sys.argv[2].encode(), number))])
"""


def test_processes_that_write_and_erase_at_once_lose_nothing(tmp_path: Path) -> None:
    # both write to one file, which only the lock makes safe
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), "w"], cwd=ROOT) for _ in range(2)
    ]
    segments = Segments(tmp_path, "other")
    erased = 0
    while any(writer.poll() is None for writer in writers):
        erased += len(segments.erase(lambda line: line == b"w-7\n"))
    assert [writer.returncode for writer in writers] == [0, 0]
    erased += len(segments.erase(lambda line: line == b"w-7\n"))
    assert erased == 2
    assert sorted(segments.lines()) == sorted(
        2 * [b"w-%d\n" % number for number in range(200) if number != 7]
    )
