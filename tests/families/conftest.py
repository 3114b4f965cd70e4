import pytest

from colintern.families import catalogue
from colintern.families.module_name import place_of


@pytest.fixture
def known(monkeypatch):
    """Make a family known by adding its entry to the catalogue, which is all that it takes."""

    def add(family):
        monkeypatch.setattr(catalogue, "FAMILIES", (*catalogue.FAMILIES, family))
        place_of.cache_clear()
        return family

    yield add
    place_of.cache_clear()
