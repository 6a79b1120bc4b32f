"""Asks Jinja how it reads expressions: a table written by hand, and a seeded draw from everything that it knows.

    pip install jinja2==3.1.6
    python3 jinja_trees.py > jinja_trees.json

Each row: an expression, and the outline of its syntax tree as `outline` below writes it, or nothing where Jinja refuses
it. The test that reads this writes the same outline of its own tree.
"""

import json
import random

from jinja2 import Environment, TemplateSyntaxError, nodes

BY_HAND = [
    # A sign binds tighter than a filter or a test, and looser than attributes, items and calls.
    "-x|f", "- x | f | g", "--x|f", "-+x|f", "+x|f", "(-x)|f", "-(x|f)", "-3|abs", "-3.5|round(1)", "-x.y|f",
    "-x[0]|f", "-x(1)|f", "-x is odd", "-1 is even", "-x|f is g", "-x is not g", "-x|f(1)(2)", "-(x)(1)", "-x|f + 1",
    "1 - -x|f", "1 + +x|f", "-'a'|upper", "-[1, 2]|first", "-a.b.c(1)[2]|f|g", "- - - 1", "-x|f|g is h",
    # Powers: from the left, of signed values.
    "2 ** 3 ** 2", "-2 ** 2", "2 ** -1", "-x|f ** 2", "2 ** -x|f", "2 ** x|f", "x|f ** y|g", "-2 ** -2|abs",
    # Products, joined text, sums.
    "a * b ** c", "a ** b * c", "a * -b|f", "a / b // c % d", "a + b * c", "a * b + c", "a ~ b * c", "a * b ~ c",
    "a ~ b + c", "a + b ~ c", "a - b - c", "a ~ b ~ c", "a ~ b|f", "a ~ -b|f", "a + b|f", "(a + b)|f", "a % b|f",
    # Comparisons are chained; `in` is one.
    "a < b < c", "a == b != c", "a in b", "a not in b", "a in b in c", "a < b in c", "not a in b", "not a not in b",
    "a + b < c + d", "a == b|f", "a|f == b", "-a|f < -b|f", "a is b == c", "a == b is c", "a in b is c", "a is in b",
    "a is in(b)", "a is in [1]", "a is not in [1]", "a is eq 1 == 2", "a < b == c > d >= e <= f",
    # Tests, with and without brackets.
    "a is defined", "a is not defined", "not a is defined", "a is divisibleby 3", "a is divisibleby(3)",
    "a is divisibleby 3 and b", "a is eq b", "a is eq b.c", "a is eq b[0]", "a is eq b(1)", "a is eq -1", "a is eq b|f",
    "a is eq b + 1", "a is eq (b)", "a is eq(b).c", "a is eq [1]", "a is eq {}", "a is eq {'a': 1}", "a is eq 'b' 'c'",
    "a is eq 1.5", "a is b is c", "a is b is not c", "a is b c", "a is b or c", "a is b and c", "a is b if c",
    "a is b if c else d", "x if a is b else c", "a is b not in c", "a is b in c", "a is not b in c", "a is b(1)(2)", "a is b(1)|f",
    "a is b|f", "a is b|f is c", "a is b.c", "a is b.c.d 1", "a is b true", "a is b none", "a is b not c", "a is not not b",
    "a is b(1, c=2)", "a is b.c(1)", "a is b -1", "a is b - 1", "a is b * 2", "a is b [1][0]", "a is b is", "a is", "a is 1", "a is not",
    "a is b loop", "a is b recursive", "a is eq true", "a is eq none", "a is b ('c', 'd')", "a is b ()",
    # Filters.
    "a|f|g", "a|f(1)|g(2)", "a|f.g", "a|f.g.h(1)", "a|f(1)(2)", "a|f.x()", "a|f[0]", "(a|f)[0]", "(a|f).b", "a.b|f",
    "a[0]|f", "a(1)|f", "a|f is b", "a|f is b|g", "not a|f", "a|f if b|g else c|h", "a|f or b|g", "a|", "|f", "a||f", "a|1", "a|f g",
    "a|f(b|g)", "a|f(-b|g)", "a|f(x=-b|g)", "[-a|f]", "{-a|f: -b|g}", "(-a|f)", "a[-b|f]", "a[-b|f:-c|g]", "f(-a|g)",
    # Not, and, or.
    "not a", "not not a", "not a and b", "not (a and b)", "a and not b", "a or b and c", "(a or b) and c", "a and b or c and d",
    "a or b or c", "a and b and c", "not a == b", "not a|f == b", "not -a|f", "- not a", "a + not b", "a and", "or a", "not",
    "a == not b", "a not b", "a not",
    # Conditions.
    "a if b", "a if b else c", "a if b else c if d else e", "a if b if c", "a if b if c else d", "a if b else c if d",
    "(a if b) if c", "a if (b if c)", "a if not b else not c", "a or b if c and d else e or f", "a if b or c", "a, b if c", "a if b, c",
    "a + b if c", "a ~ b if c else d ~ e", "-a|f if -b|g else -c|h", "a if", "if a", "a else b", "a if b else",
    # Names that are words elsewhere.
    "if", "else", "in", "is", "and", "loop", "self", "true.x", "none|f", "True", "False", "None", "true", "false", "none", "TRUE",
    # Attributes, items, slices, calls.
    "a.b", "a.b.c", "a.0", "a.0.1", "a.1.b", "a.b.0", "a['b']", "a[b].c", "a[b][c]", "a.b()", "a()()", "a().b", "a[1:2]", "a[:]", "a[::]",
    "a[1:]", "a[:2]", "a[::3]", "a[1::3]", "a[:2:3]", "a[1:2:3]", "a[1:2:3:4]", "a[]", "a[1, 2]", "a[1:2, 3]", "a[1, ]", "a[, 1]",
    "a[1:2, ::3]", "a[b if c else d]", "a[b if c else d:e]", "a[(1, 2)]", "a[-1]", "a[not b]", "a[", "a[1", "a.", "a.'b'", "a.[0]", "a.b.", "a . b", "a. b", "1.real",
    "1 .real", "1.5.real", "'a'.upper()", "'a' 'b'.upper()", "[1][0]", "{}.a", "(1).a", "().a", "a.true", "a.if", "a.in", "a.is", "a.not.b",
    "f(1)", "f(1, 2)", "f(1, )", "f(, 1)", "f(1 2)", "f(a=1)", "f(1, a=1)", "f(a=1, 2)", "f(a=1, b=2, )", "f(*a)", "f(**a)", "f(*a, **b)", "f(**a, *b)",
    "f(*a, *b)", "f(**a, **b)", "f(1, *a)", "f(*a, 1)", "f(*a, b=1)", "f(b=1, *a)", "f(b=1, **a)", "f(**a, b=1)", "f(a=1, a=2)", "f(a if b else c)",
    "f((1, 2))", "f(1, 2", "f(a == 1)", "f(not a)", "f(if=1)", "f(a=b=1)", "f(-a)", "f(*-a)", "f(**a|g)", "f(*a|g)", "f(a.b=1)",
    # Collections and constants.
    "[]", "[1]", "[1, ]", "[, ]", "[1, 2, 3]", "[1 2]", "[[1], [2]]", "()", "(1)", "(1, )", "(1, 2)", "(, )", "1, 2", "1, ", "1, 2, ", ", 1", "(1, 2), 3",
    "{}", "{'a': 1}", "{'a': 1, }", "{'a': 1, 'b': [2]}", "{a: b}", "{1: 2}", "{a}", "{a: }", "{: a}", "{'a': 1 'b': 2}", "{a if b else c: d}", "{'a': 1}['a']",
    "[1, 2](3)", "1(2)", "'a'(1)", "'a' 'b'", "'a' 'b' 'c'", "'a' ~ 'b'", "'a' + 'b' 'c'", "'a' b", "1 2", "1", "12345", "1_000", "0x1f", "0b11", "0o17", "017", "00", "1.5",
    "1.5e3", "1e3", "1E-2", "1_0.5", ".5", "5.", "1.e3", "1..2", "'it''s'", "\"a\" 'b'", "'a\\'b'", "'a\\nb'", "'\\u00e9'", "'\\x41'", "'a\\\\b'", "'\\q'", "'é'", "'\\137\\137class\\137\\137'", "'\\101'", "'\\18'", "'\\777'", "'\\8'", "'\\0'", "'\\08'", "'\\x5'",
    "'\\u12'", "'\\U0001f600'", "'\\x5g'", "a.0.1.2", "a.1.5", "0.0", "00.5", "001", "0_0", "1e", "1.5.0", "a.1e3",
    "a = 1", "a == = 1", "a <> b", "a ! b", "a & b", "a @ b", "a => b", "a != b", "a ; b", "a : b", "(a", "a)", "[a", "a]", "{a", "", "a b", "*a", "**a", "/a", "~a", "a ~", "a +", "+", "-", "- -",
    "((a))", "(((a, )))", "(a)(b)", "(a).b(c)[d]|e is f", "é", "ünï", "_", "__a__", "a1", "1a", "a$",
]

SEED = 20_261_122
DRAWN = 900


class Draw:
    """Expressions that are mostly of the language."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, options):
        return self.random.choice(options)

    def expression(self, depth):
        if depth <= 0:
            return self.atom()
        inner = lambda: self.expression(depth - self.random.randint(1, 2))
        form = self.random.randrange(22)
        if form < 2:
            return "-" + inner()
        if form == 2:
            return "+" + inner()
        if form < 6:
            return inner() + "|" + self.one(["f", "g", "f.g", "f(" + inner() + ")", "f(x=" + inner() + ")", "f()"])
        if form < 8:
            test = self.one(["t", "odd", "t.u"])
            argument = self.one(["", "", "(" + inner() + ")", "()", " " + self.atom(), " " + inner()])
            return inner() + self.one([" is ", " is not "]) + test + argument
        if form < 12:
            return inner() + self.one([" + ", " - ", " ~ ", " * ", " / ", " // ", " % ", " ** ", "-", "**"]) + inner()
        if form < 14:
            return inner() + self.one([" == ", " != ", " < ", " <= ", " > ", " >= ", " in ", " not in "]) + inner()
        if form == 14:
            return inner() + self.one([" and ", " or "]) + inner()
        if form == 15:
            return "not " + inner()
        if form == 16:
            return inner() + " if " + inner() + self.one(["", " else " + inner(), " else " + inner()])
        if form == 17:
            return "(" + inner() + self.one(["", "", "", ",", ", " + inner()]) + ")"
        if form == 18:
            return inner() + self.one([".a", ".0", "[" + inner() + "]", "[" + inner() + ":]", "[:" + inner() + "]"])
        if form == 19:
            return inner() + "(" + self.one(["", inner(), inner() + ", " + inner(), "k=" + inner()]) + ")"
        if form == 20:
            return "[" + inner() + self.one(["", ", " + inner()]) + "]"
        return "{" + inner() + ": " + inner() + "}"

    def atom(self):
        return self.one(["x", "y", "z", "1", "2", "1.5", "'s'", "true", "none", "[]", "()", "x.y", "f(1)", "x[0]"])


SIGNS = {
    nodes.Add: "+", nodes.Sub: "-", nodes.Mul: "*", nodes.Div: "/", nodes.FloorDiv: "//", nodes.Mod: "%",
    nodes.Pow: "**", nodes.And: "and", nodes.Or: "or",
}
COMPARES = {
    "eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">=", "in": "in", "notin": "not-in",
}


def outline(node):
    """The tree in brackets, operators first."""
    if node is None:
        return "_"
    kind = type(node)
    if kind is nodes.Const:
        return json.dumps(node.value, ensure_ascii=False) if not isinstance(node.value, float) else repr(node.value)
    if kind is nodes.Name:
        return node.name
    if kind is nodes.Getattr:
        return f"(. {outline(node.node)} {node.attr})"
    if kind is nodes.Getitem:
        return f"([] {outline(node.node)} {outline(node.arg)})"
    if kind is nodes.Slice:
        return f"(: {outline(node.start)} {outline(node.stop)} {outline(node.step)})"
    if kind is nodes.Call:
        return f"(call {outline(node.node)}{given(node)})"
    if kind is nodes.Filter:
        return f"(| {outline(node.node)} {node.name}{given(node)})"
    if kind is nodes.Test:
        return f"(is {outline(node.node)} {node.name}{given(node)})"
    if kind is nodes.Not:
        return f"(not {outline(node.node)})"
    if kind is nodes.Neg:
        return f"(neg {outline(node.node)})"
    if kind is nodes.Pos:
        return f"(pos {outline(node.node)})"
    if kind is nodes.Concat:
        return "(~ " + " ".join(map(outline, node.nodes)) + ")"
    if kind is nodes.Compare:
        rest = "".join(f" {COMPARES[operand.op]} {outline(operand.expr)}" for operand in node.ops)
        return f"(compare {outline(node.expr)}{rest})"
    if kind in SIGNS:
        return f"({SIGNS[kind]} {outline(node.left)} {outline(node.right)})"
    if kind is nodes.CondExpr:
        return f"(if {outline(node.test)} {outline(node.expr1)} {outline(node.expr2)})"
    if kind is nodes.List:
        return "(list" + "".join(" " + outline(item) for item in node.items) + ")"
    if kind is nodes.Tuple:
        return "(tuple" + "".join(" " + outline(item) for item in node.items) + ")"
    if kind is nodes.Dict:
        return "(dict" + "".join(f" {outline(pair.key)} {outline(pair.value)}" for pair in node.items) + ")"
    raise TypeError(kind)


def given(node):
    text = "".join(" " + outline(value) for value in node.args)
    text += "".join(f" {pair.key}={outline(pair.value)}" for pair in node.kwargs)
    for spread in (node.dyn_args, node.dyn_kwargs):
        if spread is not None:
            text += f" *{outline(spread)}"
    return text


def read(environment, expression):
    try:
        body = environment.parse("{{ " + expression + " }}").body
    except TemplateSyntaxError:
        return None
    (output,) = body
    (node,) = output.nodes
    return outline(node)


def main():
    environment = Environment()
    draw = Draw(SEED)
    drawn = [draw.expression(5) for _ in range(DRAWN)]
    expressions = dict.fromkeys(BY_HAND + [expression for expression in drawn if len(expression) <= 90])
    rows = [json.dumps([expression, read(environment, expression)], ensure_ascii=False) for expression in expressions]
    print("[\n" + ",\n".join(rows) + "\n]")


main()
