"""What a batch would return and which types its parameters need, without running it (Microsoft Learn,
"sp_describe_first_result_set", "sp_describe_undeclared_parameters")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from dstream_sandbox.sqlserver.engine.binder.change_plans import ChangePlan
from dstream_sandbox.sqlserver.engine.binder.changes import ChangeBinder
from dstream_sandbox.sqlserver.engine.binder.expression import Ex
from dstream_sandbox.sqlserver.engine.binder.queries import QueryBinder
from dstream_sandbox.sqlserver.engine.syntax import nodes
from dstream_sandbox.sqlserver.engine.syntax import statements as st
from dstream_sandbox.sqlserver.engine.syntax.lexer import tokenize
from dstream_sandbox.sqlserver.engine.types import names
from dstream_sandbox.sqlserver.session import Column, SqlError
from dstream_sandbox.sqlserver.values import SqlType

if TYPE_CHECKING:
    from dstream_sandbox.sqlserver.engine.batch_runner import BatchRunner


T = TypeVar("T")


def describe(runner: BatchRunner, sql: str, declarations: str) -> tuple[Column, ...]:
    """Return the columns of the first result set; () if there is none."""
    return _with_frame(runner, declarations, lambda: _first_columns(runner, runner.parse(sql)))


def _with_frame(runner: BatchRunner, declarations: str, work: Callable[[], T]) -> T:
    from dstream_sandbox.sqlserver.engine.session import Frame, Variable

    session = runner.session
    outer, session.frame = session.frame, Frame()
    session.undeclared_allowed = True
    try:
        for parameter in runner.parameters_of(declarations):
            session.frame.variables[parameter.name] = Variable(parameter.type)
        return work()
    finally:
        session.undeclared_allowed = False
        session.frame = outer


def _first_columns(runner: BatchRunner, body: tuple[st.Statement, ...]) -> tuple[Column, ...]:
    for statement in _flat(body):
        if isinstance(statement, st.Declare):
            _declare(runner, statement)
        columns = _columns(runner, statement)
        if columns:
            return columns
    return ()


def _flat(body: tuple[st.Statement, ...]) -> Iterator[st.Statement]:
    for statement in body:
        match statement:
            case st.Block():
                yield from _flat(statement.body)
            case st.TryCatch():
                yield from _flat(statement.body)
            case st.If():
                yield from _flat((statement.then,))
                if statement.otherwise is not None:
                    yield from _flat((statement.otherwise,))
            case st.While():
                yield from _flat((statement.body,))
            case _:
                yield statement


def _declare(runner: BatchRunner, statement: st.Declare) -> None:
    from dstream_sandbox.sqlserver.engine.session import Variable

    for declared in statement.variables:
        if declared.type is not None:
            runner.session.frame.variables[declared.name] = Variable(declared.type)


def _columns(runner: BatchRunner, statement: st.Statement) -> tuple[Column, ...]:
    session = runner.session
    if isinstance(statement, st.SelectStatement):
        body = statement.query.body
        if isinstance(body, nodes.Select) and (body.into is not None or any(i.variable for i in body.items)):
            return ()
        return _shown(QueryBinder(session).bind_query(statement.query).columns)
    if isinstance(statement, (st.Insert, st.Update, st.Delete, st.Merge)):
        output = statement.output
        if output is None or output.into is not None:
            return ()
        plan = _bind_change(ChangeBinder(session, database=session.home.name), statement)
        return _shown(plan.output.columns if plan.output is not None else ())
    return ()


def _bind_change(binder: ChangeBinder, statement: st.Insert | st.Update | st.Delete | st.Merge) -> ChangePlan:
    match statement:
        case st.Insert():
            return binder.insert(statement)
        case st.Update():
            return binder.update(statement)
        case st.Delete():
            return binder.delete(statement)
    return binder.merge(statement)


def _shown(columns: tuple[Ex, ...]) -> tuple[Column, ...]:
    return tuple(Column(c.name, c.type or names.INT, c.nullable, c.identity, c.computed) for c in columns)


def describe_parameters(runner: BatchRunner, sql: str, declarations: str) -> list[tuple[str, SqlType]]:
    """Return undeclared parameters in order of appearance. Raises errors such as 11508 if a type cannot be deduced."""
    return _with_frame(runner, declarations, lambda: _suggestions(runner, sql))


def _suggestions(runner: BatchRunner, sql: str) -> list[tuple[str, SqlType]]:
    session = runner.session
    body = runner.parse(sql)
    declared = set(session.frame.variables)
    found: dict[str, SqlType] = {}
    for statement in _flat(body):
        if isinstance(statement, st.Declare):
            _declare(runner, statement)
            declared.update(v.name for v in statement.variables)
            continue
        for name, type_ in _suggested(runner, statement).items():
            found.setdefault(name, type_)
    order: list[str] = []
    for token in tokenize(sql):
        name = token.text.lower()
        if token.kind == "var" and not name.startswith("@@") and name not in declared and name not in order:
            order.append(name)
    missing = [name for name in order if name not in found]
    if missing:
        raise SqlError(
            11503,
            "The parameter type cannot be deduced because a single expression contains two untyped "
            f"parameters, '{missing[0]}' and '{missing[-1]}'.",
        )
    return [(name, found[name]) for name in order]


def _suggested(runner: BatchRunner, statement: st.Statement) -> dict[str, SqlType]:
    session = runner.session
    if isinstance(statement, st.SelectStatement):
        binder = QueryBinder(session)
        binder.bind_query(statement.query)
        return binder.gathered.suggestions
    if isinstance(statement, (st.Insert, st.Update, st.Delete, st.Merge)):
        changes = ChangeBinder(session, database=session.home.name)
        _bind_change(changes, statement)
        return changes.gathered.suggestions
    if isinstance(statement, st.Execute):
        return _procedure_parameters(runner, statement)
    return {}


def _procedure_parameters(runner: BatchRunner, statement: st.Execute) -> dict[str, SqlType]:
    """EXEC p @P1, @P2: return the types of the procedure's parameters; nvarchar(4000) for a system procedure."""
    from dstream_sandbox.sqlserver.engine.catalog.model import Procedure
    from dstream_sandbox.sqlserver.engine.syntax.batch import parse_batch

    procedure = statement.procedure
    types: list[tuple[str, SqlType]] = []
    if isinstance(procedure, tuple) and procedure:
        schema = procedure[-2] if len(procedure) > 1 else "dbo"
        found = runner.session.home.find(schema, procedure[-1])
        if isinstance(found, Procedure):
            (definition,) = parse_batch(found.text)
            assert isinstance(definition, st.CreateProcedure)
            types = [(p.name, p.type) for p in definition.parameters]
    suggested: dict[str, SqlType] = {}
    for i, argument in enumerate(statement.arguments):
        if isinstance(argument.value, nodes.Variable):
            by_name = dict(types).get(argument.name)
            by_place = types[i][1] if i < len(types) else names.make_type("nvarchar", ("4000",))
            suggested[argument.value.name] = by_name or by_place
    return suggested
