"""Reads `task` blocks: first what needs no evaluation, then the typed task."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dstream.config.blocks.body_reader import BodyReader
from dstream.config.blocks.provider_block import ProviderBlockReader
from dstream.config.blocks.transform import TransformReader
from dstream.config.hcl.syntax import Block
from dstream.config.model import DEFAULT_START_TIMEOUT_S, Restart, Role, Task
from dstream.config.values.names import MemberLookup
from dstream.config.values.scope import Group
from dstream.config.values.values import Value
from dstream.protocol import DEFAULT_MAX_LINE

_TASK_TYPES = ("providers",)


class TaskReader:
    """One task block. `namespace` is available to expressions immediately; `task()` evaluates the rest."""

    def __init__(self, name: str, block: Block, reader: BodyReader) -> None:
        self.name = name
        self._block = block
        self._reader = reader
        reader.check({"type", "max_line", "start_timeout"}, {"input", "output", "restart", "transform"})
        self._restart = reader.block_named("restart")
        self._input = self._side("input", reader.block_named("input"))
        self._output = self._side("output", reader.block_named("output"))
        blocks = [each for each in reader.body.blocks if each.name == "transform"]
        self._transforms = [TransformReader(each, reader) for each in blocks if each.labels]
        self._middle = self._side("transform", self._unlabelled(blocks))

    @property
    def namespace(self) -> MemberLookup:
        members: dict[str, Value | MemberLookup] = {"name": self.name}
        for side in (self._input, self._middle, self._output):
            if side is not None:
                members[side.role] = side.namespace
        return Group(f'attribute of task "{self.name}" called', members)

    def task(self, *, with_config: Collection[Role], defer_unset: bool = False) -> Task | None:
        """Return the typed task; None if an error makes it unusable. `with_config`: the roles whose config is
        evaluated; others stay empty. `defer_unset`: see `load`."""
        kind_of_task = self._type()
        max_line, start_timeout_s = self._reader.size("max_line"), self._reader.duration_s("start_timeout")
        restart = self._restart_policy()
        # Transforms belong to a run: commands that read only the output's config do not need them.
        evaluate = "input" in with_config
        transforms = [each.block(evaluate=evaluate, defer_unset=defer_unset) for each in self._transforms]
        blocks = [
            side.block(
                with_config=evaluate if side.role == "transform" else side.role in with_config, defer_unset=defer_unset
            )
            for side in (self._input, self._middle, self._output)
            if side is not None
        ]
        complete = {block.role: block for block in blocks if block is not None}
        for role, side in (("input", self._input), ("output", self._output)):
            if side is None:
                hint = f"Add {role} {{ provider = ... }}."
                self._reader.complain("config.missing", f'task "{self.name}" has no {role} block', self._block.at, hint)
        if not {"input", "output"} <= complete.keys():
            return None
        return Task(
            name=self.name,
            type=kind_of_task,
            input=complete["input"],
            output=complete["output"],
            place=self._reader.source.place(self._block.at, self._reader.block),
            transform=complete.get("transform"),
            transforms=tuple(transforms),
            max_line=max_line if max_line is not None else DEFAULT_MAX_LINE,
            start_timeout_s=start_timeout_s if start_timeout_s is not None else DEFAULT_START_TIMEOUT_S,
            restart=restart,
        )

    def _unlabelled(self, blocks: Sequence[Block]) -> Block | None:
        """Return the `transform` block that names a provider; report a second one, and one after other transforms."""
        found = [block for block in blocks if not block.labels]
        for other in found[1:]:
            self._reader.duplicate("a task can have one transform provider", other.at, found[0].at)
        if found and found[0] is not blocks[0]:
            message = "rows pass through the transform provider before all other transforms"
            self._reader.complain("config.unsupported", message, found[0].at, "Move this block before them.")
        return found[0] if found else None

    def _side(self, role: Role, block: Block | None) -> ProviderBlockReader | None:
        if block is None:
            return None
        reader = self._reader.inner(block, f"{self._reader.block}, {role}")
        return ProviderBlockReader(role, block, reader, f"task.{self.name}.{role}")

    def _type(self) -> str:
        found = self._reader.text("type")
        attribute = self._reader.attribute("type")
        if found is not None and found not in _TASK_TYPES and attribute is not None:
            hint = 'The only type is "providers"; you can omit the attribute.'
            self._reader.complain("config.type", f'unknown task type "{found}"', attribute.value.at, hint)
        return _TASK_TYPES[0]

    def _restart_policy(self) -> Restart:
        if self._restart is None:
            return Restart()
        reader = self._reader.inner(self._restart, f"{self._reader.block}, restart")
        reader.check({"max_attempts", "initial_delay", "max_delay"}, ())
        attempts = reader.count("max_attempts")
        initial, longest = reader.duration_s("initial_delay"), reader.duration_s("max_delay")
        default = Restart()
        return Restart(
            max_attempts=default.max_attempts if attempts is None else attempts,
            initial_delay_s=default.initial_delay_s if initial is None else initial,
            max_delay_s=default.max_delay_s if longest is None else longest,
        )
