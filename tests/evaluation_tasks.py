"""Small tasks of the families, written into folders, for tests of evaluations."""

import json

from file_builders import write

WORDS = ["heron", "owl", "swift", "eagle", "wren", "robin", "crane", "stork", "finch", "raven", "kite", "gull"]
PLACES = [
    "marsh",
    "forest",
    "tower",
    "cliff",
    "hedge",
    "garden",
    "lake",
    "roof",
    "orchard",
    "quarry",
    "field",
    "harbour",
]


def retrieval_task(folder, queries=12, documents=12):
    """A BEIR folder in which most questions share a rare word with their document."""
    records = [
        {"_id": f"d{at}", "title": f"The {WORDS[at]}", "text": f"The {WORDS[at]} of the {PLACES[at]} is seen at dawn."}
        for at in range(documents)
    ]
    asked = [
        {"_id": f"q{at}", "text": f"which bird lives in the {PLACES[at % documents]}, number {at}"}
        for at in range(queries)
    ]
    judged = "".join(f"q{at}\td{at % documents if at % 5 else (at + 1) % documents}\t1\n" for at in range(queries))
    write(folder, "corpus.jsonl", lines(records))
    write(folder, "queries.jsonl", lines(asked))
    write(folder, "qrels/test.tsv", "query-id\tcorpus-id\tscore\n" + judged)
    return folder


def sts_task(folder, pairs=12):
    """Pairs of sentences, the later ones less alike."""
    records = [
        {
            "sentence1": f"A {WORDS[at]} sits in the {PLACES[at]}.",
            "sentence2": f"A {WORDS[at if at % 3 else (at + 1) % 12]} sits in the {PLACES[at if at < 6 else 0]}.",
            "score": 5 - at / 3,
        }
        for at in range(pairs)
    ]
    write(folder, "test.jsonl", lines(records))
    return folder


def labelled_task(folder, each=10):
    """Texts of two classes, with words of their own."""
    for split, shift in (("train", 0), ("test", 1)):
        records = [
            {"text": f"the {WORDS[(at + shift) % 12]} flew over the {PLACES[at % 12]} number {at}", "label": "bird"}
            for at in range(each)
        ] + [
            {"text": f"the train number {at} left platform {at + shift} for the {PLACES[at % 12]}", "label": "train"}
            for at in range(each)
        ]
        write(folder, f"{split}.jsonl", lines(records))
    return folder


def lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)
