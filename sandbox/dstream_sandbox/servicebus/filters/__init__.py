"""Which messages a subscription takes: the SQL filter language, correlation filters, and rule actions."""
