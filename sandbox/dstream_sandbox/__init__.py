"""A local SQL Server with change data capture, and a local Azure Service Bus namespace.

Real clients work unmodified: Microsoft's ODBC driver, azure-servicebus and other drivers. This package imports nothing
from DStream, which loads it as an optional plugin. The sandbox page of the documentation lists what is emulated.
"""
