"""Chat templates made to do harm, by name, and a program that renders each in a process of its own.

python hostile_templates.py      prints a line of JSON for each: how it ended, seconds, and megabytes that it took
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

MESSAGES = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "Hello <b>there</b>"},
    {"role": "assistant", "content": "Hi", "tool_calls": [{"function": {"name": "f", "arguments": {"x": [1, 2, {"y": "z"}]}}}]},
]

# Doubles a value again and again: `DOUBLE % (first value, what the next one is, times)`.
DOUBLE = "{%% set ns = namespace(x=%s) %%}{%% for i in range(%d) %%}{%% set ns.x = %s %%}{%% endfor %%}"
LIST = DOUBLE % ("[1]", 40, "[ns.x, ns.x]")
TUPLE = DOUBLE % ("(1,)", 40, "(ns.x, ns.x)")
OTHER_TUPLE = TUPLE.replace("ns", "mm")
OTHER_LIST = LIST.replace("ns", "mm")
DICT = DOUBLE % ("{}", 40, "{'a': ns.x, 'b': ns.x}")
DEEP_TUPLE = DOUBLE % ("(1,)", 20000, "(ns.x,)")
BIG = "{% set s = 'ab' * 4000000 %}"

#: Take time, and end in TemplateLimitError.
TIME = {
    "nested-ranges": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "nested-ranges-with-loop": "{% for i in range(99999) %}{% for j in range(99999) %}{{ loop.index if false }}{% endfor %}{% endfor %}",
    "filtered-loop": "{% for i in range(99999) %}{% for j in range(99999) if j < 0 %}{% endfor %}{% endfor %}",
    "loop-else": "{% for i in range(99999) %}{% for j in range(99999) if false %}{% else %}{% endfor %}{% endfor %}",
    "loop-continue": "{% for i in range(99999) %}{% for j in range(99999) %}{% continue %}{% endfor %}{% endfor %}",
    "wide-body": "{% for i in range(99999) %}{% for j in range(99999) %}"
    + "{% if i == j %}x{% endif %}" * 2000
    + "{% endfor %}{% endfor %}",
    "wide-expressions": "{% for i in range(99999) %}{% for j in range(99999) %}{% set a = ["
    + "i," * 4000
    + "] %}{% endfor %}{% endfor %}",
    "wide-dicts": "{% for i in range(99999) %}{% for j in range(99999) %}{% set a = ["
    + "{i:i}," * 3000
    + "] %}{% endfor %}{% endfor %}",
    "recursive-loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "recursive-loop-twice": "{% for x in [1, 2] recursive %}{{ loop([1, 2]) if loop.depth < 30 }}{% endfor %}",
    "macro-recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "macro-mutual-recursion": "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
    "macro-tree": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "macro-chain": "{% macro m0() %}{% endmacro %}"
    + "".join(f"{{% macro m{i}() %}}{{{{ m{i - 1}() }}}}{{{{ m{i - 1}() }}}}{{% endmacro %}}" for i in range(1, 60))
    + "{{ m59() }}",
    "block-recursion": "{% block a %}{{ self.a() }}{% endblock %}",
    "block-tree": "{% set ns = namespace(n=0) %}{% block a %}{% set ns.n = ns.n + 1 %}{% if ns.n < 999999999 %}{{ self.a() }}{{ self.a() }}{% endif %}{% endblock %}",
    "generation-recursion": "{% macro f() %}{% generation %}{{ f() }}{% endgeneration %}{% endmacro %}{{ f() }}",
    "list-of-range": "{% for i in range(99999) %}{% set x = range(99999) | list %}{% endfor %}",
    "length-of-loop": "{% for i in range(99999) %}{% for j in range(99999) | select %}{{ loop.length if false }}{% break %}{% endfor %}{% endfor %}",
    "sort-in-loop": "{% set l = range(99999) | list %}{% for i in range(99999) %}{% set x = l | sort %}{% endfor %}",
    "sort-strings-in-loop": "{% set l = 'a b c d e f' * 1000 %}{% for i in range(99999) %}{% set x = l | sort | join | length %}{% endfor %}",
    "unique-in-loop": "{% set l = range(99999) | list %}{% for i in range(99999) %}{% set x = l | unique | list %}{% endfor %}",
    "sum-in-loop": "{% set l = range(99999) | list %}{% for i in range(99999) %}{% set x = l | sum %}{% endfor %}",
    "max-in-loop": "{% set l = range(99999) %}{% for i in range(99999) %}{% set x = l | max %}{% endfor %}",
    "groupby-in-loop": "{% set l = range(9999) | list %}{% for i in range(99999) %}{% set x = l | groupby('real') %}{% endfor %}",
    "map-in-loop": "{% for i in range(99999) %}{% set x = range(99999) | map('abs') | select('odd') | list %}{% endfor %}",
    "select-chain": "{% for i in range(20000) %}{% set x = range(20000)"
    + " | select" * 50
    + " | first %}{% set y = range(99999)"
    + " | reject" * 50
    + " | first %}{% endfor %}",
    "slice-forever": "{% for x in [1] | slice(10 ** 12) %}{% endfor %}",
    "slice-forever-list": "{{ [1] | slice(10 ** 12) | list | length }}",
    "slice-forever-join": "{{ [1] | slice(10 ** 12) | join }}",
    "slice-forever-in": "{{ 5 in ([1] | slice(10 ** 12)) }}",
    "slice-forever-in-test": "{{ 5 is in([1] | slice(10 ** 12)) }}",
    "slice-forever-in-chain": "{{ 1 < 2 in ([1] | slice(10 ** 12)) }}",
    "slice-forever-arguments": "{{ cycler(*([1] | slice(10 ** 12))) }}",
    "slice-forever-filter-arguments": "{{ 'a' | format(*([1] | slice(10 ** 12))) }}",
    "slice-forever-length": "{% for x in [1] | slice(10 ** 12) %}{{ loop.length }}{% endfor %}",
    "slice-forever-dict": "{{ dict([1] | slice(10 ** 12)) }}",
    "slice-forever-fromkeys": "{{ {}.fromkeys([1] | slice(10 ** 12)) }}",
    "slice-forever-method": "{{ ','.join([1] | slice(10 ** 12)) }}",
    "slice-forever-urlencode": "{{ [1] | slice(10 ** 12) | urlencode }}",
    "slice-forever-sort": "{{ [1] | slice(10 ** 12) | sort }}",
    "slice-forever-unique": "{{ [1] | slice(10 ** 12) | unique | first }}",
    "slice-forever-unpacked": "{% for a in range(99999) %}{% for x in [1] | slice(10 ** 12) %}{% continue %}{% endfor %}{% endfor %}",
    "search": BIG + "{% for i in range(99999) %}{% set x = ('a' * 50 + 'b' + 'a' * 49) in s %}{% endfor %}",
    "search-method": BIG + "{% for i in range(99999) %}{% set x = s.find('aba' * 30 + 'c') %}{% endfor %}",
    "count-method": BIG + "{% for i in range(99999) %}{% set x = s.count('ba') %}{% endfor %}",
    "upper-in-loop": BIG + "{% for i in range(99999) %}{% set x = s | upper %}{% endfor %}",
    "upper-method-in-loop": BIG + "{% for i in range(99999) %}{% set x = s.upper() %}{% endfor %}",
    "reverse-in-loop": BIG + "{% for i in range(99999) %}{% set x = s | reverse %}{% endfor %}",
    "slices-of-text": BIG + "{% for i in range(99999) %}{% set x = s[1:] %}{% endfor %}",
    "slices-of-list": "{% set l = range(99999) | list %}{% for i in range(99999) %}{% set x = l[::-1] %}{% endfor %}",
    "equal-texts": "{% set a = 'a' * 8000000 %}{% set b = 'a' * 8000000 %}{% for i in range(99999) %}{% set x = a == b %}{% endfor %}",
    "equal-lists": "{% set a = range(9999) | list %}{% set b = range(9999) | list %}{% for i in range(99999) %}{% set x = a == b %}{% endfor %}",
    "index-in-loop": "{% set l = range(99999) | list %}{% for i in range(99999) %}{% set x = l.index(99998) %}{% endfor %}",
    "count-in-loop": "{% set l = range(99999) | list %}{% for i in range(99999) %}{% set x = l.count(5.5) %}{% endfor %}",
    "range-count-in-loop": "{% for i in range(99999) %}{% set x = range(99999).count('a') %}{% endfor %}",
    "member-of-list-in-loop": "{% set l = range(99999) | list %}{% for i in range(99999) %}{% set x = 'a' in l %}{% endfor %}",
    "member-of-views-in-loop": "{% set d = {}.fromkeys(range(9999)) %}{% for i in range(99999) %}{% set x = 'a' in d.values() %}{% endfor %}",
    "json-in-loop": "{% for i in range(99999) %}{% set x = messages | tojson %}{% set x = messages | tojson(indent=4) %}{% endfor %}",
    "text-in-loop": "{% for i in range(99999) %}{% for j in range(99999) %}{% set x = messages | string %}{% set x = messages ~ '' %}{% endfor %}{% endfor %}",
    "pprint-in-loop": "{% for i in range(99999) %}{% set x = messages | pprint %}{% endfor %}",
    "wordwrap": "{{ ('a' * 1000000) | wordwrap(1) }}",
    "wordwrap-in-loop": "{% set s = 'a b-c ' * 1000 %}{% for i in range(99999) %}{% set x = s | wordwrap %}{% endfor %}",
    "title-in-loop": "{% set s = 'ab ' * 1000 %}{% for i in range(99999) %}{% set x = s | title %}{% endfor %}",
    "urlize-in-loop": "{% set s = 'http://a.b/c ' * 1000 %}{% for i in range(99999) %}{% set x = s | urlize %}{% endfor %}",
    "wordcount-in-loop": "{% set s = 'ab ' * 1000 %}{% for i in range(99999) %}{% set x = s | wordcount %}{% endfor %}",
    "striptags-comments": "{% set s = '<!-- -->' * 900000 %}{{ s | striptags | length }}",
    "striptags-method": "{% set s = ('<!-- -->' * 900000) | safe %}{{ s.striptags() | length }}",
    "strip-with-many-characters": "{% set s = 'a' * 2000000 %}{% set c = 'b' * 2000000 ~ 'a' %}{{ s.strip(c) }}",
    "trim-with-many-characters": "{% set s = 'a' * 2000000 %}{% set c = 'b' * 2000000 ~ 'a' %}{{ s | trim(c) }}",
    "lorem-ipsum": "{{ lipsum(n=10 ** 9) }}",
    "lorem-ipsum-long": "{{ lipsum(n=1, min=10 ** 8, max=10 ** 9) }}",
    "lorem-ipsum-in-loop": "{% for i in range(99999) %}{% set x = lipsum(100) %}{% endfor %}",
    "dates-in-loop": "{% for i in range(99999) %}{% for j in range(99999) %}{% set x = strftime_now('%Y') %}{% endfor %}{% endfor %}",
    "long-date-format": "{{ strftime_now('%Y' * 100000) }}",
    "exceptions-of-attributes": "{% for i in range(99999) %}{% for j in range(99999) %}{% set x = 'a'.b %}{% set x = 'a'['b'] %}{% endfor %}{% endfor %}",
    "lists-compared-in-loop": "{% for i in range(99999) %}{% for j in range(99) %}{{ '' if [i, j] == [j, i] }}{% endfor %}{% endfor %}",
    "format-in-loop": "{% for i in range(99999) %}{% for j in range(99) %}{% set x='{0}{1}'.format(i, j) %}{% endfor %}{% endfor %}",
    "sets-in-loop": "{% set d = {}.fromkeys(range(90000)) %}{% for i in range(99999) %}{% set x = d.keys() - [] %}{% endfor %}",
    "equal-dicts-in-loop": "{% set d = {}.fromkeys(range(90000)) %}{% set e = {}.fromkeys(range(90000)) %}{% for i in range(99999) %}{% set x = d == e %}{% endfor %}",
    "startswith-in-loop": "{% set t = ('a'*100000)|list %}{% for i in range(99999) %}{% set x = 'b'.startswith(('c',)*90000) %}{% endfor %}",
    "rsplit-in-loop": "{% set s='a b '*100000 %}{% for i in range(99999) %}{% set x = s.rsplit(' ', 1) %}{% endfor %}",
    "undefined-in-loop": "{% set ns=namespace(l=none) %}{% for i in range(99999) %}{% for j in range(99)%}{% set ns.l = (ns.l, 'a'.x, 'a'.y, 'a'.z, i.a, i.b, i.c) %}{% endfor %}{% endfor %}",
    "text-of-tuples-in-loop": "{% for i in range(99999) %}{% for j in range(99) %}{% set x=(i,j)|string %}{% endfor %}{% endfor %}",
}

#: Take memory or time, and end in TemplateLimitError.
SIZE = {
    # Numbers
    "power": "{{ 10 ** (10 ** 10) }}",
    "power-of-power": "{{ 9 ** (9 ** (9 ** 9)) }}",
    "power-times": "{% set ns = namespace(n=2) %}{% for i in range(9999) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
    "added-numbers": "{% set ns = namespace(n=2) %}{% for i in range(99999) %}{% set ns.n = ns.n + ns.n %}{% endfor %}",
    "subtracted-numbers": "{% set ns = namespace(n=2) %}{% for i in range(99999) %}{% set ns.n = ns.n - (0 - ns.n) %}{% endfor %}",
    "summed-numbers": "{% set ns = namespace(n=2) %}{% for i in range(99999) %}{% set ns.n = [ns.n, ns.n] | sum %}{% endfor %}",
    "hexadecimal-number": "{{ ('f' * 1000000) | int(0, 16) * 3 }}",
    "number-from-bytes": "{{ (1).from_bytes(('a' * 1000000).encode(), 'big') * 3 }}",
    "number-to-bytes": "{{ (1).to_bytes(10 ** 10, 'big') }}",
    # Texts that grow
    "repeated": "{{ 'a' * 10 ** 10 }}",
    "repeated-left": "{{ 10 ** 10 * 'a' }}",
    "repeated-in-loop": "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s * 2 %}{% endfor %}",
    "repeated-wide": "{{ '\U0001f600' * 15000000 }}",
    "doubled": "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "doubled-sums": "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s + ns.s + ns.s %}{% endfor %}",
    "doubled-tilde": "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "doubled-block": "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set x %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = x %}{% endfor %}",
    "doubled-macro": "{% macro f(s) %}{{ s }}{{ s }}{% endmacro %}{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = f(ns.s) %}{% endfor %}",
    "doubled-filter-block": "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set x %}{% filter upper %}{{ ns.s }}{{ ns.s }}{% endfilter %}{% endset %}{% set ns.s = x %}{% endfor %}",
    "doubled-call-block": "{% macro f() %}{{ caller() }}{{ caller() }}{% endmacro %}{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set x %}{% call f() %}{{ ns.s }}{% endcall %}{% endset %}{% set ns.s = x %}{% endfor %}",
    "doubled-generation": "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set x %}{% generation %}{{ ns.s }}{{ ns.s }}{% endgeneration %}{% endset %}{% set ns.s = x %}{% endfor %}",
    "doubled-in-block": "{% set ns = namespace(s='ab') %}{% block b %}{{ ns.s }}{{ ns.s }}{% endblock %}{% for i in range(99) %}{% set ns.s = self.b() %}{% endfor %}",
    "doubled-format": "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}",
    "doubled-format-filter": "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = '%s%s' | format(ns.s, ns.s) %}{% endfor %}",
    "doubled-format-method": "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = '{0}{0}'.format(ns.s) %}{% endfor %}",
    "doubled-join": "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] | join %}{% endfor %}",
    "doubled-json": "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] | tojson %}{% endfor %}",
    "doubled-escape": "{% set ns = namespace(s='&&') %}{% for i in range(99) %}{% set ns.s = ('' ~ ns.s ~ ns.s) | forceescape %}{% endfor %}",
    "doubled-autoescape": "{% autoescape true %}{% set ns = namespace(s='&') %}{% for i in range(99) %}{% set ns.s = (ns.s | string) ~ ('' | safe) ~ (ns.s | string) %}{% endfor %}{% endautoescape %}",
    "doubled-urlencode": "{% set ns = namespace(s='%') %}{% for i in range(999) %}{% set ns.s = (ns.s | urlencode) * 2 %}{% endfor %}",
    "markup-repeated": "{{ ('&' | safe) * 10 ** 9 }}",
    "markup-plus": "{% set ns = namespace(s='&' * 3000000) %}{% for i in range(99) %}{% set x = ('' | safe) + ns.s %}{% endfor %}",
    "markup-join": "{{ (', ' | safe).join(['&' * 1000000] * 100) }}",
    "center": "{{ 'a' | center(10 ** 10) }}",
    "center-method": "{{ 'a'.center(10 ** 10) }}",
    "center-markup": "{{ ('a' | safe).center(10 ** 9) }}",
    "ljust": "{{ 'a'.ljust(10 ** 9) }}",
    "rjust": "{{ 'a'.rjust(10 ** 9, 'b') }}",
    "zfill": "{{ 'a'.zfill(10 ** 9) }}",
    "bytes-zfill": "{{ 'a'.encode().zfill(10 ** 9) }}",
    "expandtabs": "{{ '\t'.expandtabs(10 ** 9) }}",
    "expandtabs-many": "{{ ('\t' * 100000).expandtabs(100000) }}",
    "replace": "{{ ('a' * 100000).replace('a', 'b' * 100000) }}",
    "replace-empty": "{{ ('a' * 100000).replace('', 'b' * 100000) }}",
    "replace-filter": "{{ ('a' * 100000) | replace('a', 'b' * 100000) }}",
    "replace-filter-empty": "{{ ('a' * 100000) | replace('', 'b' * 100000) }}",
    "replace-bytes": "{{ ('a' * 100000).encode().replace('a'.encode(), ('b' * 100000).encode()) }}",
    "join-method": "{{ ('a' * 100000).join('b' * 100000) }}",
    "join-method-list": "{{ ('a' * 100000).join(['b'] * 100000) }}",
    "join-filter": "{{ ('b' * 100000) | join('a' * 100000) }}",
    "join-filter-range": "{{ range(99999) | join('a' * 100000) }}",
    "join-same": "{% set s = 'a' * 1000000 %}{{ ([s] * 100000) | join }}",
    "join-same-selected": "{% set s = 'a' * 1000000 %}{{ ''.join(([s] * 100000) | select) }}",
    "join-attribute": "{% set s = {'a': 'b' * 1000000} %}{{ ([s] * 100000) | join(attribute='a') }}",
    "map-upper": "{% set s = 'a' * 1000000 %}{{ ([s] * 100000) | map('upper') | list | length }}",
    "map-format": "{{ range(99999) | map('string') | map('center', 100000) | list | length }}",
    "translate": "{{ ('a' * 100000).translate({97: 'b' * 100000}) }}",
    "percent-width": "{{ '%1000000000d' % 1 }}",
    "percent-precision": "{{ '%.1000000000f' % 1 }}",
    "percent-star": "{{ '%*d' % (1000000000, 1) }}",
    "percent-star-precision": "{{ '%.*f' % (1000000000, 1) }}",
    "percent-key": "{{ '%(a)1000000000d' % {'a': 1} }}",
    "percent-nested-key": "{{ '%(a(b))1000000000d' % {'a(b)': 1} }}",
    "percent-many": "{{ ('%(a)s' * 100000) % {'a': 'b' * 100000} }}",
    "percent-bytes": "{{ '%1000000000d'.encode() % 1 }}",
    "percent-filter": "{{ '%1000000000d' | format(1) }}",
    "percent-odd": "{{ '%1000000000d' is odd }}",
    "percent-even": "{{ '%1000000000d' is even }}",
    "percent-divisible": "{{ '%1000000000d' is divisibleby(3) }}",
    "format-width": "{{ '{:1000000000}'.format(1) }}",
    "format-nested-width": "{{ '{:{}}'.format(1, 1000000000) }}",
    "format-precision": "{{ '{:.1000000000f}'.format(1) }}",
    "format-many": "{{ ('{0}' * 100000).format('b' * 100000) }}",
    "format-map": "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
    "format-markup": "{{ ('{:1000000000}' | safe).format(1) }}",
    "format-attribute": "{% set f = 'x' | attr('format') %}{{ ('{:1000000000}' | attr('format'))(1) }}",
    "format-item": "{{ '{:1000000000}'['format'](1) }}",
    "indent-width": "{{ 'a\nb' | indent(10 ** 9) }}",
    "indent-many": "{{ ('a\n' * 100000) | indent(100000) }}",
    "indent-text": "{{ ('a\n' * 100000) | indent('b' * 100000) }}",
    "wordwrap-string": "{{ ('a ' * 10000) | wordwrap(1, wrapstring='b' * 100000) }}",
    "batch-fill": "{{ [1] | batch(10 ** 10, 0) | list }}",
    "batch-fill-in-loop": "{% for i in range(99999) %}{% set x = [1] | batch(100000, 0) | list %}{% endfor %}",
    "list-repeated": "{{ [1] * 10 ** 10 }}",
    "tuple-repeated": "{{ (1, 2) * 10 ** 10 }}",
    "list-doubled": "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
    "list-summed": "{% set l = [[1] * 1000] * 1000 %}{% for i in range(999) %}{{ l | sum(start=[]) | length }}{% endfor %}",
    "list-summed-once": "{{ ([[1]] * 1000000) | sum(start=[]) | length }}",
    "list-of-text": "{{ ('\u4e00' * 4000000) | list | length }}",
    "split": "{{ ('ab ' * 5000000).split() | length }}",
    "split-separator": "{{ ('ab,' * 5000000).split(',') | length }}",
    "splitlines": "{{ ('ab\n' * 5000000).splitlines() | length }}",
    "splitlines-separators": "{{ ('ab\u2028' * 3000000).splitlines() | length }}",
    "rsplit": "{{ ('ab,' * 5000000).rsplit(',') | length }}",
    "fromkeys": "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = ns.l + [{}.fromkeys(range(99999))] %}{% endfor %}",
    "dict-fromkeys": "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = ns.l + [dict.fromkeys(range(99999))] %}{% endfor %}",
    "dict-copies": "{% set d = {}.fromkeys(range(9999)) %}{% set ns = namespace(l=none) %}{% for i in range(99999) %}{% set ns.l = (ns.l, d.copy()) %}{% endfor %}",
    "dicts-kept": "{% set ns = namespace(l=none) %}{% for i in range(99999) %}{% for j in range(99999) %}{% set ns.l = (ns.l, {'a': 1, 'b': 2, 'c': 3, 'd': 4, 'e': 5, 'f': 6}) %}{% endfor %}{% endfor %}",
    "lists-kept": "{% set ns = namespace(l=none) %}{% for i in range(99999) %}{% for j in range(99999) %}{% set ns.l = [ns.l, [i], [i], [i], [i], [j], [j], [j]] %}{% endfor %}{% endfor %}",
    "texts-kept": "{% set ns = namespace(l=none) %}{% for i in range(99999) %}{% for j in range(99999) %}{% set ns.l = (ns.l, i ~ '-' ~ j, i ~ '+' ~ j, i ~ '*' ~ j, i ~ '/' ~ j) %}{% endfor %}{% endfor %}",
    "words-kept": "{% set ns = namespace(l=none) %}{% for i in range(99999) %}{% set ns.l = (ns.l, 'aa bb cc dd ee ff gg hh'.split()) %}{% for j in range(9) %}{% set ns.l = (ns.l, 'aa bb cc dd ee ff gg hh'.split()) %}{% endfor %}{% endfor %}",
    "cyclers-kept": "{% set ns = namespace(l=none) %}{% for i in range(99999) %}{% for j in range(99999) %}{% set ns.l = (ns.l, cycler(i, j), joiner(i), namespace(a=i)) %}{% endfor %}{% endfor %}",
    "macros-kept": "{% set ns = namespace(l=none) %}{% for i in range(99999) %}{% for j in range(99999) %}{% macro m() %}{{ i }}{% endmacro %}{% set ns.l = (ns.l, m) %}{% endfor %}{% endfor %}",
    "generators-kept": "{% set ns = namespace(l=none) %}{% for i in range(99999) %}{% for j in range(99999) %}{% set ns.l = (ns.l, [1] | map('abs')) %}{% endfor %}{% endfor %}",
    "big-texts-kept": "{% set ns = namespace(l=[]) %}{% for i in range(999) %}{% set ns.l = ns.l + ['\u4e00' * 3000000] %}{% endfor %}",
    "big-arguments-kept": "{% macro f(n, s) %}{{ f(n - 1, s ~ s[:1000000]) if n }}{% endmacro %}{{ f(150, 'a' * 1000000) }}",
    "encode": "{% set s = '\U0001f600' * 1000000 %}{% for i in range(999) %}{% set x = s.encode('utf-32') %}{% endfor %}",
    # Output
    "output": "{% for i in range(99999) %}{{ 'a' * 10000 }}{% endfor %}",
    "output-of-macro": "{% macro f() %}{% for i in range(99999) %}{{ 'a' * 10000 }}{% endfor %}{% endmacro %}{{ f() | length }}",
    "output-same": "{% set s = 'a' * 10000000 %}{% for i in range(99999) %}{{ s }}{% endfor %}",
    "output-same-in-macro": "{% set s = 'a' * 10000000 %}{% macro f() %}{% for i in range(99999) %}{{ s }}{% endfor %}{% endmacro %}{{ f() | length }}",
    "output-same-in-block": "{% set s = 'a' * 10000000 %}{% block b %}{% for i in range(99999) %}{{ s }}{% endfor %}{% endblock %}",
    "output-small": "{% for i in range(99999) %}{% for j in range(99999) %}" + "{{ i }}" * 100 + "{% endfor %}{% endfor %}",
    "output-small-in-macro": "{% macro f() %}{% for i in range(99999) %}{% for j in range(99999) %}"
    + "{{ j }}" * 100
    + "{% endfor %}{% endfor %}{% endmacro %}{{ f() | length }}",
    # Values that are small, and large when they are written or compared
    "shared-text": LIST + "{{ ns.x }}",
    "shared-text-tuple": TUPLE + "{{ ns.x }}",
    "shared-text-dict": DICT + "{{ ns.x }}",
    "shared-text-namespace": LIST + "{{ namespace(a=ns.x) }}",
    "shared-text-items": DICT + "{{ ns.x.items() }}",
    "shared-text-values": DICT + "{{ ns.x.values() }}",
    "shared-tilde": LIST + "{{ ns.x ~ '' }}",
    "shared-string": LIST + "{{ ns.x | string }}",
    "shared-json": LIST + "{{ ns.x | tojson }}",
    "shared-json-indent": LIST + "{{ ns.x | tojson(indent=2) }}",
    "shared-pprint": LIST + "{{ ns.x | pprint }}",
    "shared-join": LIST + "{{ ns.x | join }}",
    "shared-upper": LIST + "{{ ns.x | upper }}",
    "shared-trim": LIST + "{{ ns.x | trim }}",
    "shared-replace": LIST + "{{ 'a' | replace('a', ns.x) }}",
    "shared-center": LIST + "{{ ns.x | center }}",
    "shared-escape": LIST + "{{ ns.x | e }}",
    "shared-safe": LIST + "{{ ns.x | safe }}",
    "shared-urlencode": LIST + "{{ ns.x | urlencode }}",
    "shared-xmlattr": LIST + "{{ {'a': ns.x} | xmlattr }}",
    "shared-percent": LIST + "{{ '%s' % [ns.x] }}",
    "shared-percent-filter": LIST + "{{ '%s' | format(ns.x) }}",
    "shared-format": LIST + "{{ '{}'.format(ns.x) }}",
    "shared-format-repr": LIST + "{{ '{!r}'.format(ns.x) }}",
    "shared-lower-test": LIST + "{{ ns.x is lower }}",
    "shared-exception": LIST + "{{ raise_exception(ns.x) }}",
    "shared-autoescape": "{% autoescape true %}" + LIST + "{{ ns.x }}{% endautoescape %}",
    "shared-equal": LIST + OTHER_LIST + "{{ ns.x == mm.x }}",
    "shared-unequal": LIST + OTHER_LIST + "{{ ns.x != mm.x }}",
    "shared-less": LIST + OTHER_LIST + "{{ ns.x < mm.x }}",
    "shared-chain": LIST + OTHER_LIST + "{{ 1 < 2 == 2 and ns.x == mm.x == ns.x }}",
    "shared-in": LIST + OTHER_LIST + "{{ ns.x in [mm.x] }}",
    "shared-in-chain": LIST + OTHER_LIST + "{{ ns.x in [mm.x] == true }}",
    "shared-in-selected": LIST + OTHER_LIST + "{{ ns.x in ([mm.x] | select) }}",
    "shared-eq-test": LIST + OTHER_LIST + "{{ ns.x is eq(mm.x) }}",
    "shared-in-test": LIST + OTHER_LIST + "{{ ns.x is in([mm.x]) }}",
    "shared-select": LIST + OTHER_LIST + "{{ [ns.x] | select('eq', mm.x) | list | length }}",
    "shared-selectattr": LIST + OTHER_LIST + "{{ [{'a': ns.x}] | selectattr('a', 'eq', mm.x) | list | length }}",
    "shared-changed": LIST + OTHER_LIST + "{% for i in [1, 2] %}{{ loop.changed([ns.x, mm.x][loop.index0]) }}{% endfor %}",
    "shared-index": LIST + OTHER_LIST + "{{ [ns.x].index(mm.x) }}",
    "shared-count": LIST + OTHER_LIST + "{{ [ns.x].count(mm.x) }}",
    "shared-sort": LIST + OTHER_LIST + "{{ [ns.x, mm.x] | sort | length }}",
    "shared-sort-attribute": LIST + OTHER_LIST + "{{ [{'a': ns.x}, {'a': mm.x}] | sort(attribute='a') | length }}",
    "shared-max": LIST + OTHER_LIST + "{{ [ns.x, mm.x] | max | length }}",
    "shared-groupby": LIST + OTHER_LIST + "{{ [{'a': ns.x}, {'a': mm.x}] | groupby('a') | length }}",
    "shared-dictsort": LIST + OTHER_LIST + "{{ {'a': ns.x, 'b': mm.x} | dictsort(by='value') | length }}",
    "shared-hash": TUPLE + "{{ {ns.x: 1} | length }}",
    "shared-hash-item": TUPLE + "{{ {}[ns.x] }}",
    "shared-hash-get": TUPLE + "{{ {}.get(ns.x) }}",
    "shared-hash-in": TUPLE + "{{ ns.x in {} }}",
    "shared-hash-unique": TUPLE + "{{ [ns.x] | unique | list | length }}",
    "shared-hash-dict": TUPLE + "{{ dict([(ns.x, 1)]) | length }}",
    "shared-hash-dict-selected": TUPLE + "{{ dict([(ns.x, 1)] | select) | length }}",
    "shared-hash-fromkeys": TUPLE + "{{ {}.fromkeys([ns.x]) | length }}",
    "shared-hash-map": TUPLE + "{{ [{}] | map(attribute=ns.x) | list }}",
    "shared-hash-filter-name": TUPLE + "{{ [{}] | map(ns.x) | list }}",
    "shared-hash-test": TUPLE + "{{ ns.x is filter }}",
    "shared-hash-namespace": TUPLE + "{{ namespace([(ns.x, 1)]) }}",
    "shared-hash-isdisjoint": TUPLE + "{{ {}.keys().isdisjoint([ns.x]) }}",
    "shared-hash-difference": TUPLE + "{{ {}.keys() - [ns.x] }}",
    "deep-hash": DEEP_TUPLE + "{{ {ns.x: 1} | length }}",
    "deep-text": DEEP_TUPLE + "{{ ns.x }}",
    "deep-json": DEEP_TUPLE + "{{ ns.x | tojson }}",
    "deep-equal": DEEP_TUPLE + DEEP_TUPLE.replace("ns", "mm") + "{{ ns.x == mm.x }}",
    "namespace-of-itself": "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}",
    "namespace-of-itself-compared": "{% set ns = namespace() %}{% set ns.x = [ns] %}{% set mm = namespace() %}{% set mm.x = [mm] %}{{ ns.x == mm.x }}{{ ns.x }}",
    "namespace-changed-later": "{% set ns = namespace(x=1) %}{% set l = [ns] %}{{ l == 1 }}{% set ns.x = l %}{{ l }}",
    # Compilation
    "nested-parentheses": "{{ " + "(" * 20000 + "1" + ")" * 20000 + " }}",
    "nested-lists": "{{ " + "[" * 20000 + "]" * 20000 + " }}",
    "nested-nots": "{{ " + "not " * 20000 + "1 }}",
    "nested-minus": "{{ " + "-" * 20000 + "1 }}",
    "nested-ifs": "{% if a %}" * 5000 + "{% endif %}" * 5000,
    "long-sum": "{{ " + "1+" * 20000 + "1 }}",
    "long-chain-of-filters": "{{ 1" + "|abs" * 20000 + " }}",
    "long-chain-of-attributes": "{{ a" + ".b" * 20000 + " }}",
    "long-source": "a{{ b }}" * 20000,
    "many-branches": "".join(f"{{% if a %}}{{% set b{i} = 1 %}}{{% endif %}}" for i in range(1900)),
    "many-branches-in-macro": "{% macro m() %}"
    + "".join(f"{{% if a %}}{{% set b{i} = 1 %}}{{% endif %}}" for i in range(1800))
    + "{% endmacro %}",
    "many-elifs": "{% if a %}" + "".join(f"{{% elif a %}}{{% set b{i} = 1 %}}" for i in range(1900)) + "{% endif %}",
    "markup-escape": "{% set l = [1]*1000 %}{% set l=[l]*1000 %}{% set l=[l]*12 %}{{ ('a'|safe).escape(l)|length }}",
    "sort-big-texts": "{% set s = 'A' * 1000000 %}{{ ([s] * 900) | sort | length }}",
    "unique-big-texts": "{% set s = 'A' * 1000000 %}{{ ([s] * 900) | unique|list | length }}",
    "groupby-big-texts": "{% set s = {'a':'A' * 1000000} %}{{ ([s] * 900) | groupby('a') | length }}",
    "slice-of-text": "{{ ('一' * 8000000) | slice(2) | first | length }}",
    "json-ascii": "{{ ('😀' * 15000000) | tojson(ensure_ascii=true) | length }}",
    "json-ascii-list": "{{ ['😀' * 15000000] | tojson(ensure_ascii=true) | length }}",
    "format-many-fields": "{{ ('{0}' * 2600000).format('a') | length }}",
    "percent-many-widths": "{{ ('%55s' * 4000000) % {} }}",
    "urlize-parentheses": "{{ ('www.a.b' ~ '(' * 400000 ~ 'x' ~ ')' * 400000) | urlize | length }}",
    "striptags-tags": "{{ ('<a>' * 3000000) | striptags | length }}",
    "file-size-of-digits": "{{ ('1' * 16000000) | filesizeformat }}",
    "float-of-digits": "{{ ('1' * 16000000) | float }}",
    "names-kept": "{% set d = {}.fromkeys(range(90000)|map('string')|list) %}{% set ns=namespace(l=none) %}{% for i in range(99999) %}{% set ns.l=(ns.l, namespace(**d)) %}{% endfor %}",
    "names-of-macros-kept": "{% set d = {}.fromkeys(range(90000)|map('string')|list) %}{% set ns=namespace(l=none) %}{% macro f() %}{% set ns.l=(ns.l, kwargs) %}{% endmacro %}{% for i in range(99999) %}{{ f(**d) }}{% endfor %}",
    "equal-hashes": "{{ {}.fromkeys(range(0, (2**61-1)*90000, 2**61-1)) | length }}",
    "equal-hashes-unique": "{{ range(0, (2**61-1)*90000, 2**61-1) | unique | list | length }}",
    "equal-hashes-dict": "{{ dict(range(0, (2**61-1)*90000, 2**61-1) | batch(2)) | length }}",
    "equal-hashes-fromkeys": "{{ dict.fromkeys(range(0, (2**61-1)*90000, 2**61-1)) | length }}",
    "equal-hashes-difference": "{{ ({}.keys() - range(0, (2**61-1)*90000, 2**61-1)) | length }}",
    "view-chain-text": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = {'a': ns.g}.values() %}{% endfor %}{{ ns.g }}",
    "mapping-chain-text": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = {'a': ns.g}.values().mapping %}{% endfor %}{{ ns.g }}",
    "shared-mapping-text": "{% set ns = namespace(g=[1]) %}{% for i in range(40) %}{% set ns.g = {'a': ns.g, 'b': ns.g}.values().mapping %}{% endfor %}{{ ns.g }}",
    "shared-mapping-equal": "{% set ns = namespace(g=[1],h=[1]) %}{% for i in range(40) %}{% set ns.g = {'a': ns.g, 'b': ns.g}.values().mapping %}{% set ns.h = {'a': ns.h, 'b': ns.h}.values().mapping %}{% endfor %}{{ ns.g == ns.h }}",
    "namespace-chain-text": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = namespace(g=ns.g) %}{% endfor %}{{ ns.g }}",
    "loop-chain": "{% set ns = namespace(l=range(20000)) %}{% for i in range(9999) %}{% for x in ns.l %}{% set ns.l = loop %}{% break %}{% endfor %}{% endfor %}ok",
    "loop-chain-filtered": "{% set ns = namespace(l=range(20000)) %}{% for i in range(9999) %}{% for x in ns.l if true %}{% set ns.l = loop %}{% break %}{% endfor %}{% endfor %}ok",
    "deep-dict-json": "{% set ns = namespace(g=[1]) %}{% for i in range(99999) %}{% set ns.g = {'a': ns.g} %}{% endfor %}{{ ns.g | tojson }}",
    "big-partitions": "{% set s='a'*10000000 %}{% set ns=namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = ns.l + [s.partition('b'), s.rpartition('b')] %}{% endfor %}",
    "numbers-kept": "{% set ns=namespace(l=none, n=2**16000) %}{% for i in range(99999) %}{% for j in range(99)%}{% set ns.l = (ns.l, ns.n + i) %}{% endfor %}{% endfor %}",
    "methods-kept": "{% set ns=namespace(l=none) %}{% for i in range(99999) %}{% for j in range(99)%}{% set ns.l = (ns.l, 'a'.upper, 'a'.lower, ''.join, ''.format) %}{% endfor %}{% endfor %}",
    "floats-kept": "{% set ns=namespace(l=none) %}{% for i in range(99999) %}{% for j in range(99)%}{% set ns.l = (ns.l, i/3, i/4, i/5, i/6, i/7, i/8, i/9, i//2, i*3) %}{% endfor %}{% endfor %}",
    "slices-kept": "{% set t=range(1000)|list %}{% set ns=namespace(l=none) %}{% for i in range(99999) %}{% for j in range(99)%}{% set ns.l = (ns.l, t[1:], t[2:]) %}{% endfor %}{% endfor %}",
    "batches-kept": "{% set ns=namespace(l=none) %}{% for i in range(9999) %}{% set ns.l = (ns.l, range(99999)|batch(1)|list) %}{% endfor %}",
    "items-kept": "{% set d = {}.fromkeys(range(90000)) %}{% set ns=namespace(l=none) %}{% for i in range(9999) %}{% set ns.l = (ns.l, d.items()|list) %}{% endfor %}",
    "sorted-dicts-kept": "{% set d = {}.fromkeys(range(90000)) %}{% set ns=namespace(l=none) %}{% for i in range(9999) %}{% set ns.l = (ns.l, d|dictsort) %}{% endfor %}",
    "upper-twice": "{% set s='ß'*2000000 %}{{ s|upper|upper|length }}{{ ('ΐ'*5000000)|upper|length }}",
}

#: End in TemplateError: the sandbox refuses, or the template is none.
REFUSED = {
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "class-item": "{{ ''['__class__']['__mro__'] }}",
    "class-attr-filter": "{{ (''|attr('__class__')).__mro__ }}",
    "class-map": "{{ ([''] | map(attribute='__class__') | list)[0].__mro__ }}",
    "class-joined-name": "{{ ''['__cl' ~ 'ass__'].x }}",
    "globals-of-function": "{{ raise_exception.__globals__['os'] }}",
    "globals-of-strftime": "{{ strftime_now.__globals__['datetime'] }}",
    "globals-of-cycler": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "globals-of-joiner": "{{ joiner.__init__.__globals__.os.system('id') }}",
    "globals-of-namespace": "{{ namespace.__init__.__globals__.os.system('id') }}",
    "globals-of-lipsum": "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "globals-of-dict": "{{ dict.__class__.__init__.__globals__ }}",
    "globals-of-macro": "{% macro f() %}{% endmacro %}{{ f._func.__globals__['environment'] }}",
    "environment-of-macro": "{% macro f() %}{% endmacro %}{{ f._environment.globals }}",
    "context-of-self": "{{ self._TemplateReference__context.environment.globals }}",
    "context-of-self-dunder": "{{ self.__init__.__globals__ }}",
    "code-of-generator": "{{ ([1] | map('abs')).gi_frame.f_globals }}",
    "code-of-generator-item": "{{ ([1] | map('abs'))['gi_code'].co_code }}",
    "format-class": "{{ '{0.__class__.__mro__}'.format('') }}",
    "format-map-class": "{{ '{a.__class__.__mro__}'.format_map({'a': ''}) }}",
    "format-markup-class": "{{ ('{0.__class__.__mro__}' | safe).format('') }}",
    "format-attr-filter": "{{ ('{0.__class__.__mro__}' | attr('format'))('') }}",
    "format-of-namespace": "{% set ns = namespace(f='{0.__class__.__mro__}'.format) %}{{ ns.f('') }}",
    "call-block-recursion": "{% macro f() %}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}",
    "mutated-list": "{{ messages.append(1) }}",
    "mutated-list-item": "{{ messages['clear']() }}",
    "mutated-dict": "{{ messages[0].update({'a': 1}) }}",
    "mutated-dict-pop": "{{ messages[0].pop('role') }}",
    "mutated-dict-setdefault": "{{ messages[0].setdefault('a', 1) }}",
    "mutated-dict-attr": "{{ (messages[0] | attr('clear'))() }}",
    "namespace-dunder": "{% set ns = namespace(__class__=1) %}",
    "namespace-dunder-assigned": "{% set ns = namespace() %}{% set ns.__init__ = 1 %}",
    "namespace-private": "{% set ns = namespace(_x=1) %}",
    "type-of-dict": "{{ dict.mro() }}",
    "import": "{% import 'os' as os %}",
    "import-from": "{% from 'os' import system %}",
    "include": "{% include '/etc/passwd' %}",
    "extends": "{% extends '/etc/passwd' %}",
    "python": "{{ __import__('os').system('id') }}",
    "open": "{{ open('/etc/passwd').read() }}",
    "eval": "{{ eval('1') }}",
    "lambda": "{{ (lambda: 1)() }}",
    "codec": "{{ 'a'.encode('punycode') }}",
    "codec-idna": "{{ ('a' * 60).encode('idna') }}",
    "attribute-of-undefined": "{{ a.b.c }}",
    "unknown-filter": "{{ 'a' | shell }}",
    "unknown-test": "{{ 'a' is shell }}",
    "unknown-tag": "{% shell %}",
    "unknown-block-end": "{% for a in b %}",
    "unclosed-expression": "{{ 'a'",
    "unclosed-comment": "{# a",
    "break-outside": "{% break %}",
    "continue-in-call": "{% for a in [1] %}{% generation %}{% continue %}{% endgeneration %}{% endfor %}",
    "loop-assigned": "{% for loop in [1] %}{% endfor %}",
    "number-with-many-digits": "{{ " + "9" * 5000 + " }}",
    "hexadecimal-with-many-digits": "{{ 0x" + "f" * 50000 + " }}",
    "too-many-nested-loops": "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
    "surrogates-encoded": "{{ '\\ud800'.encode() }}",
    "division-by-zero": "{{ 1 / 0 }}",
    "modulo-by-zero": "{{ 1 % 0 }}",
    "added-types": "{{ 'a' + 1 }}",
    "json-of-macro": "{% macro f() %}{% endmacro %}{{ f | tojson }}",
    "json-of-undefined": "{{ a | tojson }}",
    "json-indented-far": "{{ [1] | tojson(indent=10 ** 9) }}",
    "rounded-far": "{{ 1.5 | round(10 ** 9, 'floor') }}",
    "rounded-far-whole": "{{ 15 | round(-10 ** 9) }}",
    "rounded-text": "{{ 'a' | round(8, 'ceil') }}",
    "sorted-types": "{{ [1, 'a'] | sort }}",
    "unhashable": "{{ {[]: 1} }}",
    "called-text": "{{ 'a'() }}",
    "called-none": "{{ none() }}",
    "exception": "{{ raise_exception('the template says no') }}",
    "exception-of-number": "{{ raise_exception(7) }}",
    "exception-without-message": "{{ raise_exception() }}",
    "stop-iteration": "{{ cycler() }}",
    "range-too-big": "{% for i in range(10 ** 9) %}{% endfor %}",
    "range-huge": "{{ range(10 ** 30) | length }}",
    "undefined-called": "{{ a() }}",
    "surrogate-format": "{{ strftime_now('\\ud800') + 1 }}",
    "date-format-number": "{{ strftime_now(7) }}",
    "json-key": "{{ {(1, 2): 3} | tojson }}",
}

#: Give nothing, and do nothing else.
HARMLESS = {
    "format-globals": "{{ '{0.__globals__}'.format(raise_exception) }}",
    "format-dunder-item": "{{ '{0[__class__]}'.format('a') }}",
    "dunder-printed": "{{ ''.__class__ }}",
    "dunder-of-list": "{{ [].__class__ }}{{ []['__class__'] }}{{ [] | attr('__class__') }}",
    "private-of-self": "{{ self._context }}",
    "private-of-macro": "{% macro f() %}{% endmacro %}{{ f._environment }}{{ f._func }}",
    "private-of-loop": "{% for x in [1] %}{{ loop._iterable }}{{ loop._recurse }}{% endfor %}",
    "clear-printed": "{{ messages.clear }}{{ messages[0].update }}",
    # Expressions that an optimizer would walk again and again.
    "compiled-attributes": "{% if a %}" + ("{{ a" + ".b" * 80 + " }}") * 300 + "{% endif %}",
    "compiled-filters": "{% if a %}" + ("{{ a" + "|abs" * 80 + " }}") * 150 + "{% endif %}",
    "compiled-ands": "{% if a %}" + ("{{ " + "a and " * 80 + "a }}") * 100 + "{% endif %}",
    "compiled-sums": "{% if a %}" + ("{{ " + "a+" * 80 + "a }}") * 300 + "{% endif %}",
    "environment-variable": "{{ environment }}{{ context }}{{ budget }}{{ concat }}{{ resolve }}",
    "generator-chain": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = ns.g | map('abs') %}{% endfor %}",
    "generator-chain-selected": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = ns.g | select %}{% endfor %}",
    "generator-chain-consumed": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = ns.g | select %}{% endfor %}{{ '' if ns.g|list }}",
    "generator-chain-in-lists": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = [ns.g | map('abs')] %}{% endfor %}",
    "generator-chain-of-items": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = {'a': ns.g} | items %}{% endfor %}",
    "method-chain": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = [ns.g].index %}{% endfor %}",
    "view-chain": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = {'a': ns.g}.values() %}{% endfor %}",
    "mapping-chain": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = {'a': ns.g}.values().mapping %}{% endfor %}",
    "cycler-chain": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = cycler(ns.g) %}{% endfor %}",
    "namespace-chain": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set ns.g = namespace(g=ns.g) %}{% endfor %}",
    "macro-chain-of-defaults": "{% set ns = namespace(g=[1]) %}{% for i in range(20000) %}{% set g = ns.g %}{% macro m(x=g) %}{{ g }}{% endmacro %}{% set ns.g = m %}{% endfor %}",
}

CASES = {**TIME, **SIZE, **REFUSED, **HARMLESS}
FEWER_STEPS = 50_000


def outcome(source: str, max_steps: int | None = None) -> dict[str, Any]:
    from russet.chat_template import ChatTemplate

    start = time.process_time()
    try:
        rendered = ChatTemplate(source, max_steps=max_steps).render(MESSAGES)
        ending: dict[str, Any] = {"classes": [], "message": rendered.text[:200]}
    except BaseException as error:
        ending = {"classes": [kind.__name__ for kind in type(error).__mro__], "message": str(error)[:500]}
    return {**ending, "seconds": time.process_time() - start}


def in_child(source: str, max_steps: int | None = None) -> dict[str, Any]:
    """The outcome in a fork of this process, ended after a minute, and what memory it took."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        import resource
        import signal

        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        signal.alarm(60)
        with os.fdopen(write, "w") as pipe:
            pipe.write(json.dumps(outcome(source, max_steps)))
            pipe.flush()
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        written = pipe.read()
    _, status, usage = os.wait4(child, 0)
    result: dict[str, Any] = (
        json.loads(written) if written else {"classes": [], "message": f"died with status {status}", "seconds": 60}
    )
    result["megabytes"] = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)
    return result


def main() -> None:
    whole = "--whole" in sys.argv
    names = [name for name in sys.argv[1:] if name != "--whole"] or list(CASES)
    outcome("{{ [1] | tojson }}{{ 'a'.upper() }}")  # imports
    before = in_child("a")["megabytes"]
    for name in names:
        result = in_child(CASES[name], FEWER_STEPS if name in TIME and not whole else None)
        result["megabytes"] -= before
        print(json.dumps({"name": name, **result}), flush=True)


if __name__ == "__main__":
    main()
