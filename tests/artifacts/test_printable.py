import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colintern.artifacts.printable import listed, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 漢 🎉", "plain ü 漢 🎉"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\r", "a\\x0ab\\x09c\\x0d"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u200bb", "a\\u200bb"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\u2028", "\\u2028"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_hidden_characters_are_escaped(text, shown):
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_nothing_hidden_is_left(text):
    shown = printable(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown.encode()


def test_long_text_is_cut():
    assert printable("x" * 400) == "x" * 300 + "…"
    assert printable("x" * 300) == "x" * 300


def test_any_value_is_shown():
    assert printable(10**5000) == "a huge integer"
    assert printable(3.5) == "3.5"


def test_list_names_some_and_counts_the_rest():
    assert listed({"b", "a"}) == "a, b"
    assert listed(["c", "b", "a\x1b"], most=1) == "a\\x1b and 2 more"
