"""A feed or a sitemap kept in step with the catalogue of a running service."""
