"""The FastAPI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from threadpoolctl import threadpool_limits

import recsys
from serving import problems
from serving.quick import QuickLists
from serving.routes import articles, demo, events, health, lists, steering
from serving.service import Service
from serving.settings import Settings
from serving.telemetry import App, Measured


def create_app(settings: Settings) -> FastAPI:
    """The service as an ASGI application, with its bundle loaded and warmed up.

    Args:
        settings: with a secret key (``with_keys``).

    Raises:
        BundleError, StoreError: with the reason.
    """
    # the products of a request are small: a second thread only burns processor time
    threadpool_limits(1, "blas")
    service = Service(settings)
    service.load()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    app = FastAPI(
        title="Content recommendations",
        version=recsys.__version__,
        description="Related, popular, latest and must-read lists for news and article sites.",
        lifespan=lifespan,
    )
    app.state.service = service
    # routes are tried in this order: what is called most comes first
    app.router.routes.insert(0, events.ROUTE)
    for room in (lists, events, articles, steering, health):
        app.include_router(room.router)
    if settings.demo:
        app.include_router(demo.router)
    problems.install(app)
    app.add_middleware(Measured, telemetry=service.telemetry)
    app.middleware_stack = _in_front(app.build_middleware_stack(), service, settings)
    return app


def _in_front(app: App, service: Service, settings: Settings) -> App:
    """Lists go around the framework's own layers; what lets pages of other sites read them goes first."""
    quick = QuickLists(app, service)
    origins = list(settings.auth.cors_origins)
    if not origins:
        return quick
    return CORSMiddleware(
        quick,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["X-API-Key", "Content-Type"],
    )
