"""A local SQL Server with change data capture, and a local Azure Service Bus namespace.

Real clients work unmodified: Microsoft's ODBC driver, azure-servicebus and other drivers. This package imports nothing
from DStream, which finds it as an optional plug-in. The documentation's sandbox page lists what is emulated.
"""
