"""Asks an engine with the made model through OpenAI's Python client: base address and key come from the environment."""

import openai

client = openai.OpenAI(max_retries=0, timeout=60)
HELLO = [{"role": "user", "content": "Hello"}]

names = [model.id for model in client.models.list()]
assert names == ["made", "other"], names
assert client.models.retrieve("other").id == "other"

asked = dict(model="made", messages=HELLO, temperature=0.7, seed=4, max_tokens=40)
whole = client.chat.completions.create(**asked, logprobs=True, top_logprobs=3)
choice = whole.choices[0]
assert choice.message.role == "assistant" and choice.finish_reason in ("stop", "length")
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
assert all(len(entry.top_logprobs) == 3 and entry.logprob <= 0 for entry in choice.logprobs.content)

text, roles, usage, finish, entries = "", [], None, None, []
stream = client.chat.completions.create(
    **asked, stream=True, stream_options={"include_usage": True}, logprobs=True, top_logprobs=3
)
for chunk in stream:
    usage = chunk.usage or usage
    for part in chunk.choices:
        text += part.delta.content or ""
        roles += [part.delta.role] if part.delta.role else []
        finish = part.finish_reason or finish
        entries += part.logprobs.content if part.logprobs else []
assert text == choice.message.content, (text, choice.message.content)
assert roles == ["assistant"] and finish == choice.finish_reason and usage == whole.usage
assert entries == choice.logprobs.content

# This helper of the client refuses an answer that was cut off at a length: a character of the answer ends it.
greedy = dict(model="made", messages=HELLO, max_tokens=12, temperature=0)
end = client.chat.completions.create(**greedy).choices[0].message.content[-1]
with client.chat.completions.stream(**greedy, stop=[end]) as events:
    final = events.get_final_completion()
assert final.choices[0].finish_reason == "stop" and end not in final.choices[0].message.content

completion = client.completions.create(model="other", prompt="Hello", max_tokens=6, logprobs=2, echo=True, temperature=0)
logprobs = completion.choices[0].logprobs
assert completion.choices[0].text.startswith("Hello")
assert logprobs.tokens[:5] == list("Hello") and logprobs.token_logprobs[0] is None
assert logprobs.text_offset[:6] == [0, 1, 2, 3, 4, 5]

parts = client.completions.create(model="other", prompt="Hello", max_tokens=6, stream=True, temperature=0)
assert "Hello" + "".join(part.choices[0].text for part in parts) == completion.choices[0].text


def refused(kind, status, code, param, call):
    try:
        call()
    except kind as error:
        found = (error.status_code, error.code, error.param)
        assert found == (status, code, param), found
    else:
        raise AssertionError(f"{code} was expected")


create = client.chat.completions.create
refused(openai.NotFoundError, 404, "CS-ENG-023", "model", lambda: create(model="absent", messages=HELLO))
refused(openai.BadRequestError, 400, "CS-ENG-022", "n", lambda: create(model="made", messages=HELLO, n=2))
refused(openai.BadRequestError, 400, "CS-ENG-021", "temperature", lambda: create(model="made", messages=HELLO, temperature=9))
stranger = openai.OpenAI(api_key="not-a-known-key", max_retries=0)
refused(openai.AuthenticationError, 401, "CS-ENG-029", None, stranger.models.list)
print("all read")
