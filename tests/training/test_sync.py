"""``recsys sync`` on a real site: what comes, changes and goes, and what is refused."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recsys.schemas import Article
from recsys.store import open_store
from tests.builders import NOW
from tests.training.command import Answer, recsys
from tests.training.site import Site, index, item, news, rss, urlset

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def site() -> Iterator[Site]:
    running = Site()
    yield running
    running.close()


class Runner:
    """``recsys sync`` into one store."""

    def __init__(self, capsys: Capture, path: Path) -> None:
        self._capsys, self.path, self.url = capsys, path, f"sqlite:///{path}"

    def call(self, kind: str, place: str, *more: object) -> Answer:
        return recsys(self._capsys, "sync", kind, place, "--store", self.url, "--json", *more)

    def round(self, kind: str, place: str, *more: object) -> dict[str, Any]:
        answer = self.call(kind, place, "--allow-private", *more)
        assert answer.out, answer.err
        told: dict[str, Any] = json.loads(answer.out)
        return {"code": answer.code, **told}

    def articles(self) -> dict[str, Article]:
        store = open_store(self.url)
        try:
            changes = store.articles_after(0)
            return {name: article for _, name, article in changes if article is not None}
        finally:
            store.close()

    def delete(self, name: str) -> None:
        store = open_store(self.url)
        assert store.delete_article(name, NOW)
        store.close()


@pytest.fixture
def sync(capsys: Capture, tmp_path: Path) -> Runner:
    return Runner(capsys, tmp_path / "s.db")


def counts(told: dict[str, Any]) -> tuple[int, int, int, int]:
    return told["new"], told["changed"], told["removed"], told["unchanged"]


def test_an_entry_becomes_a_whole_article(site: Site, sync: Runner) -> None:
    more = (
        "<description>&lt;p&gt;Short &amp;amp; good&lt;/p&gt;</description><author>ann@x.org (Ann)</author>"
        "<content:encoded><![CDATA[<p>Long <b>text</b></p>]]></content:encoded>"
        '<category domain="d">Sport</category><category domain="s">Rowing</category>'
        '<media:content url="/p.jpg" medium="image"/>'
    )
    sync.round("feed", site.put("/f", rss(item("n1", "A &amp;amp; B", more))), "--section", "scheme:s")
    found = sync.articles()["n1"]
    assert (found.title, found.abstract, found.body) == ("A & B", "Short & good", "Long text")
    assert (found.url, found.image_url) == (f"{site.base}/n1", "https://example.org/p.jpg")
    assert (found.section, found.tags, found.authors) == ("Rowing", ["Sport", "Rowing"], ["Ann"])
    assert found.language == "en"
    assert str(found.published_at) == "2026-03-01 10:00:00+00:00"


def test_nothing_is_sent_twice_and_only_what_changed_is_written(site: Site, sync: Runner) -> None:
    url = site.put("/f", rss(item("n1"), item("n2")))
    assert counts(sync.round("feed", url)) == (2, 0, 0, 0)
    again = sync.round("feed", url)
    assert site.asked[-1] == ("/f", 304)
    assert again["unchanged_documents"] == 1
    assert counts(again) == (0, 0, 0, 0)
    site.put("/f", rss(item("n1"), item("n2", "Another title"), item("n3")))
    assert counts(sync.round("feed", url)) == (1, 1, 0, 1)
    assert sync.articles()["n2"].title == "Another title"
    store = open_store(sync.url)
    assert [name for _, name, _ in store.articles_after(2)] == ["n2", "n3"]
    store.close()


def test_leaving_a_feed_is_no_removal_but_a_tombstone_is(site: Site, sync: Runner) -> None:
    entry = "<entry><id>tag:x,1:{0}</id><title>T {0}</title><updated>2026-03-01T1{0}:00:00Z</updated></entry>"
    head = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0">'
    url = site.put("/a", head + "".join(entry.format(i) for i in range(4)) + "</feed>")
    sync.round("feed", url)
    assert len(sync.articles()) == 4
    site.put("/a", head + entry.format(3) + '<at:deleted-entry ref="tag:x,1:1"/></feed>')
    assert counts(sync.round("feed", url)) == (0, 0, 1, 1)
    assert set(sync.articles()) == {"tag:x,1:0", "tag:x,1:2", "tag:x,1:3"}


def test_an_edit_does_not_make_an_undated_atom_entry_new(site: Site, sync: Runner) -> None:
    feed = (
        '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>tag:n1</id><title>{}</title>'
        "<updated>{}</updated></entry></feed>"
    )
    url = site.put("/a", feed.format("One", "2026-03-01T10:00:00Z"))
    sync.round("feed", url)
    site.put("/a", feed.format("Two", "2026-03-02T10:00:00Z"))
    sync.round("feed", url)
    found = sync.articles()["tag:n1"]
    days = [found.published_at.day, found.updated_at.day]  # type: ignore[union-attr]
    assert (found.title, days) == ("Two", [1, 2])


def test_a_page_that_is_gone_twice_is_removed(site: Site, sync: Runner) -> None:
    for name in ("n1", "n2", "n3"):
        site.put(f"/{name}", "page")
    url = site.put("/f", rss(item("n1"), item("n2"), item("n3")))
    sync.round("feed", url)
    site.put("/f", rss(item("n3")))
    del site.answers["/n1"]
    assert sync.round("feed", url, "--check-gone")["removed"] == 0
    assert sync.round("feed", url, "--check-gone")["removed"] == 1
    assert set(sync.articles()) == {"n2", "n3"}


def test_a_bad_entry_is_refused_with_place_and_rule_and_stops_nothing(site: Site, sync: Runner) -> None:
    bad_time = item("n2").replace("Sun, 01 Mar 2026 10:00:00 GMT", "yesterday")
    script = item("n3").replace("<link>/n3", "<link>javascript:alert(1)")
    told = sync.round("feed", site.put("/f", rss(item("n1", " "), bad_time, script, item("n4"))))
    assert set(sync.articles()) == {"n4"}
    rules = sorted(text.removeprefix(f"{site.base}/f, ") for text in told["refused"])
    for rule, start in zip(
        rules, ("entry 1: title: ", "entry 2: published: ", "entry 3: 'java"), strict=True
    ):
        assert rule.startswith(start)
    assert told["code"] == 0


def test_what_the_site_does_not_say_stays_as_editors_set_it(site: Site, sync: Runner) -> None:
    url = site.put("/f", rss(item("n1")))
    sync.round("feed", url)
    store = open_store(sync.url)
    edited = sync.articles()["n1"].model_copy(update={"is_hidden": True, "section": "Desk"})
    store.put_articles([edited], NOW)
    store.close()
    site.put("/f", rss(item("n1", "New title")))
    sync.round("feed", url)
    found = sync.articles()["n1"]
    assert (found.title, found.is_hidden, found.section) == ("New title", True, "Desk")


def test_what_was_deleted_in_the_catalogue_stays_deleted(site: Site, sync: Runner) -> None:
    url = site.put("/f", rss(item("n1"), item("n2")))
    sync.round("feed", url)
    sync.delete("n2")
    site.put("/f", rss(item("n1"), item("n2", "Again")))
    assert sync.round("feed", url)["kept_deleted"] == 1
    assert set(sync.articles()) == {"n1"}


def test_an_article_that_is_known_by_its_url_keeps_its_id(site: Site, sync: Runner) -> None:
    store = open_store(sync.url)
    store.put_articles([Article(article_id="cms-7", title="Old", url=f"{site.base}/n1?utm_source=x")], NOW)
    store.close()
    assert counts(sync.round("feed", site.put("/f", rss(item("n1"))))) == (0, 1, 0, 0)
    assert {name: article.title for name, article in sync.articles().items()} == {"cms-7": "Title of n1"}


def test_a_long_guid_gets_the_same_short_id_each_time(site: Site, sync: Runner) -> None:
    url = site.put("/f", rss(item("x" * 300), item("two words")))
    assert counts(sync.round("feed", url)) == (2, 0, 0, 0)
    site.put("/f", rss(item("x" * 300), item("two words"), item("n3")))
    assert counts(sync.round("feed", url)) == (1, 0, 0, 2)


def test_a_store_that_was_emptied_is_filled_again(site: Site, sync: Runner) -> None:
    url = site.put("/f", rss(item("n1"), item("n2")))
    sync.round("feed", url)
    for path in sync.path.parent.glob("s.db*"):
        if path.is_file():
            path.unlink()
    assert counts(sync.round("feed", url)) == (2, 0, 0, 0)


def test_a_sitemap_with_nested_zipped_maps_that_name_each_other(site: Site, sync: Runner) -> None:
    site.put("/a.xml.gz", gzip.compress(urlset(news("a1"), news("a2")).encode()))
    site.put("/b.xml", urlset(news("b1")))
    site.put("/deep.xml", index(f"{site.base}/index.xml", f"{site.base}/b.xml", f"{site.base}/deep.xml"))
    url = site.put("/index.xml", index(f"{site.base}/a.xml.gz", f"{site.base}/deep.xml"))
    told = sync.round("sitemap", url)
    assert (told["new"], told["documents"], told["problems"]) == (3, 4, [])
    assert sync.articles()["https://example.org/a1"].title == "Title of a1"
    assert sync.round("sitemap", url)["unchanged_documents"] == 4


def test_who_leaves_a_sitemap_is_removed_and_comes_back_with_it(site: Site, sync: Runner) -> None:
    def write(*names: str) -> str:
        return site.put("/s.xml", urlset(*(news(name, hour=i) for i, name in enumerate(names, 1))))

    url = write("a", "b", "c", "d")
    sync.round("sitemap", url)
    write("a", "c", "d")
    assert counts(sync.round("sitemap", url)) == (0, 2, 1, 1)
    assert len(sync.articles()) == 3
    write("a", "b", "c", "d")
    assert sync.round("sitemap", url)["new"] == 1


def test_who_grows_too_old_for_a_news_sitemap_stays(site: Site, sync: Runner) -> None:
    every = [news(f"n{i}", hour=i) for i in range(6)]
    url = site.put("/s.xml", urlset(*every))
    sync.round("sitemap", url)
    # n0 and n1 aged out, n3 was taken back
    site.put("/s.xml", urlset(every[2], every[4], every[5]))
    assert sync.round("sitemap", url)["removed"] == 1
    assert {name[-1] for name in sync.articles()} == {"0", "1", "2", "4", "5"}


@pytest.mark.parametrize("left", [0, 5])
def test_a_sitemap_that_is_suddenly_empty_removes_nothing(left: int, site: Site, sync: Runner) -> None:
    every = [news(str(i)) for i in range(40)]
    url = site.put("/s.xml", urlset(*every))
    sync.round("sitemap", url)
    site.put("/s.xml", urlset(*every[:left]))
    told = sync.round("sitemap", url)
    assert told["removed"] == 0
    assert len(sync.articles()) == 40
    if left:
        assert (told["held_back"], told["code"]) == (35, 1)
        assert sync.round("sitemap", url, "--max-removals", 35)["removed"] == 35


def test_a_nested_map_that_fails_removes_nothing(site: Site, sync: Runner) -> None:
    site.put("/a.xml", urlset(news("a1"), news("a2"), news("a3")))
    site.put("/b.xml", urlset(news("b1"), news("b2")))
    url = site.put("/i.xml", index(f"{site.base}/a.xml", f"{site.base}/b.xml"))
    sync.round("sitemap", url)
    site.put("/b.xml", "gone", 404)
    site.put("/a.xml", urlset(news("a1"), news("a2")))
    told = sync.round("sitemap", url)
    assert (told["code"], told["removed"]) == (1, 0)
    assert "/b.xml: the server answered 404" in told["problems"][0]
    site.put("/b.xml", urlset(news("b1"), news("b2")))
    assert sync.round("sitemap", url)["removed"] == 1


def test_a_file_is_read_when_it_is_named_and_only_then(site: Site, sync: Runner, tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text(rss(item("n1")))
    assert sync.round("feed", str(tmp_path / "feed.xml"))["new"] == 1
    assert sync.articles()["n1"].url == "https://example.org/n1"
    (tmp_path / "secret.xml").write_text(urlset(news("s")))
    secret = (tmp_path / "secret.xml").as_uri()
    assert sync.round("sitemap", secret)["new"] == 1
    nested = sync.round("sitemap", site.put("/i.xml", index(secret)))
    assert "not a URL that begins with http" in nested["problems"][0]
    moved = site.put("/moved", "", 302, Location=secret)
    assert sync.call("sitemap", moved, "--allow-private").code == 1


@pytest.mark.parametrize(
    ("kind", "place", "more", "code", "words"),
    [
        ("feed", "ftp://example.org/f", (), 2, "http"),
        ("feed", "/no/such/file.xml", (), 2, "cannot read the file"),
        ("feed", "http://a:b@127.0.0.1/", (), 1, "user name"),
        ("feed", "{base}/nothing", ("--allow-private",), 1, "404"),
        ("feed", "{base}/html", ("--allow-private",), 1, "neither RSS nor Atom"),
        ("sitemap", "{base}/html", ("--allow-private",), 1, "not a sitemap"),
        ("feed", "{base}/html", ("--every", "soon"), 2, "60s, 5m or 1h"),
        ("feed", "{base}/html", ("--section", "second"), 2, "first, path, none"),
    ],
)
def test_mistakes_are_told(
    kind: str, place: str, more: tuple[str, ...], code: int, words: str, site: Site, sync: Runner
) -> None:
    site.put("/html", "<!DOCTYPE html><html><body>Hello</body></html>")
    answer = sync.call(kind, place.format(base=site.base), *more)
    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err


def page(title: str, kind: str = "article") -> str:
    return (
        f'<!DOCTYPE html><html lang="en-GB"><head><title>{title} - Site</title><meta property="og:type" '
        f'content="{kind}"><meta property="og:title" content="{title} &amp;amp; more">'
        '<meta property="article:section" content="Local"><meta property="article:tag" content="bridge">'
        '<meta property="og:image" content="/p.jpg"><meta name="description" content="In short.">'
        '<script type="application/ld+json">{"@graph": [{"@type": "NewsArticle", "author": {"name": "Ann"},'
        ' "datePublished": "2026-03-01T08:00:00Z"}]}</script></head><body>…</body></html>'
        if kind == "article"
        else "<html><head><title>Front page</title></head></html>"
    )


def test_a_sitemap_without_titles_is_read_from_its_pages_some_a_round(site: Site, sync: Runner) -> None:
    def plain(*changed: str) -> str:
        days = {
            name: "2026-03-02" if name in changed else "2026-03-01"
            for name in ("p1", "p2", "p3", "front", "no")
        }
        return urlset(
            *(f"<url><loc>{site.base}/{n}</loc><lastmod>{d}</lastmod></url>" for n, d in days.items())
        )

    for name in ("p1", "p2", "p3"):
        site.put(f"/{name}", page(name))
    site.put("/front", page("", "website"))
    url = site.put("/s.xml", plain())
    first = sync.round("sitemap", url, "--pages", 2, "--section", "first")
    assert (first["new"], first["waiting"], first["refused"]) == (2, 3, [])
    second = sync.round("sitemap", url, "--pages", 3, "--section", "first")
    assert (second["new"], second["waiting"]) == (1, 0)
    assert ["does not say that it is an article" in second["refused"][0], "404" in second["refused"][1]] == [
        True,
        True,
    ]
    found = sync.articles()[f"{site.base}/p1"]
    assert (found.title, found.abstract, found.section) == ("p1 & more", "In short.", "Local")
    assert (found.authors, found.tags, found.language) == (["Ann"], ["bridge"], "en")
    assert (found.image_url, str(found.published_at)[:13]) == (f"{site.base}/p.jpg", "2026-03-01 08")
    pages = len(site.asked)
    assert sync.round("sitemap", url, "--section", "first")["unchanged_documents"] == 1
    assert len(site.asked) == pages + 1
    site.put("/p2", page("Other"))
    site.put("/s.xml", plain("p2"))
    assert counts(sync.round("sitemap", url, "--section", "first"))[:3] == (0, 1, 0)
    assert sync.articles()[f"{site.base}/p2"].title == "Other & more"
    # a page that is no article is not read again while the sitemap says nothing new of it
    assert [path for path, _ in site.asked].count("/front") == 1
