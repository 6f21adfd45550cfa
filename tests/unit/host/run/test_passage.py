from __future__ import annotations

import msgspec
import pytest

from dstream.errors import SystemFault
from dstream.host.run.passage import Passage
from dstream.protocol.messages import BadLine, Checkpoint, End


def entered(*counts: int) -> Passage:
    """A passage with checkpoints 1, 2, .. inside, after these numbers of rows."""
    passage = Passage()
    for seq, rows in enumerate(counts, 1):
        passage.relayed(rows, 10 * rows, float(seq))
        passage.opened(Checkpoint(seq, rows, msgspec.Raw(b'{"at":%d}' % seq)))
    return passage


def test_each_checkpoint_leaves_with_the_state_that_the_input_gave_it() -> None:
    passage = entered(3, 0, 2)
    assert [bytes(passage.claim(seq)) for seq in (1, 2, 3)] == [b'{"at":1}', b'{"at":2}', b'{"at":3}']


@pytest.mark.parametrize(("claimed", "wrong"), [([], 2), ([1], 1), ([1, 2], 3)])
def test_a_checkpoint_that_is_not_the_next_one_is_refused(claimed: list[int], wrong: int) -> None:
    passage = entered(1, 1)
    for seq in claimed:
        passage.claim(seq)
    with pytest.raises(BadLine):
        passage.claim(wrong)


def test_the_input_is_held_to_its_counts_before_the_transform_sees_them() -> None:
    passage = Passage()
    passage.relayed(2, 20)
    with pytest.raises(SystemFault, match="counts 3 rows"):
        passage.opened(Checkpoint(1, 3, msgspec.Raw(b"{}")))


def test_the_transform_may_end_only_after_the_input_and_its_last_checkpoint() -> None:
    passage = entered(1)
    with pytest.raises(BadLine):
        passage.check_ended()
    passage.ended(End(1))
    with pytest.raises(BadLine):
        passage.check_ended()
    passage.claim(1)
    passage.check_ended()


def test_the_oldest_row_inside_and_the_room_follow_what_leaves() -> None:
    passage = entered(1, 1)
    assert passage.oldest_read_s == 1.0
    assert not passage.wait_for_room(1, 0.0)
    passage.claim(1)
    assert passage.oldest_read_s == 2.0
    assert passage.wait_for_room(1, 0.0)
    passage.claim(2)
    assert passage.oldest_read_s is None
