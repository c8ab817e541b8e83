"""A site on 127.0.0.1 whose answers a test sets, and documents as sites write them."""

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HEADERS = (
    'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/"'
)
NEWS = 'xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"'
MAPS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


class Site:
    """Answers by path; a body has an ETag, and 304 where it is known.

    Attributes:
        answers: status, headers and body by path; absent is 404.
        asked: (path, status) of every request, in order.
    """

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Mapping[str, str], bytes]] = {}
        self.asked: list[tuple[str, int]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = site.answers.get(self.path, (404, {}, b""))
                etag = f'"{hash(body)}"'
                if status == 200 and self.headers.get("If-None-Match") == etag:
                    status, body = 304, b""
                site.asked.append((self.path, status))
                self.send_response(status)
                for name, value in {"ETag": etag, "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.port = self._server.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}"

    def put(self, path: str, body: str | bytes, status: int = 200, **headers: str) -> str:
        """Set an answer; returns its URL."""
        content = body.encode() if isinstance(body, str) else body
        self.answers[path] = (status, {k.replace("_", "-"): v for k, v in headers.items()}, content)
        return self.base + path

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def item(name: str, title: str | None = None, more: str = "") -> str:
    """An item of an RSS feed."""
    return (
        f'<item><guid isPermaLink="false">{name}</guid><title>{title or "Title of " + name}</title>'
        f"<link>/{name}</link><pubDate>Sun, 01 Mar 2026 10:00:00 GMT</pubDate>{more}</item>"
    )


def rss(*items: str) -> str:
    """An RSS feed in English of the site example.org."""
    return (
        f'<?xml version="1.0"?><rss version="2.0" {HEADERS}><channel><title>News</title>'
        f"<link>https://example.org/</link><language>en-us</language>{''.join(items)}</channel></rss>"
    )


def news(path: str, title: str = "", hour: int = 10) -> str:
    """A url of a news sitemap, published at an hour of 1 March 2026."""
    return (
        f"<url><loc>https://example.org/{path}</loc><news:news><news:publication><news:name>N</news:name>"
        f"<news:language>en</news:language></news:publication>"
        f"<news:publication_date>2026-03-01T{hour:02}:00:00Z</news:publication_date>"
        f"<news:title>{title or 'Title of ' + path}</news:title></news:news></url>"
    )


def urlset(*urls: str) -> str:
    """A sitemap."""
    return f'<?xml version="1.0"?><urlset {MAPS} {NEWS}>{"".join(urls)}</urlset>'


def index(*locations: str) -> str:
    """A sitemap index."""
    places = "".join(f"<sitemap><loc>{place}</loc></sitemap>" for place in locations)
    return f'<?xml version="1.0"?><sitemapindex {MAPS}>{places}</sitemapindex>'
