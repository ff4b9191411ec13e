"""The line at the top of every tab: what is loaded, and what is running."""

from __future__ import annotations

from html import escape
from typing import Any

MARK = (
    '<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8"/>'
    '<circle class="full" cx="12.5" cy="16" r="6.5"/><circle class="ring" cx="19.5" cy="16" r="6.5"/></svg>'
)


def status_html(status: Any) -> str:
    """status: `Lab.status()`, with base, clip, identity, device, memory and job as text; an empty job means that nothing runs."""
    facts = {"base": status.base, "CLIP": status.clip, "identity": status.identity, "device": status.device, "memory": status.memory}
    told = {name: escape(str(value)) for name, value in facts.items() if value}
    loaded = "".join(f'<span class="fact"><span class="k">{name}</span> {value}</span>' for name, value in told.items())
    job = escape(str(status.job)) if status.job else "nothing is running"
    return (
        f'<header class="top">{MARK}<h1>Shiftlab</h1><div class="loaded">{loaded}</div>'
        f'<div class="running{" busy" if status.job else ""}" role="status"><span class="dot"></span>'
        f'<span class="what" title="{job}">{job}</span></div></header>'
    )
