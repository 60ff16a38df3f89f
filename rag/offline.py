"""Keeps every dependency quiet: telemetry off, and no look-up in a model hub unless the user asks for one."""

import os
import sys

QUIET = {
    "ANONYMIZED_TELEMETRY": "False",  # chromadb
    "DO_NOT_TRACK": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",  # HF_HUB_OFFLINE=0 in the environment allows downloads
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime 1.32 writes to ~/.cache and calls home
    "RAGAS_DO_NOT_TRACK": "true",  # ragas 0.4.3 does not honour DO_NOT_TRACK
    "TOKENIZERS_PARALLELISM": "true",  # says so explicitly, which silences the warning after a fork
    "TRANSFORMERS_VERBOSITY": "error",
}


def go_quiet() -> None:
    """Sets the variables above where the user has not set them; runs before the packages are imported."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def without_openvino_telemetry() -> None:
    """Keeps OpenVINO and NNCF from loading `openvino_telemetry`; runs before either is imported.

    That package sends what is converted to Google Analytics and writes to ~/intel. No variable turns it off, but both
    do without it where it cannot be imported.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is how Python blocks an import
