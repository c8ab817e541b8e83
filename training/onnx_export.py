"""Export a sentence-transformers model for serving through onnxruntime."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from recsys.bundle import file_digest, written_aside
from recsys.embedder import EMBEDDER_FORMAT, OnnxEmbedder
from recsys.errors import EmbedderError
from training.embed import SentenceTransformerEmbedder

TOLERANCE = 1e-3
_PROBES = (
    "Ministers sign a defence agreement.",
    "How to bake bread with a crisp crust at home, step by step, without a machine.",
    "Cup final goes to penalties",
    "x",
    "A long sentence about nothing in particular. " * 40,
    "Größere Städte, café, naïve, 東京",
)


def export_onnx(embedder: SentenceTransformerEmbedder, target: Path) -> OnnxEmbedder:
    """Write the model for serving; an export of the same model that is there is kept.

    Args:
        embedder: a transformer with mean pooling.
        target: folder of the export.

    Raises:
        EmbedderError: another architecture, or an export whose vectors differ by more than 1e-3.
    """
    if (target / "embedder.json").is_file():
        try:
            kept = OnnxEmbedder(target)
            if kept.model_id == embedder.model_id:
                return kept
        except EmbedderError:
            pass
        shutil.rmtree(target)
    _check_architecture(embedder)
    with written_aside(target) as aside:
        _write(embedder, aside)
        _check_agreement(embedder, OnnxEmbedder(aside))
    return OnnxEmbedder(target)


def _check_architecture(embedder: SentenceTransformerEmbedder) -> None:
    kinds = [type(module).__name__ for module in embedder.model]
    pooling = embedder.model[1] if len(kinds) > 1 else None
    mean = getattr(pooling, "pooling_mode", None) in ("mean", ("mean",)) or getattr(
        pooling, "pooling_mode_mean_tokens", False
    )
    if kinds[:2] != ["Transformer", "Pooling"] or not mean or set(kinds[2:]) - {"Normalize"}:
        raise EmbedderError(
            f"only a transformer with mean pooling can be exported for serving, this model is {kinds}; "
            "serving will not embed new articles by itself"
        )


def _write(embedder: SentenceTransformerEmbedder, folder: Path) -> None:
    import torch

    transformer: Any = embedder.model[0].auto_model

    class Hidden(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = transformer

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
            found = self.inner(
                input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
            )
            return found.last_hidden_state

    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids = torch.ones((2, 8), dtype=torch.int64)
    axes = {name: {0: "texts", 1: "tokens"} for name in (*names, "hidden")}
    with warnings.catch_warnings():
        # tracing warns about Python control flow that does not depend on the input
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Hidden().eval(),
            (ids, ids, torch.zeros_like(ids)),
            str(folder / "model.onnx"),
            input_names=names,
            output_names=["hidden"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
    embedder.model.tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    about = {
        "format_version": EMBEDDER_FORMAT,
        "model_id": embedder.model_id,
        "dimensions": embedder.dimensions,
        "max_tokens": int(embedder.model.max_seq_length),
        "files": {name: file_digest(folder / name) for name in ("model.onnx", "tokenizer.json")},
    }
    (folder / "embedder.json").write_text(json.dumps(about, indent=2), encoding="utf-8")


def _check_agreement(embedder: SentenceTransformerEmbedder, exported: OnnxEmbedder) -> None:
    gap = float(np.abs(embedder.embed(_PROBES) - exported.embed(_PROBES)).max())
    if gap > TOLERANCE:
        raise EmbedderError(f"the export differs from the model by {gap:.2g}, allowed is {TOLERANCE}")
