use super::*;

fn render(source: &str) -> Result<String, Error> {
    let messages = [
        Message { role: "system".into(), content: "Be brief.".into() },
        Message { role: "user".into(), content: "Hi <b>&'".into() },
    ];
    let context = Context { begin_token: "<s>".into(), now_s: 1_732_233_600, ..Context::default() };
    Template::parse(source, Limits::ORDINARY)?.render(&messages, Ending::Prompt, &context)
}

#[track_caller]
fn check(source: &str, expected: &str) {
    assert_eq!(render(source).unwrap(), expected);
}

#[test]
fn what_templates_use_works() {
    check(
        "{% for m in messages %}<{{ m['role'] }}>{{ m.content }}{% endfor %}",
        "<system>Be brief.<user>Hi <b>&'",
    );
    check("{{ bos_token }}{% if add_generation_prompt %}A{% endif %}", "<s>A");
    check("{{ {'b': [1, 'x<'], 'a': none} | tojson }}", "{\"b\": [1, \"x<\"], \"a\": null}");
    check("{{ [1, {'k': 2}] | tojson(indent=2) }}", "[\n  1,\n  {\n    \"k\": 2\n  }\n]");
    check("{{ strftime_now('%d %b %Y %-H:%M %A') }}", "22 Nov 2024 0:00 Friday");
    check("{{ messages[1]['content'].split(' ')[0].strip().upper() }}", "HI");
    check(
        "{%- set ns = namespace(n=0) -%}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
        "2",
    );
    check("{% for m in messages %}\n  {%- if loop.last %}L{% endif %}\n{% endfor %}", "L");
    check("{% macro f(x) %}[{{ x }}]{% endmacro %}{{ f(messages|length) }}", "[2]");
    check("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01");
    check("{{ 'a' if messages[0].role == 'system' and missing is not defined else 'b' }}", "a");
}

#[test]
fn templates_can_refuse() {
    let error = render("{{ raise_exception('roles must alternate') }}").unwrap_err();
    assert_eq!(error.code(), "CS-MDL-009");
    assert!(error.to_string().contains("roles must alternate"), "{error}");
}

/// What is rendered with stands in `jinja.py` too.
#[test]
fn templates_are_rendered_as_by_jinja() {
    let messages = [("system", "Be brief."), ("user", "Hi <b>&'"), ("assistant", " Straße\n\ttwo  words ")]
        .map(|(role, content)| Message { role: role.into(), content: content.into() });
    let tools = r#"{"tools": [{"type": "function", "name": "f", "parameters": {"b": [1, 2.5, null, true], "a": {}}}]}"#;
    let mut context = Context {
        begin_token: "<s>".into(),
        end_token: "</s>".into(),
        variables: serde_json::from_str(tools).unwrap(),
        ..Context::default()
    };
    // A map that sorts its members would make another text of the tools than Python's, which keeps their order.
    let keeps_order = serde_json::to_string(&context.variables).unwrap().contains(r#"{"type""#);
    let rows: Vec<(String, String)> =
        serde_json::from_str(include_str!("../../tests/golden/jinja.json")).unwrap();
    let mut compared = 0;
    for (source, expected) in rows {
        if source.contains("tools") && !keeps_order {
            continue;
        }
        let template = Template::parse(&source, Limits::ORDINARY).unwrap();
        let text = template.render(&messages, Ending::Prompt, &context);
        assert_eq!(text.unwrap_or_else(|error| panic!("{source}: {error}")), expected, "{source}");
        compared += 1;
    }
    assert!(compared >= 46, "{compared}");
    context.variables.clear();
    let template = Template::parse("{{ tools is defined }}", Limits::ORDINARY).unwrap();
    assert_eq!(template.render(&messages, Ending::Prompt, &context).unwrap(), "False");
}

#[track_caller]
fn refused(source: &str) -> Error {
    let error = render(source).unwrap_err();
    assert!(matches!(error.code(), "CS-MDL-009" | "CS-MDL-010"), "{source}: {error}");
    error
}

#[test]
fn hostile_templates_end() {
    for source in [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ messages.__class__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% extends 'x' %}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ messages.append(1) }}",
        "{{ {}.update({}) }}",
        "{{ 'x'.format(1) }}",
        "{{ '%s' % 'x' }}",
        "{{ 10 // 0 }}{{ 1 }}",
        "{{ 10 % 0 }}",
        "{{ 1.5 % 0 }}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ -9223372036854775807 - 2 }}",
        "{{ 99999999999999999999 }}",
        "{{ 10 ** 400 }}",
        "{{ 'a'[0:1:0] }}",
        "{{ range(1, 2, 0) }}",
        "{% set x.y = 1 %}",
        "{{ missing.member }}",
        "{{ missing() }}",
        "{{ -messages|length }}",
        "{{ +'a'|length }}",
        "{{ loop(1) }}",
        "{{",
        "{% if %}",
    ] {
        assert_eq!(refused(source).code(), "CS-MDL-009", "{source}");
    }
}

/// Each asks for more than it may have: of steps, memory, levels or output.
#[test]
fn hostile_templates_are_bounded() {
    let doubled = "{% set ns = namespace(x='x') %}{% for i in range(99) %}{% set ns.x = GROWN %}{% endfor %}";
    let listed = "{% set ns = namespace(x=[1]) %}{% for i in range(999) %}{% set ns.x = GROWN %}{% endfor %}";
    for grown in [
        "ns.x ~ ns.x",
        "ns.x + ns.x",
        "ns.x * 9",
        "ns.x|replace('x', 'xxx')",
        "ns.x.replace('x', 'xxx')",
        "[ns.x, ns.x]|join(ns.x)",
        "ns.x.join(['', '', ''])",
        "ns.x|tojson|tojson|tojson",
        "ns.x ~ (ns.x|list|string)",
        "ns.x ~ (ns.x.split('x')|string)",
        "ns.x|replace('', ns.x)",
        "ns.x ~ '\n'|indent(60, true, true) ~ ns.x",
    ] {
        assert_eq!(refused(&doubled.replace("GROWN", grown)).code(), "CS-MDL-010", "{grown}");
    }
    for grown in [
        "ns.x + ns.x",
        "ns.x * 9",
        "[ns.x, ns.x]",
        "(ns.x, ns.x)",
        "{'a': ns.x, 'b': ns.x}",
        "[ns.x]|map('list')|list + ns.x + ns.x",
        "ns.x|list + ns.x|reverse|list",
    ] {
        assert_eq!(refused(&listed.replace("GROWN", grown)).code(), "CS-MDL-010", "{grown}");
    }
    for source in [
        "{{ 'a' * 10 ** 9 }}",
        "{{ 10 ** 9 * 'a' }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ ('a' * 10 ** 6)|replace('a', 'b' * 10 ** 6) }}",
        "{% set x = 'a' * 10 ** 6 %}{% for i in range(99999) %}{% if x in x %}{% endif %}{% endfor %}",
        "{% set x = 'a' * 10 ** 6 %}{% for i in range(99999) %}{% if x == x ~ '' %}{% endif %}{% endfor %}",
        "{% set x = range(99999)|list %}{% for i in x %}{% if -1 in x %}{% endif %}{% endfor %}",
        "{% set x = range(99999)|list %}{{ x|unique|list|length }}",
        "{% set x = 'a b ' * 10 ** 6 %}{% for i in range(999) %}{% set y = x.split() %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{{ f(n ~ n) }}{% endmacro %}{{ f('x') }}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(50) }}",
        "{% set x %}{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}{% endset %}",
        "{% for a in range(99999) %}{{ 'x' * 999 }}{% endfor %}",
        "{% set ns = namespace(x=1) %}{% for a in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}",
        "{% for a in range(99999) %}{% set x = namespace(messages=messages, a=messages, b=messages) %}{{ range(999)|list|length }}{% endfor %}",
        "{{ strftime_now('%A' * 10 ** 9) }}",
    ] {
        assert_eq!(refused(source).code(), "CS-MDL-010", "{source}");
    }
    refused("{{ range(10 ** 9) }}");
    refused("{{ ''|indent(10 ** 9) }}");
    let deep = format!("{}1{}", "{{ ".to_owned() + &"(".repeat(100_000), ")".repeat(100_000) + " }}");
    assert_eq!(refused(&deep).code(), "CS-MDL-010");
    for (open, close) in [("[", "]"), ("-", ""), ("not ", ""), ("{'a':", "}"), ("x(", ")"), ("x[", "]")] {
        refused(&format!("{{{{ {}1{} }}}}", open.repeat(20_000), close.repeat(20_000)));
    }
    refused(&format!("{}{}", "{% if 1 %}".repeat(9_000), "{% endif %}".repeat(9_000)));
    refused(&format!("{{{{ messages{} }}}}", "|list".repeat(9_000)));
    let long = "x".repeat(1 << 20);
    assert_eq!(refused(&long).code(), "CS-MDL-010");
}

#[test]
fn namespaces_that_hold_each_other_are_given_back() {
    check("{% set ns = namespace() %}{% set ns.own = ns %}{{ ns.own.own == ns }}{{ ns }}", "True<Namespace>");
}

#[test]
fn a_failure_names_its_line() {
    let error = render("a\nb\n{{ nowhere.member }}").unwrap_err();
    assert!(error.to_string().contains("(line 3)"), "{error}");
}
