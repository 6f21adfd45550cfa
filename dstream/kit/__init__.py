"""The conformance kit: checks a provider in any language against the protocol, as a black box over its pipes."""

from dstream.kit.checks import CHECKS, Check
from dstream.kit.limits import CheckLimits
from dstream.kit.report import CheckResult, ConformanceReport, check_provider

__all__ = ["CHECKS", "Check", "CheckLimits", "CheckResult", "ConformanceReport", "check_provider"]
