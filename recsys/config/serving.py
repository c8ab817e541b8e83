"""Settings of the running service."""

from typing import Annotated

from pydantic import Field

from recsys.config.section import Section, Share


class ServingConfig(Section):
    """What a service writes down beside its store."""

    log_features_share: Share = 0.01
    feature_log_mb: Annotated[int, Field(ge=1)] = 500
