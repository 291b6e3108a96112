"""Chat templates that reach for Python, for files, or never end."""

import json
from pathlib import Path

from hostile.trick import Build, Trick, invalid, merge, put, unsafe

FILE = "chat_template.jinja"
SPACE = "{% set ns = namespace(a='x') %}"
CALL = "{{ f(messages) }}"
REACHES = "reaches for Python"
ROUNDS = "times by itself"
DOUBLES = "doubles it each time"
NO_PART = "other than on parts of one argument"
TWICE = "twice on the same part"
LARGE = "characters for each of the request's"
MAPS = "a filter that 'map' uses"
UNKNOWN = "which is not on the list of what chat templates may use"
OTHER = "is a function, other than by calling it"


def template(text: str, told: str) -> Trick:
    """Return a model with that chat template."""
    return unsafe(put(FILE, text), FILE, told)


def loops(inner: str, *over: str) -> str:
    """Return loops within each other."""
    begin = "".join(f"{{% for x{n} in {what} %}}" for n, what in enumerate(over))
    return begin + inner + "{% endfor %}" * len(over)


def growing(value: str) -> str:
    """Return a loop that sets a text to something, for each message."""
    return SPACE + loops(f"{{% set ns.a = {value} %}}", "messages")


def recursive(body: str, arguments: str = "x") -> str:
    """Return a macro that calls itself, and its first call."""
    return f"{{% macro f({arguments}) %}}{{% if x %}}{body}{{% endif %}}{{% endmacro %}}{CALL}"


def walking(lists: str, walked: str, body: str) -> str:
    """Return a loop over a list that the loop adds to."""
    return f"{{% set {lists} %}}" + loops(body, walked)


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
    "{% set ns = namespace(a='x', b='x') %}"
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
CHAIN = "{% macro m0(x) %}{{ x }}{% endmacro %}" + "".join(
    f"{{% macro m{n}(x) %}}{{{{ m{n - 1}(x) ~ m{n - 1}(x) }}}}{{% endmacro %}}"
    for n in range(1, 40)
) + "{{ m39('x') }}"  # fmt: skip
DEEP = "{% macro m0() %}x{% endmacro %}" + "".join(
    f"{{% macro m{n}() %}}" + loops(f"{{{{ m{n - 1}() }}}}", *["messages"] * 4) + "{% endmacro %}"
    for n in range(1, 5)
) + "{{ m4() }}"  # fmt: skip
LONG = "('x' * 1000000)"
LONGER = f"|map('replace', '', '{'x' * 99}')"
TWICE_NS = "{% set ns.a = ns.a ~ ns.a %}"
TWICE_A = "{% set a = a ~ a %}"
COMPUTED = "through an item computed"

TRICKS = {
    "chat-class": template("{{ ''.__class__.__mro__[1].__subclasses__() }}", REACHES),
    "chat-class-as-item": template("{{ ''['__class__'] }}", REACHES),
    "chat-class-escaped": template(r"{{ ''['\x5f\x5fclass\x5f\x5f'] }}", REACHES),
    "chat-class-in-pieces": template("{{ ''['__cla' ~ 'ss__'] }}", REACHES),
    "chat-class-by-filter": template("{{ ''|attr('__class__') }}", "filter 'attr'"),
    "chat-class-computed": template("{{ ''|attr(messages[0].content) }}", "filter 'attr'"),
    "chat-class-by-map": template("{{ messages|map(attribute='_x.y')|list }}", REACHES),
    "chat-class-by-format": template("{{ '{0.__class__}'.format(1) }}", "plain fields"),
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
    "chat-range": template(loops("", "range(1000000000)"), "has the number"),
    "chat-range-by-power": template(loops("", "range(10**9)"), "other than counts"),
    "chat-range-by-product": template(loops("", "range(1000 * x)"), "other than counts"),
    "chat-range-of-a-million": template(loops("", "range(1000000)"), ROUNDS),
    "chat-ranges-nested": template(loops("x", THOUSAND, THOUSAND, THOUSAND), ROUNDS),
    "chat-range-by-variable": template("{% set n = 5000 %}" + loops("", *["range(n)"] * 3), ROUNDS),
    "chat-long-list": template(loops("", f"[{'1,' * 200}]", f"[{'1,' * 200}]"), ROUNDS),
    "chat-long-text": template(loops("", f"'{'x' * 2000}'", f"'{'x' * 2000}'"), ROUNDS),
    "chat-loops-deep": template(loops("", *["messages"] * 5), "loops 5 deep"),
    "chat-products": template("{{ 'x' * 9999 * 9999 * 9999 }}", LARGE),
    "chat-wide": template("{{ '%0999999999d'|format(1) }}", "filter 'format'"),
    "chat-wide-braces": template("{{ '{:>999999999}'.format(1) }}", "plain fields"),
    "chat-padded": template("{{ 'x'|center(99999999) }}", "filter 'center'"),
    "chat-infinite-number": template("{{ 1e999 }}", "has the number inf"),
    "chat-recursion": template("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", NO_PART),
    "chat-recursion-counting": template(COUNTING, NO_PART),
    "chat-recursion-mutual": template(MUTUAL, NO_PART),
    "chat-recursion-without-end": template(
        "{% macro f(x) %}{{ f(x.a) }}{% endmacro %}{{ f(messages) }}", "without a condition"
    ),
    "chat-recursive-loop": template(
        "{% for x in messages recursive %}{{ loop([messages]) }}{% endfor %}", "recursive loop"
    ),
    "chat-set-to-itself": template(growing("ns.a") + "{{ ns.a * 999999 * 999999 }}", LARGE),
    "chat-doubling": template(growing("ns.a ~ ns.a"), DOUBLES),
    "chat-doubling-by-plus": template(growing("ns.a + 'x' + ns.a"), DOUBLES),
    "chat-doubling-back-and-forth": template(BACK_AND_FORTH, DOUBLES),
    "chat-doubling-by-join": template(growing("[ns.a, ns.a]|join"), DOUBLES),
    "chat-doubling-by-block": template(BLOCK, DOUBLES),
    "chat-doubling-by-product": template(growing("ns.a * 2"), DOUBLES),
    "chat-doubling-by-replace": template(growing("ns.a|replace('x', 'xx')"), DOUBLES),
    "chat-doubling-by-method": template(growing("ns.a.replace('', 'xx')"), DOUBLES),
    "chat-growing-line-by-line": template(LINES, LARGE),
    "chat-recursion-by-slice": template(recursive("{{ f(x[1:]) }}{{ f(x[1:]) }}"), NO_PART),
    "chat-recursion-by-alias": template(recursive("{% set g = f %}{{ g(x.a) }}"), OTHER),
    "chat-recursion-handed-on": template(recursive("{{ g(x.a) }}", "x, g=f"), OTHER),
    "chat-recursion-in-a-list": template(recursive("{{ [f][0](x.a) }}"), UNKNOWN),
    "chat-recursion-twice": template(recursive("{{ f(x.a) }}{{ f(x['a']) }}"), TWICE),
    "chat-recursion-fibonacci": template(recursive("{{ f(x.a) }}{{ f(x.a.b) }}"), TWICE),
    "chat-recursion-in-a-loop": template(
        recursive(loops("{{ f(x.a) }}", "[1, 2]")), "in a loop on the same part"
    ),
    "chat-recursion-by-loops": template(
        recursive(loops("{{ f(x0) }}", "x") + loops("{{ f(x0) }}", "x.values()")), TWICE
    ),
    "chat-recursion-by-turns": template(
        recursive(
            "{% set k = 1 %}{% if k == 1 %}{{ f(x.a) }}{% set k = 2 %}{% endif %}"
            "{% if k == 2 %}{{ f(x.a) }}{% endif %}"
        ),
        TWICE,
    ),
    "chat-recursion-of-two-arguments": template(
        recursive("{{ f(x.a, y) }}{{ f(x, y.a) }}", "x, y=1"), NO_PART
    ),
    "chat-recursion-exchanging": template(recursive("{{ f(y, x.a) }}", "x, y=1"), NO_PART),
    "chat-recursion-of-itself": template(recursive("{{ f(f(x.a)) }}"), NO_PART),
    "chat-recursion-wrapped": template(recursive("{{ f({'a': x.a}) }}"), NO_PART),
    "chat-recursion-from-anew": template(recursive("{% set x = messages %}{{ f(x.a) }}"), NO_PART),
    "chat-recursion-of-a-constant": template(
        recursive("{% if x.a == 1 %}{% set y = {'a': 1} %}{{ f(y) }}{% endif %}"), NO_PART
    ),
    "chat-recursion-of-another-constant": template(
        recursive("{% if x.a == 1 %}{% else %}{% set y = {'b': 1} %}{{ f(y) }}{% endif %}"), NO_PART
    ),
    "chat-recursion-by-default": template(
        "{% macro f(x, y=f(1)) %}{{ y }}{% endmacro %}{{ f(1) }}", NO_PART
    ),
    "chat-recursion-written-twice": template(
        recursive("{% set t = f(x.a) %}{{ t }}{{ t }}"), "writes several times"
    ),
    "chat-recursion-doubling": template(recursive("{{ f(x.a, p ~ p) }}", "x, p='x'"), DOUBLES),
    "chat-recursion-by-namespace": template(
        SPACE + recursive(loops("{% set ns.a = ns.a ~ f(x0) %}", "x") + "{{ ns.a }}"), "grow by"
    ),
    "chat-macros-doubling": template(CHAIN, ROUNDS),
    "chat-macros-in-loops": template(DEEP, "more than the size of the request to the"),
    "chat-macro-defined-twice": template(recursive("x") + recursive("{{ f(x) }}"), "twice"),
    "chat-macro-set": template(recursive("x") + "{% set f = 1 %}", OTHER),
    "chat-macro-as-a-variable": template(
        recursive("x") + loops("{{ f(1) }}", "[1]").replace("x0", "f"), OTHER
    ),
    "chat-caller": template(
        "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}{% call m() %}x{% endcall %}",
        REACHES,
    ),
    "chat-varargs": template("{% macro m() %}{{ varargs }}{% endmacro %}{{ m(1) }}", REACHES),
    "chat-loop-of-a-product": template(loops("", "'x' * 100000", "'x' * 100000"), ROUNDS),
    "chat-loop-of-a-list": template(loops("", "range(100000)|list"), ROUNDS),
    "chat-range-by-namespace": template(
        "{% set ns = namespace(n=100000) %}" + loops("", "range(ns.n)"), ROUNDS
    ),
    "chat-range-by-unpacking": template(
        "{% set a, b = 100000, 100000 %}" + loops("", "range(a)", "range(b)"), "other than counts"
    ),
    "chat-range-by-sum": template("{% set n = 50000 + 50000 %}" + loops("", "range(n)"), ROUNDS),
    "chat-range-below-zero": template(loops("", "range(-1000000, 0)"), ROUNDS),
    "chat-range-by-division": template(loops("", "range(1 // 0.000001)"), "divides other than"),
    "chat-range-of-a-text": template(loops("", "range(messages[0].content|int)"), "of a text"),
    "chat-range-of-the-date": template(loops("", "range(strftime_now('%s')|int)"), "of a text"),
    "chat-range-of-the-request": template(loops("", "range(messages[0].n)"), "other than counts"),
    "chat-ranges-for-each": template(
        loops("", "messages", "range(9000)", "range(9000)"), "for each part of the request"
    ),
    "chat-list-that-grows": template(walking("l = [1]", "l", "{{ l.append(x0) }}"), DOUBLES),
    "chat-list-of-a-namespace": template(
        walking("ns = namespace(l=[1])", "ns.l", "{{ ns.l.append(1) }}"), "grow by its own size"
    ),
    "chat-list-by-alias": template(
        walking("l = [1] %}{% set k = l", "l", "{{ k.append(x0) }}"), "a list of its own"
    ),
    "chat-list-of-the-request": template(
        loops("{{ messages.append(x0) }}", "messages"), "a list of its own"
    ),
    "chat-bomb-by-replace": template(f"{{{{ {LONG}|replace('x', {LONG}) }}}}", LARGE),
    "chat-bomb-by-map": template(f"{{{{ x{LONGER * 9}|list }}}}", MAPS),
    "chat-bomb-by-map-of-indents": template("{{ x|map('indent', 1000000)|list }}", MAPS),
    "chat-bomb-by-map-of-nothing": template("{{ x|map(attribute='', default='x')|list }}", MAPS),
    "chat-bomb-by-join": template(f"{{{{ {LONG}|join({LONG}) }}}}", LARGE),
    "chat-bomb-by-tabs": template("{{ ('\t' * 10000).expandtabs(1000000) }}", "'expandtabs'"),
    "chat-bomb-by-percent": template("{{ ('%' ~ '9999999d') % 1 }}", "formats a text"),
    "chat-bomb-by-fields": template("{{ '{:{}}'.format(1, 999999) }}", "plain fields"),
    "chat-bomb-by-ljust": template("{{ 'x'.ljust(1000000) }}", "'ljust'"),
    "chat-bomb-by-indent": template("{{ x|indent(1000000) }}", "indents by other"),
    "chat-bomb-by-indent-of-a-variable": template(
        "{% set n = 999999 %}{{ x|indent(n) }}", "indents by other"
    ),
    "chat-bomb-by-block": template("{% filter indent(99999) %}x{% endfilter %}", "filters a block"),
    "chat-doubling-by-filtered-block": template(
        loops("{% set a|e %}{{ a }}{% endset %}", "messages"), "filters a block"
    ),
    "chat-namespace-as-a-loop-variable": template(
        SPACE + loops(TWICE_NS, "messages").replace("x0", "ns"), "other than a namespace"
    ),
    "chat-namespace-that-is-a-message": template(
        SPACE + "{% set ns = messages[0] %}" + loops(TWICE_NS, "messages"), "other than a namespace"
    ),
    "chat-namespace-of-a-macro": template(
        SPACE + "{% macro g(m) %}{% set ns = m %}" + TWICE_NS + "{% endmacro %}{{ g(messages) }}",
        "no namespace",
    ),
    "chat-namespace-or-a-message": template(
        SPACE + "{% macro g(s) %}{% set s.a = 1 %}{% endmacro %}{{ g(ns) }}{{ g(messages[0]) }}",
        "other than a namespace",
    ),
    "chat-bomb-by-tojson": template("{{ messages|tojson(indent=1000000) }}", "indents by other"),
    "chat-bomb-by-date": template("{{ strftime_now('%999999d') }}", "formats the date"),
    "chat-bomb-by-date-of-the-request": template(
        "{{ strftime_now(messages[0].content) }}", "formats the date"
    ),
    "chat-bomb-by-batch": template("{{ messages|batch(1000000, 'x')|list }}", "filter 'batch'"),
    "chat-bomb-by-slice": template("{{ messages|slice(1000000)|list }}", "filter 'slice'"),
    "chat-bomb-by-wordwrap": template("{{ x|wordwrap(1, wrapstring='x') }}", "filter 'wordwrap'"),
    "chat-bomb-by-xmlattr": template("{{ x|xmlattr }}", "filter 'xmlattr'"),
    "chat-bomb-of-the-request": template("{{ 'x' * messages[0].n }}", "multiplies by other"),
    "chat-dict": template("{{ dict(a=1) }}", REACHES),
    "chat-doubling-outside": template("{% set a = 'x' %}" + loops(TWICE_A, "messages"), DOUBLES),
    "chat-doubling-of-an-item": template(
        loops("{% set x0 = x0 ~ x0 %}", "messages", "messages"), DOUBLES
    ),
    "chat-doubling-but-first": template(
        loops(
            f"{{% if loop.first %}}{{% set a = 'x' %}}{{% else %}}{TWICE_A}{{% endif %}}",
            "messages",
        ),
        DOUBLES,
    ),
    "chat-doubling-by-macro": template(
        "{% macro d(s) %}{% set s.a = s.a ~ s.a %}{% endmacro %}"
        + SPACE
        + loops("{{ d(ns) }}", "messages"),
        DOUBLES,
    ),
    "chat-doubling-by-what-is-written": template(
        SPACE
        + "{% macro w() %}{{ ns.a }}{{ ns.a }}{% endmacro %}"
        + loops("{% set ns.a = w() %}", "messages"),
        "what a macro writes",
    ),
    "chat-doubling-by-length": template(growing("ns.a * (messages|length)"), DOUBLES),
    "chat-doubling-by-tojson": template(growing("ns.a|tojson"), DOUBLES),
    "chat-doubling-by-escape": template(growing("ns.a|e"), DOUBLES),
    "chat-doubling-by-quotes": template(growing("[ns.a]|string"), DOUBLES),
    "chat-doubling-by-fields": template(growing("'{0}{0}'.format(ns.a)"), DOUBLES),
    "chat-doubling-by-separator": template(growing("ns.a|join(ns.a)"), DOUBLES),
    "chat-doubling-by-own-part": template(growing("ns.a.replace('x', ns.a)"), DOUBLES),
    "chat-namespace-as-text": template(growing("ns ~ ns"), "the namespace 'ns' other than"),
    "chat-namespace-in-itself": template(growing("[ns, ns]"), "the namespace 'ns' other than"),
    "chat-namespace-by-alias": template(SPACE + "{% set k = ns %}", "the namespace 'ns' other"),
    "chat-attribute-of-the-request": template("{% set messages.a = 1 %}", "no namespace"),
    "chat-pieces": template("{{ ''['_' ~ '_class_' ~ '_'] }}", COMPUTED),
    "chat-pieces-by-percent": template("{{ ''['%c%cclass' % (95, 95)] }}", "formats a text"),
    "chat-pieces-by-loop": template(loops("{{ ''[x0] }}", "['_' ~ '_class_' ~ '_']"), COMPUTED),
    "chat-pieces-by-variable": template("{% set u = '_' %}{{ ''[u ~ u ~ 'class'] }}", COMPUTED),
    "chat-pieces-by-macro": template(
        "{% macro u() %}_{% endmacro %}{{ ''[u() ~ u() ~ 'class'] }}", COMPUTED
    ),
    "chat-pieces-by-block": template("{% set u %}_{% endset %}{{ ''[u ~ u ~ 'class'] }}", COMPUTED),
    "chat-pieces-by-mapping": template("{{ ''[{'a': '_'}.get('a') ~ '_x'] }}", COMPUTED),
    "chat-pieces-by-map": template(
        "{{ ['']|map(attribute=['_', '_class_', '_']|join)|list }}", "computes the name"
    ),
    "chat-filter-by-variable": template(
        "{% set n = 'e' %}{{ x|map(n)|list }}", "computes the name"
    ),
    "chat-filter-by-name": template("{{ messages|map('attr', 'x')|list }}", "unknown name"),
    "chat-arguments-spread": template("{{ range(*messages) }}", "not written out"),
    "chat-unknown-method": template("{{ messages.clear() }}", UNKNOWN),
    "chat-changed-mapping": template(
        "{% set context = {} %}{% set _ = context.update({'a': messages}) %}", UNKNOWN
    ),
    "chat-unknown-block": template("{% block a %}{% endblock %}", UNKNOWN),
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
