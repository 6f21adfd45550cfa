"""The conformance kit: whether a program, in whatever language, is a provider. A black box over its pipes."""

from dstream.kit.checks import CHECKS, Check
from dstream.kit.limits import Limits
from dstream.kit.report import Report, Result, check_provider

__all__ = ["CHECKS", "Check", "Limits", "Report", "Result", "check_provider"]
