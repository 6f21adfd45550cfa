"""The version that the sandbox reports: SQL Server 2022's numbers, so that drivers use its features."""

from __future__ import annotations

PRODUCT_VERSION = "16.0.4165.4"
MICROSOFT_VERSION = 0x10001045
VERSION_TEXT = (
    f"Microsoft SQL Server 2022 (DStream sandbox) - {PRODUCT_VERSION} (X64) \n\tDeveloper Edition (64-bit) on Linux"
)
