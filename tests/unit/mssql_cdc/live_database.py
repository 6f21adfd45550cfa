"""An in-memory database with change data capture, and what applications and administrators do to it at random.

It keeps two things apart: the change tables, which capture fills and cleanup empties, and `log`, everything that was
ever committed, from which the expected lines are calculated. Sources: Microsoft "About change data capture",
"cdc.<capture_instance>_CT", "sys.sp_cdc_enable_table", "sys.sp_cdc_cleanup_change_table".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

GUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
DELETE, INSERT, BEFORE, AFTER = 1, 2, 3, 4
_KEYS = range(1, 7)

Values = dict[str, Any]


class ColumnType(NamedTuple):
    name: str
    type: str
    length: int = 0

    @property
    def is_large(self) -> bool:
        return self.length == -1


ID, NAME, NOTE = ColumnType("Id", "int"), ColumnType("Name", "nvarchar", 100), ColumnType("Note", "nvarchar", -1)


@dataclass(frozen=True)
class Change:
    """What a statement did to one row; `row` is the deleted row, or the row afterwards."""

    object_id: int
    command: int | None
    seqval: bytes
    operation: int
    row: Values
    before: Values | None = None
    set_columns: frozenset[str] = frozenset()

    @property
    def order(self) -> tuple[int, bytes, int, int]:
        return (-1 if self.command is None else self.command, self.seqval, self.operation, self.object_id)


@dataclass(frozen=True)
class Commit:
    """A transaction. Without changes, it is the row that capture writes while nothing happens."""

    lsn: bytes
    time: datetime
    changes: tuple[Change, ...] = ()

    @property
    def tran_id(self) -> bytes:
        return b"\x01" + self.lsn[1:] if self.changes else bytes(10)

    @property
    def commit_time(self) -> str:
        return self.time.isoformat(timespec="milliseconds")


@dataclass(eq=False)
class CaptureInstance:
    """A capture instance with its change table. `start_lsn` is the low watermark that cleanup raises."""

    name: str
    object_id: int
    created: str
    start_lsn: bytes
    columns: tuple[ColumnType, ...]
    modified: datetime = datetime(2024, 1, 1)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    """As the reader selects them: with the lengths of large values last."""

    def capture(self, lsn: bytes, change: Change) -> None:
        control = (lsn, change.command, change.seqval)
        if change.operation != AFTER:
            every = (1 << len(self.columns)) - 1
            self.rows.append((*control, change.operation, self._mask(every), *selected(self.columns, change.row)))
            return
        bits = sum(1 << at for at, column in enumerate(self.columns) if column.name in change.set_columns)
        for operation, image in ((BEFORE, change.before), (AFTER, change.row)):
            assert image is not None
            # A large value is NULL unless the update has set the column.
            kept = {
                column.name: image.get(column.name)
                for column in self.columns
                if not column.is_large or column.name in change.set_columns
            }
            self.rows.append((*control, operation, self._mask(bits), *selected(self.columns, kept)))

    def _mask(self, bits: int) -> bytes:
        return bits.to_bytes(max(1, (len(self.columns) + 7) // 8))


def selected(columns: tuple[ColumnType, ...], row: Values) -> tuple[Any, ...]:
    """The values of a row, NULL for columns that the table no longer has, and the lengths of the large ones."""
    values = [row.get(column.name) for column in columns]
    return (*values, *(2 * len(value or "") for column, value in zip(columns, values, strict=True) if column.is_large))


@dataclass(eq=False)
class LiveTable:
    name: str
    object_id: int
    has_key: bool = True
    columns: tuple[ColumnType, ...] = (ID, NAME, NOTE)
    instances: list[CaptureInstance] = field(default_factory=list)
    rows: dict[int, Values] = field(default_factory=dict)


class LiveDatabase:
    """The tables, the log, and how far capture has progressed."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.tables: list[LiveTable] = []
        self.log: list[Commit] = []
        self.captured_lsn = bytes(10)
        self.mapping_begins = bytes(10)
        """cdc.lsn_time_mapping has no older rows."""
        self.now = datetime(2024, 2, 29)
        self.upheavals = 0
        """How often something happened after which a repeated row may differ from the row sent first."""
        self._number = 0
        self._unrest = chance.choice([0.05, 0.2, 0.5])
        """The share of acts that are not writes."""

    def start(self) -> None:
        """Create tables with some rows, of which some were written before capture was enabled."""
        for _ in range(self.chance.randint(1, 3)):
            table = LiveTable(f"dbo.T{self._next()}", self._object_id(), has_key=self.chance.random() < 0.8)
            self.tables.append(table)
        for act in self.chance.choices([self.write, self.enable], k=self.chance.randint(0, 8)):
            act()
        for table in self.tables:
            self.enable(table)

    def act(self) -> None:
        """Do one of the things that applications, administrators and the cleanup job do."""
        acts: list[Callable[[], None]] = [self.write] * 7 + [self.idle]
        is_quiet = self.chance.random() > self._unrest
        if not is_quiet:
            self.upheavals += 1
            acts = [
                self.clean_up, self.clean_up, self.enable, self.enable, self.disable, self.drop_older,
                self.replace_older, self.replace_older, self.add_column, self.drop_column, self.widen, self.create, self.rename, self.swap,
                self.drop, self.recreate,
            ]  # fmt: skip
        self.chance.choice(acts)()

    def write(self) -> None:
        """Commit a transaction over several tables."""
        self.now += timedelta(seconds=self.chance.choice([0, 0, 1, 4]))
        is_old = self.chance.random() < 0.1  # Captured before change tables had the column __$command_id.
        changes: dict[tuple[Any, ...], Change] = {}
        touched: set[tuple[int, int]] = set()
        for command in range(1, self.chance.randint(2, 4)):
            if self.tables:
                table = self.chance.choice(self.tables)
                for change in self._statement(table, None if is_old else command, touched):
                    changes[change.object_id, change.order] = change
        self._commit(tuple(changes.values()))

    def _statement(self, table: LiveTable, command: int | None, touched: set[tuple[int, int]]) -> list[Change]:
        """Insert, update, delete or move some rows that no other statement of the transaction touches, so that the
        order of their changes does not matter."""
        changes: list[Change] = []
        free = [key for key in _KEYS if (table.object_id, key) not in touched]
        keys = self.chance.sample(free, min(len(free), self.chance.choice([1, 1, 2, 3])))
        touched |= {(table.object_id, key) for key in keys}
        for key in keys:
            seqval = (10 * key + (command or 0)).to_bytes(10)
            old = table.rows.pop(key, None)
            kind = self.chance.choice(["update", "update", "delete", "move"])
            if old is None:
                changes.append(Change(table.object_id, command, seqval, INSERT, self._new_row(table, key)))
                table.rows[key] = changes[-1].row
            elif kind == "update":
                row = {**old, "Name": self._text()}
                for column in table.columns[2:]:
                    if self.chance.random() < 0.3:
                        row[column.name] = self._value(column)
                set_columns = frozenset(name for name in row if row[name] != old.get(name))
                table.rows[key] = row
                changes.append(Change(table.object_id, command, seqval, AFTER, row, old, set_columns))
            else:
                changes.append(Change(table.object_id, command, seqval, DELETE, old))
                free_key = next(
                    (key for key in _KEYS if key not in table.rows and (table.object_id, key) not in touched), 0
                )
                if kind == "move" and free_key:
                    touched.add((table.object_id, free_key))
                    table.rows[free_key] = {**old, "Id": free_key}
                    changes.append(Change(table.object_id, command, seqval, INSERT, table.rows[free_key]))
        return changes if table.instances else []

    def _commit(self, changes: tuple[Change, ...]) -> None:
        self.log.append(Commit(self._lsn(), self.now, changes))
        for change in sorted(changes, key=lambda change: change.order):
            for table in self.tables:
                if table.object_id == change.object_id:
                    for instance in table.instances:
                        instance.capture(self.log[-1].lsn, change)

    def idle(self) -> None:
        """Nothing happens for a while, so that capture writes a row without a transaction."""
        self.now += timedelta(seconds=20)
        self._commit(())

    def capture(self) -> None:
        """Let capture progress by a few transactions."""
        unseen = [one.lsn for one in self.log if one.lsn > self.captured_lsn]
        if unseen:
            self.captured_lsn = unseen[min(self.chance.randint(0, 4), len(unseen) - 1)]

    def clean_up(self) -> None:
        """Remove old changes, from all change tables as the job does, or from one."""
        mapped = [one.lsn for one in self.log if one.lsn <= self.captured_lsn]
        every = [instance for table in self.tables for instance in table.instances]
        if not mapped or not every:
            return
        watermark = self.chance.choice(mapped[-6:])
        for instance in every if self.chance.random() < 0.8 else [self.chance.choice(every)]:
            instance.start_lsn = max(instance.start_lsn, watermark)
            instance.rows = [row for row in instance.rows if row[0] >= instance.start_lsn]
        self.mapping_begins = max(self.mapping_begins, min(instance.start_lsn for instance in every))

    def enable(self, wanted: LiveTable | None = None) -> None:
        """Create the first or the second capture instance of a table."""
        for table in [wanted] if wanted else self._some():
            if len(table.instances) < 2:
                used = {instance.name for other in self.tables for instance in other.instances}
                name = next(name for at in range(9) if (name := f"ci{table.name}_{at}") not in used)
                self._commit(())
                created = f"2024-01-01T00:00:00.{self._next():06}"
                instance = CaptureInstance(name, self._object_id(), created, self.log[-1].lsn, table.columns)
                table.instances.append(instance)

    def disable(self) -> None:
        for table in self._some():
            table.instances.clear()

    def drop_older(self) -> None:
        for table in self._some():
            if len(table.instances) == 2:
                del table.instances[self.chance.choice([0, 0, 0, 1])]

    def replace_older(self) -> None:
        """Replace the older of two instances by a new one, which gets its name, with one script."""
        for table in self._some():
            if len(table.instances) == 2:
                del table.instances[0]
                self.enable(table)

    def add_column(self) -> None:
        for table in self._some():
            if len(table.columns) < 5:
                added = ColumnType(f"C{self._next()}", *self.chance.choice([("int", 0), ("varchar", 20)]))
                table.columns = (*table.columns, added)

    def drop_column(self) -> None:
        for table in self._some():
            if len(table.columns) > 2:
                dropped = self.chance.choice(table.columns[2:])
                table.columns = tuple(column for column in table.columns if column != dropped)
                table.rows = {
                    key: {name: value for name, value in row.items() if name != dropped.name}
                    for key, row in table.rows.items()
                }

    def widen(self) -> None:
        """Make a column longer. Change tables follow ("sys.sp_cdc_enable_table", Remarks)."""
        for table in self._some():

            def widened(columns: tuple[ColumnType, ...]) -> tuple[ColumnType, ...]:
                return tuple(
                    column._replace(length=column.length + 2) if column.name == "Name" else column for column in columns
                )

            table.columns = widened(table.columns)
            for instance in table.instances:
                instance.columns = widened(instance.columns)
                instance.modified += timedelta(seconds=1)

    def create(self, name: str = "") -> None:
        if name or len(self.tables) < 4:
            table = LiveTable(name or f"dbo.T{self._next()}", self._object_id(), has_key=self.chance.random() < 0.8)
            self.tables.append(table)
            if self.chance.random() < 0.7:
                self.enable(table)

    def rename(self) -> None:
        for table in self._some():
            table.name = self._new_name()

    def swap(self) -> None:
        """Give a table another name, and its name to a new table."""
        for table in self._some():
            name, table.name = table.name, self._new_name()
            self.create(name)
            new = self.tables[-1]
            new.rows = {key: self._new_row(new, key) for key in self.chance.sample(_KEYS, 3)}

    def drop(self) -> None:
        for table in self._some():
            self.tables.remove(table)

    def recreate(self) -> None:
        for table in self._some():
            self.tables.remove(table)
            self.create(table.name)

    def _some(self) -> list[LiveTable]:
        return [self.chance.choice(self.tables)] if self.tables else []

    def _new_name(self) -> str:
        return f"{self.chance.choice(['dbo', 'dbo', 'old'])}.R{self._next()}"

    def _new_row(self, table: LiveTable, key: int) -> Values:
        return {"Id": key, "Name": self._text(), **{column.name: self._value(column) for column in table.columns[2:]}}

    def _value(self, column: ColumnType) -> Any:
        return self.chance.choice([None, self._next() if column.type == "int" else self._text()])

    def _text(self) -> str:
        return f"é{self._next()}"

    def _object_id(self) -> int:
        """Ids are not in the order in which objects are created, so that ties are not, either."""
        return self.chance.randint(1, 9999) * 1000 + self._next()

    def _next(self) -> int:
        self._number += 1
        return self._number

    def fence(self) -> bytes:
        """The LSN of a log record that is no commit: every commit so far has a lower one, every later one a higher."""
        return self._lsn()

    def _lsn(self) -> bytes:
        return (0x2A0000000000000000 + self._next() * 7).to_bytes(10)
