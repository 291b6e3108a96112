"""Chat templates: Jinja programs that every engine runs on each request.

The engines run them in a sandbox, which keeps them from Python but not from looping or filling
memory: transformers' (and so vLLM's) has no limit of time, llama.cpp's own interpreter neither.
They are parsed here by Jinja itself and never rendered; what is not `listed` is
refused. In this order:

1. `check`: what Jinja parses, and no more than so many characters, statements and levels;
2. `naming` and `names`: what each name stands for, and what it is ever set to;
3. `allowed`: only what is `listed`: statements, `lookups` of names and items, `calls` of functions,
   methods and filters; with `numbers`, which tells what is a number, whatever the request says;
4. `recursion`: macros call themselves only to walk the parts of one argument; with `parts`, which
   traces values back to arguments, and `branches`, which tells what excludes each other;
5. `reading`: what each expression is made of (`symbols`: variables, macros, loops; `results` of
   methods and filters), as polynomials (`forms`);
6. `sizes`: the most that each of these becomes, put in until only the request's size is left;
7. `costs`: how often each expression runs and how much it writes, which is bounded.
"""

from qmodel.worker.inspect.templates.check import check_template

__all__ = ["check_template"]
