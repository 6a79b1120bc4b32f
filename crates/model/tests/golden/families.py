"""What the transformers library and peft make of small models and adapters of every family that this crate runs.

    python families.py > families.json

Run with torch 2.6.0, transformers 4.52.4 and peft 0.15.2, in double precision (rotary angles in single precision, as the
library computes them). Nothing is fetched: the weights follow from their names (`weight` below), so that whoever reads the
file makes the same ones. Each row: what it is, the model's `config.json`, its tensors with their shapes, the same of an adapter
where there is one, the tokens, and for each position the logits of every eleventh token of the vocabulary.

The last row but one is a BERT encoder with the vectors of its last layer; the last is AdamW: what torch's optimiser makes of
three weights in five steps, the gradient of each step being given.
"""
import json
import warnings

import numpy
import torch
import transformers
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

warnings.filterwarnings("ignore")
VOCABULARY, LENGTH = 97, 40
TOKENS = [(7 * at * at + 3 * at + 5) % VOCABULARY for at in range(LENGTH)]


def weight(name, shape):
    """FNV-1a of the name, mixed with the element's number by a multiplication; 24 bits of it, within a quarter of zero. Norms
    are one more, but for Gemma's, which the library itself adds one to."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    at = numpy.arange(int(numpy.prod(shape)), dtype=numpy.uint64)
    mixed = ((at + numpy.uint64(seed)) * numpy.uint64(2654435761)) & numpy.uint64(0xFFFFFFFF)
    mixed ^= mixed >> numpy.uint64(15)
    mixed = (mixed * numpy.uint64(2246822519)) & numpy.uint64(0xFFFFFFFF)
    values = (mixed >> numpy.uint64(8)).astype(numpy.float32) / numpy.float32(1 << 24) - numpy.float32(0.5)
    return (values * numpy.float32(0.5)).reshape(shape)


def is_norm(name):
    return any(part in name for part in ("norm", "ln_", "LayerNorm")) and name.endswith("weight")


def fill(tensors, gemma=False):
    shapes = []
    with torch.no_grad():
        for name, tensor in tensors.items():
            values = weight(name, tuple(tensor.shape))
            if is_norm(name) and not gemma:
                values = values + numpy.float32(1)
            tensor.copy_(torch.from_numpy(values))
            shapes.append([name, list(tensor.shape)])
    return shapes


def base(config, what):
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").double().eval()
    tensors = dict(model.state_dict())
    # Tied: stored once, as the library's own files have it.
    if config.tie_word_embeddings:
        tensors.pop("lm_head.weight", None)
    return model, fill(tensors, "gemma" in what)


def logits(model):
    with torch.no_grad():
        found = model(torch.tensor([TOKENS])).logits[0]
    return [[round(float(x), 9) for x in row[::11]] for row in found]


def families():
    common = dict(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=48, max_position_embeddings=64, rms_norm_eps=1e-5, head_dim=16,
    )
    llama3 = dict(
        rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16
    )
    yield "llama", transformers.LlamaConfig(**common, rope_theta=5000.0, tie_word_embeddings=False)
    yield "llama with stretched angles", transformers.LlamaConfig(**common, rope_scaling=llama3)
    yield "llama with linear scaling", transformers.LlamaConfig(
        **common, rope_scaling=dict(rope_type="linear", factor=2.0), attention_bias=True, mlp_bias=True
    )
    yield "mistral", transformers.MistralConfig(**common, sliding_window=None)
    without_head = {name: value for name, value in common.items() if name != "head_dim"}
    yield "qwen2", transformers.Qwen2Config(**without_head, tie_word_embeddings=True)
    yield "qwen3", transformers.Qwen3Config(**common)
    gemma = dict(
        common, query_pre_attn_scalar=24, sliding_window=8, hidden_activation="gelu_pytorch_tanh", num_hidden_layers=4
    )
    yield "gemma2", transformers.Gemma2Config(**gemma, attn_logit_softcapping=5.0, final_logit_softcapping=7.0)
    gemma["num_hidden_layers"] = 7
    yield "gemma3", transformers.Gemma3TextConfig(**gemma, rope_local_base_freq=100.0, sliding_window_pattern=3)
    yield "gpt2", transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=3, n_head=4, n_inner=80
    )


def adapters():
    common = dict(r=4, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM")
    yield "lora", LoraConfig(**common)
    yield "rslora", LoraConfig(**common, use_rslora=True)
    yield "dora", LoraConfig(**common, use_dora=True)
    yield "lora with ranks and alphas by module", LoraConfig(
        **common, rank_pattern={"q_proj": 2}, alpha_pattern={"layers.1.self_attn.v_proj": 3}
    )
    yield "lora with a head of its own", LoraConfig(**common, modules_to_save=["lm_head"])


def row(what, config, tensors, **more):
    return {"what": what, "config": json.loads(config.to_json_string(use_diff=False)), "tensors": tensors, **more}


def bert():
    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=64, hidden_act="gelu", attn_implementation="eager",
    )
    model = transformers.BertModel(config, add_pooling_layer=False).double().eval()
    tensors = fill({name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()})
    with torch.no_grad():
        vectors = model(torch.tensor([TOKENS])).last_hidden_state[0]
    return row("bert", config, tensors, tokens=TOKENS, vectors=[[round(float(x), 9) for x in r[::5]] for r in vectors])


def adamw():
    start = [0.5, -0.25, 2.0]
    gradients = [[0.1, -0.2, 0.003], [0.4, 0.0, -0.001], [-0.1, 0.3, 0.002], [0.0, -0.5, 0.0], [2.0, 0.1, -0.004]]
    settings = dict(lr=0.02, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    weights = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimiser = torch.optim.AdamW([weights], **settings)
    steps = []
    for gradient in gradients:
        weights.grad = torch.tensor(gradient, dtype=torch.float64)
        optimiser.step()
        steps.append([round(float(x), 12) for x in weights.detach()])
    return {"what": "adamw", "settings": settings, "start": start, "gradients": gradients, "steps": steps}


def main():
    rows = []
    for what, config in families():
        model, tensors = base(config, what)
        rows.append(row(what, config, tensors, tokens=TOKENS, logits=logits(model)))
    for what, adapter in adapters():
        config = next(config for name, config in families() if name == "llama")
        model, tensors = base(config, "llama")
        model = get_peft_model(model, adapter).double().eval()
        # The state that peft saves shares memory with the model, but for names.
        saved = get_peft_model_state_dict(model)
        shapes = fill(saved)
        stated = {
            name: sorted(value) if isinstance(value, set) else value for name, value in adapter.to_dict().items()
        }
        rows.append(
            row(what, config, tensors, adapter=stated, adapter_tensors=shapes, tokens=TOKENS, logits=logits(model))
        )
    rows += [bert(), adamw()]
    print("[\n" + ",\n".join(json.dumps(row, separators=(",", ":"), default=str) for row in rows) + "\n]")


if __name__ == "__main__":
    main()
