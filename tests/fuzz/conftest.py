"""Mutated files for every loader of files that others wrote.

`make test` gives each loader a few hundred inputs; `make soak` sets KERAS_HAS_SOAK=1, which gives
it as many as its `soak` says, and a value below 1 gives it that fraction. Inputs depend only on the
name of the loader and their number, so every fault can be repeated.
"""

import copy
import faulthandler
import io
import json
import os
import random
import re
import resource
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_has.data import Dataset

# Inputs in `make soak`.
PARSER, MODEL = 100_000, 5_000
_MOST_MEMORY = 2**31
_MOST_ADDRESSES = 8 * 2**30
_MOST_SECONDS = 60.0
_MOST_FAULTS = 8

_NUMBERS = [0, 1, -1, 2, 7, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31]
_NUMBERS += [2**32 - 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**31), -(2**63)]
_LITERALS = [b"NaN", b"nan", b"inf", b"-Infinity", b"1e999", b"1e308", b"-1e308", b"1e-320", b"0.5"]
_LITERALS += [b"9" * 400, b"0x10", b"1_000", b"-0", b"+1", b"1.", b".5", b"", b" ", b"\xd9\xa1"]
_LITERALS += [str(number).encode() for number in _NUMBERS]
_TEXTS = [b"\0", b"\n", b"\r\n", b"\r", b"\t", b",", b'"', b"'", b"/", b"../", b"\\", b"\xff\xfe"]
_TEXTS += [b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc3", "é".encode(), b"%s", b"{}", b"[", b"]", b"{"]
_TEXTS += [b"<", b">", b"&amp;", b"&#0;", b"<!--", b"<![CDATA[", b"a" * 5000, b"[" * 2000, b"\x1a"]
_VALUES = [None, True, False, "", "a", "0", "\0", "\ud800", "é", "../a", "a" * 3000, 0.5, -0.0]
_VALUES += [1e308, -1e308, 1e-320, [], {}, [[]], [{}], {"a": 1}, [1, 2, 3], [0.5, None], ["a"]]
_VALUES += [number for number in _NUMBERS if number < 2**64]


def mutate_bytes(content, rng):
    """Returns bytes with one to four random changes."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        at = rng.randrange(len(content) + 1)
        length = rng.choice((1, 1, 2, 4, 8, 16, rng.randrange(1, len(content) + 2)))
        kind = rng.randrange(9)
        if kind == 0:
            del content[at:]
        elif kind == 1:
            del content[at : at + length]
        elif kind == 2:
            content[at:at] = content[at : at + length]
        elif kind == 3 and at < len(content):
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 4:
            content[at : at + min(length, 16)] = rng.randbytes(min(length, 16))
        elif kind == 5:
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice(_NUMBERS) % 2 ** (8 * size)
            content[at : at + size] = number.to_bytes(size, rng.choice(("little", "big")))
        elif kind == 6:
            other = rng.randrange(len(content) + 1)
            content[at : at + length] = content[other : other + length]
        elif kind == 7:
            content[at:at] = rng.choice(_TEXTS)
        else:
            content[at : at + length] = bytes(min(length, len(content) - at))
    return bytes(content)


def mutate_text(content, rng):
    """Returns a text with changed numbers, words, fields or lines, or with changed bytes."""
    kind = rng.randrange(6)
    if kind < 2 or not content:
        return mutate_bytes(content, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if kind == 2:
            found = list(re.finditer(rb"[-+]?\d+(\.\d+)?", content))
            new = rng.choice(_LITERALS)
        elif kind == 3:
            found = list(re.finditer(rb"[^\s,<>\"/:]+", content))
            new = rng.choice((*_TEXTS, *_LITERALS))
        elif kind == 4:
            found = list(re.finditer(rb"[\s,]", content))
            new = rng.choice((b"", b",", b" ", b"\n", b",,", b"\t", b"\n\n"))
        else:
            lines = content.splitlines(keepends=True) or [b""]
            at = rng.randrange(len(lines))
            line = rng.choice((b"", lines[at] * 2, rng.choice(lines)))
            content = b"".join([*lines[:at], line, *lines[at + 1 :]])
            continue
        if found:
            start, end = rng.choice(found).span()
            content = content[:start] + new + content[end:]
    return content


def mutate_json(content, rng):
    """Returns JSON with changed values or keys, or a changed text."""
    if rng.random() < 0.3:
        return mutate_text(content, rng)
    value = json.loads(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            return mutate_text(content, rng)
        container, key = rng.choice(places)
        kind = rng.randrange(8)
        if kind == 0:
            del container[key]
        elif kind == 1:
            container[key] = copy.deepcopy(rng.choice(places)[0])
        elif kind == 2 and isinstance(container, dict):
            container[rng.choice(("", "a", "\0", "\ud800", key + "x"))] = container.pop(key)
        elif kind == 3 and isinstance(container, list):
            container.insert(key, copy.deepcopy(container[key]))
        elif kind == 4 and isinstance(container[key], int | float):
            container[key] = rng.choice((-1, 1, 2, 0.5, 1e3)) * container[key]
        else:
            container[key] = copy.deepcopy(rng.choice(_VALUES))
    return json.dumps(value).encode()


def _places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def mutate_zip(content, rng):
    """Returns a ZIP archive one of whose members is changed, or with changed bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(content, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w") as changed:
        names = archive.namelist()
        chosen = rng.choice(names)
        for name in names:
            member = archive.read(name)
            if name == chosen:
                if rng.random() < 0.1:
                    continue
                # Most of a .npy file that matters is its header.
                if name.endswith(".npy") and rng.random() < 0.7:
                    end = member.index(b"\n") + 1
                    member = mutate_text(member[:end], rng) + member[end:]
                else:
                    member = mutate_bytes(member, rng)
            changed.writestr(name, member, compress_type=zipfile.ZIP_DEFLATED)
    return out.getvalue()


def mutate_archive(content, rng):
    """Returns a .keras file whose weights are changed, or with changed bytes.

    Its configuration is left as it is: a changed one may ask for any amount of memory.
    """
    if rng.random() < 0.7:
        return mutate_bytes(content, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w") as changed:
        for name in archive.namelist():
            member = archive.read(name)
            changed.writestr(name, mutate_bytes(member, rng) if name.endswith(".h5") else member)
    return out.getvalue()


def mutate_npz(content, rng):
    """Returns a .npz file one of whose arrays has other values, another shape or another type."""
    if rng.random() < 0.3:
        return mutate_zip(content, rng)
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    kind = rng.randrange(8)
    if kind == 0:
        del arrays[name]
    elif kind == 1:
        types = ("?", "u1", "i8", "u8", "f4", "f8", "c16", "S3", "U2", "M8[s]", "f8,i4")
        arrays[name] = np.zeros(array.shape, rng.choice(types))
    elif kind == 2:
        arrays[name] = array.reshape(rng.choice(((-1,), (1, *array.shape), (*array.shape, 1))))
    elif kind == 3:
        arrays[name] = array.reshape(-1)[: rng.randrange(array.size + 1)]
    elif kind == 4:
        arrays[name] = np.concatenate([array.reshape(-1)] * 2)
    elif array.dtype.kind in "iuf" and array.size:
        array = array.copy()
        value = rng.choice((*_NUMBERS, 0.5))
        if array.dtype.kind != "f":
            limits = np.iinfo(array.dtype)
            value = int(min(max(value, limits.min), limits.max))
        elif rng.random() < 0.3:
            value = float(rng.choice(("nan", "inf", "-inf", "1e308")))
        with np.errstate(over="ignore"):
            array.reshape(-1)[rng.randrange(array.size)] = value
        arrays[name] = array
    elif array.dtype.kind == "S" and array.size:
        values = array.reshape(-1).tolist()
        at = rng.randrange(len(values))
        values[at] = mutate_bytes(values[at], rng)
        arrays[name] = np.array(values, np.bytes_)
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def mutate_records(content, rng):
    """Returns a TFRecord file one of whose records is changed, with correct checksums, or bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(content, rng)
    records, at = [], 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 8], "little")
        records.append(content[at + 12 : at + 12 + length])
        at += length + 16
    number = rng.randrange(len(records))
    records[number] = mutate_bytes(records[number], rng)
    if rng.random() < 0.1:
        records.insert(number, rng.choice(records))
    with tempfile.NamedTemporaryFile() as file:
        with tf.io.TFRecordWriter(file.name) as writer:
            for record in records:
                writer.write(record)
        return file.read()


_MUTATIONS = {
    ".json": mutate_json,
    ".npz": mutate_npz,
    ".keras": mutate_archive,
    ".tfrecord": mutate_records,
    **dict.fromkeys((".txt", ".csv", ".xml", ""), mutate_text),
}


@pytest.fixture
def limited_memory():
    """Lets large allocations fail instead of filling the memory of the machine."""
    pages = Path("/proc/self/statm")
    if not pages.exists():
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(pages.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _MOST_ADDRESSES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def fuzz(tmp_path, limited_memory):
    """Returns a function that gives a loader mutated files and fails if it raises other errors.

    Its arguments: `name`, which determines the inputs; `build`, which writes sound files into a
    folder; `pattern` or several, which of these files are mutated; `load`, which reads the folder;
    `inputs`, how many in `make test`; `soak`, how many in `make soak`; and `errors`, the documented
    ones, whose text has to contain the folder. It returns how many inputs were accepted, refused
    and left unchanged.
    """
    folder = tmp_path / "sound"
    folder.mkdir()

    def run(name, build, patterns, load, inputs, soak=PARSER, errors=(ValueError, OSError)):
        build(folder)
        patterns = [patterns] if isinstance(patterns, str) else patterns
        matching = {file for pattern in patterns for file in folder.glob(pattern)}
        files = sorted(file for file in matching if file.is_file())
        assert files, patterns
        sound = {file: file.read_bytes() for file in files}
        load(folder)  # The sound files are accepted.
        fraction = float(os.environ.get("KERAS_HAS_SOAK", "0"))
        count = round(soak * fraction) if fraction else inputs
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcomes, faults, slowest = Counter(), {}, 0.0
        for number in range(count):
            rng = random.Random(f"{name}/{number}")
            file = rng.choice(files)
            content = _MUTATIONS.get(file.suffix, mutate_bytes)(sound[file], rng)
            if content == sound[file]:
                outcomes["unchanged"] += 1
                continue
            file.write_bytes(content)
            start = time.perf_counter()
            faulthandler.dump_traceback_later(4 * _MOST_SECONDS, exit=True)
            try:
                _check(load(folder))
                outcomes["accepted"] += 1
            except Exception as error:
                fault = _fault(error, errors, folder)
                if fault:
                    faults.setdefault(fault, []).append((number, file, content, str(error)[:150]))
                outcomes["faulty" if fault else "refused"] += 1
            faulthandler.cancel_dump_traceback_later()
            slowest = max(slowest, time.perf_counter() - start)
            file.write_bytes(sound[file])
        load(folder)  # What one input did has no effect on the next one.
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * 1024
        print(
            f"{name}: {count} inputs, {outcomes['accepted']} accepted, {outcomes['refused']} "
            f"refused, slowest {slowest:.2f} s, memory grew by {grown / 2**20:.0f} MiB"
        )
        kept = tmp_path / "faults"
        lines = []
        for fault, cases in list(faults.items())[:_MOST_FAULTS]:
            number, file, content, text = min(cases, key=lambda case: len(case[2]))
            kept.mkdir(exist_ok=True)
            copy_of_input = kept / f"{number}{file.suffix}"
            copy_of_input.write_bytes(content)
            place = file.relative_to(folder)
            lines.append(f"{len(cases)} x {fault}: {text!a}\n    as {place}: {copy_of_input}")
        assert not faults, f"{len(faults)} faults of {name}:\n" + "\n".join(lines)
        assert slowest < _MOST_SECONDS
        assert grown < _MOST_MEMORY
        return outcomes

    return run


def _check(result):
    """Raises if a dataset that was read contains what none may contain."""
    if isinstance(result, list | tuple):
        for item in result:
            _check(item)
    if not isinstance(result, Dataset):
        return
    classes = len(result.class_names)
    assert all(isinstance(name, str) and name for name in result.class_names)
    assert len(set(result.ids.tolist())) == len(result.ids)
    labels = [result["label"]] if "label" in result else []
    if "boxes" in result:
        corners = np.concatenate([np.zeros((0, 4)), *result["boxes"]])
        assert np.isfinite(corners).all()
        assert (corners[:, :2] < corners[:, 2:]).all()
    if "segments" in result:
        labels = list(result["segment_labels"])
        ends = np.concatenate([np.zeros((0, 2)), *result["segments"]])
        assert np.isfinite(ends).all()
        assert (ends[:, 0] < ends[:, 1]).all()
    for values in labels:
        assert ((values >= 0) & (values < classes)).all()


def _fault(error, errors, folder):
    """Returns a description of an error that is not documented, or none."""
    if isinstance(error, errors) and str(folder) in str(error):
        return None
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if re.search("/(keras_has|trainers)/", frame.filename)]
    at = f"{own[-1].filename.rpartition('/')[2]}:{own[-1].lineno}" if own else "?"
    return f"{type(error).__name__} at {at}"
