from qmodel.worker.backends.tokens import as_set, left_padded, windows


def test_ids_are_a_number_a_list_or_nothing() -> None:
    assert (as_set(None), as_set(7), as_set([7, 8])) == (set(), {7}, {7, 8})


def test_padded_sequences_end_together() -> None:
    assert left_padded([[5, 6, 7], [8]]) == ([[5, 6, 7], [0, 0, 8]], [[1, 1, 1], [0, 0, 1]])
    assert left_padded([]) == ([], [])


def test_windows_run_over_the_ends_of_sequences() -> None:
    assert windows([[1, 2, 3], [4], [5]], 2) == [[1, 2], [3, 4]]
    assert windows([], 2) == []
