"""Files of a settlement: tables as Parquet and CSV, `settlement.json`, and the terms they were made by."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from cosim.community.bench import Bench, make_bench, read_files, settle_bench
from cosim.community.delivered import Delivered
from cosim.community.terms import parse_terms, read_terms
from cosim.errors import ScenarioError
from cosim.results.columns import TIME
from cosim.results.csv_text import mark_table
from cosim.results.directory import make_parquet_options
from cosim.results.folders import check_empty, make_folder
from market.community.accounts import Settlement, sum_balances
from market.community.energies import Part

TERMS, SETTLEMENT = "terms.toml", "settlement.json"
TABLES = ("energies", "postings", "balances")
NETWORK_CHARGES = "the network charges of the run, which are no part of the law's settlement"
ENERGIES = ("generated_wh", "used_wh", "received_wh", "surplus_wh", "bought_wh")


class Settled(NamedTuple):
    """A community that is settled: summary as `settlement.json` has it, tables by name, and the terms' texts."""

    summary: Mapping[str, Any]
    tables: Mapping[str, pa.Table]
    texts: Mapping[str, str]


def read_texts(path: Path) -> dict[str, str]:
    """Texts of terms and of the files beside them, by the names that they are kept under.

    Raises
    ------
    ScenarioError
        If they cannot be read or are not as expected.
    """
    terms, text = read_terms(path)
    kept = {TERMS, SETTLEMENT, *(f"{name}.{ending}" for name in TABLES for ending in ("csv", "parquet"))}
    for name in terms.files:
        if name in kept:
            raise ScenarioError(
                f"{path}, coefficients_file: expected another name than '{name}', which a settlement has"
            )
    return {TERMS: text, **read_files(terms, path.parent)}


def settle_run(texts: Mapping[str, str], delivered: Delivered, where: str) -> Settled:
    """Settle what a run delivered by terms.

    Raises
    ------
    ScenarioError, market.errors.MarketError
        If terms, coefficients or intervals cannot be used.
    """
    bench = make_bench(parse_terms(texts[TERMS], where), texts, delivered)
    settlement = settle_bench(bench)
    tables = {
        "energies": make_energies(bench, settlement),
        "postings": make_postings(settlement),
        "balances": make_balances(bench, settlement),
    }
    return Settled(make_summary(bench, settlement, delivered, texts), tables, texts)


def make_energies(bench: Bench, settlement: Settlement) -> pa.Table:
    """A row for each community, period and member, Wh."""
    n_periods, n_members = bench.metered.used_wh.shape
    minutes = bench.terms.period_minutes
    times = (bench.start + 60 * minutes * np.arange(n_periods)) * 1000
    many = len(settlement.parts)
    columns: dict[str, Any] = {
        "time": pa.array(np.tile(np.repeat(times, n_members), many), TIME),
        "community": _repeat([part.name for part in settlement.parts], n_periods * n_members),
        "house": _repeat(list(bench.names) * (n_periods * many), 1),
    }
    for name in ENERGIES:
        columns[name] = pa.array(np.concatenate([_take(part, name).ravel() for part in settlement.parts]))
    return pa.table(columns)


def _take(part: Part, name: str) -> Any:
    return getattr(part, name)


def _repeat(words: list[str], times: int) -> pa.Array:
    distinct = list(dict.fromkeys(words))
    place = {word: k for k, word in enumerate(distinct)}
    indices = np.repeat(np.array([place[word] for word in words], np.int32), times)
    return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(distinct, pa.string()))


def make_postings(settlement: Settlement) -> pa.Table:
    """A row for each amount that one party owes another for a month, Wh and nEUR."""
    rows = settlement.postings
    return pa.table(
        {
            "month": pa.array([f"{row.month // 100}-{row.month % 100:02d}" for row in rows], pa.string()),
            "payer": pa.array([row.payer for row in rows], pa.string()),
            "payee": pa.array([row.payee for row in rows], pa.string()),
            "purpose": pa.array([row.purpose for row in rows], pa.string()),
            "energy_wh": pa.array([row.energy_wh for row in rows], pa.int64()),
            "amount_neur": pa.array([row.amount_neur for row in rows], pa.int64()),
        }
    )


def make_balances(bench: Bench, settlement: Settlement) -> pa.Table:
    """What each party has in the end, nEUR; they sum to zero."""
    balances = sum_balances(settlement.postings, bench.names)
    return pa.table(
        {
            "party": pa.array(list(balances), pa.string()),
            "balance_neur": pa.array(list(balances.values()), pa.int64()),
        }
    )


def make_summary(
    bench: Bench, settlement: Settlement, delivered: Delivered, texts: Mapping[str, str]
) -> dict[str, Any]:
    """What `settlement.json` says: the ledger's head, digests of the terms, and sums."""
    terms = bench.terms
    return {
        "law": terms.law,
        "community": terms.community,
        "ledger_head": delivered.head,
        "terms_sha256": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()},
        "metering": terms.metering,
        "period_minutes": terms.period_minutes,
        "n_periods": bench.metered.used_wh.shape[0],
        "n_members": len(bench.names),
        "houses_outside": len(delivered.names) - len(bench.names),
        "energy_wh": {
            part.name: {name: int(_take(part, name).sum()) for name in ENERGIES} for part in settlement.parts
        },
        "balances_neur": sum_balances(settlement.postings, bench.names),
        "surplus_value_not_paid_neur": settlement.unpaid_neur,
        **({"left_out": [NETWORK_CHARGES]} if delivered.charged else {}),
    }


def write_settlement(settled: Settled, directory: Path) -> None:
    """Write tables, summary and terms into a hidden folder, then give it its name.

    Raises
    ------
    ScenarioError
        If the folder is not empty, or cannot be written.
    """
    if directory.absolute() == Path.cwd():  # it is replaced as a whole, below the feet of who called
        raise ScenarioError(f"{directory}: expected a folder below this one, got this one; name another with --out")
    make_folder(check_empty(directory).parent)
    partial = directory.with_name(f".{directory.name}.partial-{os.getpid()}")
    try:
        partial.mkdir()
        try:
            for name, content in list_contents(settled).items():
                (partial / name).write_bytes(content)
            os.replace(partial, directory)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    except OSError as reason:
        raise ScenarioError(
            f"{directory}: expected a folder that can be written to, got {reason.strerror}; choose another with --out"
        ) from reason


def list_contents(settled: Settled) -> dict[str, bytes]:
    """Bytes of each file of a settlement, by name."""
    found = {name: text.encode() for name, text in settled.texts.items()}
    for name, table in settled.tables.items():
        for ending, write in (("csv", _write_csv), ("parquet", _write_parquet)):
            sink = io.BytesIO()
            write(table, sink)
            found[f"{name}.{ending}"] = sink.getvalue()
    found[SETTLEMENT] = (json.dumps(settled.summary, indent=2) + "\n").encode()
    return found


def _write_csv(table: pa.Table, sink: io.BytesIO) -> None:
    pa_csv.write_csv(mark_table(table), sink)


def _write_parquet(table: pa.Table, sink: io.BytesIO) -> None:
    pq.write_table(table, sink, **make_parquet_options(table.schema))


def find_difference(directory: Path, settled: Settled) -> str | None:
    """What of a folder is not as the ledger and its terms give it, in words; None where all is.

    Files are compared byte for byte. A Parquet file of another version of its library is read and compared by values.
    """
    contents = list_contents(settled)
    try:
        extra = sorted({path.name for path in directory.iterdir()} - set(contents))
        if extra:
            return f"{directory / extra[0]}: expected no such file"
        for name, content in contents.items():
            path = directory / name
            if not path.is_file():
                return f"{path}: expected a file, found none"
            if path.stat().st_size == len(content) and path.read_bytes() == content:
                continue
            table = settled.tables.get(name.removesuffix(".parquet"))
            if table is None or not _holds(path, table, len(content)):
                return f"{path}: not what the ledger and the terms give"
    except OSError as reason:
        return f"{directory}: expected files that can be read, got {reason.strerror}"
    return None


def _holds(path: Path, table: pa.Table, n_bytes: int) -> bool:
    """Whether a Parquet file holds the values of a table; one that is much larger is not read."""
    most = 4 * max(n_bytes, table.nbytes) + 2**20
    if path.stat().st_size > most:
        return False
    try:
        with pq.ParquetFile(path) as file:
            groups = [file.metadata.row_group(k).total_byte_size for k in range(file.metadata.num_row_groups)]
            if file.metadata.num_rows != table.num_rows or sum(groups) > most:
                return False
            if file.schema_arrow != table.schema:
                return False
            done = 0
            for batch in file.iter_batches(batch_size=2**16):
                own = table.slice(done, batch.num_rows)
                if any(batch.column(k).to_pylist() != own.column(k).to_pylist() for k in range(own.num_columns)):
                    return False
                done += batch.num_rows
            return bool(done == table.num_rows)
    except (pa.ArrowException, OSError):
        return False
