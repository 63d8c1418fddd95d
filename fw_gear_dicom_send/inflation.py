"""Inflation and CRC-32 by isal, which takes half the time of zlib; by zlib if isal is missing.

`InflateError` means that a stream is damaged. isal accepts some damage that zlib rejects, so only
data with a checksum is inflated by it.
"""

try:
    from isal import isal_zlib as codec
except ImportError:
    import zlib as codec  # type: ignore[no-redef]

crc32 = codec.crc32
decompressobj = codec.decompressobj
# The stubs of isal declare an instance.
InflateError: type[Exception] = codec.error  # type: ignore[assignment]
