"""Chat templates: Jinja in a sandbox, within a budget of steps, memory and output, rendered as transformers renders them.

>>> from russet.chat_template import ChatTemplate
>>> template = ChatTemplate("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}")
>>> template.render([{"role": "user", "content": "Hello"}]).text
'<user>Hello'
"""

from __future__ import annotations

from russet.chat_template.files import load_chat_templates
from russet.chat_template.template import ChatTemplate, Rendered
from russet.chat_template.tools import get_json_schema

__all__ = ["ChatTemplate", "Rendered", "get_json_schema", "load_chat_templates"]
