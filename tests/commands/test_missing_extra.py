import click
import pytest

from colintern.commands.options import extra


def test_a_missing_library_is_told_with_both_ways_to_install_it():
    with pytest.raises(click.UsageError) as caught, extra("train"):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")
    told = str(caught.value)
    assert "the extra `train` (torch is missing)" in told
    assert "uv pip install 'colintern[train]', or -e '.[train]' in a clone" in told
    assert "`pip install uv` brings uv" in told
    assert "pip install torch torchvision --index-url URL" in told


def test_a_missing_module_of_our_own_is_a_fault():
    with pytest.raises(ModuleNotFoundError), extra("train"):
        raise ModuleNotFoundError("No module named 'colintern.x'", name="colintern.x")
