"""OpenCLIP: a tiny model that is configured, saved and loaded from disk through the real loading code."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from encoders.decoding.decode import decode_audio, decode_text
from encoders.decoding.limits import DecodeLimits
from encoders.encoder import Encoder
from encoders.errors import ContentError, LimitError, SpaceError, WeightsError
from encoders.fitting.build_openclip import Example, build_space, drawn_examples, plain_openclip_space
from encoders.spaces.calibration import FeatureExtractor
from encoders.spaces.folder import AUDIO, CARD, LONG_TEXT, TENSORS, load_space_folder, read_card
from encoders.spaces.openclip import OpenClip, OpenClipImage, OpenClipText, load_openclip
from encoders.types import WHOLE, Audio, Content, Floats, Image, Modality, Prepared, Text
from tests.tiny import CONCEPTS, concept_png, concept_wav, png_bytes, wav_bytes

LIMITS = DecodeLimits()
CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 48, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
PREPROCESS = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "interpolation": "bilinear", "resize_mode": "squash"}


def write_model(folder: Path, seed: int = 0) -> Path:
    """A random model of 1.8 million weights, as OpenCLIP's own folders hold one."""
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": PREPROCESS}))
    torch.manual_seed(seed)
    model = open_clip.CLIP(**CONFIG)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("openclip") / "model")


@pytest.fixture(scope="module")
def clip(folder: Path) -> OpenClip:
    return load_openclip(f"local-dir:{folder}")


class TextFeatures:
    """Stands for a text model of any length: hashed words."""

    modality = Modality.TEXT
    identity = {"name": "hashed-words", "revision": "1"}  # noqa: RUF012

    def prepare(self, content: Content) -> Prepared:
        return Prepared(self.modality, decode_text(content, LIMITS))

    def features(self, batch: Sequence[Prepared]) -> Floats:
        counts = np.zeros((len(batch), 128), np.float32)
        for row, prepared in enumerate(batch):
            for word in prepared.value.lower().split():
                counts[row, zlib.crc32(word.encode()) % 128] += 1
        return counts


class SoundFeatures:
    """Stands for an audio network: log energies of 48 bands."""

    modality = Modality.AUDIO

    def __init__(self, revision: str = "1") -> None:
        self.identity = {"name": "bands", "revision": revision}

    def prepare(self, content: Content) -> Prepared:
        return Prepared(self.modality, decode_audio(content, LIMITS, 16_000))

    def features(self, batch: Sequence[Prepared]) -> Floats:
        rows = [np.abs(np.fft.rfft(prepared.value[:4000])) ** 2 for prepared in batch]
        edges = np.geomspace(10, 2000, 49).astype(int)
        return np.log10([np.add.reduceat(row, edges)[:48] + 1e-3 for row in rows]).astype(np.float32)


EXTRACTORS = {LONG_TEXT: TextFeatures, AUDIO: SoundFeatures}


def captioned() -> list[Example]:
    """144 examples, 12 of each concept, whose caption's text vector decides nothing but the pairing."""
    return [
        Example(
            f"{concept} {concept} {concept} {number}",
            Image(concept_png(concept, number)),
            Audio(concept_wav(concept, number)),
        )
        for number in range(12)
        for concept in CONCEPTS
    ]


@pytest.fixture(scope="module")
def built(clip: OpenClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("spaces") / "mine"
    build_space(
        "mine", clip, captioned(), out, long_text=TextFeatures(), audio=SoundFeatures(), card={"data": "drawn"}
    )
    return out


# Loading ----------------------------------------------------------------------------------------------------


def test_what_the_model_says_about_itself(clip: OpenClip) -> None:
    assert (clip.dimension, clip.context, clip.side) == (32, 16, 48)
    assert len(clip.checksum) == 32
    assert json.loads(clip.input)["mean"] == PREPROCESS["mean"]
    assert not clip.model.training
    assert not any(parameter.requires_grad for parameter in clip.model.parameters())


def test_every_way_to_name_the_same_weights(folder: Path, clip: OpenClip, tmp_path: Path) -> None:
    assert load_openclip(str(folder)).checksum == clip.checksum
    (tmp_path / "tiny-test.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(tmp_path / "tiny-test.json")
    torch.save(clip.model.state_dict(), tmp_path / "weights.pt")
    for file in (tmp_path / "weights.pt", folder / "open_clip_model.safetensors"):
        assert load_openclip(f"tiny-test/{file}").checksum == clip.checksum


def test_a_checksum_is_held_to(folder: Path, clip: OpenClip) -> None:
    assert load_openclip(str(folder), checksum=clip.checksum).checksum == clip.checksum
    with pytest.raises(WeightsError, match=f"have checksum {clip.checksum}, the space was built with 0000"):
        load_openclip(str(folder), checksum="0" * 32)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ViT-B-32", "openclip model 'ViT-B-32' names no weights: name it as architecture/tag"),
        ("", "names no weights"),
        ("no-such-model/openai", "openclip model no-such-model/openai cannot be loaded .*Model config"),
        (
            "ViT-B-32/no-such-tag",
            "openclip model ViT-B-32/no-such-tag cannot be loaded .*not a known tag or valid file",
        ),
        ("local-dir:/no/such/folder", "cannot be loaded .*not found"),
    ],
)
def test_models_that_cannot_be_had(name: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        load_openclip(name)


def test_a_folder_without_weights_or_with_pickled_code(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text((folder / "open_clip_config.json").read_text())
    with pytest.raises(WeightsError, match="could not be loaded"):
        load_openclip(str(tmp_path))
    torch.save({"state_dict": Path("code")}, tmp_path / "open_clip_pytorch_model.bin")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_openclip(str(tmp_path))


# Encoding ---------------------------------------------------------------------------------------------------


def test_encoders_follow_the_protocol(clip: OpenClip) -> None:
    for encoder, contents in (
        (OpenClipText(clip), [Text("a bird"), Text("two cats on a mat"), Text("x")]),
        (OpenClipImage(clip), [Image(png_bytes(seed, 70)) for seed in range(5)]),
    ):
        assert isinstance(encoder, Encoder)
        prepared = [encoder.prepare(content) for content in contents]
        batch = encoder.forward(prepared)
        assert batch.dtype == np.float32
        assert batch.shape == (len(contents), 32)
        np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1, atol=1e-6)
        singles = np.concatenate([encoder.forward([one]) for one in prepared])
        np.testing.assert_allclose(batch, singles, atol=1e-4)
        assert encoder.forward([]).shape == (0, 32)


def test_vectors_are_those_of_open_clip_itself(folder: Path, clip: OpenClip) -> None:
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    model.eval()
    picture = png_bytes(3, 48)
    with torch.inference_mode():
        from io import BytesIO

        from PIL import Image as Pillow

        image = model.encode_image(transform(Pillow.open(BytesIO(picture)))[None], normalize=True).numpy()
        tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(["a bird"])
        text = model.encode_text(tokens, normalize=True).numpy()
    encode = OpenClipImage(clip)
    np.testing.assert_allclose(encode.forward([encode.prepare(Image(picture))]), image, atol=1e-5)
    words = OpenClipText(clip)
    np.testing.assert_allclose(words.forward([words.prepare(Text("a bird"))]), text, atol=1e-5)


def test_content_errors_come_through(folder: Path) -> None:
    clip = load_openclip(str(folder), limits=DecodeLimits(max_pixels=100, max_characters=10))
    with pytest.raises(LimitError):
        OpenClipImage(clip).prepare(Image(png_bytes(1, 20)))
    with pytest.raises(LimitError):
        OpenClipText(clip).prepare(Text("a" * 11))
    with pytest.raises(ContentError, match="content is text, not image"):
        OpenClipImage(clip).prepare(Text("a"))


def test_a_mean_is_taken_off(clip: OpenClip) -> None:
    mean = np.full(32, 0.1, np.float32)
    plain, centred = OpenClipText(clip), OpenClipText(clip, mean)
    raw = plain.forward([plain.prepare(Text("a bird"))])
    moved = raw - mean
    np.testing.assert_allclose(
        centred.forward([centred.prepare(Text("a bird"))]), moved / np.linalg.norm(moved), atol=1e-6
    )
    assert plain.identity != centred.identity


# Spaces -----------------------------------------------------------------------------------------------------


def test_a_built_space_comes_back_the_same(built: Path, clip: OpenClip) -> None:
    space = load_space_folder(built, EXTRACTORS)
    card = read_card(built)
    assert space.fingerprint == card["fingerprint"]
    assert space.dimension == 32
    assert set(space.modalities) == set(Modality)
    assert set(space.calibration) == {(q, i) for q in Modality for i in Modality}
    again = load_space_folder(built, EXTRACTORS)
    contents = [Text("a bird"), Image(concept_png("car", 50)), Audio(wav_bytes()), Text("a bird " * 50)]
    np.testing.assert_array_equal(space.encode(contents), again.encode(contents))
    assert card["card"]["data"] == "drawn"
    assert card["card"]["examples"] == 144
    assert card["card"]["skipped"] == 0
    assert card["card"]["metrics"][AUDIO]["pairs"] == 144


def test_building_twice_gives_the_same_space(built: Path, clip: OpenClip, tmp_path: Path) -> None:
    space = build_space(
        "mine", clip, captioned(), tmp_path / "x", long_text=TextFeatures(), audio=SoundFeatures(), seed=0
    )
    assert space.fingerprint == read_card(built)["fingerprint"]


def test_sounds_find_their_texts_and_long_texts_their_short_ones(built: Path) -> None:
    space = load_space_folder(built, EXTRACTORS)
    texts = space.encode([Text(f"{c} {c} {c} 3") for c in CONCEPTS])
    sounds = space.encode([Audio(concept_wav(c, 77)) for c in CONCEPTS])
    assert np.mean((sounds @ texts.T).argmax(axis=1) == np.arange(12)) >= 0.75
    encoder = space.encoder(Modality.TEXT)
    long = [encoder.prepare(Text(f"{c} " * 40)) for c in CONCEPTS]
    assert all(isinstance(prepared.value, Prepared) for prepared in long)
    assert np.mean((encoder.forward(long) @ texts.T).argmax(axis=1) == np.arange(12)) >= 0.75


def test_calibration_makes_modalities_comparable(built: Path) -> None:
    """The z of unrelated contents lies around 0 in every pair of modalities, that of a concept's sound above it."""
    space = load_space_folder(built, EXTRACTORS)
    makers = {
        Modality.TEXT: lambda c: Text(f"{c} {c} {c} {CONCEPTS.index(c)}"),
        Modality.IMAGE: lambda c: Image(concept_png(c, 91)),
        Modality.AUDIO: lambda c: Audio(concept_wav(c, 91)),
    }
    vectors = {m: space.encode([make(c) for c in CONCEPTS]) for m, make in makers.items()}
    apart = ~np.eye(12, dtype=bool)
    for (query, item), pair in space.calibration.items():
        z = pair.z(vectors[query] @ vectors[item].T)
        assert abs(z[apart].mean()) < 0.6
        assert pair.weight > 0
    text_to_sound = space.calibration[Modality.TEXT, Modality.AUDIO]
    assert text_to_sound.z(vectors[Modality.TEXT] @ vectors[Modality.AUDIO].T).diagonal().mean() > 1


def test_long_texts_are_told_by_their_tokens(built: Path) -> None:
    encoder = load_space_folder(built, EXTRACTORS).encoder(Modality.TEXT)
    assert isinstance(encoder, OpenClipText)
    fits, over = Text("cat " * 14), Text("cat " * 15)  # 14 tokens, a start and an end: the context of 16
    assert encoder.tokens(fits.text) == 16
    assert isinstance(encoder.prepare(fits).value, np.ndarray)
    assert isinstance(encoder.prepare(over).value, Prepared)
    batch = [encoder.prepare(text) for text in (over, fits, over, Text("dog"))]
    singles = np.concatenate([encoder.forward([prepared]) for prepared in batch])
    np.testing.assert_allclose(encoder.forward(batch), singles, atol=1e-4)


def test_long_texts_are_split_where_no_head_reads_them(clip: OpenClip, built: Path) -> None:
    text = " ".join(f"The bird number {number} sings." for number in range(40))
    encoder = OpenClipText(clip)
    assert encoder.tokens(text) > 2 * clip.context
    found = encoder.prepare_passages(Text(text), 64)
    assert "".join(text[start:stop] for start, stop in found) == text
    for (start, stop), prepared in found.items():
        assert encoder.tokens(text[start:stop]) <= clip.context
        np.testing.assert_array_equal(prepared.value, encoder.prepare(Text(text[start:stop])).value)
    assert list(encoder.prepare_passages(Text("a bird"), 64)) == [WHOLE]
    assert list(load_space_folder(built, EXTRACTORS).prepare_passages(Text(text), 64)) == [WHOLE]


def test_the_fingerprint_follows_the_weights_not_the_place(built: Path, folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in folder.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    assert load_space_folder(built, EXTRACTORS, source=str(moved)).fingerprint == read_card(built)["fingerprint"]
    other = load_openclip(str(write_model(tmp_path / "other", seed=1)))
    for one, two in (
        (OpenClipImage(load_openclip(str(folder))), OpenClipImage(other)),
        (OpenClipText(load_openclip(str(folder))), OpenClipText(other)),
    ):
        assert one.identity != two.identity
    space = build_space("mine", other, captioned(), tmp_path / "o", long_text=TextFeatures(), audio=SoundFeatures())
    assert space.fingerprint != read_card(built)["fingerprint"]


def test_other_weights_extractors_and_tensors_are_refused(built: Path, tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"weights of openclip model .* have checksum .*, the space was built with"
    ):
        load_space_folder(built, EXTRACTORS, source=str(write_model(tmp_path / "other", seed=1)))
    with pytest.raises(WeightsError, match=r"extractor for audio is .*'revision': '2'.*, the space was built with"):
        load_space_folder(built, {**EXTRACTORS, AUDIO: lambda: SoundFeatures("2")})
    with pytest.raises(WeightsError, match="space mine needs an extractor for audio"):
        load_space_folder(built, {LONG_TEXT: TextFeatures})
    copy = tmp_path / "copy"
    copy.mkdir()
    card = json.loads((built / CARD).read_text())
    (copy / CARD).write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="cannot be read"):
        load_space_folder(copy, EXTRACTORS)
    packed = bytearray((built / TENSORS).read_bytes())
    packed[-1] ^= 1
    (copy / TENSORS).write_bytes(packed)
    with pytest.raises(WeightsError, match=f"has checksum .*, {CARD} says"):
        load_space_folder(copy, EXTRACTORS)
    (copy / TENSORS).write_bytes((built / TENSORS).read_bytes())
    card["calibration"]["text->image"]["mean"] += 0.1
    (copy / CARD).write_text(json.dumps(card))
    with pytest.raises(SpaceError, match=r"has fingerprint .*, it was built as"):
        load_space_folder(copy, EXTRACTORS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "holds no space"),
        ("{", "is no JSON"),
        ("[]", "has format None, 1 is read"),
        ('{"format": 7}', "has format 7, 1 is read"),
        ('{"format": 1}', "has no calibration, card"),
    ],
)
def test_folders_that_hold_no_space(text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / CARD).write_text(text)
    with pytest.raises(SpaceError, match=message):
        load_space_folder(tmp_path, EXTRACTORS)


def test_building_replaces_a_space_but_no_other_folder(clip: OpenClip, tmp_path: Path) -> None:
    out = tmp_path / "space"
    first = build_space("a", clip, drawn_twice(), out)
    second = build_space("b", clip, drawn_twice(), out)
    assert read_card(out)["fingerprint"] == second.fingerprint != first.fingerprint
    assert sorted(file.name for file in tmp_path.iterdir()) == ["space"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious").touch()
    with pytest.raises(SpaceError, match="is not empty and holds no space: name a new folder"):
        build_space("a", clip, drawn_twice(), tmp_path / "other")
    assert (tmp_path / "other" / "precious").exists()


def drawn_twice() -> list[Example]:
    return [Example(f"{example.caption} {n}", example.image) for n in range(2) for example in drawn_examples()]


def test_too_few_examples_and_broken_ones(clip: OpenClip, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="space few needs 20 examples with text, 3 have one: give a larger"):
        build_space("few", clip, captioned()[:3], tmp_path / "x")
    with pytest.raises(SpaceError, match="needs 20 examples with audio, 0 have one"):
        build_space("mute", clip, drawn_examples(), tmp_path / "x", audio=SoundFeatures())
    with pytest.raises(SpaceError, match="calibration of text with text needs 20 held-out examples"):
        build_space("small", clip, captioned()[:40], tmp_path / "x")
    assert not (tmp_path / "x").exists()
    broken = [Example("a", Image(b"broken")), Example("", Image(png_bytes(1)))]
    build_space("mixed", clip, [*broken, *drawn_twice()], tmp_path / "x")
    assert read_card(tmp_path / "x")["card"]["skipped"] == 2


def test_a_plain_model_is_a_space_of_text_and_image(folder: Path) -> None:
    space = plain_openclip_space(str(folder))
    assert space.modalities == (Modality.TEXT, Modality.IMAGE)
    assert space.manifest.name == f"openclip:{folder.name}"
    assert len(space.calibration) == 4
    assert plain_openclip_space(str(folder)).fingerprint == space.fingerprint
    captions = [example.caption for example in drawn_examples()]
    assert len(set(captions)) == 48


def test_stand_ins_are_feature_extractors() -> None:
    extractors: list[FeatureExtractor] = [TextFeatures(), SoundFeatures()]
    assert {extractor.modality for extractor in extractors} == {Modality.TEXT, Modality.AUDIO}
