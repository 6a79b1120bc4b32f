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
    check("{{ {'b': [1, 'x<'], 'a': none} | tojson }}", "{\"a\": null, \"b\": [1, \"x<\"]}");
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

#[test]
fn hostile_templates_end() {
    for source in [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for a in range(99999) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}{% endfor %}",
        "{{ ''.__class__.__mro__ }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{",
        "{% if %}",
    ] {
        let error = render(source).unwrap_err();
        assert!(matches!(error.code(), "CS-MDL-009" | "CS-MDL-010"), "{source}: {error}");
    }
    let deep = format!("{}1{}", "{{ ".to_owned() + &"(".repeat(100_000), ")".repeat(100_000) + " }}");
    assert_eq!(render(&deep).unwrap_err().code(), "CS-MDL-010");
    let long = "x".repeat(1 << 20);
    assert_eq!(render(&long).unwrap_err().code(), "CS-MDL-010");
}
