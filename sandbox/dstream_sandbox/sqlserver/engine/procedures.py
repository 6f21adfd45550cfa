"""EXEC: user, system, CDC and catalog procedures, and dynamic SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dstream_sandbox.sqlserver.catalog import CATALOG_PROCEDURES
from dstream_sandbox.sqlserver.engine.catalog import rights
from dstream_sandbox.sqlserver.engine.catalog.model import Procedure
from dstream_sandbox.sqlserver.engine.cdc.procedures import CDC_PROCEDURES
from dstream_sandbox.sqlserver.engine.data_statements import scalar, scalar_typed
from dstream_sandbox.sqlserver.engine.errors import missing_procedure, undeclared_variable, unsupported
from dstream_sandbox.sqlserver.engine.scopes import scoped
from dstream_sandbox.sqlserver.engine.storage.locks import Cancelled
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.syntax.batch import parse_batch
from dstream_sandbox.sqlserver.engine.system_procedures import SYSTEM_PROCEDURES
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.engine.types.storage import Stored, from_stored, to_stored
from dstream_sandbox.sqlserver.session import Event, OutputValue, Param, ReturnStatus, SqlError

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.batch_runner import BatchRunner
    from dstream_sandbox.sqlserver.engine.session import Frame

_MAX_DEPTH = 32


def call(runner: BatchRunner, name: str, params: Sequence[Param]) -> Iterator[Event]:
    """An RPC: yield the procedure's events, its output parameters and its return status."""
    from dstream_sandbox.sqlserver.engine.catalog.naming import split_name

    yield from _run(runner, split_name(name) or (name,), params, line=1)


def execute(runner: BatchRunner, statement: st.Execute) -> Iterator[Event]:
    """The EXEC statement: output arguments are assigned to variables, the return value to @r of `EXEC @r = ...`."""
    session = runner.session
    if statement.text:
        text = "".join(str(scalar(session, statement, piece, names.NVARCHAR_MAX) or "") for piece in statement.text)
        yield from dynamic(runner, text)
        return
    procedure = statement.procedure
    if isinstance(procedure, nodes.Node):
        from dstream_sandbox.sqlserver.engine.catalog.naming import split_name

        procedure = split_name(str(scalar(session, statement, procedure, names.NVARCHAR_MAX)))
    params = [_argument(runner, statement, a) for a in statement.arguments]
    status = 0
    frame = session.frame
    for event in _run(runner, procedure, params, line=statement.line):
        if isinstance(event, OutputValue):
            _take_output(frame, statement, event)
        elif isinstance(event, ReturnStatus):
            status = event.value
        else:
            yield event
    if statement.result is not None:
        variable = frame.variables.get(statement.result)
        if variable is None:
            raise undeclared_variable(statement.result)
        variable.value = status


def _argument(runner: BatchRunner, statement: st.Execute, argument: st.ProcedureArgument) -> Param:
    if isinstance(argument.value, nodes.Default):
        raise unsupported("DEFAULT as an argument of EXEC")
    value, type_ = scalar_typed(runner.session, argument.value)
    shown = type_ or names.make_type("nvarchar", ("4000",))
    return Param(argument.name, shown, from_stored(shown, value), argument.output)


def _take_output(frame: Frame, statement: st.Execute, event: OutputValue) -> None:
    """Assign to a variable in the caller's frame; the procedure's own frame is still the current one."""
    from dstream_sandbox.sqlserver.engine.batch_runner import converted

    named = next((a for a in statement.arguments if a.output and a.name == event.name.lower()), None)
    if named is None:
        position = int(event.name[1:]) if event.name[1:].isdigit() else -1
        outputs = list(statement.arguments)
        named = outputs[position] if 0 <= position < len(outputs) and outputs[position].output else None
    if named is None or not isinstance(named.value, nodes.Variable):
        return
    variable = frame.variables.get(named.value.name)
    if variable is not None:
        variable.value = converted(to_stored(event.type, event.value), event.type, variable.type)


def _run(runner: BatchRunner, name: tuple[str, ...], params: Sequence[Param], line: int) -> Iterator[Event]:
    session = runner.session
    if len(name) > 2 and name[-3] and name[-3].lower() != session.database.lower():
        yield from _run_elsewhere(runner, name, params, line)
        return
    lowered = name[-1].lower()
    if lowered == "sp_executesql":
        yield from _execute_sql(runner, params)
        return
    if lowered in CDC_PROCEDURES:
        yield from CDC_PROCEDURES[lowered](session, params)
        yield ReturnStatus(0)
        return
    if lowered in SYSTEM_PROCEDURES:
        yield from _with_status(SYSTEM_PROCEDURES[lowered](session, params))
        return
    schema = name[-2] if len(name) > 1 and name[-2] else "dbo"
    found = session.home.find(schema, name[-1])
    if isinstance(found, Procedure):
        yield from scoped(session, _user_procedure(runner, found, params))
        return
    handler = CATALOG_PROCEDURES.get(lowered)
    if handler is None:
        raise missing_procedure(".".join(name))
    yield from handler(session, params)


def _with_status(events: Iterator[Event]) -> Iterator[Event]:
    """The events of a procedure that returns 0 unless it says otherwise."""
    has_status = False
    for event in events:
        has_status = has_status or isinstance(event, ReturnStatus)
        yield event
    if not has_status:
        yield ReturnStatus(0)


def _run_elsewhere(runner: BatchRunner, name: tuple[str, ...], params: Sequence[Param], line: int) -> Iterator[Event]:
    """`EXEC db.schema.procedure`: run in that database, then return the session to its own."""
    session = runner.session
    home = session.home
    for _ in session.use(name[-3]):  # not reported to the client: the change ends with the call
        pass
    try:
        yield from _run(runner, name, params, line)
    finally:
        session.enter(home)


def _execute_sql(runner: BatchRunner, params: Sequence[Param]) -> Iterator[Event]:
    """sp_executesql @stmt, @params, values..."""
    if not params:
        raise SqlError(
            201, "Procedure or function 'sp_executesql' expects parameter '@statement', which was not supplied."
        )
    text = str(params[0].value)
    declarations = str(params[1].value or "") if len(params) > 1 else ""
    values = list(params[2:])
    declared = runner.parameters_of(declarations)
    named = []
    for i, param in enumerate(values):
        name = param.name or (declared[i].name if i < len(declared) else "")
        named.append(Param(name, param.type, param.value, param.is_output))
    position = {p.name: i + 2 for i, p in enumerate(named) if not values[i].name}
    runner.session.depth += 1
    try:
        for event in scoped(runner.session, runner.batch(text, named, declarations)):
            if isinstance(event, OutputValue) and event.name in position:
                yield OutputValue(f"@{position[event.name]}", event.type, event.value)
            else:
                yield event
    finally:
        runner.session.depth -= 1
    yield ReturnStatus(0)


def dynamic(runner: BatchRunner, text: str) -> Iterator[Event]:
    """EXEC('...'): run a batch with its own variables."""
    runner.session.depth += 1
    database = runner.session.home
    try:
        yield from scoped(runner.session, runner.batch(text, (), ""))
    finally:
        runner.session.depth -= 1
        if runner.session.home is not database:  # the effect of USE ends with the batch
            runner.session.enter(database)


def _user_procedure(runner: BatchRunner, procedure: Procedure, params: Sequence[Param]) -> Iterator[Event]:
    from dstream_sandbox.sqlserver.engine.session import Frame

    session = runner.session
    rights.require_execute(session, procedure)
    if session.depth >= _MAX_DEPTH:
        raise SqlError(217, "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).")
    (definition,) = session.engine.texts.obtain(("procedure", procedure.text), lambda: parse_batch(procedure.text))
    assert isinstance(definition, st.CreateProcedure)
    frame = Frame(procedure.name)
    outputs = _bind(runner, procedure, definition, params, frame)
    outer, session.frame = session.frame, frame
    nesting = session.nesting
    session.depth += 1
    status = 0
    try:
        signal = yield from runner.block(definition.body)
        status = signal.value if signal is not None and signal.kind == "return" else 0
        for position, name in outputs:
            variable = frame.variables[name]
            shown = name if params[position].name else f"@{position}"
            yield OutputValue(shown, variable.type, from_stored(variable.type, variable.value))
    except Cancelled:
        raise
    finally:
        session.depth -= 1
        runner._drop_table_variables()
        session.frame = outer
    if session.nesting != nesting:
        raise SqlError(
            266,
            "Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT "
            f"statements. Previous count = {nesting}, "
            f"current count = {session.nesting}.",
        )
    yield ReturnStatus(status)


def _bind(
    runner: BatchRunner,
    procedure: Procedure,
    definition: st.CreateProcedure,
    params: Sequence[Param],
    frame: Frame,
) -> list[tuple[int, str]]:
    """Match arguments to parameters, by name or position. Raises 201, 8144, 8145."""
    from dstream_sandbox.sqlserver.engine.batch_runner import converted
    from dstream_sandbox.sqlserver.engine.session import Variable

    session = runner.session
    by_name = {p.name.lower(): (i, p) for i, p in enumerate(params) if p.name}
    positional = [(i, p) for i, p in enumerate(params) if not p.name]
    known = {p.name for p in definition.parameters}
    for name in by_name:
        if name not in known:
            raise SqlError(8145, f"{name} is not a parameter for procedure {procedure.name}.")
    if len(positional) > len(definition.parameters):
        raise SqlError(8144, f"Procedure or function {procedure.name} has too many arguments specified.")
    outputs: list[tuple[int, str]] = []
    for i, parameter in enumerate(definition.parameters):
        given = by_name.get(parameter.name) or (positional[i] if i < len(positional) else None)
        value: Stored = None
        if given is not None:
            position, param = given
            value = converted(to_stored(param.type, param.value), param.type, parameter.type)
            if param.is_output and parameter.output:
                outputs.append((position, parameter.name))
        elif parameter.default is not None:
            value = scalar(session, definition, parameter.default, parameter.type)
        else:
            wanted = f"expects parameter '{parameter.name}', which was not supplied."
            text = f"Procedure or function '{procedure.name}' {wanted}"
            raise SqlError(201, text, state=4)
        frame.variables[parameter.name] = Variable(parameter.type, value)
    return outputs
