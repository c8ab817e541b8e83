"""The bar for serving: a FastAPI app with three query parameters that answers constant bytes.

python -m tests.benchmarks.reference PORT BYTES
"""

import sys

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response


def make_app(size: int) -> FastAPI:
    """``/`` answers ``size`` bytes; ``/events`` checks and stores nothing."""
    app, content = FastAPI(), b'{"x":"' + b"a" * max(size - 8, 0) + b'"}'

    @app.get("/")
    async def constant(limit: int = 10, session_id: str = "", explain: bool = False) -> Response:
        return Response(content, media_type="application/json")

    @app.post("/events")
    async def events(request: Request) -> Response:
        await request.body()
        return Response(b'{"accepted":1}', 202, media_type="application/json")

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(int(sys.argv[2])), port=int(sys.argv[1]), access_log=False, log_level="warning")
