import io
import json

import pytest

pytest.importorskip("torch")
datasets = pytest.importorskip("datasets")

from PIL import Image  # noqa: E402 - after the skip

from colintern.recipes.recipe import DataSettings  # noqa: E402 - after the skip
from colintern.training.data import hold_out, load_data  # noqa: E402 - after the skip
from colintern.training.faults import DataError  # noqa: E402 - after the skip


def png(shade):
    stream = io.BytesIO()
    Image.new("L", (8, 8), shade).save(stream, format="png")
    return stream.getvalue()


def shade(page):
    return page.getpixel((0, 0))[0]


def image_folder(folder, count=6, **changes):
    folder.mkdir(exist_ok=True)
    lines = []
    for number in range(count):
        (folder / f"{number}.png").write_bytes(png(number))
        lines.append({"query": f"query {number}", "image": f"{number}.png"})
    for number, change in changes.items():
        lines[int(number.removeprefix("row"))] |= change
    (folder / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def table_of(count=6, **more):
    return datasets.Dataset.from_dict(
        {
            "query": [f"query {number}" for number in range(count)],
            "image": [{"bytes": png(number), "path": None} for number in range(count)],
            "image_filename": [f"{number}.png" for number in range(count)],
            **more,
        },
    ).cast_column("image", datasets.Image())


def parquet(folder):
    path = folder / "rows.parquet"
    table_of().to_parquet(path)
    return path


def plain_parquet(folder):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"query": f"query {number}", "image": png(number)} for number in range(6)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "plain.parquet")
    return folder / "plain.parquet"


def saved(folder):
    datasets.DatasetDict({"train": table_of()}).save_to_disk(folder / "saved")
    return folder / "saved"


def parquet_folder(folder):
    path = folder / "data"
    path.mkdir()
    table_of().to_parquet(path / "train-00000-of-00001.parquet")
    return path


def images(folder):
    return image_folder(folder / "images")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("form", [images, parquet, plain_parquet, saved, parquet_folder])
def test_every_form_gives_the_same_rows(tmp_path, form):
    data = load_data(DataSettings(source=str(form(tmp_path))))
    assert [row["query"] for row in data.train] == [f"query {number}" for number in range(6)]
    assert [shade(row["pos_target"][0]) for row in data.train] == list(range(6))
    assert len(set(data.train.page_keys)) == 6
    assert data.evaluation is None
    (record,) = data.records
    assert (record.split, record.rows) == ("train", 6)


def test_held_out_pages_are_not_trained_on(tmp_path):
    folder = image_folder(tmp_path / "images", 9)
    data = load_data(DataSettings(source=str(folder), eval_rows=3))
    assert (len(data.train), len(data.evaluation)) == (6, 3)
    assert not set(data.train.page_keys) & set(data.evaluation.page_keys)


def test_rows_of_a_page_stay_together():
    keys = ["a", "a", "b", "b", "c", "c"]
    left, held_out = hold_out(range(6), keys, 1, seed=0)
    assert len(held_out) == 2
    assert len({keys[row] for row in held_out}) == 1
    assert sorted([*left, *held_out]) == list(range(6))
    with pytest.raises(DataError, match="cannot be held out"):
        hold_out(range(6), keys, 6, seed=0)


@pytest.mark.parametrize("kind", ["files", "rows", "names", "pages"])
def test_hard_negatives_of_any_kind_and_number(tmp_path, kind):
    if kind == "files":
        negatives = {
            f"row{n}": {"negatives": [f"{(n + 1) % 6}.png", f"{(n + 2) % 6}.png"]} for n in range(6)
        }
        source = image_folder(tmp_path / "images", **negatives)
    else:
        value = {
            "rows": lambda number: number,
            "names": lambda number: f"{number}.png",
            "pages": lambda number: {"bytes": png(number), "path": None},
        }[kind]
        column = [[value((n + 1) % 6), value((n + 2) % 6)] for n in range(6)]
        table_of(negatives=column).save_to_disk(tmp_path / "saved")
        source = tmp_path / "saved"
    settings = DataSettings(source=str(source), negatives_column="negatives", num_negatives=3)
    row = load_data(settings).train[4]
    assert [shade(page) for page in row["neg_target"]] == [5, 0, 5]


@pytest.mark.parametrize("row", [6, -1])
def test_a_hard_negative_that_is_no_row_is_named(tmp_path, row):
    column = [[(n + 1) % 6] for n in range(6)]
    column[4] = [row]
    table_of(negatives=column).save_to_disk(tmp_path / "saved")
    settings = DataSettings(source=str(tmp_path / "saved"), negatives_column="negatives")
    with pytest.raises(DataError, match=f"row 4: .* its hard negative is row {row}, which there"):
        load_data(settings)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1"])
def test_pages_are_read_as_rgb(tmp_path, mode):
    folder = image_folder(tmp_path / "images")
    Image.new("L", (8, 8), 255).convert(mode).save(folder / "3.png")
    page = load_data(DataSettings(source=str(folder))).train[3]["pos_target"][0]
    assert (page.mode, page.getpixel((0, 0))) == ("RGB", (255, 255, 255))


def test_a_bad_page_of_the_evaluation_is_found_before_training(tmp_path):
    image_folder(tmp_path / "images", 9)
    settings = DataSettings(source=str(tmp_path / "images"), eval_rows=3)
    held_out = load_data(settings).evaluation.rows[0]
    (tmp_path / "images" / f"{held_out}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=f"row {held_out}: its page cannot be used"):
        load_data(settings)


def test_the_hash_of_the_rows_tells_other_rows_apart(tmp_path):
    def hashed(folder, **changes):
        settings = {"source": str(folder), "eval_rows": 3, **changes}
        return load_data(DataSettings(**settings)).records[0].rows_sha256

    first = hashed(image_folder(tmp_path / "images", 9))
    assert hashed(image_folder(tmp_path / "moved", 9)) == first
    assert hashed(image_folder(tmp_path / "other", 9, row8={"query": "another"})) != first
    assert hashed(tmp_path / "images", seed=1) != first
    assert hashed(tmp_path / "images", eval_rows=2) != first


BAD = {
    "an empty query": ({"query": "  "}, "row 2: its query is empty"),
    "no query": ({"query": None}, "row 2: its query is empty"),
    "a corrupt page": ({"image": "broken.png"}, "row 2: its page cannot be used"),
    "a page cut off": ({"image": "half.png"}, "row 2: its page cannot be used"),
    "a missing page": ({"image": "absent.png"}, "row 2: its page cannot be used"),
    "no page": ({"image": None}, "row 2: its page cannot be used: it holds nothing"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_named_and_fatal_or_skipped(tmp_path, name, caplog):
    change, message = BAD[name]
    folder = image_folder(tmp_path / "images", row2=change)
    (folder / "broken.png").write_bytes(b"no image at all")
    (folder / "half.png").write_bytes(png(3)[:-30])
    with pytest.raises(DataError, match=message):
        load_data(DataSettings(source=str(folder)))
    data = load_data(DataSettings(source=str(folder), on_bad_row="skip"))
    assert message in caplog.text
    assert all(
        row["query"].strip() for row in (data.train[index] for index in range(len(data.train)))
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("vidore/colpali_train_set", "not in the local cache; pass --download"),
        ("./nowhere", "must be a Hub id, a folder or a parquet file"),
        ("rows.csv", "must be a Hub id, a folder or a parquet file"),
    ],
)
def test_data_that_is_not_there_is_one_clear_error(source, message):
    with pytest.raises(DataError, match=message):
        load_data(DataSettings(source=source))


def test_wrong_files_and_columns_are_one_clear_error(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be read"):
        load_data(DataSettings(source=str(tmp_path / "x.parquet")))
    folder = image_folder(tmp_path / "images")
    with pytest.raises(DataError, match="must have a column 'question', but it has image, query"):
        load_data(DataSettings(source=str(folder), query_column="question"))
    with pytest.raises(DataError, match="must have a column 'picture'"):
        load_data(DataSettings(source=str(folder), page_column="picture"))
    (folder / "queries.jsonl").write_text("")
    with pytest.raises(DataError, match="must have"):
        load_data(DataSettings(source=str(folder)))
    (folder / "queries.jsonl").write_text("{\n")
    with pytest.raises(DataError, match="line 1 must be a JSON object"):
        load_data(DataSettings(source=str(folder)))
    with pytest.raises(DataError, match="must have the split 'test', but it has train"):
        load_data(DataSettings(source=str(saved(tmp_path)), split="test"))
