"""The starter space: canonical vectors, batches, PyTorch against ONNX, identity, and calibration."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from encoders.decoding.limits import DecodeLimits
from encoders.encoder import Encoder, PreparesPassages
from encoders.errors import ContentError, WeightsError
from encoders.networks.known import MINILM
from encoders.spaces.align import ClassTexts, ImageHead
from encoders.spaces.appearance import AppearanceEncoder
from encoders.spaces.calibration import HeadEncoder
from encoders.spaces.drawings import KernelRidge
from encoders.spaces.space import Space
from encoders.spaces.starter import CARD, HEADS, TENSORS, load_starter, read_heads
from encoders.types import WHOLE, Audio, Content, Floats, Image, Modality, Text
from tests.encoders.conftest import checkers, drawing, noise, tone, wav

GOLDEN = Path(__file__).parent / "canonical_starter.json"

SAMPLES: dict[Modality, list[Content]] = {
    Modality.TEXT: [
        Text("a red frog"),
        Text("x"),
        Text("The quick brown fox jumps over the lazy dog. " * 60),
        Text("été à la plage"),
    ],
    Modality.IMAGE: [drawing("sun"), drawing("house"), checkers(320, 200), checkers(90, 400, seed=2)],
    Modality.AUDIO: [tone(2.0), noise(0.2), tone(5.0, 880.0), noise(1.3, seed=3)],
}


@pytest.mark.parametrize("modality", list(Modality))
def test_encoder_gives_its_canonical_vectors(starter_space: Space, modality: Modality) -> None:
    expected = json.loads(GOLDEN.read_text())[modality]
    vectors = starter_space.encode(SAMPLES[modality])
    # Other processors round otherwise; a change of weights, head or preparation moves far more than this.
    np.testing.assert_allclose(vectors[:, :12], np.array(expected), atol=5e-3)


@pytest.mark.parametrize("modality", list(Modality))
def test_batch_gives_what_single_contents_give(starter_space: Space, modality: Modality) -> None:
    together = starter_space.encode(SAMPLES[modality])
    alone = np.concatenate([starter_space.encode([content]) for content in SAMPLES[modality]])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_long_text_is_split_into_passages_that_are_read_whole(starter_space: Space) -> None:
    text = " ".join(f"This is sentence {number}, as long as each of the others." for number in range(60))
    encoder = starter_space.encoder(Modality.TEXT)
    assert isinstance(encoder, PreparesPassages)
    found = encoder.prepare_passages(Text(text), 16)
    parts = [text[start:stop] for start, stop in found]
    assert len(parts) > 2
    assert "".join(parts) == text
    sizes = [max(len(one.value) for one in prepared.value) for prepared in found.values()]
    assert max(sizes) <= MINILM.input["max_tokens"]
    assert min(sizes) > 0.8 * max(sizes)
    vectors = starter_space.encode([Text(part) for part in parts])
    np.testing.assert_allclose(starter_space.forward([*found.values()]), vectors, atol=1e-4)
    (whole,) = encoder.prepare_passages(SAMPLES[Modality.TEXT][0], 16).items()
    assert whole[0] == WHOLE
    assert len(encoder.prepare_passages(Text(text), 2)) == 2


def test_a_long_sound_is_split_and_silence_is_left_out(starter_space: Space) -> None:
    rest = np.zeros(15 * 16_000)
    notes = [0.4 * np.sin(2 * np.pi * hertz * np.arange(15 * 16_000) / 16_000) for hertz in (440.0, 880.0)]
    encoder = starter_space.encoder(Modality.AUDIO)
    assert isinstance(encoder, PreparesPassages)
    long = wav(np.concatenate([notes[0], rest, notes[1]]), 16_000)
    spans = list(encoder.prepare_passages(long, 16))
    assert spans == [WHOLE, (0, 9000), (9000, 18000), (27000, 36000), (36000, 45000)]
    vectors = encoder.forward([*encoder.prepare_passages(long, 16).values()])
    alone = starter_space.encode([tone(9.0), tone(9.0, 880.0)])
    np.testing.assert_allclose(vectors[[1, 4]] @ alone.T > 0.9, np.eye(2, dtype=bool))
    np.testing.assert_allclose(vectors[:1], starter_space.encode([long]), atol=1e-5)
    assert len(encoder.prepare_passages(tone(45.0), 3)) == 3
    assert list(encoder.prepare_passages(tone(20.0), 16)) == [WHOLE]


@pytest.mark.parametrize("modality", list(Modality))
def test_vectors_are_unit_and_of_the_space(starter_space: Space, modality: Modality) -> None:
    encoder = starter_space.encoder(modality)
    assert isinstance(encoder, Encoder)
    vectors = starter_space.encode(SAMPLES[modality])
    assert vectors.dtype == np.float32 and vectors.shape == (4, starter_space.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.forward([]).shape == (0, starter_space.dimension)


def test_texts_of_many_lengths_keep_their_order(starter_space: Space) -> None:
    texts: list[Content] = [Text("word " * (1 + (7 * i) % 40)) for i in range(50)]
    together = starter_space.encode(texts)
    for row in (0, 13, 49):
        np.testing.assert_allclose(together[row], starter_space.encode([texts[row]])[0], atol=1e-4)


def test_torch_gives_what_onnx_gives(starter_space: Space) -> None:
    import torch

    from encoders.networks.known import EFFICIENTNET_LITE2, MINILM
    from encoders.networks.sentences import SentenceNetwork
    from encoders.networks.torch import PictureNetwork
    from encoders.networks.weights import find_weights

    text = _extractor(starter_space, Modality.TEXT).encoders[0]
    assert text.spec is MINILM
    prepared = text.prepare(Text("a red frog on a leaf"))
    ids = torch.from_numpy(prepared.value)[None]
    with torch.inference_mode():
        expected = SentenceNetwork(find_weights(MINILM)).eval()(ids, torch.ones_like(ids)).numpy()
    np.testing.assert_allclose(text.features([prepared]), expected, atol=1e-4)

    image = _extractor(starter_space, Modality.IMAGE)
    square = image.prepare(drawing("house"))
    pixels = (torch.from_numpy(square.value.copy()).permute(2, 0, 1)[None].float() - 127) / 128
    network = PictureNetwork(find_weights(EFFICIENTNET_LITE2) / EFFICIENTNET_LITE2.files[0].path).eval()
    with torch.inference_mode():
        expected = torch.cat(network(pixels), dim=1).numpy()
    np.testing.assert_allclose(image.features([square]), expected, atol=1e-3)


def test_sentence_network_is_that_of_sentence_transformers(starter_space: Space) -> None:
    from sentence_transformers import SentenceTransformer

    from encoders.networks.known import MINILM
    from encoders.networks.weights import find_weights

    texts = ["a red frog on a leaf", "two words"]
    model = SentenceTransformer(str(find_weights(MINILM)), device="cpu")
    expected = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    text = _extractor(starter_space, Modality.TEXT).encoders[0]
    assert text.spec is MINILM
    found = text.features([text.prepare(Text(sentence)) for sentence in texts])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_mel_patches_are_those_of_yamnet(starter_space: Space) -> None:
    patches = _extractor(starter_space, Modality.AUDIO).prepare(tone(2.0, 1000.0)).value.values
    assert patches.shape == (5, 1, 96, 64)
    # 1 kHz lies where HTK's mel scale, cut into 64 bands from 125 to 7500 Hz, has its band 22.
    mel = [2595 * np.log10(1 + hertz / 700) for hertz in (125.0, 1000.0, 7500.0)]
    band = round((mel[1] - mel[0]) / (mel[2] - mel[0]) * 65) - 1
    assert abs(int(patches[0, 0, 50].argmax()) - band) <= 1


def test_short_sounds_and_silence_have_vectors(starter_space: Space) -> None:
    vectors = starter_space.encode([wav(np.zeros(1600), 16000), tone(0.01), wav(np.zeros(48000), 48000)])
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-4)


def test_loudness_and_silence_around_a_sound_change_nothing(starter_space: Space) -> None:
    rng = np.random.default_rng(1)
    samples = rng.uniform(-0.5, 0.5, 40000) * np.hanning(40000)
    quiet = np.concatenate([np.zeros(8000), 0.3 * samples, np.zeros(16000)])
    left, right = starter_space.encode([wav(samples, 16000), wav(quiet, 16000)])
    assert left @ right > 0.97


def test_a_long_sound_is_bounded(starter_space: Space) -> None:
    sound = starter_space.prepare(noise(100.0, rate=8000))
    assert sound.value.values.shape == (128, 1, 96, 64)
    np.testing.assert_allclose(sound.value.weights.sum(), 1, rtol=1e-5)


def test_a_white_margin_changes_nothing(starter_space: Space) -> None:
    import io

    from PIL import Image as Pillow

    whole = Pillow.open(io.BytesIO(drawing("tree", 400).source))  # type: ignore[arg-type]
    wide = Pillow.new("RGB", (900, 700), "white")
    wide.paste(whole, (300, 200))
    body = io.BytesIO()
    wide.save(body, "PNG")
    left, right = starter_space.encode([drawing("tree", 400), Image(body.getvalue())])
    assert left @ right > 0.97


def test_a_blank_picture_has_a_vector(starter_space: Space) -> None:
    import io

    from PIL import Image as Pillow

    body = io.BytesIO()
    Pillow.new("RGB", (50, 50), "white").save(body, "PNG")
    assert np.isfinite(starter_space.encode([Image(body.getvalue())])).all()


@pytest.mark.parametrize("content", [Text("  "), Image(b"no picture"), Audio(b"no sound")])
def test_what_cannot_be_read_is_refused(starter_space: Space, content: Content) -> None:
    with pytest.raises(ContentError):
        starter_space.prepare(content)


def test_a_title_finds_its_drawing(starter_space: Space) -> None:
    kinds = ["sun", "house", "tree"]
    scores = (
        starter_space.encode([Text(f"a {kind}") for kind in kinds])
        @ starter_space.encode([drawing(kind) for kind in kinds]).T
    )
    assert (scores.argmax(axis=0) == np.arange(3)).sum() >= 2


def test_words_of_other_languages_find_what_they_mean(starter_space: Space) -> None:
    english = starter_space.encode([*map(Text, ("the sun", "a house", "a tree", "a violin", "a loaf of bread"))])
    words = [
        ("die Sonne", "ein Haus", "ein Baum", "eine Geige", "ein Laib Brot"),
        ("le soleil", "une maison", "un arbre", "un violon", "une miche de pain"),
        ("el sol", "una casa", "un árbol", "un violín", "una barra de pan"),
        ("太阳", "房子", "一棵树", "小提琴", "一条面包"),
        ("太陽", "家", "木", "バイオリン", "食パン"),
    ]
    found = [(starter_space.encode([*map(Text, row)]) @ english.T).argmax(axis=1) for row in words]
    assert (np.stack(found) == np.arange(5)).sum() >= 22


def test_a_mixed_pool_gives_texts_and_pictures(starter_space: Space) -> None:
    """By plain cosine a text query finds texts only; by calibrated scores it finds both."""
    query = starter_space.encode([Text("the sun in the sky")])
    words = ["sunshine", "summer", "a star", "weather", "the moon", "daylight", "sky", "heat", "planet", "morning"]
    other = ["a tax form", "grammar", "a violin", "cheese", "an engine", "a shoe", "mathematics", "a letter"]
    texts = starter_space.encode([Text(word) for word in words + other])
    pictures = starter_space.encode(
        [drawing("sun", 200 + 20 * i) for i in range(5)] + [checkers(200, 200, i) for i in range(5)]
    )
    by_cosine = np.concatenate([query @ texts.T, query @ pictures.T], axis=1)[0]
    calibration = starter_space.calibration
    by_score = np.concatenate(
        [
            calibration[Modality.TEXT, Modality.TEXT].z(query @ texts.T),
            calibration[Modality.TEXT, Modality.IMAGE].z(query @ pictures.T),
        ],
        axis=1,
    )[0]
    first = np.argsort(-by_score)[:10]
    assert 1 <= (first >= len(texts)).sum() <= 9
    assert (first >= len(texts)).sum() >= (np.argsort(-by_cosine)[:10] >= len(texts)).sum()


def test_calibration_covers_every_pair_both_ways(starter_space: Space) -> None:
    for query in Modality:
        for item in Modality:
            pair = starter_space.calibration[query, item]
            assert pair == starter_space.calibration[item, query]
            assert abs(pair.mean) < 0.5 and 0 < pair.std < 0.5 and pair.weight > 0.5


def test_altered_heads_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "heads"
    shutil.copytree(HEADS, folder)
    body = bytearray((folder / TENSORS).read_bytes())
    body[-1] ^= 1
    (folder / TENSORS).write_bytes(bytes(body))
    with pytest.raises(WeightsError, match="altered"):
        read_heads(folder)


def test_missing_heads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="triveni space build starter"):
        read_heads(tmp_path)


def test_heads_that_weigh_pictures_otherwise_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "heads"
    shutil.copytree(HEADS, folder)
    document = json.loads((folder / CARD).read_text())
    document["settings"]["image"]["class_weight"] = document["settings"]["image"].pop("class_factor")
    (folder / CARD).write_text(json.dumps(document))
    with pytest.raises(WeightsError, match="earlier release"):
        read_heads(folder)


def test_the_surer_opinion_of_a_picture_counts_more() -> None:
    axes = np.eye(6, dtype=np.float32)
    drawn = KernelRidge(
        np.array([[15, 0, 0, 0], [0, 15, 0, 0]], np.uint8),
        np.full(4, 1 / 15, np.float32),
        np.array([[0, 0, 0, 0, 100, 0], [0, 0, 0, 0, 0, 100]], np.int8),
        np.full(6, 0.01, np.float32),
        width=0.7,
    )
    head = ImageHead(ClassTexts(axes[:4], axes[:4].mean(axis=0)), drawn, np.zeros(6, np.float32), 1.0, 4, 1.75)
    certain, torn = np.array([9, 0, 0, 0]), np.zeros(4)
    like_a_drawing, unlike_any = np.array([1, 0, 0, 0]), np.array([0, 0, 1, 0])
    pictures = [(certain, unlike_any), (certain, like_a_drawing), (torn, like_a_drawing)]
    features = np.array([np.concatenate([pooled, logits]) for logits, pooled in pictures], np.float32)
    by_class, by_drawing = head(features) @ axes[0], head(features) @ axes[4]
    assert by_class[0] > by_class[1] > by_class[2] and by_class[2] < 1e-3
    assert by_drawing[0] < by_drawing[1] < by_drawing[2] and by_drawing[2] > 0.9


def test_another_head_is_another_fingerprint(starter_space: Space, network_cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "heads"
    shutil.copytree(HEADS, folder)
    document = json.loads((folder / CARD).read_text())
    document["settings"]["image"]["temperature"] += 0.1
    (folder / CARD).write_text(json.dumps(document))
    other = load_starter(network_cache, DecodeLimits(), "cpu", 1, heads=folder)
    assert other.fingerprint != starter_space.fingerprint
    assert other.manifest.encoders[Modality.TEXT] == starter_space.manifest.encoders[Modality.TEXT]
    assert other.manifest.encoders[Modality.IMAGE]["head"] != starter_space.manifest.encoders[Modality.IMAGE]["head"]


def test_heads_are_small() -> None:
    assert sum(path.stat().st_size for path in HEADS.iterdir()) < 10_000_000


def _extractor(space: Space, modality: Modality):
    encoder = space.encoder(modality)
    shown = encoder.shown if isinstance(encoder, AppearanceEncoder) else encoder
    assert isinstance(shown, HeadEncoder)
    return shown.extractor


def canonical(space: Space) -> dict[str, list[list[float]]]:
    """The first twelve numbers of each sample's vector: what the canonical file holds."""

    def rows(vectors: Floats) -> list[list[float]]:
        return [[round(float(value), 6) for value in vector[:12]] for vector in vectors]

    return {str(modality): rows(space.encode(contents)) for modality, contents in SAMPLES.items()}
