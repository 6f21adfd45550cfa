"""A SQL Server with change data capture and an Azure Service Bus namespace on one's own machine.

Real clients work unmodified: Microsoft's ODBC driver, azure-servicebus and others' drivers. Nothing of DStream is
imported here; DStream finds this package as an optional plug-in. What is emulated, and what is not: docs/sandbox.md.
"""
