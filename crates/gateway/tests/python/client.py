"""Asks a gateway in front of an engine with the made model through OpenAI's Python client, unchanged."""

import openai

client = openai.OpenAI(max_retries=0, timeout=60)
HELLO = [{"role": "user", "content": "Hello"}]

assert [model.id for model in client.models.list()] == ["support"]
assert client.models.retrieve("support").id == "support"

asked = dict(model="support", messages=HELLO, temperature=0.7, seed=4, max_tokens=20)
whole = client.chat.completions.with_raw_response.create(**asked, logprobs=True, top_logprobs=2)
assert whole.headers["x-countersign-binding"] == "declared"
assert whole.headers["x-countersign-change"] == "baseline"
choice = whole.parse().choices[0]
assert choice.message.role == "assistant" and choice.finish_reason in ("stop", "length")

text, finish, usage = "", None, None
for chunk in client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
    usage = chunk.usage or usage
    for part in chunk.choices:
        text += part.delta.content or ""
        finish = part.finish_reason or finish
assert (text, finish, usage) == (choice.message.content, choice.finish_reason, whole.parse().usage)

completion = client.completions.create(model="support", prompt="Hello", max_tokens=6, echo=True, temperature=0)
assert completion.choices[0].text.startswith("Hello")


def refused(kind, status, code, param, call):
    try:
        call()
    except kind as error:
        found = (error.status_code, error.code, error.param)
        assert found == (status, code, param), found
    else:
        raise AssertionError(f"{code} was expected")


create = client.chat.completions.create
refused(openai.NotFoundError, 404, "CS-GWY-052", "model", lambda: create(model="absent", messages=HELLO))
for member in ("chat_template", "lora_request"):
    body = {member: "x"}
    refused(openai.BadRequestError, 400, "CS-GWY-050", member, lambda: create(model="support", messages=HELLO, extra_body=body))
# What the engine itself refuses comes through with the engine's code.
refused(openai.BadRequestError, 400, "CS-ENG-021", "temperature", lambda: create(model="support", messages=HELLO, temperature=9))
stranger = openai.OpenAI(api_key="not-a-known-key", max_retries=0)
refused(openai.AuthenticationError, 401, "CS-GWY-040", None, stranger.models.list)
print("all read")
