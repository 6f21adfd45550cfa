"""Checks for outputs that keep dead letters. They only read: replaying and purging would change what users keep."""

from __future__ import annotations

from dstream.kit.dialogue import Dialogue
from dstream.kit.subject import NotObservable, Subject, Violation
from dstream.protocol.dead_letters import DeadLetter, DeadLettersDone

_NO_LETTER = {"index": 2**31, "id": "kit-no-such-letter"}


def lists_its_dead_letters(subject: Subject) -> None:
    """It answers `list` with its dead letters, numbered from 1, and their count, and exits with 0."""
    _listed(subject)


def shows_a_dead_letter(subject: Subject) -> None:
    """It answers `show` with the dead letter, its row and the count 1."""
    letters = _listed(subject)
    if not letters:
        raise NotObservable("it keeps no dead letters now")
    first = letters[0]
    dialogue = _asked(subject, "show", [{"index": first.index, "id": first.id}])
    shown, count = _answer(dialogue, "show")
    if [each.reference for each in shown] != [first.reference] or count != 1:
        raise Violation(f"show of letter {first.index} answers with {len(shown)} letters and the count {count}")
    if dialogue.record.row_count != 1:
        raise Violation(f"show of letter {first.index} writes {dialogue.record.row_count} rows, not 1")


def refuses_changed_dead_letters(subject: Subject) -> None:
    """It refuses a dead letter that is no longer at its index, with the error `deadletter.changed`."""
    dialogue = _asked(subject, "show", [_NO_LETTER])
    error = dialogue.record.error
    if error is None:
        raise Violation(f"show of a letter that does not exist is not answered with an error; {dialogue.ending()}")
    if (error.code, error.kind) != ("deadletter.changed", "refused"):
        raise Violation(
            f'its error for a letter that does not exist is "{error.code}" of kind "{error.kind}"; it must be '
            f'"deadletter.changed" of kind "refused" ({error.message})'
        )


def _listed(subject: Subject) -> list[DeadLetter]:
    letters, count = _answer(_asked(subject, "list", None), "list")
    if [each.index for each in letters] != [*range(1, len(letters) + 1)]:
        raise Violation(f"the letters that it lists have the numbers {[each.index for each in letters]}")
    if count != len(letters):
        raise Violation(f"it lists {len(letters)} letters, but its count is {count}")
    for each in letters:
        if not each.reason:
            raise Violation(f"letter {each.index} has no reason")
    return letters


def _asked(subject: Subject, action: str, letters: list[dict[str, object]] | None) -> Dialogue:
    with subject.greeted() as dialogue:
        dialogue.ask("dead_letters", subject.config, dead_letters={"action": action, "letters": letters})
        dialogue.wait_for(lambda record: _ended(record.dead_letters) or record.error, subject.limits.answer_s)
        dialogue.exits(subject.limits.exit_s)
        dialogue.closes_stdout(subject.limits.exit_s)
    error = dialogue.record.error
    if error is not None and error.kind == "config":
        raise NotObservable(f"the config of the test keeps no dead letters: {error.message}")
    return dialogue


def _answer(dialogue: Dialogue, action: str) -> tuple[list[DeadLetter], int]:
    """Return the letters and the count of a complete answer."""
    error, answer = dialogue.record.error, dialogue.record.dead_letters
    if error is not None:
        raise Violation(f"it answers {action} with an error: {error.message}")
    if not _ended(answer):
        raise Violation(f"its answer to {action} has no last line; {dialogue.ending()}")
    if dialogue.exit_code != 0:
        raise Violation(f"it must exit with 0 after its answer to {action}; {dialogue.ending()}")
    *letters, done = answer
    if not isinstance(done, DeadLettersDone) or not all(isinstance(each, DeadLetter) for each in letters):
        raise Violation(f"its answer to {action} has lines after its last line")
    return [each for each in letters if isinstance(each, DeadLetter)], done.count


def _ended(answer: list[DeadLetter | DeadLettersDone]) -> bool:
    return any(isinstance(each, DeadLettersDone) for each in answer)
