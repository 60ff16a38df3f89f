"""The process that converts a model for OpenVINO: `python -m rag.embedders.conversion_worker FOLDER < request`.

The whole of sentence-transformers' own pipeline is traced, with its pooling, dense layers and normalisation, so that no
part of it is written anew here; what comes out is then held against what went in, on fixed texts.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

from rag.embedders.conversion import FILES, NotConvertedError, Request
from rag.embedders.openvino import MODEL, RECORD, TOKENIZER, OpenVINOModel
from rag.embedders.spec import unit_rows
from rag.offline import go_quiet, without_openvino_telemetry
from rag.schema import Vectors

LEAST_COSINE = 0.999
LEAST_MEAN_COSINE_INT8 = 0.99
NO_LIMIT = 1_000_000
"""Where transformers knows no limit of a tokenizer it says a huge number."""

TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "",
    "  A line with spaces around it, and a tab.\t ",
    "How long does a sourdough loaf rest before it is baked?",
    "photosynthesis",
    "In 1969 Apollo 11 landed on the Moon; Armstrong and Aldrin stayed for 21 h 36 min, and Collins in orbit above.",
    "def area(radius: float) -> float:\n    return 3.14159 * radius ** 2  # of a circle",
    "Die Donau entspringt im Schwarzwald und mündet nach 2 850 Kilometern ins Schwarze Meer.",
    "La bibliothèque ferme à dix-huit heures, sauf le jeudi.",
    "中文检索需要分词。向量模型把句子变成向量。",
    "Поиск по документам на русском языке.",
    "😀 ??? --- !!! 42 % of $1,000.00",
    "Glaciers creep downhill under their own weight and leave moraines where they melt. " * 3,
    "A worn chain skips over the teeth of the cassette. Replace it every three thousand kilometres. " * 6,
    "Statins lower cholesterol by inhibiting HMG-CoA reductase, an enzyme of the liver. " * 12,
    "The tariff was raised, the ships stayed in port, and the price of tea rose again. " * 60,
)
"""Short, long and longer than most models read, in several scripts; an empty one too."""


def main() -> None:
    """Reads a request and leaves a converted model, or why there is none, in the folder that is named."""
    go_quiet()
    warnings.simplefilter("ignore")
    draft = Path(sys.argv[1])
    request = Request(**json.load(sys.stdin))
    try:
        record = convert(request, draft)
    except NotConvertedError as refusal:
        record = {"refusal": str(refusal)}
    sizes = {name: (draft / name).stat().st_size for name in FILES if not record["refusal"]}
    (draft / RECORD).write_text(json.dumps({**record, "sizes": sizes, "model": request.source}), encoding="utf-8")


def convert(request: Request, draft: Path) -> dict[str, Any]:
    """Converts a model and returns what there is to know of it; raises NotConvertedError where it is not faithful."""
    without_openvino_telemetry()
    import openvino
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(request.source, device="cpu", local_files_only=True).float().eval()
    _check_convertible(model)
    _write_tokenizer(model, draft / TOKENIZER)
    limit = model.max_seq_length or 0
    facts: dict[str, Any] = {
        "refusal": "",
        "max_tokens": limit if limit < NO_LIMIT else 0,
        "padding": model.tokenizer.pad_token_id or 0,
        "positions": getattr(model[0].config, "max_position_embeddings", None) or 0,
        "width": model.get_embedding_dimension(),
        "pools_prefix": all(getattr(module, "include_prompt", True) for module in model),
    }
    expected = unit_rows(model.encode(list(TEXTS), prompt="", batch_size=len(TEXTS), show_progress_bar=False))
    try:
        converted = _traced(model)
    except Exception as error:  # the tracer, the model's code and OpenVINO may raise anything for what they cannot do
        raise NotConvertedError(f"OpenVINO cannot convert it ({_first_line(error)})") from error
    if request.precision == "int8":
        from rag.embedders.quantisation import quantised

        converted = quantised(converted, draft / TOKENIZER, facts["max_tokens"])
    openvino.save_model(converted, draft / MODEL, compress_to_fp16=request.precision != "float32")
    (draft / RECORD).write_text(json.dumps(facts), encoding="utf-8")
    return {**facts, "cosine": _checked(OpenVINOModel(draft, request.precision, cache=False), expected, request)}


def _check_convertible(model: Any) -> None:
    """Raises NotConvertedError for what a model of token ids and a mask alone cannot do."""
    if type(model[0]).__name__ != "Transformer":
        raise NotConvertedError("its first module is no transformer")
    if not hasattr(model.tokenizer, "backend_tokenizer"):
        raise NotConvertedError("its tokenizer is written in Python")


def _write_tokenizer(model: Any, path: Path) -> None:
    """Writes the tokenizer as `tokenizers` reads it, without the padding and truncation that it was used with."""
    tokenizer = type(model.tokenizer.backend_tokenizer).from_str(model.tokenizer.backend_tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(path))


def _traced(model: Any) -> Any:
    """Makes a SentenceTransformer into an OpenVINO model of ids and mask (n, length) for any number and length."""
    import openvino
    import torch

    class Pipeline(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features = self.model({"input_ids": input_ids, "attention_mask": attention_mask})
            vectors: torch.Tensor = features["sentence_embedding"]
            return vectors

    model[0].auto_model.set_attn_implementation("eager")  # the other kinds hide their parts from OpenVINO
    encoded = model.tokenizer([TEXTS[0], TEXTS[4]], padding=True, return_tensors="pt")  # one of them padded
    example = {name: encoded[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        converted = openvino.convert_model(Pipeline().eval(), example_input=example)
    converted.reshape({port.get_any_name(): [-1, -1] for port in converted.inputs})
    return converted


def _checked(model: OpenVINOModel, expected: Vectors, request: Request) -> float:
    """Returns the least (int8: the mean) cosine to sentence-transformers' own vectors, or raises NotConvertedError."""
    found = unit_rows(model.vectors(TEXTS))
    if found.shape != expected.shape:
        raise NotConvertedError(f"its vectors would be {found.shape[1]} wide instead of {expected.shape[1]}")
    cosines = (found * expected).sum(axis=1)
    is_int8 = request.precision == "int8"
    cosine = float(cosines.mean() if is_int8 else cosines.min())
    needed = LEAST_MEAN_COSINE_INT8 if is_int8 else LEAST_COSINE
    if not cosine >= needed:  # said so that it holds for NaN too
        raise NotConvertedError(f"its vectors would differ (cosine {cosine:.4f}, at least {needed} is needed)")
    return round(cosine, 6)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(". ")


if __name__ == "__main__":
    main()
