"""Any OpenCLIP model as text and image encoders (https://github.com/mlfoundations/open_clip).

Weights are read as tensors only, never unpickled. The network is used only where a hub name is given and its
weights are not in the cache.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from encoders.decoding.decode import decode_text, decoding_image
from encoders.decoding.limits import DEFAULT_LIMITS, DecodeLimits
from encoders.encoder import Passages
from encoders.errors import WeightsError
from encoders.networks.text import split
from encoders.spaces.calibration import HeadEncoder, checksum_of
from encoders.spaces.space import unit
from encoders.types import WHOLE, Content, Floats, Modality, Prepared, Text


@dataclass(frozen=True, slots=True, eq=False)
class OpenClip:
    """A loaded model: what both of its encoders share."""

    source: str
    """The name that it was loaded by."""
    checksum: str
    """32 hex digits over the names, shapes and values of all tensors, whatever file they came from."""
    dimension: int
    context: int
    """Tokens of the longest text, start and end included."""
    side: int
    """Pixels of the input picture."""
    input: str
    """How a picture is resized and normalised, as JSON."""
    device: str
    limits: DecodeLimits
    model: Any
    tokenizer: Any
    transform: Any


def load_openclip(
    name: str, *, device: str = "cpu", limits: DecodeLimits = DEFAULT_LIMITS, checksum: str | None = None
) -> OpenClip:
    """Load a model.

    Args:
        name: one of
            "ViT-B-32/laion2b_s34b_b79k": an architecture and a tag or the path of a checkpoint file;
            "hf-hub:org/repository";
            "local-dir:folder" or the path of a folder: open_clip_config.json and weights beside it.
        device: a torch device.
        limits: bounds on what is decoded.
        checksum: what `OpenClip.checksum` must be, None to accept any weights.

    Returns:
        The model in evaluation mode.

    Raises:
        WeightsError: if the model is unknown, its weights cannot be had, do not fit, or have another checksum.
    """
    import open_clip  # slow to import
    from open_clip.transform import PreprocessCfg, image_transform_v2

    architecture, pretrained = _split(name)
    try:
        model = open_clip.create_model(architecture, pretrained, device=device, require_pretrained=True)
        tokenizer = open_clip.get_tokenizer(architecture)
    except Exception as error:
        # open_clip raises plain errors of many kinds: unknown names, failed downloads, ill-fitting tensors.
        raise WeightsError(
            f"openclip model {name} cannot be loaded ({str(error).splitlines()[0] if str(error) else error!r})",
            "name it as architecture/tag, architecture/file, hf-hub:org/repository or local-dir:folder",
        ) from error
    model.eval().requires_grad_(False)
    found = _checksum(model)
    if checksum is not None and found != checksum:
        raise WeightsError(
            f"weights of openclip model {name} have checksum {found}, the space was built with {checksum}",
            "restore the weights or build the space anew",
        )
    settings = PreprocessCfg(**model.visual.preprocess_cfg)
    size = settings.size
    side = int(size if isinstance(size, int) else max(size))
    return OpenClip(
        source=name,
        checksum=found,
        dimension=_dimension(model, tokenizer, device),
        context=int(getattr(tokenizer, "context_length", None) or model.context_length),
        side=side,
        input=json.dumps(asdict(settings), sort_keys=True),
        device=device,
        limits=limits,
        model=model,
        tokenizer=tokenizer,
        transform=image_transform_v2(settings, is_train=False),
    )


class OpenClipImage:
    """Pictures through the model's image tower.

    Args:
        clip: the model.
        mean: (dimension,), subtracted from the unit vector, which is then made unit again: it closes the gap
            between modalities. None to keep the model's own vectors.
    """

    modality = Modality.IMAGE

    def __init__(self, clip: OpenClip, mean: Floats | None = None) -> None:
        self._clip = clip
        self._mean = mean
        self.dimension = clip.dimension

    @property
    def identity(self) -> dict[str, str]:
        """The checksums of the model and of the mean, and how pictures are brought in."""
        return {**_identity(self._clip, self._mean), "input": self._clip.input}

    def prepare(self, content: Content) -> Prepared:
        """Decode, resize and normalise a picture: float32 (3, side, side); raises ContentError."""
        with decoding_image(content, self._clip.limits, self._clip.side) as picture:
            return Prepared(self.modality, np.asarray(self._clip.transform(picture).numpy(), np.float32))

    def raw(self, batch: Sequence[Prepared]) -> Floats:
        """The model's own unit vectors, not centred, float32 (n, dimension)."""
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack([prepared.value for prepared in batch])).to(self._clip.device)
            return unit(self._clip.model.encode_image(pixels).float().cpu().numpy())

    def forward(self, batch: Sequence[Prepared]) -> Floats:
        """Unit vectors, float32 (n, dimension)."""
        return _centred(self.raw(batch), self._mean) if batch else np.empty((0, self.dimension), np.float32)


class OpenClipText:
    """Texts through the model's text tower; those longer than its context through a head, if there is one.

    Args:
        clip: the model.
        mean: as in `OpenClipImage`.
        long_text: an encoder of the same space for texts beyond the context. Without one they are cut.
    """

    modality = Modality.TEXT

    def __init__(self, clip: OpenClip, mean: Floats | None = None, long_text: HeadEncoder | None = None) -> None:
        self._clip = clip
        self._mean = mean
        self._long = long_text
        self.dimension = clip.dimension

    @property
    def identity(self) -> dict[str, str]:
        """The checksums of the model and of the mean, the tokenizer, and the long text encoder's identity."""
        long = self._long.identity if self._long else {}
        tokenizer = f"{type(self._clip.tokenizer).__name__} of {self._clip.context} tokens"
        return {
            **_identity(self._clip, self._mean),
            "input": tokenizer,
            **{f"long_{key}": value for key, value in long.items()},
        }

    def prepare(self, content: Content) -> Prepared:
        """Tokenise a text: int64 (context,), or the long text encoder's own; raises ContentError."""
        text = decode_text(content, self._clip.limits)
        if self._long is not None and self.tokens(text) > self._clip.context:
            return Prepared(self.modality, self._long.prepare(Text(text)))
        return Prepared(self.modality, self._clip.tokenizer([text])[0].numpy())

    def prepare_passages(self, content: Content, most: int) -> Passages:
        """Split a text beyond what is read of one; see `encoders.encoder.PreparesPassages`."""
        text = decode_text(content, self._clip.limits)
        if self.tokens(text) <= self._clip.context:
            return {WHOLE: self.prepare(content)}
        if self._long is None:
            return split(self, content, self.tokens, self._clip.context, most)
        long = self._long.prepare_passages(content, most)
        return {span: Prepared(self.modality, prepared) for span, prepared in long.items()}

    def tokens(self, text: str) -> int:
        """The tokens of a text, start and end included, before it is cut to the context."""
        tokenizer = self._clip.tokenizer
        if hasattr(tokenizer, "encode"):
            return len(tokenizer.encode(text)) + 2
        return len(tokenizer.tokenizer(text, truncation=False)["input_ids"])

    def raw(self, batch: Sequence[Prepared]) -> Floats:
        """The model's own unit vectors of short texts, not centred, float32 (n, dimension)."""
        import torch

        with torch.inference_mode():
            tokens = torch.from_numpy(np.stack([prepared.value for prepared in batch])).to(self._clip.device)
            return unit(self._clip.model.encode_text(tokens).float().cpu().numpy())

    def forward(self, batch: Sequence[Prepared]) -> Floats:
        """Unit vectors, float32 (n, dimension)."""
        vectors = np.empty((len(batch), self.dimension), np.float32)
        long = [row for row, prepared in enumerate(batch) if isinstance(prepared.value, Prepared)]
        short = [row for row, prepared in enumerate(batch) if not isinstance(prepared.value, Prepared)]
        if short:
            vectors[short] = _centred(self.raw([batch[row] for row in short]), self._mean)
        if long and self._long is not None:
            vectors[long] = self._long.forward([batch[row].value for row in long])
        return vectors


def _split(name: str) -> tuple[str, str | None]:
    """A name → what open_clip calls model_name and pretrained."""
    if name.startswith(("hf-hub:", "local-dir:")):
        return name, None
    if name and Path(name).is_dir():
        return f"local-dir:{name}", None
    architecture, slash, pretrained = name.partition("/")
    if not (architecture and slash and pretrained):
        raise WeightsError(
            f"openclip model {name!r} names no weights",
            "name it as architecture/tag, architecture/file, hf-hub:org/repository or local-dir:folder",
        )
    return architecture, pretrained


def _checksum(model: Any) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return digest.hexdigest()


def _dimension(model: Any, tokenizer: Any, device: str) -> int:
    import torch

    with torch.inference_mode():
        return int(model.encode_text(tokenizer(["a"]).to(device)).shape[1])


def _identity(clip: OpenClip, mean: Floats | None) -> dict[str, str]:
    """The source is left out: the same weights give the same vectors wherever they lie."""
    centre = {} if mean is None else {"centre": checksum_of(mean)}
    return {"name": "openclip", "checksum": clip.checksum, **centre}


def _centred(vectors: Floats, mean: Floats | None) -> Floats:
    return vectors if mean is None else unit(vectors - mean)
