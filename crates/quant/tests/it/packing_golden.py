"""Writes what AutoGPTQ and AutoAWQ pack of seeded integers, and what they unpack it to: the lines of `packing.golden`.

Run with PyTorch 2.6 and the files `qlinear_cuda.py` of auto-gptq 0.7.1, `gemm.py` and `packing_utils.py` of autoawq
0.2.7.post3 on the path: `python packing_golden.py FOLDER`. Each layer is a line: format, bits, inputs, outputs, group
size, whether groups are in activation order, and its tensors as hexadecimal words, the SHA-256 of the weight (single
precision, outputs by inputs) last.
"""

import hashlib
import importlib.util
import sys
import types

import numpy
import torch


def module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def stub(name, **contents):
    sys.modules[name] = types.ModuleType(name)
    for key, value in contents.items():
        setattr(sys.modules[name], key, value)


def words(tensor):
    array = numpy.ascontiguousarray(tensor.detach().numpy()).reshape(-1)
    return ",".join(f"{word:x}" for word in array.view(numpy.uint32))


def digest(tensor):
    return hashlib.sha256(numpy.ascontiguousarray(tensor.numpy()).tobytes()).hexdigest()


def layer(bits, inputs, outputs, size, order, random):
    groups = (inputs + size - 1) // size
    scales = torch.from_numpy((random.random((groups, outputs)) * 0.1 + 0.01).astype(numpy.float16))
    zeros = torch.from_numpy(random.integers(1, 2**bits, (groups, outputs)).astype(numpy.float32))
    index = torch.from_numpy(numpy.arange(inputs) // size)
    if order:
        index = index[torch.from_numpy(random.permutation(inputs))]
    integers = torch.from_numpy(random.integers(0, 2**bits, (inputs, outputs)).astype(numpy.float32))
    weight = (scales.float()[index] * (integers - zeros[index])).T.contiguous()
    return scales, zeros, index.to(torch.int32), integers, weight


def main(folder):
    stub("transformers", pytorch_utils=types.SimpleNamespace(Conv1D=type("Conv1D", (), {})))
    stub("auto_gptq")
    stub("auto_gptq.nn_modules")
    stub("awq")
    stub("awq.modules")
    stub("awq.utils")
    stub("awq.utils.module", try_import=lambda name: (None, ""))
    stub("awq.utils.utils", get_best_device=lambda: "cpu")
    packing = module("awq.utils.packing_utils", f"{folder}/packing_utils.py")
    sys.modules["awq.utils.packing_utils"] = packing
    random = numpy.random.default_rng(5)

    gptq = module("qlinear", f"{folder}/qlinear_cuda.py")
    for bits, size, order in ((2, 32, 0), (3, 32, 0), (4, 32, 0), (8, 32, 0), (4, 32, 1), (3, 16, 1), (4, 64, 0)):
        inputs, outputs = 64, 32
        scales, zeros, index, integers, weight = layer(bits, inputs, outputs, size, order, random)
        linear = torch.nn.Linear(inputs, outputs, bias=False)
        linear.weight.data = weight
        packed = gptq.QuantLinear(bits, size, inputs, outputs, bias=False)
        packed.pack(linear, scales.T.float(), zeros.T, index)
        print(
            "gptq", bits, inputs, outputs, size, order,
            words(packed.qweight), words(packed.qzeros), words(packed.scales.float()),
            words(packed.g_idx.to(torch.int32)), digest(weight),
        )

    gemm = module("gemm", f"{folder}/gemm.py")
    for inputs, outputs, size in ((64, 32, 32), (128, 64, 64)):
        scales, zeros, index, integers, weight = layer(4, inputs, outputs, size, 0, random)
        linear = torch.nn.Linear(inputs, outputs, bias=False)
        linear.weight.data = weight
        packed = gemm.WQLinear_GEMM.from_linear(linear, 4, size, scales=scales.float(), zeros=zeros)
        back = packing.dequantize_gemm(packed.qweight, packed.qzeros, packed.scales.float(), 4, size).T
        assert torch.equal(back, weight)
        print(
            "awq", 4, inputs, outputs, size, 0,
            words(packed.qweight), words(packed.qzeros), words(packed.scales.float()), "-", digest(weight),
        )


if __name__ == "__main__":
    main(sys.argv[1])
