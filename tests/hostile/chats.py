"""Chat templates that reach for Python, for files, or never end."""

import json
from pathlib import Path

from hostile.trick import Build, Trick, invalid, merge, put, unsafe

FILE = "chat_template.jinja"
REACHES = "reaches for Python"
ROUNDS = "times by itself"
DOUBLES = "doubles it each time"


def template(text: str, told: str) -> Trick:
    """Return a model with that chat template."""
    return unsafe(put(FILE, text), FILE, told)


def loops(inner: str, *over: str) -> str:
    """Return loops within each other."""
    begin = "".join(f"{{% for x{n} in {what} %}}" for n, what in enumerate(over))
    return begin + inner + "{% endfor %}" * len(over)


def growing(value: str) -> str:
    """Return a loop that sets a text to something."""
    return loops(f"{{% set ns.a = {value} %}}", "messages")


def in_tokenizer(chat_template: object) -> Build:
    """Return the chat template as the tokenizer's configuration holds it."""
    return merge("tokenizer_config.json", chat_template=chat_template)


def list_of_two(folder: Path) -> None:
    """Hide the bad template behind a good one."""
    path = folder / "tokenizer_config.json"
    document = json.loads(path.read_text())
    good = {"name": "default", "template": document["chat_template"]}
    bad = {"name": "tool_use", "template": "{{ x.__class__ }}"}
    path.write_text(json.dumps(document | {"chat_template": [good, bad]}))


THOUSAND = "range(1000)"
LINES = "{% set a0 = 'xxxxxxxxxx' %}" + "".join(
    f"{{% set a{n} = {' ~ '.join([f'a{n - 1}'] * 10)} %}}" for n in range(1, 15)
)
BACK_AND_FORTH = (
    "{% for i in messages %}{% set ns.a = ns.b ~ ns.b %}{% set ns.b = ns.a %}{% endfor %}"
)
COUNTING = (
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}"
)
MUTUAL = (
    "{% macro f(n) %}{% if n %}{{ g(n) }}{{ g(n) }}{% endif %}{% endmacro %}"
    "{% macro g(n) %}{% if n %}{{ f(n) }}{{ f(n) }}{% endif %}{% endmacro %}"
)
BLOCK = loops("{% set a %}{{ a }}{{ a }}{% endset %}", "messages")

TRICKS = {
    "chat-class": template("{{ ''.__class__.__mro__[1].__subclasses__() }}", REACHES),
    "chat-class-as-item": template("{{ ''['__class__'] }}", REACHES),
    "chat-class-escaped": template(r"{{ ''['\x5f\x5fclass\x5f\x5f'] }}", REACHES),
    "chat-class-in-pieces": template("{{ ''['__cla' ~ 'ss__'] }}", REACHES),
    "chat-class-by-filter": template("{{ ''|attr('__class__') }}", REACHES),
    "chat-class-computed": template("{{ ''|attr(messages[0].content) }}", "computes the name"),
    "chat-class-by-map": template("{{ messages|map(attribute='_x.y')|list }}", REACHES),
    "chat-class-by-format": template("{{ '{0.__class__}'.format(1) }}", REACHES),
    "chat-private": template("{{ raise_exception._globals }}", REACHES),
    "chat-frame": template("{{ (messages|map('upper')).gi_frame }}", REACHES),
    "chat-format-map": template("{{ '{x}'.format_map(messages[0]) }}", REACHES),
    "chat-lipsum": template("{{ lipsum(n=100) }}", REACHES),
    "chat-self": template("{{ self.x }}", REACHES),
    "chat-cycler": template("{{ cycler.reset }}", REACHES),
    "chat-import": template("{% import 'os' as os %}", "loads another template"),
    "chat-from-import": template("{% from '/etc/passwd' import x %}", "loads another template"),
    "chat-include": template("{% include '/etc/passwd' %}", "loads another template"),
    "chat-extends": template("{% extends '../../x' %}", "loads another template"),
    "chat-range": template(loops("", "range(1000000000)"), ROUNDS),
    "chat-range-by-power": template(loops("", "range(10**9)"), "raises to a power"),
    "chat-range-by-product": template(loops("", "range(1000 * x)"), "multiplies the rounds"),
    "chat-range-of-a-million": template(loops("", "range(1000000)"), ROUNDS),
    "chat-ranges-nested": template(loops("x", THOUSAND, THOUSAND, THOUSAND), ROUNDS),
    "chat-range-by-variable": template("{% set n = 5000 %}" + loops("", *["range(n)"] * 3), ROUNDS),
    "chat-long-list": template(loops("", f"[{'1,' * 200}]", f"[{'1,' * 200}]"), ROUNDS),
    "chat-long-text": template(loops("", f"'{'x' * 2000}'", f"'{'x' * 2000}'"), ROUNDS),
    "chat-loops-deep": template(loops("", *["messages"] * 7), "loops 7 deep"),
    "chat-products": template("{{ 'x' * 9999 * 9999 * 9999 }}", "multiplies several times"),
    "chat-wide": template("{{ '%0999999999d'|format(1) }}", "absurd width"),
    "chat-wide-braces": template("{{ '{:>999999999}'.format(1) }}", "absurd width"),
    "chat-padded": template("{{ 'x'|center(99999999) }}", "has the number"),
    "chat-infinite-number": template("{{ 1e999 }}", "has the number inf"),
    "chat-recursion": template("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "from within"),
    "chat-recursion-counting": template(COUNTING, "from within itself"),
    "chat-recursion-mutual": template(MUTUAL, "from within itself"),
    "chat-recursion-without-end": template(
        "{% macro f(x) %}{{ f(x.a) }}{% endmacro %}{{ f(messages) }}", "without a condition"
    ),
    "chat-recursive-loop": template(
        "{% for x in messages recursive %}{{ loop(messages) if 0 else loop(1) }}{% endfor %}",
        "'loop' from within itself",
    ),
    "chat-doubling": template(growing("ns.a ~ ns.a"), DOUBLES),
    "chat-doubling-by-plus": template(growing("ns.a + 'x' + ns.a"), DOUBLES),
    "chat-doubling-back-and-forth": template(BACK_AND_FORTH, DOUBLES),
    "chat-doubling-by-join": template(growing("[ns.a, ns.a]|join"), DOUBLES),
    "chat-doubling-by-block": template(BLOCK, DOUBLES),
    "chat-doubling-by-product": template(growing("ns.a * 2"), DOUBLES),
    "chat-doubling-by-replace": template(growing("ns.a|replace('x', 'xx')"), DOUBLES),
    "chat-doubling-by-method": template(growing("ns.a.replace('', 'xx')"), DOUBLES),
    "chat-growing-line-by-line": template(LINES, DOUBLES),
    "chat-parentheses": template("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested more than"),
    "chat-conditions-deep": template("{% if 1 %}" * 200 + "{% endif %}" * 200, "nested more than"),
    "chat-long-sum": template("{{ " + "1+" * 3000 + "1 }}", "nested more than"),
    "chat-no-jinja": invalid(put(FILE, "{% for %}"), FILE, "no valid Jinja"),
    "chat-unknown-statement": invalid(put(FILE, "{% python %}"), FILE, "no valid Jinja"),
    "chat-too-large": invalid(put(FILE, "x" * 200_000), FILE, "at most 131072"),
    "chat-not-utf-8": invalid(put(FILE, b"\xff\xfe{{ x }}"), FILE, "no UTF-8 text"),
    "chat-a-number": invalid(in_tokenizer(5), "tokenizer_config.json", "is a int"),
    "chat-second-of-a-list": unsafe(list_of_two, "tokenizer_config.json", REACHES),
    "chat-of-a-table": unsafe(
        in_tokenizer({"tools": "{{ x._y }}"}), "tokenizer_config.json", REACHES
    ),
    "chat-in-its-own-json": unsafe(
        merge("chat_template.json", chat_template="{{ x._y }}"), "chat_template.json", REACHES
    ),
    "chat-of-the-processor": unsafe(
        merge("processor_config.json", chat_template="{{ x._y }}"), "processor_config.json", REACHES
    ),
}
