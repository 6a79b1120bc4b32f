"""Asks Jinja, set up as the transformers library sets it up for chat templates, what it makes of templates.

    pip install jinja2==3.1.6
    python3 jinja.py > jinja.json

Each row: a template and its text. What they are rendered with stands in `CONTEXT`, and in the test that reads this.
"""

import json

from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

CONTEXT = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi <b>&'"},
        {"role": "assistant", "content": " Straße\n\ttwo  words "},
    ],
    "add_generation_prompt": True,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "tools": [{"type": "function", "name": "f", "parameters": {"b": [1, 2.5, None, True], "a": {}}}],
}

TEMPLATES = [
    "{% for m in messages %}<{{ m['role'] }}>{{ m.content }}{% endfor %}",
    "{% for m in messages %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.length }}{{ loop.first }}{{ loop.last }};{% endfor %}",
    "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined }}>{{ loop.nextitem.role if not loop.last }};{% endfor %}",
    "{% for m in messages if m.role != 'system' %}{{ loop.index }}{{ m.role }} {% else %}none{% endfor %}",
    "{% for m in [] %}x{% else %}none{% endfor %}",
    "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in range(3, -4, -2) %}{{ i }},{% endfor %}{{ range(5)|list }}",
    "{% for i in range(2) %}{% for j in range(2) %}{{ loop.depth }}{{ loop.cycle('a', 'b') }}{{ i }}{{ j }} {% endfor %}{% endfor %}",
    "{% set ns = namespace(n=0, t='') %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% set ns.t = ns.t ~ m.role[0] %}{% endfor %}{{ ns.n }}{{ ns.t }}",
    "{% set x = 1 %}{% for i in range(3) %}{% set x = x + 1 %}{% endfor %}{{ x }}",
    "{% set x %}a{{ 1 + 1 }}{% endset %}[{{ x }}]{% set y | upper | trim %} b {% endset %}[{{ y }}]",
    "{% macro f(x, y=2) %}[{{ x }}{{ y }}]{% endmacro %}{{ f(1) }}{{ f(1, y='z') }}{{ f(x=3) }}{{ f() }}",
    "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(4) }}",
    "{% set g = 7 %}{% macro f() %}{{ g }}{{ bos_token }}{% endmacro %}{% for i in range(2) %}{{ f() }}{% endfor %}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}",
    "{% filter upper %}ab{{ 'c' }}{% endfilter %}",
    "{% if messages[0].role == 'system' and missing is not defined %}a{% elif true %}b{% else %}c{% endif %}",
    "{{ messages[-1].content|trim }}|{{ messages[1:]|length }}|{{ messages[::-1][0].role }}|{{ 'abcdef'[1:4] }}{{ 'abcdef'[::-2] }}{{ 'abc'[-5:2] }}",
    "{{ messages|map(attribute='role')|join(', ') }}|{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|first }}",
    "{{ messages|rejectattr('role', 'in', ['user', 'system'])|list|length }}|{{ [1, 2, 3, 4]|select('odd')|list }}|{{ [0, 1, '']|reject|list }}",
    "{{ ['b', 'A', 'c']|sort }}{{ [3, 1, 2]|sort(reverse=true) }}{{ messages|sort(attribute='role')|map(attribute='role')|list }}",
    "{{ [1, 2, 1, 'a', 'a']|unique|list }}{{ [3, 1, 2]|max }}{{ [3, 1, 2]|min }}{{ [1, 2.5]|sum }}{{ [1, 2]|reverse|list }}{{ 'abc'|reverse }}",
    "{{ {'b': 1, 'a': 2}|dictsort }}{{ {'b': 1, 'a': 2}.items()|list }}{{ {'b': 1}.keys()|list }}{{ {'b': 1}.get('c', 5) }}{{ {'b': 1}.get('c') }}",
    "{% for k, v in tools[0].items() %}{{ k }}={{ v }};{% endfor %}",
    "{{ tools|tojson }}",
    "{{ tools|tojson(indent=2) }}",
    "{{ 'é\"\\n</script>'|tojson }}{{ []|tojson }}{{ {}|tojson(indent=4) }}{{ [[], {}]|tojson(indent=1) }}",
    "{{ 1 + 2 * 3 - 4 }}|{{ 7 // 2 }}|{{ -7 // 2 }}|{{ 7 / 2 }}|{{ -7 % 3 }}|{{ 7 % -3 }}|{{ 2 ** 10 }}|{{ 2 ** -1 }}|{{ 7.5 // 2 }}",
    "{{ 1 < 2 < 3 }}{{ 3 > 2 > 2 }}{{ 1 == 1.0 }}{{ true == 1 }}{{ 'a' < 'b' }}{{ 2 in [1, 2] }}{{ 'ell' in 'hello' }}{{ 'x' not in {'y': 1} }}",
    "{{ not 0 }}{{ '' or 'b' }}{{ 'a' and 'c' }}{{ none }}{{ true }}{{ 1.0 }}{{ -3 }}{{ [1, 'a', none, true, 1.5] }}{{ (1,) }}{{ {'k': 'it\\'s'} }}",
    "{{ 'a' ~ 1 ~ none ~ [1] }}{{ 'ab' * 2 }}{{ [1] * 2 + [3] }}{{ 'a' + 'b' }}",
    "{{ ' x '.strip() }}{{ 'xxaxx'.strip('x') }}{{ 'xxa'.lstrip('x') }}{{ 'axx'.rstrip('x') }}{{ 'a,b,c'.split(',') }}{{ 'a,b,c'.split(',', 1) }}{{ ' a  b '.split() }}",
    "{{ 'a,b,c'.rsplit(',', 1) }}{{ 'a\\nb'.splitlines() }}{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'bc')) }}{{ 'aXa'.replace('a', 'b', 1) }}{{ 'abcabc'.find('c') }}{{ 'aa'.count('a') }}",
    "{{ 'hello wOrld'.title() }}{{ 'hELLO'|capitalize }}{{ 'Straße'|upper }}{{ 'ABC'|lower }}{{ '-'.join(['a', 'b']) }}{{ 'a-b'|replace('-', '+') }}",
    "{{ missing|default('d') }}{{ ''|default('d') }}{{ ''|default('d', true) }}{{ none|default('d') }}{{ missing }}[{{ missing is defined }}]",
    "{{ '12'|int + 1 }}{{ 'x'|int }}{{ 'x'|int(7) }}{{ 3.9|int }}{{ '1.5'|float }}{{ (-3)|abs }}{{ 'abc'|length }}{{ 2.567|round(1) }}",
    "{{ '12'|int + 1 }}{{ 'x'|int }}{{ 'x'|int(7) }}{{ 3.9|int }}{{ '1.5'|float }}{{ -3|abs }}{{ 'abc'|length }}{{ 2.567|round(1) }}",
    "{{ 'a\\nb\\n\\nc'|indent(2) }}|{{ 'a\\nb'|indent(2, true) }}",
    "{{ 1 is odd }}{{ 2 is even }}{{ 4 is divisibleby 2 }}{{ 'a' is string }}{{ 1 is number }}{{ {} is mapping }}{{ [] is sequence }}{{ [] is iterable }}{{ none is none }}{{ true is boolean }}{{ 1 is eq 1 }}{{ 1 is in [1] }}",
    "{{ ['a', 'b']|map('upper')|list }}{{ [{'a': {'b': 1}}, {'a': {}}]|map(attribute='a.b', default=0)|list }}",
    "{% for m in messages %}\n  {%- if loop.last %}L{% endif %}\n{% endfor %}",
    "  {% if true %}\n    a\n  {% endif %}\nb {#- c -#} d\n",
    "{{- 'a' -}}   b   {{- 'c' }}",
    "{{ dict(a=1, b=2) }}{{ namespace(a=1).a }}{{ dict({'x': 1}, y=2).x }}",
    "{{ 'yes' if missing else 'no' }}{{ 'yes' if messages }}[{{ 'x' if false }}]",
    "{% set a, b = 1, [2, 3] %}{{ a }}{{ b[1] }}{{ b.index(3) }}{{ b.count(2) }}",
    "{{ messages[0]['role'] ~ messages[0]['missing'] }}{{ {1: 'a', true: 'b'}[1] }}{{ {'a': 1} == {'a': 1.0} }}{{ [1] == (1,) }}",
    "{% raw %}{{ x }}{% endraw %}",
    "{{ -3|string|length }}{{ -2|abs ** 2 }}{{ 2 ** -2|abs }}{{ -7|abs // 2 }}{{ 1 - -3|abs }}{{ --3|abs }}{{ -1.5|round }}{{ -2 is odd }}{{ -3 is odd }}",
    "{{ +true }}{{ -true }}{{ +1.5 }}{{ -(messages[0].role|length) }}{{ -2 ** 2 }}{{ 2 ** 3 ** 2 }}",
]


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
environment.filters["tojson"] = tojson
rows = [json.dumps([source, environment.from_string(source).render(**CONTEXT)], ensure_ascii=False) for source in TEMPLATES]
print("[\n" + ",\n".join(rows) + "\n]")
