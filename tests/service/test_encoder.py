"""Encode."""

import numpy as np

from encoders.types import Audio, Image, Text
from tests.service.running import Running
from tests.tiny import concept_png, concept_wav
from triveni.v1 import content_pb2, encoder_pb2

C = content_pb2.Content


def test_vectors_are_those_of_the_space(server: Running) -> None:
    sounds, picture = concept_wav("bird"), concept_png("car")
    contents = [C(text="a bird"), C(audio=sounds), C(), C(image=picture)] + [C(text=f"x {row}") for row in range(70)]
    response = server.encoder.Encode(encoder_pb2.EncodeRequest(contents=contents), timeout=10)
    vectors = np.frombuffer(response.vectors, "<f4").reshape(response.rows, response.dimension)
    assert list(response.content_indexes) == [0, 1, *range(3, 74)]
    plain = server.space.encode(
        [Text("a bird"), Audio(sounds), Image(picture), *(Text(f"x {row}") for row in range(70))]
    )
    np.testing.assert_allclose(vectors, plain, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert response.fingerprint == server.space.fingerprint
    assert [(one.index, one.problem.field) for one in response.rejected] == [(2, "contents[2]")]


def test_all_bad_is_an_answer_too(server: Running) -> None:
    response = server.encoder.Encode(encoder_pb2.EncodeRequest(contents=[C(image=b"no")]), timeout=10)
    assert (response.rows, response.vectors) == (0, b"")
    assert response.rejected[0].problem.remedy
