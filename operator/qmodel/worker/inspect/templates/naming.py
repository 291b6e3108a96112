"""Finding the variables of a chat template: which name belongs where, and what sets it."""

from collections.abc import Iterable, Mapping

from jinja2 import nodes

from qmodel.worker.inspect.templates.names import (
    REQUEST,
    Names,
    Setting,
    Variable,
    arguments,
    called_name,
    innermost_macro,
)
from qmodel.worker.inspect.templates.walk import Parents, walk, walk_with_parents


def name_all(tree: nodes.Template) -> Names:
    """Return the variables of a template."""
    found = list(walk_with_parents(tree))
    names = Names(
        order={id(node): place for place, (node, _) in enumerate(found)},
        parents={id(node): parents for node, parents in found},
        calls=[node for node, _ in found if isinstance(node, nodes.Call)],
        macros={node.name: node for node, _ in found if isinstance(node, nodes.Macro)},
    )
    own = {
        name: {n.name for n in walk(macro) if isinstance(n, nodes.Name) and n.ctx != "load"}
        for name, macro in names.macros.items()
    }
    for node, parents in found:
        if isinstance(node, nodes.Name):
            names.variables[id(node)] = _variable(node, parents, own)
            _keep_outer(names, node, parents)
    _find_namespaces(names, [n for n, _ in found if isinstance(n, nodes.Assign)])
    for node, parents in found:
        for target, value in _sets(names, node):
            names.settings.setdefault(target, []).append(Setting(value, parents, node))
    return names


def _variable(node: nodes.Name, parents: Parents, own: Mapping[str, set[str]]) -> Variable:
    """Return the variable of a name: of a loop, of a macro, or of the template."""
    macro = innermost_macro(parents)
    inner = (*parents, node)
    for parent, child in zip(reversed(parents), reversed(inner), strict=False):
        if parent is macro:
            break
        if isinstance(parent, nodes.For) and child is not parent.iter:
            bound = {n.name for n in walk(parent.target) if isinstance(n, nodes.Name)}
            if node.name in bound | {"loop"}:
                return Variable(node.name, macro.name if macro else "", id(parent))
    is_own = macro and node.name in own[macro.name]
    return Variable(node.name, macro.name if macro and is_own else "")


def _keep_outer(names: Names, node: nodes.Name, parents: Parents) -> None:
    """Note what lies behind a variable when it is met first."""
    variable = names.variables[id(node)]
    if variable not in names.outer:
        behind = Variable(node.name) if variable.macro else REQUEST
        is_set = variable.loop or _always_set(node, parents)
        names.outer[variable] = None if is_set else behind


def _always_set(node: nodes.Name, parents: Parents) -> bool:
    """Whether the first place that names a variable sets it, whatever happens."""
    if node.ctx == "param":
        return True
    *around, setter = parents
    within = [p for p in around if not isinstance(p, nodes.Template | nodes.Macro | nodes.Scope)]
    if within or not isinstance(setter, nodes.Assign | nodes.AssignBlock):
        return False
    named = [n for n in walk(setter) if isinstance(n, nodes.Name) and n.name == node.name]
    return setter.target is node and len(named) == 1


def _sets(names: Names, node: nodes.Node) -> Iterable[tuple[Variable, nodes.Node]]:
    """Yield the variables that a node sets, and what to."""
    if isinstance(node, nodes.Assign | nodes.AssignBlock | nodes.For):
        value = node.iter if isinstance(node, nodes.For) else node
        value = node.node if isinstance(node, nodes.Assign) else value
        yield from ((v, value) for target in walk(node.target) if (v := names.variable(target)))
    if isinstance(node, nodes.For):
        macro = names.macro_of(node)
        yield Variable("loop", macro.name if macro else "", id(node)), node.iter
    if isinstance(node, nodes.Assign) and isinstance(made := node.node, nodes.Call):
        target = names.variable(node.target)
        held = names.namespaces.get(target) if target else None
        if held:
            yield from ((held._replace(attribute=k.key), k.value) for k in made.kwargs)
    if isinstance(node, nodes.Macro):
        given = zip(reversed(node.args), reversed(node.defaults), strict=False)
        yield from ((Variable(name.name, node.name), value) for name, value in given)
    if isinstance(node, nodes.Call):
        yield from _call_sets(names, node)


def _call_sets(names: Names, node: nodes.Call) -> Iterable[tuple[Variable, nodes.Node]]:
    """Yield the parameters that a call sets, or the list that it adds to, and what to."""
    if macro := names.called(node):
        taken = arguments(node, macro).items()
        yield from ((Variable(name, macro.name), value) for name, value in taken)
    method = node.node
    if isinstance(method, nodes.Getattr) and method.attr == "append":
        variable = names.variable(method.node)
        if variable:
            added = (nodes.Add(method.node, value, lineno=node.lineno) for value in node.args)
            yield from ((variable, value) for value in added)


def _find_namespaces(names: Names, assigned: list[nodes.Assign]) -> None:
    """Note the variables that are set to namespaces, and the parameters that are given them."""
    for node in assigned:
        if called_name(node.node) == "namespace" and (variable := names.variable(node.target)):
            names.namespaces[variable] = variable
    given = [
        (variable, Variable(name, macro.name))
        for call, macro in names.macro_calls
        for name, value in arguments(call, macro).items()
        if (variable := names.variable(value))
    ]
    for _ in range(2 * len(names.macros)):
        for value, parameter in given:
            if value in names.namespaces:
                held = names.namespaces[value]
                other = names.namespaces.setdefault(parameter, held)
                for variable, known in names.namespaces.items():
                    names.namespaces[variable] = held if known == other else known
