"""Whatever stands in a file, the answer is a plan or diagnostics with a place, never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_doeks.language import check_file

FAULTY = Path(__file__).parent / "faulty"
SEEDS = sorted(file.read_bytes() for file in (FAULTY / "pipelines").glob("*.yaml"))
SEEDS = [text for text in SEEDS if len(text) < 2_000]
TOKENS = [
    *(
        b"\n",
        b"  ",
        b"\t",
        b":",
        b": ",
        b"- ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"&a ",
        b"*a",
        b"!!str ",
        b"<<: ",
        b"|\n",
        b">\n",
        b"---\n",
    ),
    *(
        b"'",
        b'"',
        b"#",
        b"%",
        b"\x00",
        b"\xff",
        b"\xe2\x98\x83",
        b"null",
        b"true",
        b"3",
        b"-1",
        b"1e400",
        b"{{",
        b"}}",
        b"${",
        b"${size}",
        b"$${",
    ),
    *(
        b"needs: [t]",
        b"spark: {}",
        b"tasks: {}",
        b"expand: []",
        b"uses: empty",
        b"with: {}",
        b"schedule: ",
        b"platform: lake",
        b"~",
    ),
]
EDIT = st.tuples(st.integers(0, 4), st.integers(0, 10_000), st.integers(0, 10_000), st.sampled_from(TOKENS))


def mutate(text: bytes, edits: list[tuple[int, int, int, bytes]]) -> bytes:
    """The text after some edits: insert, remove, repeat or move a piece, or cut the end off."""
    for action, at, length, token in edits:
        start = at % (len(text) + 1)
        end = min(len(text), start + length % 40)
        piece = text[start:end]
        if action == 0:
            text = text[:start] + token + text[start:]
        elif action == 1:
            text = text[:start] + text[end:]
        elif action == 2:
            text = text[:end] + piece + text[end:]
        elif action == 3:
            text = piece + text[:start] + text[end:]
        else:
            text = text[: max(start, 1)]
    return text


@settings(max_examples=5 * settings.default.max_examples, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), edits=st.lists(EDIT, min_size=1, max_size=4))
def test_a_mutated_file_never_gives_a_traceback(tmp_path_factory: Any, seed: bytes, edits: list[Any]) -> None:
    """Five hundred broken files (`make fuzz`: thousands), each with diagnostics that have a place, or with none."""
    check(tmp_path_factory.getbasetemp() / "mutations", mutate(seed, edits))


def check(home: Path, text: bytes) -> None:
    """Lint some bytes and look at what comes back."""
    if not home.exists():
        (home / "pipelines").mkdir(parents=True)
        (home / "doeks.yaml").write_bytes((FAULTY / "doeks.yaml").read_bytes())
    file = home / "pipelines" / "p.yaml"
    file.write_bytes(text)
    for one in check_file(file):
        assert one.code.startswith("DK")
        assert one.place.line >= 1
        assert one.place.column >= 1
        assert one.text().startswith(one.line())
