"""What a hostile or a failing site can do to a sync: nothing."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from threading import Event

import pytest

from recsys.errors import DataError
from tests.training.site import Site, rss, urlset
from training.sync.addresses import AddressRefusedError, is_public
from training.sync.entries import Rules
from training.sync.feed import read_feed
from training.sync.fetch import Fetcher, FetchError, Limits, TemporaryError, ascii_url
from training.sync.safe_xml import XmlRefusedError
from training.sync.sitemap import read_sitemap

QUICK = Limits(seconds=5.0, patience=0.05)


@pytest.fixture
def site() -> Iterator[Site]:
    running = Site()
    yield running
    running.close()


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
BOMBS = {
    "laughs": f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]><rss version="2.0"><a>&l9;</a></rss>',
    "quadratic": f'<!DOCTYPE r [<!ENTITY a "{"x" * 50_000}">]><rss version="2.0"><a>{"&a;" * 999}</a></rss>',
    "external": '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><rss version="2.0"><a>&a;</a></rss>',
    "parameter": '<!DOCTYPE r [<!ENTITY % a SYSTEM "http://127.0.0.1/x"> %a;]><rss version="2.0"/>',
    "broken": '<!DOCTYPE r [<!BAD><!entity a "x">]><rss version="2.0"><a>&a;</a></rss>',
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_every_bomb_is_refused_before_it_is_read(bomb: str, encoding: str) -> None:
    body = BOMBS[bomb].encode(encoding)
    with pytest.raises(XmlRefusedError, match="declares entities of its own"):
        read_feed(body, "http://x/f", "", Rules())
    with pytest.raises(XmlRefusedError, match="declares entities of its own"):
        read_sitemap(body, "http://x/f", Rules())


def test_an_old_document_type_and_words_about_entities_are_no_bomb() -> None:
    old = (
        '<!DOCTYPE rss PUBLIC "-//N//DTD RSS 0.91//EN" "http://my.netscape.com/publish/formats/rss-0.91.dtd">'
    )
    text = rss("<item><guid>1</guid><title><![CDATA[What <!ENTITY does]]></title></item>").split("?>", 1)[1]
    assert len(read_feed((old + text).encode(), "http://x/f", "", Rules()).entries) == 1
    unclosed = text.replace("</channel></rss>", "<p>")
    assert len(read_feed(unclosed.encode(), "http://x/f", "", Rules()).entries) == 1


def test_a_body_is_bounded_before_and_after_decompression(site: Site) -> None:
    small = Limits(wire_bytes=10_000, bytes=100_000, tries=1)
    fetcher = Fetcher(allow_private=True, limits=small)
    with pytest.raises(FetchError, match="more than 10,000 bytes"):
        fetcher.get(site.put("/long", b"x" * 10_001))
    with pytest.raises(FetchError, match=r"more than 100,000 bytes, once it is decompressed"):
        fetcher.get(site.put("/bomb", gzip.compress(b"x" * 1_000_000), Content_Encoding="gzip"))
    with pytest.raises(FetchError, match="ends too early"):
        fetcher.get(site.put("/cut", gzip.compress(urlset().encode())[:-12]))
    twice = gzip.compress(gzip.compress(b"<a/>"))
    assert fetcher.get(site.put("/twice", twice, Content_Encoding="gzip")).body == b"<a/>"


PRIVATE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
    *("224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1"),
    *("::ffff:10.0.0.1", "2002:7f00:0001::", "64:ff9b::a9fe:a9fe", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
)


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_reached_under_any_name(address: str) -> None:
    assert not is_public(address)
    fetcher = Fetcher(limits=QUICK, lookup=lambda host, port: ["93.184.215.14", address])
    with pytest.raises(AddressRefusedError, match="--allow-private"):
        fetcher.get("http://news.example.org/feed")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://[::1]:1/",
        "http://2130706433:1/",
        "http://0x7f.1:1/",
        "http://localhost:1/",
    ],
)
def test_no_spelling_of_this_machine_is_reached(url: str) -> None:
    with pytest.raises(DataError, match=r"not a public one|is not known"):
        Fetcher(limits=QUICK).get(url)


def test_public_addresses_are_public() -> None:
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name server answers a public address first and a private one from then on."""
    answers = iter([["203.0.114.7"], ["127.0.0.1"], ["127.0.0.1"]])
    connected: list[str] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    fetcher = Fetcher(limits=Limits(tries=1), lookup=lambda host, port: next(answers))
    with pytest.raises(TemporaryError):
        fetcher.get(f"http://rebinding.example:{site.port}/")
    assert connected == ["203.0.114.7"]
    with pytest.raises(AddressRefusedError):
        fetcher.get(f"http://rebinding.example:{site.port}/")
    assert connected == ["203.0.114.7"]
    assert site.asked == []


def test_the_host_header_keeps_the_name(site: Site) -> None:
    fetcher = Fetcher(allow_private=True, lookup=lambda host, port: ["127.0.0.1"])
    url = site.put("/f", "x")
    assert fetcher.get(f"http://news.example:{site.port}/f").body == b"x"
    assert url != f"http://news.example:{site.port}/f"


def test_a_redirect_to_a_private_address_is_refused(site: Site) -> None:
    """The first host counts as public here, the second is what the redirect names."""
    site.put("/moved", "", 302, Location=f"http://inner.example:{site.port}/secret")
    site.put("/secret", "secret")
    asked: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    fetcher = Fetcher(limits=QUICK, lookup=lookup)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.sync.addresses.is_public", lambda address: asked[-1] == "outer.example")
        with pytest.raises(AddressRefusedError, match=r"inner\.example"):
            fetcher.get(f"http://outer.example:{site.port}/moved")
    assert asked == ["outer.example", "inner.example"]
    assert [path for path, _ in site.asked] == ["/moved"]


def test_redirects_end(site: Site) -> None:
    fetcher = Fetcher(allow_private=True, limits=QUICK)
    url = site.put("/round", "", 301, Location="/round")
    with pytest.raises(FetchError, match="more than 5 redirects"):
        fetcher.get(url)
    for scheme in ("file:///etc/passwd", "ftp://x/", "gopher://x/"):
        with pytest.raises(FetchError, match="begins with http"):
            fetcher.get(site.put("/out", "", 302, Location=scheme))
    site.put("/here", "x")
    found = fetcher.get(site.put("/moved", "", 308, Location="here"))
    assert (found.url, found.body) == (f"{site.base}/here", b"x")


def test_a_server_that_fails_is_asked_again_and_one_that_wants_peace_is_left_alone(site: Site) -> None:
    fetcher = Fetcher(allow_private=True, limits=QUICK)
    with pytest.raises(TemporaryError, match="503"):
        fetcher.get(site.put("/down", "", 503))
    assert [path for path, _ in site.asked] == ["/down"] * 3
    with pytest.raises(TemporaryError) as told:
        fetcher.get(site.put("/busy", "", 429, Retry_After="3600"))
    assert told.value.retry_after == 3600
    assert [path for path, _ in site.asked].count("/busy") == 1
    with pytest.raises(FetchError, match="404"):
        fetcher.get(f"{site.base}/absent")
    assert [path for path, _ in site.asked].count("/absent") == 1


def test_a_sender_that_drips_does_not_hold_a_sync() -> None:
    done = Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not done.wait(0.05):
                    try:
                        connection.sendall(b"X-A: b\r\n")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        started = time.monotonic()
        fetcher = Fetcher(allow_private=True, limits=Limits(seconds=0.3, tries=1))
        try:
            with pytest.raises(TemporaryError, match=r"too long|timed out"):
                fetcher.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
            assert time.monotonic() - started < 5
        finally:
            done.set()
            thread.join()


def test_addresses_are_sent_in_ascii_and_without_fragment() -> None:
    assert (
        ascii_url("https://Bücher.example/ä b?q=ü#x") == "https://xn--bcher-kva.example/%C3%A4%20b?q=%C3%BC"
    )
    assert ascii_url("http://[::1]:80/") == "http://[::1]:80/"
    for bad in ("http://", "http://a:b@c/", "http://x:99999/", "//x/y", "http://[::1/", "javascript:1"):
        with pytest.raises(FetchError):
            ascii_url(bad)
