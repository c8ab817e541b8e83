"""Facts about the site that is served, and who may ask."""

from typing import Literal

from pydantic import IPvAnyNetwork, model_validator

from recsys.config.section import Section


class SensitivityRule(Section):
    """Sections and content types kept away from a context article with one of ``labels``."""

    labels: tuple[str, ...] = ("tragedy",)
    keep_away_sections: tuple[str, ...] = ()
    keep_away_types: tuple[str, ...] = ()


class SiteConfig(Section):
    """Facts about the site that is served."""

    name: str | None = None
    url_template: str | None = None

    @model_validator(mode="after")
    def _template_has_id(self) -> "SiteConfig":
        template = self.url_template
        if template is not None and (
            "{article_id}" not in template or not template.startswith(("http://", "https://", "/"))
        ):
            raise ValueError("site.url_template is an http(s) URL or path that holds {article_id}")
        return self


class AuthConfig(Section):
    """Keys and what they open. Keys in the environment win over keys written here."""

    public_key: str | None = None
    secret_key: str | None = None
    reads: Literal["open", "key"] = "open"
    users: Literal["token", "open"] = "token"
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
