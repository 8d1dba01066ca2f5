"""Predictions over HTTP: POST /predict with {"texts": [...]} gives an answer for each text.

/docs describes the server to people, and /openapi.json to programs.

PARATOPIC_MODEL=models/transformer uvicorn --app-dir examples/serving app:app
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from paratopic import Prediction, load

# Of one request: a longer list is for `paratopic predict --out`. A text of 100,000 characters takes
# a second or some.
MOST_TEXTS, MOST_BYTES, MOST_CHARACTERS, MOST_TOGETHER = 1000, 10_000_000, 100_000, 500_000

model = load()
app = FastAPI(title="Topics of paragraphs")


class Texts(BaseModel):
    """Texts to predict topics for."""

    model_config = ConfigDict(strict=True)
    texts: list[str] = Field(max_length=MOST_TEXTS, examples=[["Steel tariffs rose."]])


@app.middleware("http")
async def limit(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse bodies that are too long, or do not say how long they are, before they are read."""
    length = request.headers.get("content-length", "")
    if request.method == "POST" and not (length.isdecimal() and int(length) <= MOST_BYTES):
        return JSONResponse(
            {"detail": f"send at most {MOST_BYTES:,} bytes, with their number"}, 413
        )
    return await call_next(request)


@app.post("/predict")
def predict(request: Texts) -> list[Prediction]:
    """Predict topics: an answer for each text, in their order."""
    sizes = list(map(len, request.texts))
    if max(sizes, default=0) > MOST_CHARACTERS or sum(sizes) > MOST_TOGETHER:
        most = f"{MOST_CHARACTERS:,} characters each, and {MOST_TOGETHER:,} together"
        raise HTTPException(413, f"send texts of at most {most}")
    return model.predict(request.texts)


@app.get("/health")
def health() -> dict[str, Any]:
    """Say which model answers."""
    return {"kind": model.kind, "topics": list(model.classes_)}
