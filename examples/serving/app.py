"""Predictions over HTTP: POST /predict with {"texts": [...]} gives an answer for each text.

PARATOPIC_MODEL=models/transformer uvicorn --app-dir examples/serving app:app
"""

from __future__ import annotations

import json
from dataclasses import asdict

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from paratopic import load

# Of one request: a longer list is for `paratopic predict --out`.
MOST_TEXTS, MOST_BYTES = 1000, 10_000_000

model = load()


async def predict(request: Request) -> JSONResponse:
    """Answer one request; what is no list of texts is refused."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            return JSONResponse({"error": f"more than {MOST_BYTES:,} bytes"}, 413)
    try:
        texts = json.loads(body)["texts"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return JSONResponse({"error": 'send {"texts": ["...", "..."]} as JSON'}, 400)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return JSONResponse({"error": "texts has to be a list of strings"}, 400)
    if len(texts) > MOST_TEXTS:
        return JSONResponse({"error": f"more than {MOST_TEXTS:,} texts in one request"}, 413)
    answers = await run_in_threadpool(model.predict, texts)
    return JSONResponse([asdict(answer) for answer in answers])


async def health(request: Request) -> JSONResponse:
    """Say which model answers."""
    return JSONResponse({"kind": model.kind, "topics": list(model.classes_)})


app = Starlette(
    routes=[Route("/predict", predict, methods=["POST"]), Route("/health", health)],
)
