"""Chat templates as published models have them pass; what they stand close to does not.

The hostile ones are in tests/hostile/chats.py.
"""

import pytest

from qmodel.worker.errors import SourceInvalid, UnsafeModel
from qmodel.worker.inspect.templates import check_template

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content']"
    " + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
ALTERNATING = (
    "{% for message in messages[1:] %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{{ message.content | trim }}"
    "{% endfor %}"
)
DATE = (
    "{% if not date_string is defined %}{% if strftime_now is defined %}"
    "{% set date_string = strftime_now('%d %b %Y') %}{% endif %}{% endif %}{{ date_string }}"
)
COLLECTED = (
    "{% set ns = namespace(system='', last=messages|length - 1) %}{% for m in messages %}"
    "{% set ns.system = ns.system ~ '\\n' ~ m.content %}{% endfor %}{{ ns.system }}"
    "{% for m in messages[::-1] %}{% set index = (messages|length - 1) - loop.index0 %}"
    "{{ messages[index].role }}{% if loop.index0 > ns.last %}{% break %}{% endif %}{% endfor %}"
)
REASONING = (
    "{% for message in messages %}{% set content = message.content or '' %}"
    "{% if '</think>' in content %}"
    "{% set reasoning = content.split('</think>')[0].split('<think>')[-1].strip('\\n') %}"
    "{% set content = content.split('</think>')[1:] | join('</think>') %}"
    "{{ reasoning }}{% endif %}{{ content.lstrip('\\n') }}{% endfor %}"
)
ARGUMENTS = (
    "{% for call in messages[-1].tool_calls %}{% if call.function %}"
    "{% set call = call.function %}{% endif %}{% for name, value in call.arguments|items %}"
    "{% set value = value if value is string else value|tojson %}{{ name ~ value }}"
    "{% endfor %}{% endfor %}"
)
PADDED = (
    "{% set image_tokens = image_tokens | default(64, true) | int %}"
    "{% for m in messages %}{{ '<image>' * image_tokens }}{% endfor %}"
)
QUEUE = (
    "{% set queue = namespace(ids=[]) %}{% for m in messages %}{% if m.tool_calls %}"
    "{% set _ = queue.ids.append('call ' ~ m.id) %}{% else %}{{ queue.ids.pop(0) }}{% endif %}"
    "{% endfor %}"
)
TYPES = (
    "{% macro type(spec, required) %}{% if spec.type == 'array' %}"
    "{% set inner = type(spec['items'], required) %}"
    "{% if inner|length > 50 %}any[]{% else %}{{ inner + '[]' }}{% endif %}"
    "{% elif spec.oneOf %}{% for variant in spec.oneOf %}{{ type(variant, required) }}{% endfor %}"
    "{% elif spec.type == 'object' %}{% for name, prop in spec.properties.items() %}"
    "{{ name + ': ' + type(prop, spec.required or []) }}{% endfor %}{% endif %}{% endmacro %}"
    "{% for tool in tools %}{{ type(tool.parameters, []) }}{% endfor %}"
)
SORTED = (
    "{% macro sorted(value) %}{% if value is mapping %}{% for key, item in value|dictsort %}"
    "{{ key|tojson }}:{{ sorted(item) }}{% endfor %}{% elif value is string %}{{ value|tojson }}"
    "{% else %}{% for item in value %}{{ sorted(item) }}{% endfor %}{% endif %}{% endmacro %}"
    "{{ sorted(tools) }}"
)
NAMED_TYPES = (
    "{% macro python(spec) %}{% set names = {'string': 'str', 'integer': 'int'} %}"
    "{% if names[spec.type] is defined %}{{ names[spec.type] }}"
    "{% elif spec.type == 'array' %}{{ 'list[' + python(spec.items) + ']' }}"
    "{% elif spec.type is iterable %}{% for t in spec.type %}{{ python({'type': t}) }}"
    "{% endfor %}{% endif %}{% endmacro %}{{ python(tools[0]) }}"
)
INDENTED = (
    "{% macro walk(schema, indent='', depth=0) %}{% for name, value in schema.items() %}"
    "{{ indent ~ name ~ '  ' * depth }}{{ walk(value, indent ~ '  ', depth + 1) }}"
    "{% endfor %}{% endmacro %}{{ walk(tools) }}"
)
EXCLUSIVE = (
    "{% macro walk(values) %}{% for key, value in values|dictsort %}"
    "{% if value['type']|upper == 'ARRAY' %}{{ walk(value['items']) }}{% endif %}"
    "{% if value['type']|upper == 'OBJECT' %}{{ walk(value['properties']) }}{% endif %}"
    "{% endfor %}{% endmacro %}{{ walk(tools) }}"
)
OTHER_KEYS = (
    "{% for tool in tools %}{% for name, fields in tool.parameters.properties|items %}"
    "{% set handled = ['type', 'enum'] %}{% for key in fields.keys() | reject('in', handled) %}"
    "{{ key ~ fields[key] }}{% endfor %}{% endfor %}{% endfor %}"
)
CHAINED = "{% set a0 = 'x' %}" + "".join(f"{{% set a{n} = a{n - 1} %}}" for n in range(1, 230))
HONEST = {
    "chained": CHAINED + "{{ a229 }}",
    "other-keys": OTHER_KEYS,
    "chatml": CHATML,
    "alternating": ALTERNATING,
    "date": DATE,
    "collected": COLLECTED,
    "reasoning": REASONING,
    "arguments": ARGUMENTS,
    "padded": PADDED,
    "queue": QUEUE,
    "types": TYPES,
    "sorted": SORTED,
    "named-types": NAMED_TYPES,
    "indented": INDENTED,
    "exclusive": EXCLUSIVE,
    "generation": "{% generation %}{{ messages[-1].content }}{% endgeneration %}",
    "escaped": "{{ messages[0].content|replace('&', '&amp;')|replace('\"', '&quot;') }}",
    "never-called": "{% macro f(x) %}{{ x }}{% endmacro %}{{ messages[0].content }}",
    "sliced": "{% for tool in tools[:] %}{{ tool | string }}{% endfor %}",
    "range": "{% for i in range(messages|length - 1, -1, -1) %}{{ messages[i] }}{% endfor %}",
}
REFUSED = {
    "variant-twice": TYPES.replace("{{ type(variant, required) }}", "{{ type(variant, '') }}" * 2),
    "inner-twice": TYPES.replace("inner + '[]'", "inner + inner"),
    "indent-doubling": INDENTED.replace("indent ~ '  ', depth", "indent ~ indent, depth"),
    "depth-doubling": INDENTED.replace("depth + 1", "depth * 2"),
    "not-exclusive": EXCLUSIVE.replace("'OBJECT'", "'ARRAY'").replace("properties", "items"),
    "wrapped": NAMED_TYPES.replace("{'type': t}", "{'type': spec.type}"),
    "carried": COLLECTED.replace("'\\n' ~ m.content", "ns.system"),
    "many-statements": "{{ x }}" * 5000,
    "computed-attribute": "{{ messages|selectattr(name, 'eq', name)|list }}",
    "computed-test": "{{ messages|reject(name, messages)|list }}",
    "chained": "{% set a0 = 1 %}" + "".join(f"{{% set a{n} = a{n - 1} %}}" for n in range(1, 300)),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_published_templates_do_passes(name: str) -> None:
    check_template(HONEST[name], "chat_template")


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_grow_is_refused(name: str) -> None:
    with pytest.raises(UnsafeModel, match=r"chat_template, line \d+: the chat template "):
        check_template(REFUSED[name], "chat_template")


def test_the_line_is_named() -> None:
    with pytest.raises(UnsafeModel, match="line 3: the chat template has the number"):
        check_template("{{ 1 }}\n\n{{ 99999999 }}", "chat_template")


def test_a_template_is_text_of_jinja() -> None:
    with pytest.raises(SourceInvalid, match="is a int"):
        check_template(1, "chat_template")
    with pytest.raises(SourceInvalid, match="no valid Jinja"):
        check_template("{% if %}", "chat_template")
