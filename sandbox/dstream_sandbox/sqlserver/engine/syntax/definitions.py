"""CREATE, ALTER, DROP, GRANT: the statements that define objects and permissions."""

from __future__ import annotations

from dataclasses import replace

from dstream_sandbox.sqlserver.engine.syntax.changes import ChangeParser
from dstream_sandbox.sqlserver.engine.syntax.statements import (
    AlterDatabase,
    AlterTable,
    BackupDatabase,
    CheckDefinition,
    ColumnDefinition,
    CreateDatabase,
    CreateIndex,
    CreatePrincipal,
    CreateProcedure,
    CreateSchema,
    CreateTable,
    CreateView,
    Drop,
    ForeignKeyDefinition,
    KeyDefinition,
    ObjectName,
    Parameter,
    Permission,
    RestoreDatabase,
    RoleMember,
    Statement,
    TableBody,
)
from dstream_sandbox.sqlserver.tds.collations import collation
from dstream_sandbox.sqlserver.values import SqlType

_CONSTRAINTS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "INDEX", "DEFAULT")
_DROPPABLE = frozenset({"TABLE", "VIEW", "PROCEDURE", "PROC", "INDEX", "SCHEMA", "DATABASE", "USER", "ROLE", "LOGIN"})


class DefinitionParser(ChangeParser):
    """Parses definitions of objects, principals and permissions."""

    def statements_until_end(self) -> tuple[Statement, ...]:
        raise NotImplementedError

    def create(self) -> Statement:
        start, line = self.token.start, self.token.line
        self.expect("CREATE")
        or_alter = self.take("OR", "ALTER")
        if self.take("TABLE"):
            name = self.object_name()
            return CreateTable(name=name, body=self.table_body(), line=line)
        if self.at_any(("UNIQUE", "CLUSTERED", "NONCLUSTERED", "INDEX")):
            return self._create_index(line)
        if self.at_any(("PROCEDURE", "PROC")):
            return self._procedure(start, line, or_alter=or_alter)
        if self.take("VIEW"):
            return self._view(start, line, or_alter=or_alter)
        if self.take("SCHEMA"):
            return self._create_schema(line)
        if self.take("DATABASE"):
            return self._create_database(line)
        if self.at_any(("LOGIN", "USER", "ROLE")):
            return self._create_principal(line)
        raise self.unsupported(f"CREATE {self.token.text}")

    def alter(self) -> Statement:
        start, line = self.token.start, self.token.line
        self.expect("ALTER")
        if self.take("TABLE"):
            return self._alter_table(line)
        if self.at_any(("PROCEDURE", "PROC")):
            return self._procedure(start, line, alter=True)
        if self.take("VIEW"):
            return self._view(start, line, alter=True)
        if self.take("DATABASE"):
            return self._alter_database(line)
        if self.at("ROLE") or self.at("SERVER", "ROLE"):
            server = self.take("SERVER")
            self.expect("ROLE")
            role = self.identifier()
            add = self.take("ADD")
            if not add:
                self.expect("DROP")
            self.expect("MEMBER")
            return RoleMember(role=role, member=self.identifier(), add=add, server=server, line=line)
        raise self.unsupported(f"ALTER {self.token.text}")

    def _skip_rest(self) -> None:
        """Skip options that have no effect here (files, collation), up to the end of the statement."""
        while self.token.kind != "end" and self.token.word not in _STATEMENT_STARTS:
            self.advance()

    def _create_database(self, line: int) -> Statement:
        name = self.identifier()
        while self.token.kind != "end" and self.token.word not in _STATEMENT_STARTS:
            if self.take("COLLATE") and not self.token.text.upper().endswith("_CI_AS"):
                raise self.unsupported(f"databases with collation {self.token.text}")
            self.advance()
        return CreateDatabase(name=name, line=line)

    def _create_schema(self, line: int) -> Statement:
        name = self.identifier()
        if self.take("AUTHORIZATION"):
            self.identifier()
        return CreateSchema(name=name, line=line)

    # Tables

    def table_body(self) -> TableBody:
        self.expect("(")
        columns: list[ColumnDefinition] = []
        keys: list[KeyDefinition] = []
        checks: list[CheckDefinition] = []
        references: list[ForeignKeyDefinition] = []
        while not self.at(")"):
            if self.at_any(_CONSTRAINTS):
                self._table_constraint(keys, checks, references)
            else:
                columns.append(self.column_definition())
            if not self.take(","):
                break
        self.expect(")")
        self._storage_options()
        return TableBody(columns=tuple(columns), keys=tuple(keys), checks=tuple(checks), references=tuple(references))

    def _storage_options(self) -> None:
        while True:
            if self.at_any(("ON", "TEXTIMAGE_ON")) and self.peek().kind in ("id", "qid"):
                self.index += 2
            elif self.at("WITH", "("):
                self.advance()
                self._skip_parentheses()
            else:
                return

    def _skip_parentheses(self) -> None:
        self.expect("(")
        depth = 1
        while depth:
            token = self.advance()
            if token.kind == "end":
                raise self.error()
            depth += {"(": 1, ")": -1}.get(token.word, 0)

    def column_definition(self) -> ColumnDefinition:
        name = self.identifier()
        if self.take("AS"):
            text = self._expression_text()
            persisted = self.take("PERSISTED")
            nullable = False if self.take("NOT", "NULL") else None
            return ColumnDefinition(name=name, type=None, computed=text, persisted=persisted, nullable=nullable)
        if (
            self.token.kind == "id"
            and self.token.word in ("TIMESTAMP", "ROWVERSION")
            and self.peek().word in (",", ")")
        ):
            pass
        elif self.at_any((",", ")")):  # the legacy form: a column named timestamp needs no type
            from dstream_sandbox.sqlserver.engine.types.names import make_type

            return ColumnDefinition(name=name, type=make_type("rowversion"), nullable=False)
        type_ = self.data_type()
        return self._column_options(name, type_)

    def _column_options(self, name: str, type_: SqlType) -> ColumnDefinition:
        nullable: bool | None = None
        identity: tuple[int, int] | None = None
        default: tuple[str, str] | None = None
        row_guid = False
        mask = ""
        keys: list[KeyDefinition] = []
        checks: list[CheckDefinition] = []
        references: list[ForeignKeyDefinition] = []
        constraint = ""
        while True:
            if self.take("NOT", "NULL"):
                nullable = False
            elif self.take("NULL"):
                nullable = True
            elif self.take("COLLATE"):
                type_ = replace(type_, collation=self._column_collation(type_))
            elif self.take("IDENTITY"):
                identity = self._identity()
            elif self.take("ROWGUIDCOL"):
                row_guid = True
            elif self.take("MASKED"):
                mask = self._mask()
            elif self.take("SPARSE") or self.take("NOT", "FOR", "REPLICATION"):
                pass
            elif self.take("CONSTRAINT"):
                constraint = self.identifier()
            elif self.take("DEFAULT"):
                default = (constraint, self._expression_text())
                if self.take("WITH"):
                    self.expect("VALUES")
                constraint = ""
            elif self.at_any(("PRIMARY", "UNIQUE")):
                keys.append(self._key(constraint, ((name, False),)))
                constraint = ""
            elif self.take("CHECK"):
                checks.append(CheckDefinition(name=constraint, expression=self._expression_text()))
                constraint = ""
            elif self.at_any(("FOREIGN", "REFERENCES")):
                if self.take("FOREIGN"):
                    self.expect("KEY")
                references.append(self._reference(constraint, (name,)))
                constraint = ""
            elif self.at_any(("GENERATED", "ENCRYPTED")):
                raise self.unsupported(f"{self.token.text} columns")
            else:
                break
        return ColumnDefinition(
            name=name, type=type_, nullable=nullable, identity=identity, default=default, row_guid=row_guid, mask=mask,
            keys=tuple(keys), checks=tuple(checks), references=tuple(references),
        )  # fmt: skip

    def _column_collation(self, type_: SqlType) -> str:
        """Single-byte text is stored in code page 1252; a collation with another one would lose characters."""
        name = self.identifier()
        if type_.name in ("char", "varchar", "text") and collation(name).codec != "cp1252":
            raise self.unsupported(f"{type_.name} columns with collation {name} (use n{type_.name})")
        return name

    def _mask(self) -> str:
        for part in ("WITH", "(", "FUNCTION", "="):
            self.expect(part)
        function = self.advance().text
        self.expect(")")
        if function.lower() != "default()":
            raise self.unsupported(f"the masking function {function}")
        return function

    def _identity(self) -> tuple[int, int]:
        if not self.take("("):
            return (1, 1)
        seed = self.integer()
        self.expect(",")
        increment = self.integer()
        self.expect(")")
        return (seed, increment)

    def _expression_text(self) -> str:
        start = self.token.start
        self.scalar()
        return self.sql[start : self.tokens[self.index - 1].end]

    def _key(self, name: str, columns: tuple[tuple[str, bool], ...]) -> KeyDefinition:
        primary = self.advance().word == "PRIMARY"
        if primary:
            self.expect("KEY")
        clustered = self._clustered()
        if self.at("("):
            columns = self._key_columns()
        self._storage_options()
        return KeyDefinition(name=name, primary=primary, clustered=clustered, columns=columns)

    def _clustered(self) -> bool | None:
        if self.take("CLUSTERED"):
            return True
        return False if self.take("NONCLUSTERED") else None

    def _key_columns(self) -> tuple[tuple[str, bool], ...]:
        self.expect("(")
        columns: list[tuple[str, bool]] = []
        while True:
            name = self.identifier()
            descending = self.take("DESC")
            if not descending:
                self.take("ASC")
            columns.append((name, descending))
            if not self.take(","):
                break
        self.expect(")")
        return tuple(columns)

    def _table_constraint(
        self, keys: list[KeyDefinition], checks: list[CheckDefinition], references: list[ForeignKeyDefinition]
    ) -> None:
        name = self.identifier() if self.take("CONSTRAINT") else ""
        if self.at_any(("PRIMARY", "UNIQUE")):
            keys.append(self._key(name, ()))
        elif self.take("CHECK"):
            self.take("NOT", "FOR", "REPLICATION")
            checks.append(CheckDefinition(name=name, expression=self._expression_text()))
        elif self.take("FOREIGN"):
            self.expect("KEY")
            references.append(self._reference(name, self.names_in_parentheses()))
        elif self.take("INDEX"):
            index = self.identifier()
            unique = self.take("UNIQUE")
            clustered = self._clustered()
            keys.append(
                KeyDefinition(
                    name=index,
                    primary=False,
                    clustered=clustered,
                    columns=self._key_columns(),
                    unique=unique,
                    constraint=False,
                )
            )
        else:
            raise self.error()

    def _reference(self, name: str, columns: tuple[str, ...]) -> ForeignKeyDefinition:
        self.expect("REFERENCES")
        table = self.object_name()
        references = self.names_in_parentheses() if self.at("(") else ()
        while self.take("ON"):
            verb = self.advance().text
            if not self.take("NO", "ACTION"):
                raise self.unsupported(f"ON {verb} {self.token.text} on a foreign key")
        return ForeignKeyDefinition(name=name, columns=columns, table=table, references=references)

    def _alter_table(self, line: int) -> Statement:
        name = self.object_name()
        if self.take("WITH"):
            self.advance()  # CHECK or NOCHECK: existing rows are always checked
        if self.take("ADD"):
            return self._alter_add(name, line)
        if self.take("ALTER", "COLUMN"):
            column = self.identifier()
            definition = self._column_options(column, self.data_type())
            return AlterTable(name=name, action="alter_column", column=definition, line=line)
        if self.take("DROP"):
            return self._alter_drop(name, line)
        raise self.unsupported(f"ALTER TABLE ... {self.token.text}")

    def _alter_add(self, name: ObjectName, line: int) -> Statement:
        columns: list[ColumnDefinition] = []
        keys: list[KeyDefinition] = []
        checks: list[CheckDefinition] = []
        references: list[ForeignKeyDefinition] = []
        while True:
            if self.at("DEFAULT") or (self.at("CONSTRAINT") and self.peek(2).word == "DEFAULT"):
                constraint = self.identifier() if self.take("CONSTRAINT") else ""
                self.expect("DEFAULT")
                text = self._expression_text()
                self.expect("FOR")
                column = ColumnDefinition(name=self.identifier(), type=None, default=(constraint, text))
                return AlterTable(name=name, action="add_default", column=column, line=line)
            if self.at_any(_CONSTRAINTS):
                self._table_constraint(keys, checks, references)
            else:
                columns.append(self.column_definition())
            if not self.take(","):
                break
        body = TableBody(columns=tuple(columns), keys=tuple(keys), checks=tuple(checks), references=tuple(references))
        return AlterTable(name=name, action="add", body=body, line=line)

    def _alter_drop(self, name: ObjectName, line: int) -> Statement:
        if self.take("COLUMN"):
            action = "drop_column"
        else:
            action = "drop_constraint"
            self.take("CONSTRAINT")
        if self.take("IF"):
            self.expect("EXISTS")
        names = [self.identifier()]
        while self.take(","):
            self.take("COLUMN")
            names.append(self.identifier())
        return AlterTable(name=name, action=action, names=tuple(names), line=line)

    def _create_index(self, line: int) -> Statement:
        unique = self.take("UNIQUE")
        clustered = self._clustered()
        self.expect("INDEX")
        name = self.identifier()
        self.expect("ON")
        table = self.object_name()
        columns = self._key_columns()
        include = self.names_in_parentheses() if self.take("INCLUDE") else ()
        if self.at("WHERE"):
            raise self.unsupported("filtered indexes")
        self._storage_options()
        key = KeyDefinition(
            name=name, primary=False, clustered=bool(clustered), columns=columns, unique=unique, constraint=False,
            include=include,
        )  # fmt: skip
        return CreateIndex(table=table, key=key, line=line)

    # Procedures and views

    def _procedure(self, start: int, line: int, *, or_alter: bool = False, alter: bool = False) -> Statement:
        self.advance()
        name = self.object_name()
        parameters: list[Parameter] = []
        bracketed = self.take("(")
        while self.token.kind == "var":
            parameters.append(self._parameter())
            if not self.take(","):
                break
        if bracketed:
            self.expect(")")
        if self.take("WITH"):
            while not self.at("AS"):
                self.advance()
        self.expect("AS")
        body = self.statements_until_end()
        text = self.sql[start : self.tokens[self.index - 1].end]
        return CreateProcedure(
            name=name, parameters=tuple(parameters), body=body, text=text, or_alter=or_alter, alter=alter, line=line
        )

    def _parameter(self) -> Parameter:
        name = self.variable()
        self.take("AS")
        type_ = self.data_type()
        default = self.scalar() if self.take("=") else None
        output = self.take("OUTPUT") or self.take("OUT")
        self.take("READONLY")
        return Parameter(name=name, type=type_, default=default, output=output)

    def parameters(self) -> tuple[Parameter, ...]:
        """Parse sp_executesql's declaration list."""
        found: list[Parameter] = []
        while self.token.kind == "var":
            found.append(self._parameter())
            if not self.take(","):
                break
        if self.token.kind != "end":
            raise self.error()
        return tuple(found)

    def _view(self, start: int, line: int, *, or_alter: bool = False, alter: bool = False) -> Statement:
        name = self.object_name()
        columns = self.names_in_parentheses() if self.at("(") else ()
        if self.take("WITH"):
            while not self.at("AS"):
                self.advance()
        self.expect("AS")
        query = self.query()
        if self.take("WITH"):
            raise self.unsupported("WITH CHECK OPTION")
        text = self.sql[start : self.tokens[self.index - 1].end]
        return CreateView(name=name, columns=columns, query=query, text=text, or_alter=or_alter, alter=alter, line=line)

    # Databases, principals, permissions

    def _alter_database(self, line: int) -> Statement:
        name = None if self.take("CURRENT") else self.identifier()
        self.expect("SET")
        option = self.advance().text.upper()
        self.take("=")
        value = self.advance().text.upper() if self.token.kind in ("id", "int") and not self.at("WITH") else ""
        if self.take("WITH", "ROLLBACK"):
            self.advance()
        self._skip_rest()
        return AlterDatabase(name=name, option=option, value=value, line=line)

    def backup_or_restore(self) -> Statement:
        line, verb = self.token.line, self.advance().word
        self.expect("DATABASE")
        name = self.identifier()
        self.expect("TO" if verb == "BACKUP" else "FROM")
        self.expect("DISK", "=")
        device = self.advance().text
        self._skip_rest()
        make = BackupDatabase if verb == "BACKUP" else RestoreDatabase
        return make(name=name, device=device, line=line)

    def _create_principal(self, line: int) -> Statement:
        kind = self.advance().word
        name = self.identifier()
        password = login = external_id = None
        if self.take("WITH"):
            self.expect("PASSWORD", "=")
            password = self.advance().text
        elif self.take("FROM", "EXTERNAL", "PROVIDER"):
            external_id = name
            if self.take("WITH"):
                self.expect("OBJECT_ID", "=")
                external_id = self.advance().text
        elif self.take("FOR") or self.take("FROM"):
            self.advance()
            login = self.identifier()
        self._skip_rest()
        return CreatePrincipal(kind=kind, name=name, password=password, login=login, external_id=external_id, line=line)

    def drop(self) -> Statement:
        line = self.token.line
        self.expect("DROP")
        kind = self.advance().word
        if kind not in _DROPPABLE:
            self.index -= 1
            raise self.unsupported(f"DROP {self.token.text}")
        kind = "PROCEDURE" if kind == "PROC" else kind
        if_exists = self.take("IF", "EXISTS")
        names = [self.object_name()]
        if kind == "INDEX" and self.take("ON"):
            return Drop(kind=kind, names=tuple(names), if_exists=if_exists, table=self.object_name(), line=line)
        while self.take(","):
            names.append(self.object_name())
        return Drop(kind=kind, names=tuple(names), if_exists=if_exists, line=line)

    def permission(self) -> Statement:
        line = self.token.line
        action = self.advance().word
        if action == "REVOKE":
            self.take("GRANT", "OPTION", "FOR")
        permissions = [self._permission_name()]
        while self.take(","):
            permissions.append(self._permission_name())
        scope, target = "DATABASE", ()  # type: tuple[str, ObjectName]
        if self.take("ON"):
            scope, target = self._securable()
        if not self.take("TO"):
            self.expect("FROM")
        principals = [self.identifier()]
        while self.take(","):
            principals.append(self.identifier())
        self._skip_rest()
        return Permission(
            action=action, permissions=tuple(permissions), scope=scope, target=target, principals=tuple(principals),
            line=line,
        )  # fmt: skip

    def _permission_name(self) -> str:
        words = [self.advance().text.upper()]
        while not self.at_any((",", "ON", "TO", "FROM", "(")):
            if self.token.kind == "end":
                raise self.error()
            words.append(self.advance().text.upper())
        if self.at("("):
            raise self.unsupported("column permissions")
        return " ".join(words)

    def _securable(self) -> tuple[str, ObjectName]:
        scope = "OBJECT"
        if self.peek().word == "::":
            scope = self.advance().text.upper()
            self.advance()
        return scope, self.object_name()


_STATEMENT_STARTS_TEXT = """
    SELECT INSERT UPDATE DELETE MERGE CREATE ALTER DROP DECLARE SET IF WHILE BEGIN END EXEC EXECUTE PRINT
    RAISERROR THROW RETURN USE BACKUP RESTORE GRANT DENY REVOKE COMMIT ROLLBACK SAVE TRUNCATE WAITFOR ;
"""
_STATEMENT_STARTS = frozenset(_STATEMENT_STARTS_TEXT.split())
