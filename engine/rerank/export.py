"""The full network of a version as ONNX, for other runtimes.

The graph is that of `engine.rerank.graph`. What the numbers mean (the features and kinds of events of the version in
their order, the outcomes, their calibration and worth) is in its metadata.
"""

import json
from dataclasses import asdict
from io import BytesIO

from engine.rerank.graph import graph_of
from engine.rerank.model import OUTCOMES
from engine.rerank.version import Version


def export_network(version: Version) -> bytes:
    """The graph of a version's full network, with its weights in it."""
    import onnx  # slow to import

    model = graph_of(version.network)
    onnx.helper.set_model_props(
        model,
        {
            "features": json.dumps(version.features),
            "event_kinds": json.dumps(version.token_kinds.names),
            "outcomes": json.dumps(OUTCOMES),
            "calibration": json.dumps(version.calibration),
            "utility": json.dumps(asdict(version.utility)),
        },
    )
    raw = BytesIO()
    onnx.save(model, raw)
    return raw.getvalue()
