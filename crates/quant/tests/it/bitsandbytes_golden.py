"""Writes what bitsandbytes makes of seeded weights: the lines of `bitsandbytes.golden`.

Run with PyTorch 2.6 and bitsandbytes 0.50.2, then 0.48.2, on a machine without a GPU, so that the library's default
back end answers: `python bitsandbytes_golden.py`. The weights are those of `bitsandbytes.rs` to the bit: integers from
splitmix64, turned into floats by exact operations.
"""

import hashlib
import sys

import bitsandbytes
import bitsandbytes.functional as functional
import numpy
import torch

MASK = (1 << 64) - 1


def splitmix(seed, count):
    out = []
    state = seed
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        bits = state
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
        out.append(bits ^ (bits >> 31))
    return numpy.array(out, dtype=numpy.uint64)


def from_bits(bits):
    return bits.astype(numpy.uint32).view(numpy.float32)


def weights(case, seed, count):
    bits = splitmix(seed, count)
    if case == "even":
        return ((bits >> 40).astype(numpy.float64) / 2**24 - 0.5).astype(numpy.float32)
    if case == "bell":
        parts = sum(((bits >> numpy.uint64(16 * part)) & 0xFFFF).astype(numpy.int64) for part in range(4))
        return ((parts - 131070).astype(numpy.float64) / 2**20).astype(numpy.float32)
    if case == "wide":
        return from_bits((bits & 0x83FFFFFF) | 0x38000000)
    if case == "small":
        return from_bits((bits & 0x807FFFFF) | 0x00800000)
    if case == "coarse":
        return ((bits % 33).astype(numpy.int64) - 16).astype(numpy.float32) / 16
    if case == "zeros":
        return numpy.zeros(count, dtype=numpy.float32)
    if case == "middles":
        # Every second block's magnitude is one; its weights stand on the middles and beside them.
        levels = sorted(functional.get_4bit_type("nf4", device="cpu").tolist())
        levels += sorted(functional.get_4bit_type("fp4", device="cpu").tolist())
        levels = numpy.array(levels, dtype=numpy.float32)
        middles = (levels[:-1] + levels[1:]) / numpy.float32(2)
        chosen = middles[(bits % 31).astype(numpy.int64)]
        apart = ((bits >> 32) % 3).astype(numpy.int64) - 1
        moved = numpy.where(apart == 1, numpy.nextafter(chosen, numpy.float32(2)), chosen)
        moved = numpy.where(apart == -1, numpy.nextafter(chosen, numpy.float32(-2)), moved)
        moved[::32] = 1.0
        return moved.astype(numpy.float32)
    raise ValueError(case)


def digest(array):
    return hashlib.sha256(numpy.ascontiguousarray(array).tobytes()).hexdigest()[:32]


def main():
    version = bitsandbytes.__version__
    cases = ["even", "bell", "wide", "small", "coarse", "zeros", "middles"]
    for case in cases:
        for kind in ("nf4", "fp4"):
            for block, count in ((64, 4096), (128, 4096), (4096, 8192), (64, 1000)):
                values = weights(case, 41, count)
                packed, state = functional.quantize_4bit(
                    torch.from_numpy(values), blocksize=block, quant_type=kind
                )
                # The library's zeros have either sign; here they are positive.
                back = functional.dequantize_4bit(packed, state) + 0.0
                print(
                    version, "4bit", kind, case, block, count,
                    digest(packed.numpy()), digest(state.absmax.numpy()), digest(back.numpy()),
                )
    if version.startswith("0.50"):
        for case in cases:
            for columns, threshold in ((64, 0.0), (256, 0.0), (64, 0.25), (4096, 0.25)):
                values = weights(case, 43, 4096)
                integers, absmax, outliers = functional.int8_vectorwise_quant(
                    torch.from_numpy(values.reshape(-1, columns).copy()), threshold=threshold
                )
                back = functional.int8_vectorwise_dequant(integers, absmax)
                columns_out = numpy.array([] if outliers is None else outliers.numpy(), dtype=numpy.int64)
                print(
                    version, "int8", "rows", case, columns, threshold,
                    digest(integers.numpy()), digest(absmax.numpy()), digest(back.numpy()), digest(columns_out),
                )
        levels = functional.create_dynamic_map()
        print(version, "map", digest(levels.numpy()))
        for case in cases:
            codes = torch.from_numpy((numpy.arange(1000) % 256).astype(numpy.uint8))
            absmax = torch.from_numpy(weights(case, 47, 4))
            back = functional.dequantize_blockwise(codes, absmax=absmax, code=levels.clone(), blocksize=256) + 0.0
            print(version, "8bit", case, digest(back.numpy()))


if __name__ == "__main__":
    sys.exit(main())
