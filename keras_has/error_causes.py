"""What went wrong, in one line, from the errors of NumPy, HDF5, Pillow and TensorFlow."""

import re

# Lines in which TensorFlow describes its graph instead of the error.
_FRAME = re.compile(
    r"Graph execution error|Detected at|Node:|function_node|File |<stack traces unavailable>"
    r"|.*\(most recent call last\)"
)
# Names of operations before, within and after TensorFlow's messages.
_OPERATION = re.compile(
    r"\{\{.*?\}\}\s*|\s*\[Op:.*|\s*\[\[.*"
    r"|Error in user-defined function passed to .*? iterator: \S+: "
)

# Pillow names what it read from.
_BUFFER = re.compile(r"<_io\.BytesIO object at 0x[0-9a-f]+>")


def cause_of(error: BaseException) -> str:
    r"""Returns the first line of an error that says what went wrong, or its kind if it has no text.

    Example:

    >>> cause_of(ValueError("one\ntwo")), cause_of(EOFError())
    ('one', 'EOFError')
    >>> cause_of(ValueError("Graph execution error:\n\nNode: 'a'\nInvalid PNG. [Op:f]"))
    'Invalid PNG.'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if not _FRAME.match(line)] or lines
    cleaned = (_BUFFER.sub("its content", _OPERATION.sub("", line)).strip() for line in causes)
    return next((line for line in cleaned if line), type(error).__name__)
