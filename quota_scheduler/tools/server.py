"""The tools as MCP has them, over standard input and output, with the official SDK."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Literal

from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

import quota_scheduler
from quota_scheduler.tools.desk import ToolDesk, ToolTrouble

INSTRUCTIONS = (
    "Shared token quotas of this team. Before you spawn sub-agents or begin work of more than 100k tokens, call "
    "preflight; take a lease for it, and release the lease with what was used."
)
Tokens = Annotated[int, Field(description="tokens you expect to use in all, input and output, sub-agents included")]
Workflow = Annotated[str, Field(description="name of the work, if it has one")]
Model = Annotated[str, Field(description="model that will be used, if you know it")]
LeaseName = Annotated[str, Field(description="the lease, such as l12")]
Kinds = Annotated[
    dict[str, dict[str, float]] | None,
    Field(description='everything used so far: {"MODEL": {"input": 100, "cache_read": 0, "output": 20}}'),
]
LOOKS = ToolAnnotations(read_only_hint=True)


async def _beside(call: Callable[[], str]) -> CallToolResult:
    """Do it beside the event loop; what is in the way is a tool's error, for the agent to read.

    The SDK would put a preamble of its own before the text of an exception.
    """
    try:
        text, is_error = await asyncio.to_thread(call), False
    except ToolTrouble as trouble:
        text, is_error = str(trouble), True
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=is_error)


def server_of(desk: ToolDesk) -> MCPServer[None]:
    """A server whose leases end with its connection."""

    @asynccontextmanager
    async def connection(_server: MCPServer[None]) -> AsyncIterator[None]:
        try:
            yield
        finally:
            desk.close()

    server: MCPServer[None] = MCPServer(
        "quota-scheduler", version=quota_scheduler.__version__, instructions=INSTRUCTIONS, lifespan=connection,
        log_level="ERROR",
    )  # fmt: skip

    @server.tool(annotations=LOOKS)
    async def status() -> CallToolResult:
        """What is left of every quota, when it resets, and how careful to be."""
        return await _beside(desk.status)

    @server.tool(annotations=LOOKS)
    async def forecast(
        limit: Annotated[str, Field(description="a limit; empty for the riskiest")] = "",
    ) -> CallToolResult:
        """Where a quota is expected to end, and when it runs out."""
        return await _beside(lambda: desk.forecast(limit))

    @server.tool(annotations=LOOKS)
    async def preflight(tokens: Tokens, workflow: Workflow = "", model: Model = "") -> CallToolResult:
        """Whether work of this size may start now; if not, until when it waits and what would fit. Reserves nothing."""
        return await _beside(lambda: desk.preflight(tokens, workflow=workflow, model=model))

    @server.tool()
    async def lease(
        tokens: Tokens,
        workflow: Workflow = "",
        model: Model = "",
        wait_seconds: Annotated[float, Field(description="how long to wait for room, at most 45")] = 0.0,
    ) -> CallToolResult:
        """Reserve tokens before you begin; answers with the name of the lease, or why there is none."""
        return await _beside(lambda: desk.lease(tokens, wait_seconds=wait_seconds, workflow=workflow, model=model))

    @server.tool()
    async def renew(lease: LeaseName, usage: Kinds = None) -> CallToolResult:
        """Tell what a lease has used so far, and hear whether to go on or to stop."""
        return await _beside(lambda: desk.renew(lease, usage or {}))

    @server.tool()
    async def release(
        lease: LeaseName, usage: Kinds = None, status: Literal["completed", "failed"] = "completed"
    ) -> CallToolResult:
        """Give a lease back when the work is done: what is not used is free for others."""
        return await _beside(lambda: desk.release(lease, usage or {}, status))

    return server


def serve(desk: ToolDesk) -> None:
    """Serve one agent until it disconnects or ends us."""

    def end(_signal: int, _frame: object) -> None:
        desk.close()
        os._exit(0)  # a thread is reading standard input, and would keep the process for ever

    signal.signal(signal.SIGTERM, end)
    server_of(desk).run("stdio")
