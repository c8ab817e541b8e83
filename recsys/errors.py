"""The errors a person may meet.

Every message gives the value, the place, what is allowed and the next step, so that the reader
never has to open the code. The command line prints the message and exits with ``exit_code``.
"""


class RecsysError(Exception):
    """Base of all errors that are meant for a person."""

    exit_code = 1


class UsageError(RecsysError):
    """The call itself was wrong: an unknown flag, a folder that is not there."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file holds an unknown key or a value out of range."""


class DataError(RecsysError):
    """Data that cannot be read or that breaks a rule of the canonical format."""


class BundleError(RecsysError):
    """A model bundle that is damaged, incomplete or of another format version."""


class StoreError(RecsysError):
    """The event and article store cannot be opened, read or written."""


class EmbedderError(RecsysError):
    """Embedding weights that are missing, damaged or not the ones the vectors came from."""


class MissingExtraError(UsageError):
    """A heavy dependency is not installed.

    Args:
        package: the import that failed.
        extra: the extra of this project that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"the package {package!r} is not installed; it belongs to the extra {extra!r}: "
            f"pip install 'content-recsys[{extra}]'"
        )
