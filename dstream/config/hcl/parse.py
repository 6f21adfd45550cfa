"""Parses HCL text into our syntax tree. `grammar.py` supplies the trees of python-hcl2's grammar."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dstream.config.hcl.grammar import Node, Trees, UnexpectedText
from dstream.config.hcl.problem import Problem
from dstream.config.hcl.scan import Scan, scan
from dstream.config.hcl.source import HOLE, Hole, SourceFile
from dstream.config.hcl.syntax import (
    Attribute,
    Binary,
    Block,
    Body,
    Call,
    Conditional,
    Element,
    Expression,
    ForEach,
    GetAttribute,
    GetIndex,
    Label,
    Literal,
    Missing,
    Name,
    ObjectOf,
    Splat,
    TupleOf,
    Unary,
)
from dstream.config.hcl.syntax_error import explain
from dstream.config.hcl.template import TemplateReader

_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_BEFORE_EXPRESSION, _AFTER_EXPRESSION = "_=(", ")"


def parse(source: SourceFile) -> Body:
    """The body of a file. Raises Problem for the first syntax error."""
    scanned = scan(source.text)
    parser = _Parser(source.text, source.holes, source.templated(), Trees(scanned.skeleton))
    body = parser.body(scanned, scanned.skeleton, shift=0)
    parser.save()
    return body


def parse_expression(text: str) -> Expression:
    """The expression of a text outside a file. Raises Problem."""
    return _Parser(text, (), (), Trees(text)).expression(0, len(text))


class _Parser:
    """Parses parts of one text. `templated`: the parts that a template wrote."""

    def __init__(self, text: str, holes: Sequence[Hole], templated: Sequence[tuple[int, int]], trees: Trees) -> None:
        self._text = text
        self._holes = holes
        self._templated = templated
        self._trees = trees
        self._may_save = True

    def expression(self, start: int, end: int) -> Expression:
        """One expression, as between the braces of `${}`."""
        scanned = scan(self._text, start, end, bracketed=True)
        if not scanned.skeleton.strip():
            raise Problem("config.syntax", "expected an expression", start)
        skeleton = _BEFORE_EXPRESSION + scanned.skeleton + _AFTER_EXPRESSION
        return self.body(scanned, skeleton, start - len(_BEFORE_EXPRESSION)).attributes[0].value

    def body(self, scanned: Scan, skeleton: str, shift: int) -> Body:
        try:
            tree = self._trees.tree(skeleton)
        except UnexpectedText as error:
            problem = explain(error, self._text, skeleton, shift)
            raise _hole_before(problem, scanned, self._holes) or problem from None
        # A template may write a secret, and only inside a string the skeleton does not show it.
        self._may_save &= not any(scanned.shows(start, end) for start, end in self._templated)
        return _Reader(self._text, self._holes, scanned, shift, self.expression).body(tree.children[0])

    def save(self) -> None:
        if self._may_save:
            self._trees.save()


def _hole_before(problem: Problem, scanned: Scan, holes: Sequence[Hole]) -> Problem | None:
    """A template without a value, on this line or the previous one, explains a syntax error better."""
    at = problem.at - scanned.start
    this_line = scanned.skeleton.rfind("\n", 0, at) + 1
    last_line = scanned.skeleton.rfind("\n", 0, max(this_line - 1, 0)) + 1
    line_end = scanned.skeleton.find("\n", at)
    match = HOLE.search(scanned.skeleton, last_line, line_end if line_end >= 0 else len(scanned.skeleton))
    return _missing(holes[int(match[1])], scanned.start + match.start()) if match else None


def _missing(hole: Hole, at: int) -> Problem:
    return Problem(hole.code, hole.message, at, hole.hint)


class _Reader:
    """Converts the trees of one text into ours. `shift` is added to an offset in the skeleton to get one in the
    text."""

    def __init__(
        self,
        text: str,
        holes: Sequence[Hole],
        scanned: Scan,
        shift: int,
        parse_between: Callable[[int, int], Expression],
    ) -> None:
        self._text = text
        self._holes = holes
        self._scanned = scanned
        self._shift = shift
        self._templates = TemplateReader(text, holes, parse_between)

    def body(self, tree: Node) -> Body:
        attributes: list[Attribute] = []
        blocks: list[Block] = []
        for child in _trees(tree):
            self._check_starts_line(self._at(child))
            if child.rule == "attribute":
                name, value = _trees(child)
                attributes.append(Attribute(self._at(name), self._word(name), self.expression(value)))
            else:
                blocks.append(self._block(child))
        return Body(tuple(attributes), tuple(blocks))

    def _block(self, tree: Node) -> Block:
        name, *labels, body = _trees(tree)
        return Block(self._at(name), self._word(name), tuple(self._label(label) for label in labels), self.body(body))

    def _label(self, tree: Node) -> Label:
        at = self._at(tree)
        if tree.rule != "string":
            return Label(at, self._word(tree))
        text = self._string(tree)
        if isinstance(text, Missing):
            raise _missing(text.hole, text.at)
        if not isinstance(text, Literal) or not isinstance(text.value, str):
            raise Problem("config.syntax", "a label must be plain text, without ${}", at)
        return Label(at, text.value)

    def _check_starts_line(self, at: int) -> None:
        """The grammar accepts `a = 1 b = 2`, but HCL does not."""
        skeleton, i = self._scanned.skeleton, at - self._scanned.start - 1
        while i >= 0 and skeleton[i] in " \t\r":
            i -= 1
        if i >= 0 and skeleton[i] not in "\n{":
            raise Problem("config.syntax", "each attribute and block must start on its own line", at)

    def expression(self, tree: Node) -> Expression:
        at = self._at(tree)
        children = _trees(tree)
        match tree.rule:
            case "expr_term":
                return self.expression(children[0])
            case "int_lit" | "float_lit":
                return Literal(at, _number(tree.children[0].text, at))
            case "literal_value":
                return Literal(at, _WORDS[tree.children[0].text])
            case "string":
                return self._string(tree)
            case "identifier" | "keyword":
                return self._name(tree)
            case "conditional":
                return Conditional(at, *(self.expression(child) for child in children))
            case "binary_op":
                return self._binary(children)
            case "unary_op":
                return Unary(at, tree.children[0].text, self.expression(children[0]))
            case "tuple":
                return TupleOf(at, tuple(self.expression(child) for child in children))
            case "object":
                return self._object(tree)
            case "function_call":
                return self._call(tree)
            case "get_attr_expr_term" | "index_expr_term":
                return self._step(self.expression(children[0]), children[1])
            case "attr_splat_expr_term" | "full_splat_expr_term":
                return self._splat(children)
            case "for_tuple_expr" | "for_object_expr":
                return self._for(tree)
            case _:
                raise Problem("config.syntax", "not a valid expression", at)

    def _string(self, tree: Node) -> Expression:
        at = self._at(tree)
        heredoc = self._scanned.heredocs.get(at)
        if heredoc is not None:
            return self._templates.heredoc(heredoc)
        return self._templates.quoted(at, tree.end + self._shift)

    def _name(self, tree: Node) -> Expression:
        at = self._at(tree)
        name = tree.children[0].text
        match = HOLE.search(name)
        return Missing(at + match.start(), self._holes[int(match[1])]) if match else Name(at, name)

    def _word(self, tree: Node) -> str:
        """A name that must be known now, so a template without a value is an error here."""
        word = tree.children[0].text
        if match := HOLE.search(word):
            raise _missing(self._holes[int(match[1])], self._at(tree) + match.start())
        return word

    def _binary(self, children: list[Node]) -> Expression:
        left, term = children[0], children[1]
        operator, right = _trees(term)
        token = operator.children[0]
        at = self._at(token)
        # hcl2's lexer joins a line break to the following operator, and scan.py writes "+" for "-"
        length = len(token.text.strip())
        return Binary(at, self._text[at : at + length], self.expression(left), self.expression(right))

    def _object(self, tree: Node) -> Expression:
        items: list[tuple[Expression, Expression]] = []
        separated = True
        for child in tree.children[1:-1]:
            if child.rule != "object_elem":
                separated = True
                continue
            if not separated:
                message = "separate the elements of an object with commas or line breaks"
                raise Problem("config.syntax", message, self._at(child))
            key, value = _trees(child)
            items.append((self._key(_trees(key)[0]), self.expression(value)))
            separated = _swallows_line_break(value)
        return ObjectOf(self._at(tree), tuple(items))

    def _key(self, tree: Node) -> Expression:
        inner = _trees(tree)[0] if tree.rule == "expr_term" else tree
        in_parentheses = tree.children[0].text == "("
        if not in_parentheses and inner.rule in ("identifier", "keyword", "literal_value"):
            name = self._name(inner)
            return Literal(name.at, name.name) if isinstance(name, Name) else name
        if not in_parentheses and inner.rule not in ("string", "int_lit", "float_lit"):
            hint = "Put a key expression in parentheses: (var.name) = ..."
            raise Problem(
                "config.syntax", "a key must be a name, a string, or an expression in parentheses", self._at(tree), hint
            )
        return self.expression(inner)

    def _call(self, tree: Node) -> Expression:
        names = [child for child in _trees(tree) if child.rule == "identifier"]
        arguments = next((child for child in _trees(tree) if child.rule == "arguments"), None)
        expand = arguments is not None and any(child.text == "..." for child in arguments.children)
        values = tuple(self.expression(child) for child in _trees(arguments)) if arguments is not None else ()
        return Call(self._at(names[0]), "::".join(self._word(name) for name in names), values, expand)

    def _step(self, target: Expression, step: Node) -> Expression:
        """`.name`, `[key]` or `.0` applied to the target."""
        inner = step.children[1] if step.rule == "short_index" else _trees(step)[0]
        at = self._at(inner)
        if step.rule == "short_index":
            return GetIndex(at, target, Literal(at, int(inner.text)))
        if step.rule == "get_attr":
            return GetAttribute(at, target, self._word(inner))
        return GetIndex(at, target, self.expression(inner))

    def _splat(self, children: list[Node]) -> Expression:
        """In `x.*.a[0]`, only attributes belong to each element; in `x[*].a[0]`, the index does too."""
        splat = children[1]
        at = self._at(splat)
        steps = _trees(splat)
        own = len(steps)
        if splat.rule == "attr_splat":
            own = next((i for i, step in enumerate(steps) if step.rule != "get_attr"), own)
        each: Expression = Element(at)
        for step in steps[:own]:
            each = self._step(each, step)
        result: Expression = Splat(at, self.expression(children[0]), each)
        for step in steps[own:]:
            result = self._step(result, step)
        return result

    def _for(self, tree: Node) -> Expression:
        intro, *results = _trees(tree)
        condition: Expression | None = None
        if results[-1].rule == "for_cond":
            condition = self.expression(_trees(results.pop())[0])
        *names, items = _trees(intro)
        key, value = (None, self._word(names[0])) if len(names) == 1 else (self._word(names[0]), self._word(names[1]))
        result_key = self.expression(results[0]) if tree.rule == "for_object_expr" else None
        group = any(child.text == "..." for child in tree.children)
        return ForEach(
            self._at(tree),
            key,
            value,
            self.expression(items),
            result_key,
            self.expression(results[-1]),
            condition,
            group,
        )

    def _at(self, node: Node) -> int:
        return node.start + self._shift


def _trees(node: Node) -> list[Node]:
    """The significant children: neither punctuation nor line breaks."""
    return [child for child in node.children if child.rule not in ("", "new_line_or_comment")]


def _swallows_line_break(node: Node) -> bool:
    """True if the tree ends with the line break that follows it, as hcl2's binary operations do."""
    while node.children:
        node = node.children[-1]
    return "\n" in node.text


def _number(text: str, at: int) -> int | float:
    try:
        number = int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        raise Problem("config.syntax", "this number is too long", at) from None
    if number in (float("inf"), float("-inf")):
        raise Problem("config.syntax", "this number is too large", at)
    return int(number) if isinstance(number, float) and number.is_integer() else number
