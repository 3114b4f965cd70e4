import itertools
import random
from typing import get_args

import numpy as np
import pytest

pytest.importorskip("PIL")

from colintern.diagnostics.results.benchmarks import PAGES
from colintern.pages.facts import (
    WORDS,
    Facts,
    draw_facts,
    draw_query,
    number_of_answers,
    query_words,
)
from colintern.pages.layout import FACES, PAGE_SIZE, Layout, printed_words, word_bitmap
from colintern.pages.page import Page
from colintern.pages.tokenizer import vocabulary
from colintern.pages.world import TASK, held_out_pairs, retrieval_task, training_pairs

FACTS = Facts("invoice", "oslo", "lamps", "baker", "may")


def test_same_page_same_pixels():
    first, second = Page(FACTS, "form").pixels(), Page(FACTS, "form").pixels()
    assert np.array_equal(first, second)
    assert first.shape == (PAGE_SIZE, PAGE_SIZE)


def test_pixels_depend_on_facts():
    other = Facts("invoice", "oslo", "lamps", "baker", "june")
    assert not np.array_equal(Page(FACTS, "form").pixels(), Page(other, "form").pixels())


def test_pixels_are_pinned():
    assert retrieval_task().revision == "e5c86efd0cb52da27d1123f033ad994294179415"


@pytest.mark.parametrize("layout", get_args(Layout))
def test_page_says_its_facts(layout):
    spoken = Page(FACTS, layout).text.split()
    assert all(spoken.count(value) == 1 for value in FACTS.values())


@pytest.mark.parametrize("layout", get_args(Layout))
def test_every_word_fits(layout):
    for facts in itertools.islice(draw_facts("train", seed=5), 200):
        for word in Page(facts, layout).composition.words:
            height, width = word_bitmap(word.text, word.face, word.scale).shape
            assert word.x + width <= PAGE_SIZE, word
            assert word.y + height <= PAGE_SIZE, word


def test_faces_differ():
    drawn = {word_bitmap("paris", face).tobytes() for face in FACES}
    assert len(drawn) == len(FACES)


def test_splits_are_disjoint():
    trained = {pair.page.facts for pair in training_pairs(3000)}
    trained |= {pair.page.facts for pair in training_pairs(3000, seed=7)}
    held_out = {pair.page.facts for pair in held_out_pairs(256)}
    evaluated = {page.facts for page in retrieval_task().pages}
    assert not trained & evaluated
    assert not trained & held_out
    assert not held_out & evaluated


def test_split_is_a_property_of_facts():
    every = itertools.product(*WORDS.values())
    splits = [Facts(*values).split for values in itertools.islice(every, 4000)]
    assert {"train", "eval"} == set(splits)
    assert 0.1 < splits.count("eval") / len(splits) < 0.15


def test_training_pairs_repeat_no_page():
    pairs = training_pairs(2000)
    assert len({pair.page.facts for pair in pairs}) == len(pairs)


def test_query_has_one_answer():
    task = retrieval_task()
    corpus = [page.facts for page in task.pages]
    values = {value for words in WORDS.values() for value in words}
    for query, page in zip(task.queries, task.relevant, strict=True):
        named = frozenset(query.split()) & values
        assert named <= set(corpus[page].values())
        assert number_of_answers(named, corpus) == 1


def test_ambiguous_facts_have_answers():
    corpus = [FACTS, Facts("invoice", "oslo", "lamps", "cruz", "may")]
    assert number_of_answers(frozenset({"oslo", "lamps"}), corpus) == 2
    assert number_of_answers(frozenset({"cruz"}), corpus) == 1
    assert number_of_answers(frozenset({"lima"}), corpus) == 0


def test_query_names_three_facts():
    query, named = draw_query(FACTS, random.Random(3))
    assert len(named) == 3
    assert named <= set(query.split())


def test_vocabulary_has_every_word():
    words = {word for values in WORDS.values() for word in values}
    assert words | printed_words() | query_words() <= set(vocabulary())
    assert len(vocabulary()) == len(set(vocabulary()))


def test_task_is_the_benchmark():
    task = retrieval_task()
    (expected,) = PAGES.tasks
    assert task.name == TASK == expected.name
    assert (len(task.pages), len(task.queries)) == (expected.num_pages, expected.num_queries)
