"""Reading labelled texts: what is read, what is told, and every fault named with its file and line."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.tasks.labelled_texts import in_order, load_labelled_task
from eval.tasks.registry import detect_family, load_task
from labelled_folders import write_labelled, write_lines
from rag.errors import UsageError

TRAIN = [("pay my bill", "billing"), ("where is my parcel", "delivery"), ("refund", "billing")]
TEST = [("my invoice", "billing"), ("the courier is late", "delivery")]


@pytest.fixture
def folder(tmp_path):
    return write_labelled(tmp_path / "support", TRAIN, TEST)


def test_items_gold_and_classes(folder):
    task = load_task(folder)
    assert (task.name, task.family, task.split) == ("support", "classification", "test")
    assert task.items == {"1": "my invoice", "2": "the courier is late"}
    assert task.classes == ("billing", "delivery")
    assert task.gold == {"1": 0.0, "2": 1.0}
    assert task.kinds == {"1": "billing", "2": "delivery"}
    assert (task.notes, task.normal) == ((), ())


@pytest.mark.parametrize("family", ["classification", "clustering", "anomaly"])
def test_the_same_files_serve_three_families(folder, family):
    task = load_task(folder, family=family)
    assert task.family == family
    assert detect_family(folder, family) == family
    assert set(task.gold) == set(task.items) == set(task.kinds)


def test_ids_numbers_and_a_byte_order_mark(tmp_path):
    folder = write_labelled(tmp_path / "t", [("a", 10), ("b", 9)], [])
    records = [{"_id": "x", "text": "c", "label": 9.0}, {"text": "d", "label": 10}]
    (folder / "test.jsonl").write_bytes(b"\xef\xbb\xbf" + "\n\n".join(map(json.dumps, records)).encode())
    task = load_labelled_task(folder, "test", "classification")
    assert task.classes == ("9", "10")
    assert task.gold == {"x": 0.0, "3": 1.0}


def test_another_split(folder):
    write_lines(folder / "dev.jsonl", [{"text": "bill", "label": "billing"}, {"text": "van", "label": "delivery"}])
    assert list(load_task(folder, "dev").items.values()) == ["bill", "van"]
    with pytest.raises(UsageError, match=r"no split 'dew' \(dew\.jsonl\).*dev, test"):
        load_task(folder, "dew")
    with pytest.raises(UsageError, match="learned from"):
        load_task(folder, "train")


def test_shared_texts_and_unknown_labels_are_told(tmp_path):
    test = [*TEST, ("refund", "billing"), ("hello", "smalltalk"), ("bye", "smalltalk")]
    task = load_task(write_labelled(tmp_path / "t", TRAIN, test))
    assert task.notes == (
        "1 of 5 scored texts are also in train.jsonl",
        "2 scored texts have a label that train.jsonl lacks (smalltalk): they count as wrong",
    )
    assert task.gold["4"] == 2.0


def test_the_digest_knows_texts_labels_and_what_is_learned_from(tmp_path):
    def digest(train=TRAIN, test=TEST, family="classification", name="a"):
        return load_labelled_task(write_labelled(tmp_path / name, train, test), "test", family).digest

    assert digest() == digest(name="b")
    assert len({digest(), digest(test=TEST[::-1]), digest(train=TRAIN[:2]), digest(family="anomaly")}) == 4
    assert digest(family="clustering") == digest(train=TRAIN[:2], family="clustering")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "a"}', 'no "label"'),
        ('{"label": "a"}', 'no "text"'),
        ('{"text": "  ", "label": "a"}', '"text" must be a text that is not empty'),
        ('{"text": 3, "label": "a"}', '"text" must be'),
        ('{"text": "a", "label": null}', '"label" must be'),
        ('{"text": "a", "label": NaN}', '"label" must be a number'),
        ('{"text": "a", "label": ""}', '"label" must be'),
        ('{"text": "a \\ud800", "label": "x"}', "lone surrogate"),
        ('{"text": "a", "label": "x", "_id": [1]}', '"_id" must be'),
        ('{"text": "a", "label": "x", "_id": "1"}', "'1' was used before"),
        ('["a", "x"]', "JSON object"),
        ("{text: a}", "JSON object"),
    ],
)
def test_a_malformed_line_is_named_with_file_number_and_content(folder, line, said):
    with (folder / "test.jsonl").open("a") as file:
        file.write(f"\n{line}\n")
    with pytest.raises(UsageError, match=r"test\.jsonl, line 4 is malformed") as error:
        load_task(folder)
    assert said in str(error.value)


def test_files_that_cannot_be_scored(tmp_path, folder):
    one = [(text, "billing") for text, _ in TRAIN]
    with pytest.raises(UsageError, match=r"train\.jsonl has a single label, 'billing'"):
        load_task(write_labelled(tmp_path / "a", one, TEST))
    with pytest.raises(UsageError, match=r"test\.jsonl has a single label"):
        load_task(write_labelled(tmp_path / "b", TRAIN, one), family="clustering")
    load_task(write_labelled(tmp_path / "c", one, TEST), family="clustering")
    (folder / "test.jsonl").write_text("\n")
    with pytest.raises(UsageError, match="empty"):
        load_labelled_task(folder, "test", "classification")
    (folder / "test.jsonl").write_bytes(b'{"text": "caf\xe9", "label": "x"}')
    with pytest.raises(UsageError, match="not UTF-8"):
        load_labelled_task(folder, "test", "classification")
    (folder / "train.jsonl").unlink()
    with pytest.raises(UsageError, match=r"train\.jsonl does not exist"):
        load_labelled_task(folder, "test", "classification")


def test_the_normal_class(tmp_path):
    train = [("a", "ham"), ("b", "ham"), ("c", "spam"), ("d", "scam")]
    test = [("e", "ham"), ("f", "spam"), ("g", "scam")]

    def load(settings=None):
        folder = write_labelled(tmp_path / "mail", train, test)
        (folder / "task.toml").unlink(missing_ok=True)
        if settings is not None:
            (folder / "task.toml").write_text(settings)
        return load_task(folder, family="anomaly")

    assert list(load().gold.values()) == [0.0, 1.0, 1.0]
    assert load('normal = "spam"').gold == {"1": 1.0, "2": 0.0, "3": 1.0}
    assert load('normal = ["scam", "spam"]').normal == ("scam", "spam")
    for settings, said in {
        'normal = "hamm"': "normal label 'hamm'.*ham, scam, spam",
        "normal = ": "not TOML",
        "normal = []": "which no text",
        'normal = ["ham", "scam", "spam"]': "no anomaly",
    }.items():
        with pytest.raises(UsageError, match=said):
            load(settings)
    assert set(load().kinds.values()) == {""}


def test_equally_frequent_labels_leave_the_first_by_name_normal(tmp_path):
    folder = write_labelled(tmp_path / "t", [("a", "z"), ("b", "m")], [("c", "z"), ("d", "m")])
    assert load_task(folder, family="anomaly").normal == ("m",)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
records = st.fixed_dictionaries({}, optional={"text": json_values, "label": json_values, "_id": json_values})


@given(st.lists(records | json_values, max_size=4), st.sampled_from(["classification", "clustering", "anomaly"]))
def test_anything_is_read_or_refused_with_a_sentence(tmp_path_factory, lines, family):
    folder = tmp_path_factory.mktemp("any")
    write_labelled(folder, TRAIN, [])
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    try:
        task = load_labelled_task(folder, "test", family)
    except UsageError as error:
        assert str(error)
    else:
        assert set(task.gold) == set(task.items)
        assert all(text.strip() for text in task.items.values())


@given(st.lists(st.integers(-20, 20).map(str) | st.text(max_size=3), unique=True))
def test_classes_have_one_order_whatever_order_they_come_in(labels):
    shuffled = labels.copy()
    random.Random(3).shuffle(shuffled)
    assert in_order(set(labels)) == in_order(shuffled)
