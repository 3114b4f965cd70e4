import json
import sys

import pytest

pytest.importorskip("transformers")
pytest.importorskip("optuna")

from click.testing import CliRunner
from optuna.trial import TrialState, create_trial

from colintern.cli import main
from colintern.recipes.best import apply_best, read_best
from colintern.recipes.named import RECIPES, guide_1b, tiny
from colintern.recipes.params import BATCH, ParamsError, with_params
from colintern.search.command import _fixed, _recipe, _shown, _space
from colintern.search.page import study_figures, write_page
from colintern.search.places import places_of
from colintern.search.space import Parameter, default_space, read_space, starting_point
from colintern.search.study import SearchPlan, distribution_of
from colintern.search.trial import trial_recipe
from colintern.training.command import chosen_recipe


def test_both_forms_of_a_space_are_the_same(tmp_path):
    (tmp_path / "a.toml").write_text(
        "[learning_rate]\nlow = 1e-4\nhigh = 1\nlog = true\n[lora.rank]\nchoices = [8, 16]\n"
        "[seed]\nlow = 0\nhigh = 9\nstep = 3\n[adam_beta2]\nlow = 0\nhigh = 1\n"
    )
    tables = {
        "learning_rate": {"low": 1e-4, "high": 1, "log": True},
        "lora": {"rank": {"choices": [8, 16]}},
        "seed": {"low": 0, "high": 9, "step": 3},
        "adam_beta2": {"low": 0, "high": 1},
    }
    (tmp_path / "a.json").write_text(json.dumps(tables))
    space = read_space(tmp_path / "a.toml", tiny())
    assert space == read_space(tmp_path / "a.json", tiny())
    kinds = [type(distribution_of(each)).__name__ for each in space]
    assert kinds == [f"{kind}Distribution" for kind in ("Float", "Categorical", "Int", "Float")]


SPACES = {
    "not toml": ("learning_rate: 3", "must be TOML"),
    "empty": ("", "it names no hyperparameter"),
    "unknown name": ("[learning_rat]\nlow = 1", "did you mean learning_rate"),
    "short name": ("[rank]\nchoices = [8]", "did you mean lora.rank"),
    "no table": ("learning_rate = 3", "must be a table with low and high"),
    "unknown key": ("[learning_rate]\nlo = 1\nhigh = 2", "no key 'lo'; did you mean low"),
    "no high": ("[learning_rate]\nlow = 1", "must have high, or choices"),
    "both": ("[lora.rank]\nlow = 1\nchoices = [8]", "must have choices or an interval"),
    "word": ('[learning_rate]\nlow = "a"\nhigh = 2', "low must be a number, but it is 'a'"),
    "true": ("[learning_rate]\nlow = true\nhigh = 2", "low must be a number"),
    "nan": ("[learning_rate]\nlow = nan\nhigh = 2", "must be a finite number"),
    "turned": ("[learning_rate]\nlow = 2\nhigh = 1", "low must be below high"),
    "log of zero": ("[temperature]\nlow = 0.0\nhigh = 1\nlog = true", "must be above 0 for log"),
    "log word": ('[temperature]\nlow = 0.1\nhigh = 1\nlog = "yes"', "must be true or false"),
    "part of a rank": ("[lora.rank]\nlow = 1.5\nhigh = 8", "must be a whole number"),
    "no rank": ("[lora.rank]\nchoices = [0, 8]", "must be at least 1, but it is 0"),
    "batch of one": (
        "[per_device_train_batch_size]\nchoices = [1, 8]",
        "must be at least 2, but it is 1",
    ),
    "long warm-up": ("[warmup_ratio]\nlow = 0\nhigh = 1", "must be at least 0 and below 1"),
    "step": ("[warmup_ratio]\nlow = 0\nhigh = 0.2\nstep = 0.5", "step must be above 0"),
    "twice": ("[lora.rank]\nchoices = [8, 8]", "has a value twice"),
    "no choice": ("[lora.rank]\nchoices = []", "must be a list of 1 to 100 values"),
    "list of lists": ("[lora.rank]\nchoices = [[8]]", "must be numbers, words or true/false"),
    "interval of words": ("[lr_scheduler_type]\nlow = 1\nhigh = 2", "it needs choices"),
    "wrong word": ('[lr_scheduler_type]\nchoices = ["linea"]', "is no value for it"),
    "what trials are compared by": ("[eval_pairs]\nlow = 1\nhigh = 9", "no hyperparameter"),
}


@pytest.mark.parametrize("name", SPACES)
def test_a_space_that_cannot_be_searched_is_one_error(tmp_path, name):
    text, message = SPACES[name]
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(ParamsError) as error:
        read_space(path, tiny())
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_default_space_holds_its_recipe(name):
    recipe = RECIPES[name]()
    space = default_space(recipe)
    names = [each.name for each in space]
    point = starting_point(space, recipe)
    assert list(point) == names
    assert names[:2] == ["learning_rate", "lora.rank"]
    for parameter in space:
        distribution_of(parameter)
        assert parameter.admits(point[parameter.name])
    tried = with_params(recipe, point)
    assert (tried.learning_rate, tried.lora.rank) == (recipe.learning_rate, recipe.lora.rank)
    assert tried.effective_batch_size >= recipe.effective_batch_size


def test_the_default_rates_are_those_the_audit_accepts():
    rate = default_space(guide_1b())[0]
    assert (rate.low, rate.high) == (1e-5, 1e-4)


GOOD = {"schema": "colintern.params/1", "params": {"learning_rate": 1e-3}, "recipe": "tiny"}


def test_the_command_line_is_above_the_parameters(tmp_path):
    path = tmp_path / "best.json"
    path.write_text(json.dumps(GOOD | {"params": {"learning_rate": 1e-3, "warmup_ratio": 0.25}}))
    assert apply_best(read_best(path), None, path).learning_rate == 1e-3
    options = ["--params", str(path), "--output-dir", "unused", "--dry-run"]
    result = CliRunner().invoke(main, ["train", *options, "--warmup_steps", "7"])
    assert result.exit_code == 0, result.output
    assert "7 of warm-up" in result.output
    absent = CliRunner().invoke(main, ["train", "--params", "absent", "--output-dir", "x"])
    assert absent.exit_code == 2
    assert "there is no such file" in absent.output


OPTIONS = {"space": None, "lr": None, "batch": None, "chunk_size": None, "settings": ()}


def test_what_is_given_is_not_searched(tmp_path):
    (tmp_path / "space.toml").write_text("[learning_rate]\nlow = 1e-3\nhigh = 4e-3\n")
    given = OPTIONS | {"lr": 1e-3, "chunk_size": 4, "settings": ("lora.rank=8", "train-pairs = 9")}
    fixed = _fixed(given, ["--warmup_steps", "0.1"])
    assert fixed == {
        *("learning_rate", "lora.rank", "warmup_steps", "warmup_ratio"),
        *("chunk_size", "train_pairs"),
    }
    names = [each.name for each in _space(given, tiny(), fixed)]
    assert names == ["temperature", "per_device_train_batch_size"]
    batch = _fixed(OPTIONS | {"batch": 8}, [])
    assert BATCH not in [each.name for each in _space(OPTIONS, tiny(), batch)]
    with pytest.raises(ParamsError, match=r"learning_rate is searched by .*, but also given"):
        _space(given | {"space": str(tmp_path / "space.toml")}, tiny(), fixed)
    assert len(_space(OPTIONS, tiny(), _fixed(OPTIONS, []))) == 5


@pytest.mark.parametrize(
    ("flags", "settings"),
    [
        ((), ()),
        (("--gradient_accumulation_steps", "2"), ()),
        (("--gradient-accumulation-steps=2",), ("lora.alpha=64",)),
        ((), ("lora.alpha=64", "gradient-accumulation-steps=2")),
    ],
)
def test_the_winner_is_trained_as_its_trial_was(tmp_path, flags, settings):
    params = {"lora.rank": 8, BATCH: 24}
    options = dict.fromkeys(("base", "dataset", "eval_rows", "negatives_column"))
    options |= {"num_negatives": None, "on_bad_row": None, "download": False, "peft": True}
    options |= OPTIONS | {"recipe": "tiny", "settings": settings}
    given = _fixed(options, flags)
    plan = SearchPlan(recipe=_recipe(options, flags), space=(), evaluations=2, given=given)
    trained = trial_recipe(plan, params)
    path = tmp_path / "best.json"
    path.write_text(json.dumps(GOOD | {"params": params}))
    winner = chosen_recipe(options | {"recipe": None, "params": str(path)}, flags)
    assert winner.lora == trained.lora
    accumulated = (winner.gradient_accumulation_steps, winner.per_device_train_batch_size)
    assert accumulated == (trained.gradient_accumulation_steps, 24)
    assert winner.lora.alpha == (64 if "lora.alpha=64" in settings else 8)
    assert accumulated[0] == (2 if given & {"gradient_accumulation_steps"} else 3)


def test_a_token_is_written_nowhere():
    flags = ["--bf16", "--hub-token", "secret", "--seed=1", "--hub_token=secret", "--fp16"]
    assert _shown(flags) == ["--bf16", "--seed=1", "--fp16"]


def test_without_the_extra_one_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setitem(sys.modules, "optuna.exceptions", None)
    result = CliRunner().invoke(main, ["search", "--recipe", "tiny"])
    assert result.exit_code == 2
    assert "uv pip install 'colintern[search]'" in " ".join(result.output.split())


HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m"


def test_hostile_names_are_text_on_the_page(tmp_path):
    import optuna  # noqa: PLC0415 - after the skip

    study = optuna.create_study(direction="maximize")
    choices = optuna.distributions.CategoricalDistribution((HOSTILE, "b"))
    for value, word in ((0.1, HOSTILE), (0.3, "b"), (0.2, HOSTILE), (0.4, "b"), (0.5, "b")):
        study.add_trial(
            create_trial(
                params={HOSTILE: word},
                distributions={HOSTILE: choices},
                value=value,
                user_attrs={"failure": HOSTILE, "run": HOSTILE},
                intermediate_values={1: value / 2, 2: value},
            )
        )
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"failure": HOSTILE}))
    places = places_of(study.get_trials())
    figures = study_figures(study, places)
    assert [figure.title for figure in figures][:3] == ["History", "Courses", "Importance"]
    assert len(figures) == 4
    space = (Parameter(name=HOSTILE, choices=(HOSTILE, "b")),)
    words = dict.fromkeys(("name", "recipe", "storage", "run", "command"), HOSTILE)
    write_page(tmp_path / "search.html", places, figures, space=space, **words)
    page = (tmp_path / "search.html").read_text()
    assert "&lt;img src=x" in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "script-src &#39;none&#39;" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
