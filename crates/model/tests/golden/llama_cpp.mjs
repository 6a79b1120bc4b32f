// Asks llama.cpp (through node-llama-cpp 3) what it makes of SmolLM2, and how fast.
//
//   npm install --ignore-scripts node-llama-cpp@3
//   node llama_cpp.mjs golden MODEL.gguf > smollm2.json
//   node llama_cpp.mjs pace MODEL.gguf
//
// `golden`: for each prompt its tokens, the 32 tokens that follow greedily, and the ten likeliest tokens with their
// log-probabilities after the prompt and after 8 and 31 of the greedy tokens.
// `pace`: one line of JSON, medians of five rounds in tokens a second on one thread: `read` of a prompt of 512 tokens,
// `write` of 128 new ones.
import {pathToFileURL} from "node:url";
import path from "node:path";

const home = process.env.NODE_LLAMA_CPP ?? path.resolve("node_modules/node-llama-cpp");
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(path.join(home, "dist/index.js")));
const [mode, file] = process.argv.slice(2);
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 1});
const model = await llama.loadModel({modelPath: file, gpuLayers: 0});
const context = await model.createContext({contextSize: 1024, threads: 1, batchSize: 512, flashAttention: false});
const sequence = context.getSequence();

const prompts = [
    "The capital of France is",
    "Once upon a time, in a village by the sea, there lived a",
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n",
    "Water boils at 100 degrees; it freezes at",
    "1, 1, 2, 3, 5, 8, 13, 21,",
    "Die Hauptstadt von Deutschland ist",
    "¿Dónde está la biblioteca? 日本語のテスト… 🙂 naïve façade",
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\nWrite a haiku about rain.<|im_end|>\n<|im_start|>assistant\n",
    "The    quick\tbrown\n\n\nfox jumps 12345.678 times over it's lazy dogs' DON'T",
];

async function top(tokens) {
    await sequence.clearHistory();
    const input = tokens.map((token, at) => at === tokens.length - 1
        ? [token, {generateNext: {probabilities: true, options: {temperature: 1, topK: 0, topP: 1, minP: 0}}}]
        : token);
    const out = await sequence.controlledEvaluate(input);
    const found = [...out.at(-1).next.probabilities.entries()].slice(0, 10);
    return found.map(([token, p]) => [token, Number(Math.log(p).toFixed(5))]);
}

async function greedy(tokens, count) {
    await sequence.clearHistory();
    const out = [];
    for await (const token of sequence.evaluate(tokens, {temperature: 0, yieldEogToken: true})) {
        out.push(token);
        if (out.length === count || model.isEogToken(token)) break;
    }
    return out;
}

if (mode === "golden") {
    const rows = [];
    for (const text of prompts) {
        const tokens = [...model.tokenize(text, true)];
        const next = await greedy(tokens, 32);
        const places = [0, 8, 31].filter((at) => at <= next.length);
        const tops = [];
        for (const at of places) tops.push([at, await top([...tokens, ...next.slice(0, at)])]);
        rows.push(JSON.stringify({text, tokens, next, tops}));
    }
    console.log("[\n" + rows.join(",\n") + "\n]");
} else {
    const prompt = Array.from({length: 512}, (_, i) => 1000 + (i * 37) % 20000);
    const reads = [], writes = [];
    for (let round = 0; round < 5; round++) {
        await sequence.clearHistory();
        let start = performance.now();
        await sequence.evaluateWithoutGeneratingNewTokens(prompt);
        reads.push(512e3 / (performance.now() - start));
        await sequence.clearHistory();
        await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(0, 16));
        let count = 0;
        start = performance.now();
        for await (const _ of sequence.evaluate([1000], {temperature: 0, yieldEogToken: true})) {
            if (++count === 128) break;
        }
        writes.push(128e3 / (performance.now() - start));
    }
    const middle = (values) => values.sort((a, b) => a - b)[2];
    console.log(JSON.stringify({read: middle(reads), write: middle(writes)}));
}
await llama.dispose();
process.exit(0);
