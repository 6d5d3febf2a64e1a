"""One strict reading of YAML: what is typed, what is text, what is refused, and where it stands."""

from __future__ import annotations

import tracemalloc

import pytest
import yaml

from airflow_doeks.language.text import Refused, parse


def refusal(raw: bytes) -> str:
    """The line of the diagnostic for bytes that are no document."""
    with pytest.raises(Refused) as caught:
        parse(raw, "f.yaml")
    return caught.value.diagnostic.line()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("010", "010"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("1e3", 1000.0),
        ("-3", -3),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.2.3", "1.2.3"),
        ("true", True),
        ("~", None),
        ("'3'", "3"),
        ("!!str 3", "3"),
        (".nan", ".nan"),
        ("+", "+"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_only_plain_json_types_are_read_from_scalars(text, value):
    """true, false, null and decimal numbers are typed; whatever else YAML 1.1 would guess stays text."""
    assert parse(f"a: {text}\n".encode(), "f.yaml").data == {"a": value}


def test_anchors_and_merge_keys_work():
    """An alias repeats a value, << merges mappings and an explicit key wins."""
    text = b"base: &b {x: 1, y: 2}\nother: {<<: *b, y: 3}\nlist: {<<: [{x: 9}, *b]}\n"
    assert parse(text, "f.yaml").data == {"base": {"x": 1, "y": 2}, "other": {"x": 1, "y": 3}, "list": {"x": 9, "y": 2}}


def test_a_byte_order_mark_is_fine():
    """Files saved by Windows editors are read."""
    assert parse(b"\xef\xbb\xbfa: 1\n", "f.yaml").data == {"a": 1}


def test_a_byte_that_is_not_utf8_is_named_with_its_place():
    """The line and column of the byte, not the offset alone."""
    assert refusal(b"a: 1\nb: caf\xe9\n") == "f.yaml:2:7: DK102 not UTF-8: byte 11 is 0xe9"


def test_a_control_character_is_named_with_its_place():
    """A character that YAML does not allow is refused where it stands."""
    assert refusal(b"a: 1\nb: x\x01y\n") == "f.yaml:2:5: DK101 not YAML: control characters are not allowed"


def test_an_empty_file_is_refused():
    """Zero bytes are no pipeline."""
    assert refusal(b"") == "f.yaml:1:1: DK112 the file is empty; a pipeline starts with keys such as schedule and tasks"


def test_a_large_file_is_refused_unread():
    """More than 512 KiB are not parsed."""
    assert refusal(b"#" * 600_000) == "f.yaml:1:1: DK103 the file has 600,000 bytes; at most 524,288 are read"


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 30_000, "{a: " * 30_000, "[" * 60 + "]" * 60, "[\n" * 30_000, "[{a: " * 30_000, "[? " * 30_000),
        *("- " * 30_000, "? " * 30_000, "-  " * 40_000 + "x", "?  " * 100_000, "- ? " * 40_000),
        *("- -  ?   " * 20_000, "- \n" + "-  " * 40_000, "a:\n  " + "- - -  " * 20_000, "? [" + "{?  [" * 20_000),
    ],
)
def test_deep_nesting_is_refused_before_it_can_crash(text):
    """Libyaml's composer overruns the C stack on such files; here they give one diagnostic."""
    assert "DK103 nested deeper than 50 levels" in refusal(text.encode())


@pytest.mark.parametrize(
    "problem",
    [
        "exceeded maximum nesting depth",  # libyaml 0.2.6's scanner
        "exceeded maximum nesting level of 1000, set with yaml_set_max_nest_level())",  # libyaml's parser
    ],
)
def test_both_limits_of_libyaml_are_the_same_diagnostic(problem, monkeypatch):
    """Whichever libyaml refuses a depth first, the code is DK103, with the place and what to do."""

    def compose(text, Loader):  # noqa: N803 - PyYAML's name
        raise yaml.scanner.ScannerError(None, None, problem, yaml.Mark("f.yaml", 1000, 0, 1000, None, None))

    monkeypatch.setattr(yaml, "compose", compose)
    with pytest.raises(Refused) as caught:
        parse(b"tasks: [[[", "f.yaml")
    found = caught.value.diagnostic
    assert found.line() == "f.yaml:1:1001: DK103 nested deeper than 50 levels"
    assert found.help == "nest less"


def test_a_short_file_cannot_overrun_the_stack():
    """Files too short for the check beforehand nest less deep than libyaml's composer bears."""
    for indicator in ("[", "- ", "?\t", "{a: "):
        assert "DK10" in refusal((indicator * 4096)[:4096].encode())


def test_an_alias_bomb_is_refused_cheaply():
    """Nine levels of ten aliases, a billion values: refused within 50 MB, having looked at 50,000 of them."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    tracemalloc.start()
    line = refusal("\n".join(lines).encode())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert line == "f.yaml:1:5: DK103 more than 50,000 values once aliases are expanded"
    assert peak < 50e6


@pytest.mark.parametrize("text", ["x" * 5_000, "{{ x }} " * 1_000, "${x} " * 1_000])
def test_aliases_of_a_long_text_are_a_bomb_too(text):
    """Each is checked and filled in like the first, so its length counts as often as it stands there."""
    line = refusal(f"a: &a '{text}'\nb: [{'*a, ' * 10_000}]\n".encode())
    assert line.endswith("DK103 more than 50,000 values once aliases are expanded")
