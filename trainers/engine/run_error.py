"""The error that commands report without a traceback."""


class RunError(Exception):
    """An error the user can fix; its message says how."""
