"""Python objects that are moved between environments with different versions of NumPy and pandas.

Pickles of arrays and frames name private functions of the version that wrote them, which another version may
lack. Here they are reduced to functions of this module, with dtypes as text. The values of arrays are written
as they lie in memory, next to the pickle (its protocol 5 calls such buffers out-of-band).

A reader builds objects of a fixed list of types. A message cannot run code.

Where the writer and the reader share memory (:mod:`sparksig.models.shared_memory`), large arrays are written
there, and the reader may use them as views of it.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import io
import pickle
import struct
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.instances import to_builtins
from sparksig.errors import UnsupportedError
from sparksig.models.shared_memory import SharedMemory

_HEADER = struct.Struct("<Q?")

# --- messages -----------------------------------------------------------------------------------------------


def write_message(stream: BinaryIO, message: object, memory: SharedMemory | None = None) -> None:
    """Write an object to a stream.

    Args:
        stream: the stream.
        message: the object.
        memory: memory that the reader shares; None for none.

    Example:
        >>> stream = io.BytesIO()
        >>> write_message(stream, {"x": np.array([1, 2])})
        >>> _ = stream.seek(0)
        >>> read_message(stream)
        {'x': array([1, 2])}
    """
    pickled: list[pickle.PickleBuffer] = []
    content = io.BytesIO()
    _Writer(content, protocol=5, buffer_callback=pickled.append).dump(message)
    buffers = [buffer.raw() for buffer in pickled]
    parts = [content.getbuffer(), *buffers]
    is_shared = memory is not None and memory.write(buffers)
    stream.write(_HEADER.pack(len(parts), is_shared))
    stream.write(struct.pack(f"<{len(parts)}Q", *(part.nbytes for part in parts)))
    for part in parts[:1] if is_shared else parts:
        stream.write(part)
    stream.flush()


def read_message(stream: BinaryIO, memory: SharedMemory | None = None, *, copy: bool = True) -> Any:
    """Read an object that :func:`write_message` has written.

    Args:
        stream: the stream.
        memory: memory that the writer shares; None for none.
        copy: copy arrays from the memory; otherwise they are views of it, which the next message overwrites.
    """
    count, is_shared = _HEADER.unpack(_read_exactly(stream, _HEADER.size))
    sizes = struct.unpack(f"<{count}Q", _read_exactly(stream, 8 * count))
    content = _read_exactly(stream, sizes[0])
    if is_shared:
        assert memory is not None
        views = memory.read(sizes[1:])
        buffers = [np.frombuffer(view, np.uint8).copy().data for view in views] if copy else views
    else:
        buffers = [_read_exactly(stream, size) for size in sizes[1:]]
    return _Reader(io.BytesIO(content), buffers=buffers).load()


def _read_exactly(stream: BinaryIO, size: int) -> memoryview:
    view = np.empty(size, dtype=np.uint8).data  # not filled with zeros first
    position = 0
    while position < size:
        count = stream.readinto(view[position:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError("the stream has ended")
        position += count
    return view


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        allowed = _BUILDERS.get(name) if module == __name__ else _CLASSES.get((module, name))
        if allowed is None:
            raise UnsupportedError(f"a message contains {module}.{name}, which is not allowed in it")
        return allowed


_CLASSES: dict[tuple[str, str], Any] = {
    (value.__module__, value.__qualname__): value
    for value in (
        bytearray, complex, frozenset, range, set, slice, datetime.date, datetime.datetime, datetime.time,
        datetime.timedelta, datetime.timezone, decimal.Decimal,
    )
}  # fmt: skip
"""The classes that are pickled as usual: their pickles are the same in all versions of Python."""


# --- writing ------------------------------------------------------------------------------------------------

_Reduced = tuple[Callable[..., Any], tuple[Any, ...]]


class _Writer(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if type(value) in _KNOWN_TYPES or id(value) in _KNOWN_IDS:
            return NotImplemented
        for types, reduce in _REDUCERS:
            if isinstance(value, types):
                return reduce(value)
        plain = to_builtins(value)
        if plain is value:
            name = f"{type(value).__module__}.{type(value).__qualname__}"
            raise UnsupportedError(
                f"a value of type {name} cannot be moved to another environment. Use built-in values, "
                "arrays, frames or dataclasses"
            )
        return _build_plain, (plain,)


def _reduce_array(array: np.ndarray[Any, Any]) -> _Reduced:
    if array.dtype.kind in "VT" or isinstance(array, np.ma.MaskedArray):
        raise UnsupportedError(
            f"an array of dtype {array.dtype} ({type(array).__name__}) cannot be moved to another environment"
        )
    if array.dtype.kind == "O":
        return _build_objects, (array.ravel().tolist(), array.shape)
    is_by_column = array.flags.f_contiguous and not array.flags.c_contiguous
    flat: Any = np.asarray(array.T if is_by_column else array, order="C").reshape(-1)
    buffer = pickle.PickleBuffer(flat.view(np.uint8) if flat.size else b"")
    return _build_array, (buffer, array.dtype.str, array.shape, is_by_column)


def _reduce_time(value: Any) -> _Reduced:
    zone = getattr(value, "tz", None)
    return _build_time, (value.asm8.reshape(1), None if zone is None else str(zone))


def _reduce_index(index: pd.Index) -> _Reduced:
    if isinstance(index, pd.RangeIndex):
        return _build_range, (index.start, index.stop, index.step, index.name)
    if isinstance(index, pd.MultiIndex):
        levels = [index.get_level_values(level) for level in range(index.nlevels)]
        return _build_levels, (levels, list(index.names))
    return _build_index, (_unwrap(index), index.name)


def _reduce_frame(frame: pd.DataFrame) -> _Reduced:
    dtypes = set(frame.dtypes)
    if len(dtypes) == 1 and isinstance(dtype := dtypes.pop(), np.dtype) and dtype.kind != "O":
        return _build_block, (frame.to_numpy(), frame.columns, frame.index)
    columns = [_unwrap(frame.iloc[:, position]) for position in range(frame.shape[1])]
    return _build_frame, (columns, frame.columns, frame.index)


def _unwrap(values: pd.Series | pd.Index) -> Any:
    """Return the array of a series or an index: NumPy's where it has the dtype."""
    return values.to_numpy() if isinstance(values.dtype, np.dtype) else values.array


def _reduce_extension(array: Any) -> _Reduced:
    dtype = array.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _build_categories, (np.asarray(array.codes), dtype.categories, bool(dtype.ordered))
    if isinstance(dtype, pd.StringDtype):
        is_nullable = getattr(dtype, "na_value", pd.NA) is pd.NA
        texts: Any = np.where(array.isna(), None, array.to_numpy(dtype=object))
        return _build_texts, (texts.tolist(), dtype.storage, is_nullable)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _build_zoned, (array.tz_convert("UTC").tz_localize(None).to_numpy(), str(dtype.tz))
    if isinstance(dtype, pd.ArrowDtype):
        return _build_arrow, (pa.array(array),)
    numpy_dtype = getattr(dtype, "numpy_dtype", None)
    if numpy_dtype is None or not pd.api.types.is_extension_array_dtype(dtype):
        raise UnsupportedError(f"a column of dtype {dtype} cannot be moved to another environment")
    return _build_masked, (array.to_numpy(numpy_dtype, na_value=0), np.asarray(array.isna()), str(dtype))


def _reduce_arrow(array: Any) -> _Reduced:
    """Reduce an array, a batch or a table of Arrow to a stream of its IPC format."""
    is_array = isinstance(array, (pa.Array, pa.ChunkedArray))
    table = pa.table({"": array}) if is_array else array
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    return _build_table, (pickle.PickleBuffer(sink.getvalue()), is_array, isinstance(array, pa.RecordBatch))


def _reduce_plain(value: Any) -> _Reduced:
    """Reduce an instance of a class derived from a built-in one to a value of that one."""
    plain = to_builtins(value)
    for builtin in (dict, list, tuple, str, bytes, int, float):
        if plain is value and isinstance(value, builtin):
            plain = builtin(value)  # type: ignore[arg-type]
            break
    return _build_plain, (plain,)


_REDUCERS: tuple[tuple[Any, Callable[[Any], _Reduced]], ...] = (
    (np.ndarray, _reduce_array),
    (np.generic, lambda value: (_build_scalar, (np.asarray(value),))),
    ((type(pd.NaT), type(pd.NA)), lambda value: (_build_missing, (value is pd.NaT,))),
    ((pd.Timestamp, pd.Timedelta), _reduce_time),
    (pd.DataFrame, _reduce_frame),
    (pd.Series, lambda series: (_build_series, (_unwrap(series), series.index, series.name))),
    (pd.Index, _reduce_index),
    (pd.api.extensions.ExtensionArray, _reduce_extension),
    ((pa.Array, pa.ChunkedArray, pa.RecordBatch, pa.Table), _reduce_arrow),
    (zoneinfo.ZoneInfo, lambda zone: (_build_zone, (zone.key,))),
    ((uuid.UUID, enum.Enum), _reduce_plain),
    ((dict, list, tuple, str, bytes, int, float), _reduce_plain),
)


# --- reading ------------------------------------------------------------------------------------------------


def _build_array(buffer: Any, dtype: str, shape: tuple[int, ...], is_by_column: bool) -> np.ndarray[Any, Any]:
    array = np.frombuffer(buffer, dtype=dtype) if len(buffer) else np.empty(0, dtype=dtype)
    return array.reshape(shape[::-1]).T if is_by_column else array.reshape(shape)


def _build_objects(values: list[Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array.reshape(shape)


def _build_scalar(array: np.ndarray[Any, Any]) -> Any:
    return array[()]


def _build_time(array: np.ndarray[Any, Any], zone: str | None) -> Any:
    if array.dtype.kind == "m":
        return pd.Timedelta(array[0])
    return pd.Timestamp(array[0]) if zone is None else pd.Timestamp(array[0], tz="UTC").tz_convert(zone)


def _build_missing(is_time: bool) -> Any:
    return pd.NaT if is_time else pd.NA


def _build_range(start: int, stop: int, step: int, name: Any) -> pd.Index:
    return pd.RangeIndex(start, stop, step, name=name)


def _build_levels(levels: list[pd.Index], names: list[Any]) -> pd.Index:
    return pd.MultiIndex.from_arrays(levels, names=names)


def _build_index(values: Any, name: Any) -> pd.Index:
    index: pd.Index = pd.Index(values, dtype=values.dtype, name=name)
    return index


def _build_series(values: Any, index: pd.Index, name: Any) -> pd.Series:
    series: pd.Series = pd.Series(values, index=index, name=name, dtype=values.dtype, copy=False)
    return series


def _build_block(values: np.ndarray[Any, Any], columns: pd.Index, index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(values, columns=columns, index=index, copy=False)


def _build_frame(arrays: list[Any], columns: pd.Index, index: pd.Index) -> pd.DataFrame:
    series = {
        position: pd.Series(array, index=index, dtype=array.dtype, copy=False)
        for position, array in enumerate(arrays)
    }
    frame = pd.DataFrame(series, index=index, copy=False)
    frame.columns = columns
    return frame


def _build_categories(codes: np.ndarray[Any, Any], categories: pd.Index, ordered: bool) -> Any:
    return pd.Categorical.from_codes(codes, categories=categories, ordered=ordered)


def _build_texts(texts: list[str | None], storage: str, is_nullable: bool) -> Any:
    make_dtype: Any = pd.StringDtype
    if is_nullable:
        return pd.array(texts, dtype=make_dtype(storage))
    try:
        dtype = make_dtype(storage, na_value=np.nan)
    except TypeError:  # before pandas 2.3 such columns are objects
        return _build_objects([np.nan if text is None else text for text in texts], (len(texts),))
    return pd.array(texts, dtype=dtype)


def _build_zoned(values: np.ndarray[Any, Any], zone: str) -> Any:
    return pd.DatetimeIndex(values).tz_localize("UTC").tz_convert(zone).array


def _build_arrow(array: pa.ChunkedArray) -> Any:
    return pd.arrays.ArrowExtensionArray(array)


def _build_masked(values: np.ndarray[Any, Any], mask: np.ndarray[Any, Any], dtype: str) -> Any:
    array: Any = pd.array(values, dtype=dtype)  # type: ignore[call-overload]
    array[mask] = pd.NA
    return array


def _build_table(buffer: Any, is_array: bool, is_batch: bool) -> Any:
    table = pa.ipc.open_stream(pa.py_buffer(buffer)).read_all()
    if is_array:
        return table.column(0)
    return table.combine_chunks().to_batches()[0] if is_batch and table.num_rows else table


def _build_zone(key: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(key)


def _build_plain(value: Any) -> Any:
    return value


_BUILDERS = {name: value for name, value in list(globals().items()) if name.startswith("_build_")}

_KNOWN_TYPES = frozenset(_CLASSES.values())
_KNOWN_IDS = frozenset(map(id, [*_CLASSES.values(), *_BUILDERS.values()]))
"""The classes and functions themselves, which pickles name."""
