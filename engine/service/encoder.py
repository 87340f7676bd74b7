"""EncoderService."""

import numpy as np

from encoders.errors import TriveniError
from encoders.spaces.space import Space
from encoders.types import Content
from engine.core.deadline import Deadline
from engine.core.errors import InvalidQueryError
from engine.encode.encoding import ContentEncoder, Encoded
from engine.service.calls import Context
from engine.service.convert.content import content_of, problem, vector_bytes
from engine.service.work import Workers, deadline_of
from triveni.v1 import encoder_pb2, encoder_pb2_grpc

MAX_CONTENTS = 1024
CHUNK = 32
"""Contents that are handed to the encoder together, so that a large call leaves room for others."""


class EncoderServicer(encoder_pb2_grpc.EncoderServiceServicer):
    """The encoders of the space, for use on their own."""

    def __init__(self, encoder: ContentEncoder, space: Space, workers: Workers) -> None:
        self._encoder = encoder
        self._space = space
        self._workers = workers

    async def Encode(  # noqa: N802
        self, request: encoder_pb2.EncodeRequest, context: Context
    ) -> encoder_pb2.EncodeResponse:
        """Turn contents into unit vectors; one that cannot be read is reported beside them."""
        deadline = deadline_of(context)
        return await self._workers.run(lambda: self._encode(request, deadline), deadline)

    def _encode(self, request: encoder_pb2.EncodeRequest, deadline: Deadline) -> encoder_pb2.EncodeResponse:
        size = len(request.contents)
        if not 1 <= size <= MAX_CONTENTS:
            raise InvalidQueryError(f"{size} contents", f"send 1 to {MAX_CONTENTS} in one call", field="contents")
        results: list[Encoded] = []
        contents: list[Content] = []
        rows: list[int] = []
        for index, message in enumerate(request.contents):
            try:
                contents.append(content_of(message))
                rows.append(index)
                results.append(np.empty(0, np.float32))
            except TriveniError as error:
                results.append(error)
        for start in range(0, len(contents), CHUNK):
            encoded = self._encoder.encode(contents[start : start + CHUNK], deadline)
            for index, result in zip(rows[start : start + CHUNK], encoded, strict=True):
                results[index] = result

        good = [(index, result) for index, result in enumerate(results) if not isinstance(result, TriveniError)]
        response = encoder_pb2.EncodeResponse(
            vectors=vector_bytes(np.stack([vector for _, vector in good])) if good else b"",
            rows=len(good),
            dimension=self._space.dimension,
            fingerprint=self._space.fingerprint,
            content_indexes=[index for index, _ in good],
        )
        for index, result in enumerate(results):
            if isinstance(result, TriveniError):
                result.field = f"contents[{index}]"
                response.rejected.add(index=index, problem=problem(result))
        return response
