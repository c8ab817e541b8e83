"""Ask a running service for the pages of many articles and judge them as an editor would.

    python tests/quality/pages.py --data DATA --url http://127.0.0.1:8000 [--pages 60] [--show 2]

Prints how many lists are full and distinct, and the topicality of ``related``: the share of its items in
the context article's section. Exits 1 where a list is short, an article stands twice, or topicality is
below the bar.
"""

import argparse
import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from recsys.schemas import Article
from training.readers import read_articles

LISTS = ("related", "popular", "latest", "must_reads")
TOPICALITY = 0.55


def sample(data: Path, pages: int, seed: int) -> dict[str, Article]:
    """``pages`` articles with an abstract, drawn with ``seed``."""
    articles = {article.article_id: article for article in read_articles(data) if article.abstract}
    names = sorted(articles)
    drawn = np.random.default_rng(seed).choice(len(names), size=min(pages, len(names)), replace=False)
    return {names[i]: articles[names[i]] for i in sorted(drawn)}


def page_of(url: str, article_id: str, limit: int) -> dict[str, Any]:
    """The page of one article."""
    asked = urllib.parse.urlencode({"article_id": article_id, "lists": ",".join(LISTS), "limit": limit})
    with urllib.request.urlopen(f"{url}/v1/page?{asked}", timeout=30) as answer:
        page: dict[str, Any] = json.load(answer)
        return page


def defects_of(page: dict[str, Any], article_id: str, limit: int) -> list[str]:
    """What is wrong with one page."""
    shown = [item["article_id"] for name in LISTS for item in page["lists"][name]["items"]]
    counts = {name: len(page["lists"][name]["items"]) for name in LISTS}
    found = [f"{name} has {count} of {limit}" for name, count in counts.items() if count < limit]
    if len(set(shown)) < len(shown):
        found.append("an article stands twice")
    if article_id in shown:
        found.append("the article itself is in a list")
    if "&nbsp" in json.dumps(page):
        found.append("an entity is left in a text")
    return found


def show(page: dict[str, Any], article: Article) -> None:
    """The titles of one page."""
    print(f"\n{article.article_id}: {article.title} [{article.section}]")
    for name in LISTS:
        print(f"  {name}:")
        for item in page["lists"][name]["items"]:
            print(f"    {item['position']}. {item['article']['title']} [{item['article']['section']}]")


def main() -> int:
    """Read the call, ask, judge, print."""
    call = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    call.add_argument("--data", type=Path, required=True)
    call.add_argument("--url", default="http://127.0.0.1:8000")
    call.add_argument("--pages", type=int, default=60)
    call.add_argument("--limit", type=int, default=5)
    call.add_argument("--seed", type=int, default=1)
    call.add_argument("--show", type=int, default=2, help="how many pages are printed in full")
    asked = call.parse_args()
    articles = sample(asked.data, asked.pages, asked.seed)
    bad, shares = 0, []
    for count, (name, article) in enumerate(articles.items()):
        page = page_of(asked.url, name, asked.limit)
        for defect in defects_of(page, name, asked.limit):
            print(f"{name}: {defect}")
            bad += 1
        sections = [item["article"]["section"] for item in page["lists"]["related"]["items"]]
        shares.append(
            float(np.mean([section == article.section for section in sections])) if sections else 0.0
        )
        if count < asked.show:
            show(page, article)
    topicality = float(np.mean(shares))
    print(f"\n{len(articles)} pages, {bad} defects")
    print(f"related in the article's own section: {topicality:.3f} (bar {TOPICALITY})")
    return int(bad > 0 or topicality < TOPICALITY)


if __name__ == "__main__":
    sys.exit(main())
