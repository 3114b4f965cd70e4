import datetime as dt

import pytest

from colintern.engine.settings import SettingsError, read_settings


def write(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)
    return tmp_path


def test_settings_come_from_the_nearest_pyproject_upward(tmp_path):
    write(tmp_path, "[tool.colintern]\nfail-on = 'warning'\n")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    settings = read_settings(inner)
    assert (settings.fail_on, settings.path) == ("warning", tmp_path / "pyproject.toml")


def test_a_nearer_pyproject_without_our_table_ends_the_search(tmp_path):
    write(tmp_path, "[tool.colintern]\nfail-on = 'warning'\n")
    inner = tmp_path / "a"
    inner.mkdir()
    write(inner, "[project]\nname = 'x'\n")
    assert read_settings(inner).fail_on is None


def test_a_guide_figure_is_overridden_and_the_rest_kept(tmp_path):
    settings = read_settings(write(tmp_path, "[tool.colintern.guide]\nmin_epochs = 3\n"))
    assert (settings.guide.min_epochs, settings.guide.min_effective_batch_size) == (3, 64)


def test_a_guide_file_goes_over_pyproject(tmp_path):
    write(tmp_path, "[tool.colintern.guide]\nmin_epochs = 3\n")
    guide = tmp_path / "guide.toml"
    guide.write_text("min_epochs = 2\n")
    assert read_settings(tmp_path, guide).guide.min_epochs == 2


def test_a_waiver_has_a_reason_and_an_end(tmp_path):
    table = (
        '[tool.colintern.waive]\nADP013 = {reason = "seen", until = 2027-01-31}\nADP014 = "ok"\n'
    )
    waivers = read_settings(write(tmp_path, table)).waivers
    assert waivers["ADP013"].until == dt.date(2027, 1, 31)
    assert waivers["ADP014"].shown() == "ok"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.colintern]\nfail_on = 'error'\n", "did you mean fail-on"),
        ("[tool.colintern]\nfail-on = 'never'\n", "expected error or warning"),
        ("[tool.colintern]\nstrict-evidence = 1\n", "expected true or false"),
        ("[tool.colintern.guide]\nmin_epoch = 3\n", "did you mean min_epochs"),
        ("[tool.colintern.guide]\nmin_epochs = 'many'\n", "min_epochs"),
        ("[tool.colintern.guide]\nlora_dropout = 2\n", "lora_dropout"),
        ("[tool.colintern.waive]\nADP013 = {until = 2027-01-31}\n", "needs a reason"),
        ("[tool.colintern.waive]\nADP013 = {reason = ' '}\n", "needs a reason"),
        ("[tool.colintern.waive]\nADP013 = {reason = 'x', until = 'soon'}\n", "expected a date"),
        (
            "[tool.colintern.waive]\nADP013 = {reason = 'x', til = 2027-01-31}\n",
            "did you mean until",
        ),
        ("[tool]\ncolintern = 3\n", "expected a table"),
        ("[tool.colintern\n", "expected TOML"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message) as caught:
        read_settings(write(tmp_path, text))
    assert "pyproject.toml" in str(caught.value)


def test_without_any_pyproject_the_defaults_hold(tmp_path):
    settings = read_settings(tmp_path)
    assert settings.guide.min_epochs == 5
