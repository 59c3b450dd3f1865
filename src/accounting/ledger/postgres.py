"""The ledger in PostgreSQL, for processes on many machines."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...completion import Usage
from ...config.hiding import is_secret_parameter
from ...errors import LedgerError
from .columns import COLUMNS, from_columns, to_columns
from .database import Mode, Values
from .matching import made_at, stamp
from .migrations import VERSION, pending
from .months import Months, partitions
from .row import Row

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresDatabase"]

_LOCK: Final = 0x53574C47
"""The advisory lock: whoever writes shares it, whoever changes what is counted has it alone."""

_SETTINGS: Final = {
    "connect_timeout": 10,
    "application_name": "switchgear",
    "client_encoding": "utf8",
    # A server that is gone without a word is noticed within half a minute.
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# Nothing is kept in a session: through a pooler in transaction mode, each transaction may be in
# another one, which knows no statement that was prepared before.
_OURS: Final[dict[str, Any]] = {"autocommit": True, "prepare_threshold": None}
# Said in each transaction: through a pooler, the next one may be on another connection. A process
# that is stopped inside a transaction must not keep its counters locked.
_LOCAL: Final = (
    "SET LOCAL search_path = switchgear; "
    "SET LOCAL idle_in_transaction_session_timeout = '30s'; "
    "SET LOCAL statement_timeout = "
)
_BEGIN: Final[dict[Mode, str]] = {
    "read": f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LOCAL} '600s'",
    "write": (
        f"BEGIN ISOLATION LEVEL READ COMMITTED; {_LOCAL} '30s'; "
        f"SELECT pg_advisory_xact_lock_shared({_LOCK})"
    ),
    "alone": (
        f"BEGIN ISOLATION LEVEL READ COMMITTED; {_LOCAL} '600s'; "
        f"SELECT pg_advisory_xact_lock({_LOCK})"
    ),
    # Without the lock: who waited to have it alone would keep everybody from booking meanwhile. So
    # its statements have to see the same rows: a call's first attempt may be booked between two.
    "roll": f"BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL work_mem = '64MB'; {_LOCAL} '600s'",
}
_BYTES: Final = frozenset({"id", "call_id"})
_FLAGS: Final = frozenset({"own_key", "stream", "hedge", "estimated"})
_NUMBERS: Final = frozenset(
    (
        *(name for name in Usage.__struct_fields__ if name != "estimated"),
        *("at", "repeat", "status", "cost", "bound", "saved", "latency", "first_token", "waited"),
        "reserved",
    )
)
_FORMATS: Final = {
    "hour": 'YYYY-MM-DD"T"HH24:00TZH:TZM',
    "day": "YYYY-MM-DD",
    "month": "YYYY-MM",
}
_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_OBJECTS: Final = (COLUMNS.index("tags"), COLUMNS.index("budgets"))


def _type(name: str) -> str:
    if name in _NUMBERS:
        return "bigint"
    if name in _FLAGS:
        return "boolean"
    return "jsonb" if name in {"tags", "budgets"} else "text"


_STOP_SECONDS: Final = 1.0
_TOKENS: Final = 0x53574654
"""Tells the locks of tokens from others by hash."""
_COLUMNS: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_COPY: Final = f"COPY attempt ({_COLUMNS}) FROM STDIN"


def _mistaken(given: Mapping[str, Any]) -> bool:
    """Whether a password that is not encoded ended early, its rest taken for a host or port."""
    host, port = str(given.get("host") or ""), str(given.get("port") or "")
    # A path is a socket's folder, and an abstract socket's name begins with @.
    socket = host.startswith(("/", "@"))
    return ("@" in host and not socket) or re.fullmatch(r"[\d,]*", port) is None


def _insert() -> str:
    given = ", ".join(f"decode({n}, 'base64')" if n in _BYTES else f'"{n}"' for n in COLUMNS)
    types = ", ".join(f'"{name}" {_type(name)}' for name in COLUMNS)
    # One value for the whole batch: binding each column of each row costs the client more.
    return (
        f"INSERT INTO attempt ({_COLUMNS}) SELECT {given} FROM json_to_recordset(%s::json)"  # noqa: S608
        f" AS batch ({types}) ON CONFLICT (id) DO NOTHING RETURNING id"
    )


_INSERT: Final = _insert()


class PostgresDatabase:
    """One connection to a server, made anew after it broke. Its tables are in a schema of theirs.

    PostgreSQL's text holds no NUL: it is written as its picture, ``␀``.
    """

    for_update = " FOR UPDATE"
    unless_locked = " FOR UPDATE SKIP LOCKED"
    one_writer = False

    def __init__(self, url: str) -> None:
        try:
            import psycopg
            from psycopg.conninfo import conninfo_to_dict
        except ImportError as exc:
            raise LedgerError(
                "a ledger in PostgreSQL needs psycopg: pip install 'switchgear[postgres]'"
            ) from exc
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:
            # Without its cause, which repeats the URL with its password.
            given = None
        if given is None or _mistaken(given):
            raise LedgerError(
                "the ledger's URL is not one of PostgreSQL's: postgresql://USER@HOST/DATABASE, "
                "special characters of a password percent-encoded (%2F for /, %40 for @)"
            )
        self._settings: dict[str, Any] = {**_SETTINGS, **given}
        self._secrets = [
            str(value) for key, value in given.items() if value and is_secret_parameter(key)
        ]
        database = str(given.get("dbname") or "")
        if "@" in database:
            # What follows the first slash of a password that is not encoded looks like this.
            self._secrets.append(database)
            database = "***"
        if "," in str(given.get("host") or given.get("hostaddr") or ""):
            # Of several servers the one that writes, whichever that is after a failover.
            self._settings.setdefault("target_session_attrs", "read-write")
        host = given.get("host") or given.get("hostaddr") or "localhost"
        port = f":{given['port']}" if given.get("port") else ""
        self.place = f"PostgreSQL on {host}{port}/{database}"
        self._connection: psycopg.Connection | None = None
        self._months = Months(self.place)
        self._asks = False

    def open(self) -> None:
        """Connect, unless connected, and bring the tables to this version."""
        import psycopg

        if self._connection is not None and not self._connection.closed:
            return
        self.close()
        self._connection = psycopg.connect(**self._settings, **_OURS)
        try:
            self._migrate()
        except BaseException:
            self.close()
            raise

    def _migrate(self) -> None:
        if self._version() == VERSION:
            return
        self.begin("alone")
        try:
            # Looked at again, now that nobody else is at it.
            version = self._version()
            if not version:
                self.change("CREATE SCHEMA IF NOT EXISTS switchgear")
            for script in pending("postgres", version, self.place):
                for statement in script:
                    self.change(statement)
            self.change("UPDATE version SET number = ?", (VERSION,))
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def _version(self) -> int:
        # Not by to_regclass: it may answer out of a cache from before the wait for the lock.
        found = self.query(
            "SELECT 1 FROM pg_catalog.pg_tables"
            " WHERE schemaname = 'switchgear' AND tablename = 'version'"
        )
        return int(self.query("SELECT number FROM switchgear.version")[0][0]) if found else 0

    def begin(self, mode: Mode) -> None:
        """Start a transaction."""
        # Without values this is one message for all of its statements.
        self._open().execute(_BEGIN[mode].encode())

    def commit(self) -> None:
        """End it; all of it happened."""
        self._open().commit()

    def rollback(self) -> None:
        """End it, if one is open; a connection that can't is given up."""
        if self._connection is not None:
            try:
                self._connection.rollback()
            except Exception:  # noqa: BLE001 - what broke before is what is told
                self.close()

    def query(self, sql: str, values: Values = ()) -> list[Any]:
        """The rows that a statement gives."""
        return self._open().execute(_translated(sql), _clean(values)).fetchall()

    def change(self, sql: str, values: Values = ()) -> int:
        """How many rows a statement changed."""
        return self._open().execute(_translated(sql), _clean(values)).rowcount

    def change_each(self, sql: str, batch: Sequence[Values]) -> None:
        """The same statement for each of many values, sent at once."""
        if len(batch) == 1:
            self.change(sql, batch[0])
        elif batch:
            with self._open().cursor() as cursor:
                cursor.executemany(_translated(sql), [_clean(values) for values in batch])

    def make_room(self, rows: Sequence[Row]) -> None:
        """Make the partitions of these rows' months."""
        self._months.make_room(self._open(), [row.id for row in rows])

    def insert_rows(self, rows: Sequence[Row]) -> set[bytes]:
        """Write the rows whose ids are new; which these were.

        Copied, as if all of them were: three times as fast as asking. Where one is not, the
        transaction is for nothing, and :meth:`again` says that the next one shall ask.
        """
        new = {row.id: row for row in reversed(rows)}
        asks, self._asks = self._asks, False
        if not new:
            return set()
        if asks:
            return self._insert_new(list(new.values()))
        with self._open().cursor() as cursor, cursor.copy(_COPY.encode()) as copy:
            for key in sorted(new):
                copy.write_row(_fit(to_columns(new[key])))
        return set(new)

    def _insert_new(self, rows: Sequence[Row]) -> set[bytes]:
        payload = _without_nul(msgspec.json.encode([_record(row) for row in rows]).decode())
        found = self._open().execute(_INSERT.encode(), (payload,))
        return {row[0] for row in found}

    def lock_tokens(self, keys: Sequence[str], *, shared: bool) -> None:
        """By advisory locks: for a row's lock, newcomers that share it would go first for ever."""
        lock = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        self.query(
            f"SELECT count({lock}(number)) FROM (SELECT DISTINCT"  # noqa: S608
            f" hashtextextended(key, {_TOKENS}) AS number FROM unnest(?::text[]) AS given (key)"
            " ORDER BY number) AS ordered",
            (_clean(keys),),
        )

    def set_counters(self, amounts: Sequence[tuple[int, int, str]]) -> None:
        """Bound and cost of counters, by key, in one statement: a batch may belong to hundreds."""
        bounds, costs, keys = (list(column) for column in zip(*amounts, strict=True))
        self.change(
            "UPDATE counter SET bound = given.bound, cost = given.cost"
            " FROM unnest(?::bigint[], ?::bigint[], ?::text[]) AS given (bound, cost, key)"
            " WHERE counter.key = given.key",
            (bounds, costs, _clean(keys)),
        )

    def drop_rows(self, end: bytes, drift: int) -> bool:
        """Drop the months that ended, and what is older outside of them.

        What began after that, by another clock than its id's, is put into ``attempt_other``.
        """
        self.change("SET LOCAL lock_timeout = '10s'")
        start = made_at(end)
        newer = self.query(
            f"SELECT {_COLUMNS} FROM attempt WHERE id >= ? AND id < ? AND at >= ?",  # noqa: S608
            [stamp(start - drift), end, start],
        )
        for month in sorted(partitions(self._open())):
            if month.plus(1).first <= end:
                self.change(f"DROP TABLE {month.table}")
        self.change("DELETE FROM attempt_other WHERE id < ?", (end,))
        self.insert_rows([from_columns(row) for row in newer])
        return True

    def exact(self, expression: str) -> str:
        """Two columns: nothing, and the whole sum, which PostgreSQL gives at any size."""
        return f"0, COALESCE(SUM({expression}), 0)"

    def halves(self, expression: str) -> tuple[str, str]:
        """Two expressions: of a sum what one column holds, and the rest of it in units of 2³²."""
        whole = f"COALESCE(SUM({expression}), 0)"
        fits = f"{whole} < {2**62}"
        return (
            f"CAST(CASE WHEN {fits} THEN {whole} ELSE mod({whole}, {2**32}) END AS BIGINT)",
            f"CASE WHEN {fits} THEN 0 ELSE div({whole}, {2**32}) END",
        )

    def use_zone(self, timezone: str) -> None:
        """Let :meth:`local` mean this zone until the transaction ends."""
        self.query("SELECT set_config('TimeZone', ?, true)", (timezone,))

    def local(self, unit: str) -> str:
        """An expression: the label of the local ``hour``, ``day`` or ``month`` of a row."""
        return f"to_char(to_timestamp(at / 900000000 * 900), '{_FORMATS[unit]}')"

    def tag(self) -> str:
        """An expression with one value: a row's tag of that name, or ``NULL``."""
        return "(tags ->> ?::text)"

    def again(self, error: BaseException) -> bool:
        """Whether the server ended the transaction for another's sake, or a row was there."""
        from psycopg import errors

        if isinstance(error, errors.UniqueViolation):
            self._asks = (error.diag.table_name or "").startswith("attempt")
            return self._asks
        # A row for attempt_other whose month was made in that moment violates a constraint.
        transient = errors.DeadlockDetected | errors.SerializationFailure | errors.CheckViolation
        return isinstance(error, transient)

    def fault(self, error: BaseException) -> LedgerError:
        """What went wrong, and the way out."""
        from psycopg import errors

        if isinstance(error, LedgerError):
            return error
        if isinstance(error, errors.ReadOnlySqlTransaction):
            # It was the primary once. The next connection may find the one that is now.
            self.close()
        if any(secret in str(error) for secret in self._secrets):
            return LedgerError(f"the ledger in {self.place}: {type(error).__name__}")
        text = " ".join(str(error).split()) or type(error).__name__
        return LedgerError(f"the ledger in {self.place}: {text}{_way_out(error)}")

    def stop(self) -> None:
        """Break off the statement that another thread is waiting for, if any."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.cancel_safe(timeout=_STOP_SECONDS)

    def close(self) -> None:
        """Disconnect. Safe to call twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def _open(self) -> psycopg.Connection:
        if self._connection is None:
            raise LedgerError(f"the ledger in {self.place} is closed")
        return self._connection


def _record(row: Row) -> dict[str, Any]:
    record = dict(zip(COLUMNS, to_columns(row), strict=True))
    # Objects and not text here, or they would be strings inside JSON.
    record["tags"] = row.tags or None
    record["budgets"] = row.budgets or None
    return record


def _way_out(error: BaseException) -> str:
    from psycopg import errors

    if isinstance(error, errors.DiskFull):
        return ": make room on the server"
    if isinstance(error, errors.InsufficientPrivilege):
        return ": the user needs the schema switchgear, or the right to create it"
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return ": name the primary server, this one only reads"
    if isinstance(error, errors.LockNotAvailable | errors.QueryCanceled):
        return ": another transaction kept it waiting, or the server is overloaded"
    if _no_connection_free(error):
        return (
            ": it is tried again; each process needs one or two connections, so let the server "
            "have more (max_connections), or put a pooler in front of it (in transaction mode)"
        )
    if isinstance(error, errors.OperationalError):
        return ": check that the server runs and can be reached; it is tried again"
    return ""


def _no_connection_free(error: BaseException) -> bool:
    # Before there is a session, the server's code does not come with its words.
    words = ("too many clients", "too many connections", "remaining connection slots")
    return getattr(error, "sqlstate", None) == "53300" or any(w in str(error) for w in words)


@functools.lru_cache(maxsize=512)
def _translated(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _clean(values: Values) -> list[Any]:
    return [v.replace("\0", "␀") if isinstance(v, str) and "\0" in v else v for v in values]


def _fit(values: list[Any]) -> list[Any]:
    for index in _OBJECTS:
        if values[index] is not None:
            values[index] = _without_nul(values[index])
    return _clean(values)


def _without_nul(encoded: str) -> str:
    return _NUL.sub(r"\1␀", encoded) if "\\u0000" in encoded else encoded
