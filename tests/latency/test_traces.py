"""Traces of Azure's shape and our own."""

from pathlib import Path

import pytest

from roadworthy.latency.traces import Traced, TraceRefused, burstiness, of_log, read_azure

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


def _file(place: Path, text: str) -> Path:
    path = place / "trace.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_azures_shape_is_read_oldest_first_with_its_seven_decimals(tmp_path: Path) -> None:
    text = HEADER + "2023-11-16 18:15:50.9951690,396,109\n2023-11-16 18:15:46.6805900,374,44\n\n"
    first, second = read_azure(_file(tmp_path, text))
    assert (first.input_tokens, first.output_tokens) == (374, 44)
    assert second.at - first.at == pytest.approx(4.314579, abs=1e-5)


def test_columns_may_stand_in_another_order_beside_others_and_a_cell_may_be_empty(tmp_path: Path) -> None:
    text = "\ufeffgeneratedtokens,Region,timestamp,contexttokens\n44,west,2023-11-16T18:15:46Z,\n"
    assert read_azure(_file(tmp_path, text)) == [Traced(1700158546.0, None, 44)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no calls"),
        (HEADER, "holds no calls"),
        ("a,b\n1,2\n", "line 1: no column TIMESTAMP, ContextTokens, GeneratedTokens in 'a,b'"),
        (HEADER + "yesterday,1,2\n", "line 2, TIMESTAMP: 'yesterday', expected an instant"),
        (HEADER + "2023-11-16 18:15:46,-1,2\n", "line 2, ContextTokens: '-1', expected a number of tokens"),
        (HEADER + "2023-11-16 18:15:46,1,2e3\n", "line 2, GeneratedTokens: '2e3'"),
        (HEADER + "2023-11-16 18:15:46,1,99999999999\n", "line 2, GeneratedTokens"),
        (HEADER + "2023-11-16 18:15:46,1\n", "line 2: 2 columns"),
        (HEADER + '2023-11-16 18:15:46,"1\n', "not a CSV file"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TraceRefused) as refused:
        read_azure(_file(tmp_path, text))
    assert said in str(refused.value)
    assert "trace.csv" in str(refused.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(b"\x93NUMPY\x00\xff" * 9)
    with pytest.raises(TraceRefused, match="not a CSV file in UTF-8"):
        read_azure(path)


def test_our_own_calls_make_a_trace_in_order() -> None:
    assert of_log([(9.0, 1, None), (3.0, None, 4)]) == [Traced(3.0, None, 4), Traced(9.0, 1, None)]


def test_burstiness_counts_gaps_and_the_fullest_second() -> None:
    found = burstiness([0.0, 0.1, 0.2, 1.0, 4.0])
    assert (found.calls, found.seconds, found.rate, found.most_in_a_second) == (5, 4.0, 1.0, 3)
    assert found.cv == pytest.approx(1.374, abs=0.001)


def test_a_single_call_or_none_is_no_burst() -> None:
    assert burstiness([]).calls == 0
    assert burstiness([5.0]).cv == 0.0
