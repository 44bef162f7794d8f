"""Refuses small files that would fill the memory, before anything is allocated for them."""

MAX_BYTES = 2**30
MAX_EXPANSION = 100


def check_expansion(size: int, stored: int, where: str, advice: str) -> None:
    """Raises if the content of a file is more than 1 GiB and more than 100 times its size.

    Args:
        size: What the content takes in memory, in bytes, according to the file's header.
        stored: The size of the file in bytes.
        where: The file, for the message.
        advice: What to do if the content is right.

    Raises:
        ValueError: If it does.

    Example:

    >>> check_expansion(2**34, 5_000, "a.npz", "Delete it.")
    Traceback (most recent call last):
        ...
    ValueError: a.npz: its content takes 16.0 GiB of memory, ...
    """
    if size > MAX_BYTES and size > MAX_EXPANSION * stored:
        raise ValueError(
            f"{where}: its content takes {size / 2**30:.1f} GiB of memory, more than "
            f"{MAX_EXPANSION} times the {stored} bytes of the file. {advice}"
        )
