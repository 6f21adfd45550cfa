"""Parses actions and text into a tree. A broken action, or an `if` without `end`, becomes a `BrokenAction` node."""

from __future__ import annotations

from collections.abc import Sequence

from dstream.config.gotemplate.lex import Piece, TemplateSyntaxError, Word, pieces
from dstream.config.gotemplate.nodes import (
    Action,
    BrokenAction,
    Constant,
    Dot,
    Fields,
    FunctionRef,
    If,
    Node,
    Operand,
    Pipeline,
    PipelineCommand,
    Range,
    Text,
    Variable,
    With,
)

_MOST_DIGITS = 400
_UNSUPPORTED = frozenset({"define", "template", "block", "break", "continue"})
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "nil": None}


def parse(text: str) -> tuple[Node, ...]:
    return _Parser(pieces(text)).run()


class _Parser:
    def __init__(self, found: Sequence[Piece]) -> None:
        self.pieces = found
        self.at = 0

    def run(self) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while self.at < len(self.pieces):
            nodes += self._nodes()
            if self.at < len(self.pieces):
                stray = self.pieces[self.at]
                nodes.append(BrokenAction(stray.at, f'unmatched "{_keyword(stray)}"'))
                self.at += 1
        return tuple(nodes)

    def _nodes(self) -> list[Node]:
        """Parse up to the `else` or `end` of the enclosing action."""
        nodes: list[Node] = []
        while self.at < len(self.pieces):
            piece = self.pieces[self.at]
            if _keyword(piece) in ("else", "end"):
                break
            self.at += 1
            nodes += self._read(piece)
        return nodes

    def _read(self, piece: Piece) -> list[Node]:
        if piece.words is None:
            return [Text(piece.at, piece.text)]
        if piece.error:
            return [BrokenAction(piece.at, piece.error)]
        if not piece.words:
            return []  # a comment
        keyword = _keyword(piece)
        if keyword in ("if", "with", "range"):
            return self._control(piece, keyword, piece.words[1:])
        try:
            return [_action(piece, piece.words)]
        except TemplateSyntaxError as error:
            return [BrokenAction(piece.at, str(error))]

    def _control(self, piece: Piece, keyword: str, words: Sequence[Word]) -> list[Node]:
        """Parse an `if`, `with` or `range` up to its `end`. If it is never closed, its content is kept."""
        body = self._nodes()
        otherwise: list[Node] = []
        closing = self._next()
        if closing is not None and _keyword(closing) == "else":
            rest = (closing.words or ())[1:]
            if rest:  # else if ...: the `end` belongs to both
                otherwise = self._control(closing, rest[0].text, rest[1:])
            else:
                otherwise = self._nodes()
                closing = self._next()
        if closing is None:
            return [BrokenAction(piece.at, f'this "{keyword}" is never closed with "{{{{ end }}}}"'), *body, *otherwise]
        try:
            return [_control_node(piece, keyword, words, tuple(body), tuple(otherwise))]
        except TemplateSyntaxError as error:
            return [BrokenAction(piece.at, str(error))]

    def _next(self) -> Piece | None:
        if self.at >= len(self.pieces):
            return None
        self.at += 1
        return self.pieces[self.at - 1]


def _action(piece: Piece, words: Sequence[Word]) -> Node:
    if _keyword(piece) in _UNSUPPORTED:
        raise TemplateSyntaxError(f'the template action "{_keyword(piece)}" is not supported')
    variables, rest, declares = _assignment(words)
    if len(variables) > 1:
        raise TemplateSyntaxError("only range can declare two variables")
    return Action(piece.at, _pipeline(rest), variables[0] if variables else "", declares)


def _control_node(
    piece: Piece, keyword: str, words: Sequence[Word], body: tuple[Node, ...], otherwise: tuple[Node, ...]
) -> Node:
    variables, rest, _ = _assignment(words)
    pipeline = _pipeline(rest)
    if keyword == "if":
        return If(piece.at, pipeline, body, otherwise)
    if keyword == "with":
        return With(piece.at, variables[0] if variables else "", pipeline, body, otherwise)
    key, value = variables if len(variables) == 2 else ("", variables[0] if variables else "")
    return Range(piece.at, key, value, pipeline, body, otherwise)


def _keyword(piece: Piece) -> str:
    """Return the action's first word if it is a name."""
    return piece.words[0].text if piece.words and piece.words[0].kind == "name" else ""


def _assignment(words: Sequence[Word]) -> tuple[list[str], Sequence[Word], bool]:
    """Return the variables before `:=` or `=`, the words after it, and whether it is `:=`."""
    sign = next((i for i, word in enumerate(words) if word.kind == "declare" or _is(word, "=")), None)
    if sign is None:
        return [], words, False
    variables = [word.text for word in words[:sign] if word.kind == "variable"]
    if not variables:
        raise TemplateSyntaxError(f'expected a variable before "{words[sign].text}"')
    return variables, words[sign + 1 :], words[sign].kind == "declare"


def _pipeline(words: Sequence[Word]) -> Pipeline:
    pipeline, rest = _read_pipeline(words, 0)
    if rest < len(words):
        raise TemplateSyntaxError(f'unexpected "{words[rest].text}" in this template')
    return pipeline


def _read_pipeline(words: Sequence[Word], at: int) -> tuple[Pipeline, int]:
    commands: list[PipelineCommand] = []
    operands: list[Operand] = []
    while at < len(words) and not _is(words[at], ")"):
        if _is(words[at], "|"):
            commands.append(_command(operands))
            operands = []
            at += 1
            continue
        operand, at = _operand(words, at)
        operands.append(operand)
    commands.append(_command(operands))
    return Pipeline(tuple(commands)), at


def _command(operands: list[Operand]) -> PipelineCommand:
    if not operands:
        raise TemplateSyntaxError("missing value in this template")
    if len(operands) > 1 and not isinstance(operands[0], FunctionRef):
        raise TemplateSyntaxError("only a function takes arguments")
    return PipelineCommand(tuple(operands))


def _operand(words: Sequence[Word], at: int) -> tuple[Operand, int]:
    word = words[at]
    operand: Operand
    if _is(word, "("):
        operand, at = _read_pipeline(words, at + 1)
        if at >= len(words):
            raise TemplateSyntaxError('a "(" in this template is never closed')
    else:
        operand = _single(word)
    at += 1
    if at < len(words) and words[at].kind == "fields" and not words[at].spaced:
        return Fields(operand, _names(words[at])), at + 1
    return operand, at


def _single(word: Word) -> Operand:
    match word.kind:
        case "string":
            return Constant(word.text)
        case "number":
            return Constant(_number(word.text))
        case "variable":
            return Variable(word.text)
        case "dot":
            return Dot()
        case "fields":
            return Fields(Dot(), _names(word))
        case "name":
            return Constant(_CONSTANTS[word.text]) if word.text in _CONSTANTS else FunctionRef(word.text)
        case _:
            raise TemplateSyntaxError(f'unexpected "{word.text}" in this template')


def _names(word: Word) -> tuple[str, ...]:
    return tuple(word.text[1:].split("."))


def _number(text: str) -> int | float:
    digits = text.replace("_", "")
    if len(digits) > _MOST_DIGITS:
        raise TemplateSyntaxError("this number is too large")
    return int(digits, 0) if digits.lstrip("-+").lower().startswith("0x") else _decimal(digits)


def _decimal(digits: str) -> int | float:
    return int(digits) if digits.lstrip("-+").isdigit() else float(digits)


def _is(word: Word, sign: str) -> bool:
    return word.kind == "sign" and word.text == sign
